"""Resources as the service handles them: who owns what, what a statement may see, what a caller wants created."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec

from hyperfleet.model.condition import Condition
from hyperfleet.model.kind import Kind


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking; `identity` is what `created_by` and the audit log say."""

    identity: str


SYSTEM = Caller("system@hyperfleet.local")


@dataclass(frozen=True, slots=True)
class Owner:
    """The owner that a path names: its kind and id; whether it exists is for the statement to say."""

    kind: Kind
    id: UUID


@dataclass(frozen=True, slots=True)
class Scope:
    """What a statement may see: resources of `kind`, and below `owner` when the path names one.

    No store function reads or writes a resource without one.
    """

    kind: Kind
    owner: Owner | None = None


@dataclass(frozen=True, slots=True)
class Desired:
    """What callers change of a resource; `spec` is its JSON object, encoded once.

    `references` names targets by type of reference, in the order given; only types that the kind declares.
    """

    spec: bytes
    labels: dict[str, str]
    references: dict[str, tuple[UUID, ...]]


Patch = Callable[[Desired], Desired]
"""A change as a caller wants it: what it makes of the desired state as it is; raises InvalidInput where that is wrong.

Checked at the edge as far as the body alone tells; a merge shows only then what it leads to.
"""


@dataclass(frozen=True, slots=True)
class Draft:
    """A resource that a caller wants created, checked at the edge."""

    name: str
    desired: Desired


class Status(msgspec.Struct, frozen=True):
    """What aggregation computes of a resource: phase, times and conditions; `phase` is NotReady, Ready or Failed."""

    phase: str
    observed_generation: int
    last_transition_time: datetime
    last_updated_time: datetime
    conditions: tuple[Condition, ...]
