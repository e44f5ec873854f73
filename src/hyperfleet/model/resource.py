"""Resources as the service handles them: who owns what, what a statement may see, what a caller wants created."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import inf
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from hyperfleet.model.condition import Condition
from hyperfleet.model.kind import Kind

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

    A caller sees the resources whose tenancy has all of its own, and `is_placed` where tenants are told apart; a system
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

ANY = Kind("Resource", "resources", "resource")
"""The word for resources of whatever kind, in paths, lists and sentences; no resource is of this kind."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The owner that a path names: its kind and id; whether it exists is for the statement to say."""

    kind: Kind
    id: UUID


@dataclass(frozen=True, slots=True)
class Scope:
    """What a statement may see: resources of `kind`, below `owner` when the path names one, that have this `tenancy`.

    Every statement that finds a resource for a caller has one; what goes on from there names rows by their ids. Where a
    path serves several kinds at once, `kind` is the word for any of them, ANY, and `members` are those kinds.
    Where tenants are told apart it `shows_tenancy`.
    """

    kind: Kind
    owner: Owner | None = None
    members: tuple[Kind, ...] = ()
    tenancy: Tenancy = ()
    shows_tenancy: bool = False

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of the resources that it shows."""
        return self.members or (self.kind,)

    @property
    def kind_names(self) -> list[str]:
        """Their names."""
        return [kind.name for kind in self.kinds]

    @property
    def names_with_rules(self) -> list[str]:
        """The names of those whose conditions come from rules of their own, too."""
        return [kind.name for kind in self.kinds if kind.conditions]

    @property
    def owner_id(self) -> UUID | None:
        """The owner's id, None without an owner."""
        return self.owner.id if self.owner is not None else None

    def kind_named(self, name: str) -> Kind:
        """The kind of a row that it shows."""
        return next(kind for kind in self.kinds if kind.name == name)


@dataclass(frozen=True, slots=True)
class Desired:
    """What callers change of a resource; `spec` is its JSON object, encoded once.

    `references` names targets by type of reference, in the order given; only types that the kind declares.
    """

    spec: bytes
    labels: dict[str, str]
    references: dict[str, tuple[UUID, ...]]


Patch = Callable[[Desired], Awaitable[Desired]]
"""A change as a caller wants it: what it makes of the desired state as it is; raises InvalidInput where that is wrong.

Checked at the edge as far as the body alone tells; a merge shows only then what it leads to.
"""


@dataclass(frozen=True, slots=True)
class Draft:
    """A resource that a caller wants created, checked at the edge."""

    name: str
    desired: Desired


Precondition = Callable[[int, int], bool]
"""Whether a resource is what the caller takes it for, by its `resource_version` and its `generation`."""


PHASES: Final = ("NotReady", "Ready", "Failed")


class Status(msgspec.Struct, frozen=True):
    """What aggregation computes of a resource: phase (one of PHASES), times and conditions."""

    phase: str
    observed_generation: int
    last_transition_time: datetime
    last_updated_time: datetime
    conditions: tuple[Condition, ...]
