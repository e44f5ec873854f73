"""Resources as they are: the one SELECT list that reads a Standing, the one SET list that writes it, and its lock.

Every statement that reads a resource for a decision selects COLUMNS, and every statement that stores one assigns, or
inserts, columns of the tables below. So a new column is a migration, a line in the SELECT list with its field in
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
"""A resource by its id, within a scope: its kinds' names, the owner's id, NULL for any, and the tenancy that it has."""


def one(scope: Scope, id: UUID) -> dict[str, object]:
    """The values of ONE."""
    tenancy = rendering.tenancy(scope.tenancy)
    return {"id": id, "kinds": scope.kind_names, "owner_id": scope.owner_id, "tenancy": tenancy}


HAS_CHILDREN: Final = (
    "(SELECT true FROM resources AS child WHERE child.owner_id = resources.id"
    " ORDER BY child.created_time DESC, child.id DESC LIMIT 1) IS NOT NULL"
)
"""Whether a resource owns something. In its index's order, because where one owner has most rows the planner expects to
find a child at once, and with EXISTS reads the whole table for each resource that owns nothing."""

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
"""The SELECT list of a Standing, in the order of its fields. Kinds `:with_rules` have rules of their own, which look at
the envelope and the reports."""


class Column(NamedTuple):
    """A column of the SET list. One that `keeps` is left as it is stored while its value is equal: a new value costs an
    index entry, even when it is the same."""

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
"""What every write of a status sets."""

ENVELOPE: Final = (Column("envelope", "json", lambda new: new.standing.envelope),)

REVISED: Final = (
    Column("generation", "integer", lambda new: new.standing.generation),
    Column("updated_time", "timestamptz", lambda new: new.standing.updated_time),
    Column("updated_by", "text", lambda new: new.by),
)
"""What every write of a caller sets besides."""

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

    Every write of a resource gives it a new version.
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
    """Rows of these columns, from a parameter of each that is an array; `values_of` gives the arrays."""
    arrays = ", ".join(f":{column.name}::{column.type}[]" for column in columns)
    return f"unnest({arrays}) AS {name} ({names(*columns)})"


def values(new: Change, *columns: Column) -> dict[str, object]:
    """The values of these columns, by name."""
    return {column.name: column.value(new) for column in columns}


def values_of(new: Sequence[Change], *columns: Column) -> dict[str, object]:
    """The same of several resources, an array for each column."""
    return {column.name: [column.value(one) for one in new] for column in columns}


STANDING: Final = Statement("STANDING", f"SELECT {COLUMNS} FROM resources WHERE {ONE}", is_read=True)

STANDINGS: Final = Statement(
    "STANDINGS", f"SELECT {COLUMNS} FROM resources WHERE id = ANY (:ids::uuid[])", is_read=True
)

# The lock goes first, in a statement of its own: a sub-select of the locking statement would show the reports as they
# were before the wait.
LOCKED_RESOURCE: Final = Statement("LOCKED_RESOURCE", f"SELECT FROM resources WHERE {ONE} FOR NO KEY UPDATE")


class Rendered(NamedTuple):
    """A resource, or a report, as served, and the resource's version."""

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
    """A resource that was stored; `envelope` and `tenancy` are what the statement made of them, where it did."""
    envelope = envelope or standing.envelope
    assert envelope is not None
    shown = tenancy or standing.tenancy if scope.shows_tenancy else None
    return Rendered(standing.served(resource_version, envelope, shown), resource_version)


def not_found(kind: Kind, id: UUID) -> NotFound:
    """The 404 of a missing resource, with its kind's own code."""
    return NotFound(f"There is no {kind.title} {id}.", code=kind.not_found_code)


async def get(connection: Connection, scope: Scope, id: UUID) -> Standing:
    """The resource as it is; raises NotFound."""
    row = await connection.fetch_row(STANDING, **one(scope, id), with_rules=scope.names_with_rules, with_envelope=True)
    if row is None:
        raise not_found(scope.kind, id)
    return Standing(*row)


async def of(
    tx: Transaction, ids: Sequence[UUID], *, with_rules: Sequence[str] = (), with_envelope: bool = False
) -> list[Standing]:
    """These resources as they are; they must be locked by an earlier statement, which waited for other writers."""
    rows = await tx.fetch(STANDINGS, ids=ids, with_rules=with_rules, with_envelope=with_envelope)
    return [Standing(*row) for row in rows]


async def lock(connection: Connection, scope: Scope, id: UUID) -> None:
    """Keeps every other writer of the resource out until the transaction ends; children may still be created."""
    await connection.fetch_row(LOCKED_RESOURCE, **one(scope, id))
