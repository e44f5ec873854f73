"""Whose tenant a caller is (operations: Callers, Tenancy): stamped on what it creates, and all that it sees.

Headers count because a gateway in front sets them, and removes them from what callers send.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from hyperfleet.errors import Forbidden
from hyperfleet.http.exchange import Exchange
from hyperfleet.http.tokens import claim
from hyperfleet.model.resource import Caller
from hyperfleet.settings.access import DIMENSION

_IS_SYSTEM: Final = b"true"


@dataclass(frozen=True, slots=True)
class Dimension:
    """What brings one dimension, called `key`: a header, in small letters, or a claim; the other is empty."""

    key: str
    header: str
    claim: str
    is_required: bool


class Tenants:
    """Tells tenants apart by `dimensions`; `system_header` marks callers that see all of them, empty: none does."""

    def __init__(self, dimensions: Sequence[Dimension], *, system_header: str) -> None:
        # Stored sets of dimensions are compared as texts, too, so they have one order.
        self._dimensions = sorted(dimensions, key=lambda each: each.key)
        self._system_header = system_header.encode()

    def placed(self, caller: Caller, exchange: Exchange) -> Caller:
        """The caller with its tenancy, or as a system caller; raises Forbidden when its request does not say enough."""
        if self._system_header and exchange.header_lines(self._system_header) == [_IS_SYSTEM]:
            return replace(caller, is_system=True)
        found: list[tuple[str, str]] = []
        for each in self._dimensions:
            value = _value(each, caller, exchange)
            if value is not None:
                found.append((each.key, value))
            elif each.is_required:
                raise Forbidden(f"{_source(each)}, which says whose tenant you are, is missing.")
        return replace(caller, tenancy=tuple(found))


def _value(each: Dimension, caller: Caller, exchange: Exchange) -> str | None:
    """The dimension's value, None without one; raises Forbidden for one that is none."""
    value: Any
    if each.header:
        lines = exchange.header_lines(each.header.encode())
        if not lines:
            return None
        value = lines[0].decode("latin-1").strip(" \t") if len(lines) == 1 else None
    else:
        value = claim(caller.claims, each.claim)
        if value is None:
            return None
    if not isinstance(value, str) or not DIMENSION.fullmatch(value):
        raise Forbidden(f"{_source(each)} must be one value of 1 to 63 letters, digits, `.`, `_` and `-`.")
    return value


def _source(each: Dimension) -> str:
    return f"The header {each.header}" if each.header else f"The claim {each.claim} of the token"
