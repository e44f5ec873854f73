"""Resources as the service handles them: who owns what, what a statement may see, what a caller wants created."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

import msgspec

from hyperfleet.model.caller import Tenancy
from hyperfleet.model.kind import Kind

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
    With tenancy enabled it `shows_tenancy`.
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


@dataclass(frozen=True)
class Desired:
    """What callers change of a resource; `spec` is its JSON object, encoded once.

    `references` names targets by type of reference, in the order given; only types that the kind declares.
    """

    spec: bytes
    labels: dict[str, str]
    references: dict[str, tuple[UUID, ...]]

    @cached_property
    def spec_value(self) -> dict[str, Any]:
        """The spec, decoded once for all who look into it."""
        value: dict[str, Any] = msgspec.json.decode(self.spec)
        return value


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
