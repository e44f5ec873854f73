"""The current state of resources: the one SELECT list that reads a Standing, the one SET list that writes it, its lock.

Every statement that reads a resource for a decision selects COLUMNS. Every statement that stores a resource assigns or
inserts columns of the tables below. So a new column needs a migration, a line in the SELECT list with its field in
`Standing`, and a line in the SET list.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple
from uuid import UUID

from hyperfleet.errors import NotFound
from hyperfleet.model import rendering
from hyperfleet.model.kind import Kind
from hyperfleet.model.resource import Scope
from hyperfleet.model.standing import Change, Standing
from hyperfleet.store.clauses.projections import SUMMARIES
from hyperfleet.store.database import Connection, Statement, Transaction

ONE: Final = (
    "id = :id AND kind = ANY (:kinds::text[]) AND (:owner_id::uuid IS NULL OR owner_id = :owner_id)"
    " AND tenancy @> :tenancy::jsonb"
)
"""A resource by its id within a scope: its kinds' names, the owner's id (NULL for any), and the tenancy."""


def one(scope: Scope, id: UUID) -> dict[str, object]:
    """The values of ONE."""
    tenancy = rendering.tenancy(scope.tenancy)
    return {"id": id, "kinds": scope.kind_names, "owner_id": scope.owner_id, "tenancy": tenancy}


HAS_CHILDREN: Final = (
    "(SELECT true FROM resources AS child WHERE child.owner_id = resources.id"
    " ORDER BY child.created_time DESC, child.id DESC LIMIT 1) IS NOT NULL"
)
"""Whether a resource has children. The sub-select has its index's order, because where one owner has most of the rows
the planner expects to find a child at once: with EXISTS it reads the whole table for each resource without children."""

IS_REFERENCED: Final = (
    "EXISTS (SELECT FROM resource_references WHERE target_id = resources.id AND source_id <> resources.id)"
)

_REPORTS: Final = (
    "(SELECT convert_to('[' || coalesce(string_agg(rendered::text, ',' ORDER BY adapter), '') || ']', 'UTF8')"
    " FROM adapter_statuses WHERE resource_id = resources.id)"
)

COLUMNS: Final = f"""
    resources.id, resources.kind, resources.name, resources.owner_kind, resources.owner_id, resources.resource_version,
    resources.generation, resources.updated_time,
    resources.deleted_time IS NOT NULL AS is_deleting,
    resources.deleted_time IS NOT NULL AND {HAS_CHILDREN} AS has_children,
    resources.deleted_time IS NOT NULL AND {IS_REFERENCED} AS is_referenced,
    resources.tenancy,
    CASE WHEN :with_envelope::boolean OR resources.kind = ANY (:with_rules::text[]) THEN resources.envelope
    END AS envelope,
    resources.status,
    {SUMMARIES} AS summaries,
    CASE WHEN resources.kind = ANY (:with_rules::text[]) THEN {_REPORTS} END AS reports
"""
"""The SELECT list of a Standing, in the order of its fields. The kinds in `:with_rules` have mapping rules, which read
the envelope and the reports."""


class Column(NamedTuple):
    """A column of the SET list. A column that `keeps` is not overwritten with an equal value: writing it costs an index
    entry, even when the value is the same."""

    name: str
    type: str
    value: Callable[[Change], object]
    keeps: bool = False


ASSESSED: Final = (
    Column("status", "json", lambda new: new.standing.status_texts.status),
    Column("phase", "text", lambda new: new.standing.computed.phase),
    Column("condition_status", "jsonb", lambda new: new.standing.status_texts.condition_status, keeps=True),
    Column("conditions", "jsonb", lambda new: new.standing.status_texts.conditions),
    Column("observed_generation", "integer", lambda new: new.standing.computed.observed_generation),
    Column("last_updated_time", "timestamptz", lambda new: new.standing.computed.last_updated_time),
    Column("last_transition_time", "timestamptz", lambda new: new.standing.computed.last_transition_time),
    Column("rules", "text", lambda new: new.standing.rules),
)
"""The columns that every write of a status sets."""

ENVELOPE: Final = (Column("envelope", "json", lambda new: new.standing.envelope),)

REVISED: Final = (
    Column("generation", "integer", lambda new: new.standing.generation),
    Column("updated_time", "timestamptz", lambda new: new.standing.updated_time),
    Column("updated_by", "text", lambda new: new.by),
)
"""The columns that a caller's write sets as well."""

DESIRED: Final = (
    Column("labels", "jsonb", lambda new: rendering.labels(new.desired.labels), keeps=True),
    Column("spec", "jsonb", lambda new: new.desired.spec),
)

