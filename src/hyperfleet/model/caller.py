"""Who is asking, and of which tenant: what access decides, and what scopes and rules are computed from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any, NamedTuple

Tenancy = tuple[tuple[str, str], ...]
"""Dimensions and their values, sorted by dimension. Empty: of no tenant, and a caller with it sees every tenant."""


class Attributes(NamedTuple):
    """What an issuer says of a caller beside who it is: the groups that it belongs to, and all claims."""

    groups: tuple[str, ...] = ()
    claims: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking; `identity` is what `created_by` and the audit log say, empty for who only reads without one.

    `issuer` is who vouches for that, by its URL. `attributes` gives what the caller's token says besides; it is read
    from the token when it is wanted, because it may be large and is seldom wanted twice. `digest` is the token's, and
    `expires_at` the end of its time, so that conclusions from it can be remembered for as long. All are empty where
    callers need no token.

    A caller sees the resources whose tenancy has all of its own, and `is_placed` where tenancy is enabled; a system
    caller, Sentinel or an adapter, sees every tenant's, and may read and report only.
    """

    identity: str
    issuer: str = ""
    attributes: Callable[[], Attributes] = field(default=Attributes, compare=False, repr=False)
    digest: bytes = field(default=b"", compare=False, repr=False)
    expires_at: float = field(default=inf, compare=False, repr=False)
    tenant_claims: Mapping[str, str | bool | None] = field(default_factory=dict, compare=False, repr=False)
    tenancy: Tenancy = ()
    is_placed: bool = False
    is_system: bool = False

    @property
    def groups(self) -> tuple[str, ...]:
        """What its issuer says that it belongs to."""
        return self.attributes().groups

    @property
    def claims(self) -> Mapping[str, Any]:
        """All that its token says."""
        return self.attributes().claims


SYSTEM = Caller("system@hyperfleet.local")
NOBODY = Caller("")
"""Who is asking before that is decided."""
