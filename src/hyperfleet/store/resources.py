"""One resource's row: read and changed. What it references is locked and checked by the same statement."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from hyperfleet.errors import NotFound
from hyperfleet.model import rendering
from hyperfleet.model.kind import Kind
from hyperfleet.model.rendering import Envelope
from hyperfleet.model.resource import Desired, Scope
from hyperfleet.model.search.fields import Selection
from hyperfleet.model.status.condition import Status
from hyperfleet.store import references
from hyperfleet.store.clauses.filters import Parameters
from hyperfleet.store.clauses.projections import (
    REPORTS,
    SUMMARIES,
    WHOLE_OF_TENANT_WITH_ADAPTERS,
    WHOLE_WITH_ADAPTERS,
    projection,
    whole,
)
from hyperfleet.store.database import Connection, Statement

ONE: Final = "id = $1 AND kind = ANY ($2::text[]) AND ($3::uuid IS NULL OR owner_id = $3) AND tenancy @> $4::jsonb"
"""A resource by its id, within a scope: its kinds' names, the owner's id, NULL for any, and the tenancy that it has."""


def one(scope: Scope, id: UUID) -> tuple[object, ...]:
    """The values of ONE."""
    return id, scope.kind_names, scope.owner_id, rendering.tenancy(scope.tenancy)


_VERSIONED: Final = f"resource_version AS version FROM resources WHERE {ONE}"

RESOURCE: Final = Statement("RESOURCE", f"SELECT {WHOLE_WITH_ADAPTERS.columns}, {_VERSIONED}", is_read=True)

RESOURCE_OF_TENANT: Final = Statement(
    "RESOURCE", f"SELECT {WHOLE_OF_TENANT_WITH_ADAPTERS.columns}, {_VERSIONED}", is_read=True
)

RESOURCE_KIND: Final = Statement("RESOURCE_KIND", f"SELECT kind FROM resources WHERE {ONE}", is_read=True)

RESOURCE_TO_CHANGE: Final = Statement(
    "RESOURCE_TO_CHANGE",
    f"""
    SELECT kind, name, owner_kind, owner_id, resource_version, generation, updated_time,
           deleted_time IS NOT NULL AS is_deleting, status, envelope,
           tenancy, {SUMMARIES} AS summaries, CASE WHEN kind = ANY ($5::text[]) THEN {REPORTS} END AS reports
    FROM resources WHERE {ONE}
    """,
    is_read=True,
)

# The lock goes first, in a statement of its own: a sub-select of the locking statement would show the reports as they
# were before the wait.
LOCKED_RESOURCE: Final = Statement("LOCKED_RESOURCE", f"SELECT FROM resources WHERE {ONE} FOR NO KEY UPDATE")

# An equal condition_status is kept as it is stored: a new value costs an index entry, even when it is the same.
STATUS_COLUMNS: Final = """
    status = $8, phase = $9,
    condition_status = CASE WHEN condition_status = $10 THEN condition_status ELSE $10 END,
    conditions = $11, observed_generation = $12, last_updated_time = $13, last_transition_time = $14, rules = $15
"""


def status_values(status: Status, rules: str) -> tuple[object, ...]:
    """What a status is stored as: the values of STATUS_COLUMNS and of whatever else writes them, in their order."""
    return (
        rendering.status(status),
        status.phase,
        rendering.condition_status(status),
        rendering.condition_details(status),
        status.observed_generation,
        status.last_updated_time,
        status.last_transition_time,
        rules,
    )


_CHANGE: Final = f"""
    UPDATE resources
    SET resource_version = nextval('resource_versions'), generation = $3, updated_time = $4, updated_by = $5,
        labels = CASE WHEN labels = $6 THEN labels ELSE $6 END, spec = $7, {STATUS_COLUMNS}
"""

CHANGED_RESOURCE: Final = Statement(
    "CHANGED_RESOURCE",
    f"{_CHANGE}, envelope = $16 WHERE id = $1 AND resource_version = $2 RETURNING resource_version",
)

_SOURCE_TENANCY: Final = "(SELECT tenancy FROM resources WHERE id = $1)"

CHANGED_REFERENCES: Final = Statement(
    "CHANGED_REFERENCES",
    f"""
    WITH {references.targets(types="$18", kinds="$19", ids="$20", tenancy=_SOURCE_TENANCY)}, named AS (
        SELECT id, href FROM target
    ), changed AS (
        {_CHANGE}, envelope = {references.composition("$16", "$17")}
        WHERE id = $1 AND resource_version = $2 AND NOT EXISTS (SELECT FROM unfit)
        RETURNING id, resource_version, envelope
    ), dropped AS (
        DELETE FROM resource_references AS kept USING changed
        WHERE kept.source_id = changed.id
            AND NOT EXISTS (SELECT FROM wanted WHERE wanted.type = kept.ref_type AND wanted.id = kept.target_id)
    ), added AS (
        INSERT INTO resource_references (source_id, target_id, ref_type)
        SELECT changed.id, wanted.id, wanted.type FROM changed CROSS JOIN wanted
        ON CONFLICT DO NOTHING
    )
    SELECT changed.resource_version, changed.envelope, {references.UNFIT} AS unfit
    FROM (SELECT) AS always LEFT JOIN changed ON true
    """,
)


def not_found(kind: Kind, id: UUID) -> NotFound:
    """The 404 of a missing resource, with its kind's own code."""
    return NotFound(f"There is no {kind.title} {id}.", code=kind.not_found_code)


