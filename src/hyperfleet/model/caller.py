"""The caller of a request and its tenancy. `http/access` makes it; scopes and access rules depend on it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any, NamedTuple

Tenancy = tuple[tuple[str, str], ...]
"""Dimensions and their values, sorted by dimension. Empty: the resource has no tenant; the caller sees all."""


class Attributes(NamedTuple):
    """What an issuer states about a caller besides the identity: the caller's groups, and all claims."""

    groups: tuple[str, ...] = ()
    claims: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of a request. `identity` appears in `created_by` and in the audit log; anonymous readers have none.

    `issuer` is the URL of the issuer that vouches for the identity. `attributes` gives the rest of the caller's token.
    It reads the token on demand, because attributes may be large and are seldom needed twice. `digest` is the token's
    digest. `expires_at` is its expiry in Unix seconds, until which results derived from the token may be cached.
    Without a token, all of these have their defaults.

    A caller sees the resources whose tenancy includes all of the caller's own. `is_placed` is set if tenancy is
    enabled. A system caller (Sentinel or an adapter) sees the resources of every tenant, and may read and report only.
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
        """The groups that the issuer states."""
        return self.attributes().groups

    @property
    def claims(self) -> Mapping[str, Any]:
        """All claims of the token."""
        return self.attributes().claims


SYSTEM = Caller("system@hyperfleet.local")
NOBODY = Caller("")
"""The caller before authentication."""
