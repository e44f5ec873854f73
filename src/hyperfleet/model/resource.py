"""A resource in a request: its owner, the scope of a statement, the desired state, a draft and a precondition."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

import msgspec

from hyperfleet.model.caller import Tenancy
from hyperfleet.model.kind import Kind

ANY = Kind("Resource", "resources", "resource")
"""The word for a resource of any kind, in paths, lists and sentences; no resource has this kind."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The owner in a path: its kind and id. The statement checks whether it exists."""

    kind: Kind
    id: UUID


@dataclass(frozen=True, slots=True)
class Scope:
    """What a statement may see: resources of `kind` with this `tenancy`, below `owner` if the path has one.

    Every statement that finds a resource for a caller has a scope; later statements use the ids of the rows found. If a
    path serves several kinds, `kind` is ANY and `members` are those kinds. `shows_tenancy`: tenancy is enabled.
    """

    kind: Kind
    owner: Owner | None = None
    members: tuple[Kind, ...] = ()
    tenancy: Tenancy = ()
    shows_tenancy: bool = False

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds in the scope."""
        return self.members or (self.kind,)

    @property
    def kind_names(self) -> list[str]:
        """The names of the kinds in the scope."""
        return [kind.name for kind in self.kinds]

    @property
    def names_with_rules(self) -> list[str]:
        """The names of the kinds in the scope that have mapping rules."""
        return [kind.name for kind in self.kinds if kind.conditions]

    @property
    def owner_id(self) -> UUID | None:
        """The owner's id, None without an owner."""
        return self.owner.id if self.owner is not None else None

    def kind_named(self, name: str) -> Kind:
        """The kind with this name, which must be in the scope."""
        return next(kind for kind in self.kinds if kind.name == name)


@dataclass(frozen=True)
class Desired:
    """The members of a resource that callers may change; `spec` is a JSON object, encoded once.

    `references` has the targets for each type of reference, in the order given; the kind declares all these types.
    """

    spec: bytes
    labels: dict[str, str]
    references: dict[str, tuple[UUID, ...]]

    @cached_property
    def spec_value(self) -> dict[str, Any]:
        """The spec, decoded once."""
        value: dict[str, Any] = msgspec.json.decode(self.spec)
        return value


Patch = Callable[[Desired], Awaitable[Desired]]
"""A caller's change, from the current desired state to the new one; raises InvalidInput if the new one is invalid.

The edge checks what it can from the body alone. The result of a merge can be checked only by applying it.
"""


@dataclass(frozen=True, slots=True)
class Draft:
    """A resource that a caller asks to create, checked at the edge."""

    name: str
    desired: Desired


Precondition = Callable[[int, int], bool]
"""Whether a resource with this `resource_version` and this `generation` is the one that the caller expects."""
