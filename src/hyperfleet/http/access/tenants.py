"""Finds a caller's tenancy (operations: Callers, Tenancy). It is written to what the caller creates, and limits what
the caller sees.

Headers are trusted because a gateway in front sets them and removes them from what callers send. Where a token and a
header disagree, the token wins.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from hyperfleet.errors import Forbidden
from hyperfleet.http.exchange import Exchange
from hyperfleet.model.caller import Caller
from hyperfleet.settings.authorization import VALUE, VALUE_LENGTH

_IS_SYSTEM: Final = b"true"


@dataclass(frozen=True, slots=True)
class Dimension:
    """The sources of the dimension `key`: a claim, a header (lower case), or both; an empty name means none.

    A header for all dimensions, if one is configured, gives the dimensions that these sources do not.
    """

    key: str
    header: str
    claim: str
    is_required: bool


class Tenants:
    """Finds the tenancy of callers, from `dimensions`.

    `header` carries all dimensions as one JSON object. `system_claim`, else `system_header`, marks callers that see
    every tenant. An empty name means that no such header or claim is configured.
    """

    def __init__(
        self, dimensions: Sequence[Dimension], *, system_header: str = "", system_claim: str = "", header: str = ""
    ) -> None:
        # Stored tenancies are also compared as text, so the dimensions need a fixed order.
        self._dimensions = sorted(dimensions, key=lambda each: each.key)
        self._system_header = system_header.encode()
        self._system_claim = system_claim
        self._header = header.encode()

    @property
    def claims(self) -> tuple[str, ...]:
        """The claims that identify tenants and system callers."""
        named = [self._system_claim, *(each.claim for each in self._dimensions)]
        return tuple(dict.fromkeys(filter(None, named)))

    def placed(self, caller: Caller, exchange: Exchange) -> Caller:
        """The caller with its tenancy, or as a system caller; raises Forbidden for a missing or malformed dimension."""
        if self._is_system(caller, exchange):
            return replace(caller, is_placed=True, is_system=True)
        members = self._members(exchange) if self._header else {}
        found: list[tuple[str, str]] = []
        for each in self._dimensions:
            value = self._value(each, caller, exchange, members)
            if value is not None:
                found.append((each.key, value))
            elif each.is_required:
                sources = " or ".join(self._sources(each))
                raise Forbidden(f"{sources}, which identifies your tenant, is missing.")
        return replace(caller, is_placed=True, tenancy=tuple(found))

    def _is_system(self, caller: Caller, exchange: Exchange) -> bool:
        claimed = caller.tenant_claims.get(self._system_claim) if self._system_claim else None
        if claimed is not None:
            return claimed is True or claimed == _IS_SYSTEM.decode()
        return bool(self._system_header) and exchange.header_lines(self._system_header) == [_IS_SYSTEM]

    def _members(self, exchange: Exchange) -> Mapping[str, Any]:
        """The dimensions from the common header, empty without it; raises Forbidden for a malformed header."""
        lines = [line for line in exchange.header_lines(self._header) if line.strip()]
        if not lines:
            return {}
        try:
            members = json.loads(lines[0].decode(), object_pairs_hook=_once) if len(lines) == 1 else None
        except (ValueError, RecursionError):
            members = None
        name = self._header.decode()
        if not isinstance(members, dict):
            raise Forbidden(
                f"The header {name} must be one JSON object that has each of your tenant's dimensions once."
            )
        # Ignoring an unknown dimension would let the caller see more than its tenant.
        if members.keys() - {each.key for each in self._dimensions}:
            known = ", ".join(each.key for each in self._dimensions)
            raise Forbidden(f"The header {name} has an unknown dimension; the dimensions are {known}.")
        return members

    def _value(self, each: Dimension, caller: Caller, exchange: Exchange, members: Mapping[str, Any]) -> str | None:
        """The dimension's value from the first source that has one, or None; raises Forbidden for a malformed value."""
        candidates = (
            caller.tenant_claims.get(each.claim) if each.claim else None,
            _line(exchange.header_lines(each.header.encode())) if each.header else None,
            members.get(each.key),
        )
        given = [value for value in candidates if value is not None and value != ""]
        if not given:
            return None
        value = given[0]
        if not isinstance(value, str) or not VALUE.fullmatch(value):
            source = " or ".join(self._sources(each))
            raise Forbidden(
                f"{source} must be a single value of 1 to {VALUE_LENGTH} letters, digits, `.`, `_` and `-`."
            )
        return value

    def _sources(self, each: Dimension) -> Iterator[str]:
        """The sources of the dimension, in words for messages."""
        if each.claim:
            yield f"The claim {each.claim} of the token"
        if each.header:
            yield f"The header {each.header}"
        if self._header:
            yield f"The member {each.key} of the header {self._header.decode()}"


def _line(lines: Sequence[bytes]) -> str | bool | None:
    """The header's value, or None; False for a repeated header, because no value can be trusted."""
    if len(lines) > 1:
        return False
    return lines[0].decode("latin-1").strip(" \t") if lines else None


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """An object with these members; raises ValueError for a duplicate name, because it is unclear which one counts."""
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError
    return members