DELETED: Final = (
    Column("deleted_time", "timestamptz", lambda new: new.standing.updated_time),
    Column("deleted_by", "text", lambda new: new.by),
)

ID: Final = (Column("id", "uuid", lambda new: new.standing.id),)

CREATED: Final = (
    *ID,
    Column("kind", "text", lambda new: new.standing.kind),
    Column("name", "text", lambda new: new.standing.name),
    Column("href", "text", lambda new: new.href),
    Column("created_time", "timestamptz", lambda new: new.standing.updated_time),
    Column("created_by", "text", lambda new: new.by),
)


def assignments(*columns: Column, source: str = ":", **texts: str) -> str:
    """The SET list of these columns, from parameters or from the columns of a `source`; `texts` replace some values.

    It gives the resource a new version, as every write does.
    """
    values = {column: texts.get(column.name, source + column.name) for column in columns}
    return ", ".join(
        [
            "resource_version = nextval('resource_versions')",
            *(
                f"{column.name} = CASE WHEN resources.{column.name} = {value} THEN resources.{column.name}"
                f" ELSE {value} END"
                if column.keeps
                else f"{column.name} = {value}"
                for column, value in values.items()
            ),
        ]
    )


def placeholders(*columns: Column) -> str:
    """The parameters of these columns, as the values of an INSERT."""
    return ", ".join(f":{column.name}::{column.type}" for column in columns)


def names(*columns: Column) -> str:
    """The names of these columns."""
    return ", ".join(column.name for column in columns)


def rows(name: str, *columns: Column) -> str:
    """A FROM item with rows of these columns. The parameter of each column is an array, which `values_of` gives."""
    arrays = ", ".join(f":{column.name}::{column.type}[]" for column in columns)
    return f"unnest({arrays}) AS {name} ({names(*columns)})"


def values(new: Change, *columns: Column) -> dict[str, object]:
    """The values of these columns, by name."""
    return {column.name: column.value(new) for column in columns}


def values_of(new: Sequence[Change], *columns: Column) -> dict[str, object]:
    """The values of these columns for several resources: an array for each column, by name."""
    return {column.name: [column.value(one) for one in new] for column in columns}


STANDING: Final = Statement("STANDING", f"SELECT {COLUMNS} FROM resources WHERE {ONE}", is_read=True)

STANDINGS: Final = Statement(
    "STANDINGS", f"SELECT {COLUMNS} FROM resources WHERE id = ANY (:ids::uuid[])", is_read=True
)

# The lock is a statement of its own, which runs first: a sub-select of the locking statement would read the reports as
# they were before the wait.
LOCKED_RESOURCE: Final = Statement("LOCKED_RESOURCE", f"SELECT FROM resources WHERE {ONE} FOR NO KEY UPDATE")


class Rendered(NamedTuple):
    """A resource or a report as served, with the resource's version."""

    body: bytes
    resource_version: int


def rendered(
    scope: Scope,
    standing: Standing,
    resource_version: int,
    *,
    envelope: bytes | None = None,
    tenancy: bytes | None = None,
) -> Rendered:
    """A stored resource as served; `envelope` and `tenancy` replace the standing's, where the statement made them."""
    envelope = envelope or standing.envelope
    assert envelope is not None
    shown = tenancy or standing.tenancy if scope.shows_tenancy else None
    return Rendered(standing.served(resource_version, envelope, shown), resource_version)


def not_found(kind: Kind, id: UUID) -> NotFound:
    """The 404 for a missing resource, with the code of its kind."""
    return NotFound(f"There is no {kind.title} {id}.", code=kind.not_found_code)


async def get(connection: Connection, scope: Scope, id: UUID) -> Standing:
    """The current state of a resource; raises NotFound."""
    row = await connection.fetch_row(STANDING, **one(scope, id), with_rules=scope.names_with_rules, with_envelope=True)
    if row is None:
        raise not_found(scope.kind, id)
    return Standing(*row)


async def of(
    tx: Transaction, ids: Sequence[UUID], *, with_rules: Sequence[str] = (), with_envelope: bool = False
) -> list[Standing]:
    """The current state of these resources. An earlier statement must have locked them and waited for other writers."""
    rows = await tx.fetch(STANDINGS, ids=ids, with_rules=with_rules, with_envelope=with_envelope)
    return [Standing(*row) for row in rows]


async def lock(connection: Connection, scope: Scope, id: UUID) -> None:
    """Blocks every other writer of the resource until the transaction ends; children may still be created."""
    await connection.fetch_row(LOCKED_RESOURCE, **one(scope, id))