class Rendered(NamedTuple):
    """A resource as served, and its version."""

    body: bytes
    resource_version: int


async def get_rendered(db: Connection, scope: Scope, id: UUID, selection: Selection | None = None) -> Rendered:
    """The resource, or what is selected of it; without a selection with its adapters. Raises NotFound."""
    arguments = list(one(scope, id))
    statement = RESOURCE_OF_TENANT if scope.shows_tenancy else RESOURCE
    render = whole(with_adapters=True, shows_tenancy=scope.shows_tenancy).render
    if selection is not None:
        parameters = Parameters(arguments)
        selected = projection(selection, parameters, shows_tenancy=scope.shows_tenancy)
        statement = Statement("RESOURCE", f"SELECT {selected.columns}, {_VERSIONED}", is_read=True)
        arguments, render = parameters.values, selected.render
    row = await db.fetch_row(statement, *arguments)
    if row is None:
        raise not_found(scope.kind, id)
    return Rendered(render(row), row["version"])


@dataclass(frozen=True, slots=True)
class Changeable:
    """A resource as the next change finds it; `status`, `envelope` and `summaries` are JSON text as stored.

    `reports` is an array of them as served, None where the kind has no rules of its own.
    """

    kind: str
    name: str
    owner_kind: str | None
    owner_id: UUID | None
    resource_version: int
    generation: int
    updated_time: datetime
    is_deleting: bool
    status: bytes
    envelope: bytes
    tenancy: bytes
    summaries: bytes | None
    reports: bytes | None


@dataclass(frozen=True, slots=True)
class Change:
    """What a caller's change makes of a resource; `references_change` tells whether those are to be written."""

    kind: Kind
    generation: int
    updated_time: datetime
    updated_by: str
    desired: Desired
    references_change: bool
    envelope: Envelope
    status: Status
    rules: str


async def get_kind(db: Connection, scope: Scope, id: UUID) -> Kind:
    """The kind of a resource, one of the scope's; raises NotFound."""
    row = await db.fetch_row(RESOURCE_KIND, *one(scope, id))
    if row is None:
        raise not_found(scope.kind, id)
    return scope.kind_named(row[0])


async def get_changeable(connection: Connection, scope: Scope, id: UUID) -> Changeable:
    """The resource with everything that a change is computed from; raises NotFound."""
    row = await connection.fetch_row(RESOURCE_TO_CHANGE, *one(scope, id), scope.names_with_rules)
    if row is None:
        raise not_found(scope.kind, id)
    return Changeable(*row)


async def lock(connection: Connection, scope: Scope, id: UUID) -> None:
    """Keeps every other writer of the resource out until the transaction ends; children may still be created."""
    await connection.fetch_row(LOCKED_RESOURCE, *one(scope, id))


async def update(
    connection: Connection, id: UUID, change: Change, *, resource_version: int
) -> tuple[bytes, int] | None:
    """Stores the change when the resource still has `resource_version`: its envelope and its new version, else None.

    Raises InvalidInput or WrongState for a target of a reference that does not exist, or is being deleted.
    """
    arguments = (
        id,
        resource_version,
        change.generation,
        change.updated_time,
        change.updated_by,
        rendering.labels(change.desired.labels),
        change.desired.spec,
        *status_values(change.status, change.rules),
    )
    if not change.references_change:
        row = await connection.fetch_row(CHANGED_RESOURCE, *arguments, change.envelope.whole)
        return None if row is None else (change.envelope.whole, row[0])
    row = await connection.fetch_row(
        CHANGED_REFERENCES,
        *arguments,
        *references.composed(change.envelope),
        *references.wanted(change.kind, change.desired),
    )
    assert row is not None
    references.require_fit(row["unfit"])
    return None if row["resource_version"] is None else (row["envelope"], row["resource_version"])
