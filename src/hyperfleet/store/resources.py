"""One resource's row: read, inserted, and updated with what a report made of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from hyperfleet.errors import AlreadyExists, NotFound, WrongState
from hyperfleet.model import rendering
from hyperfleet.model.fields import Selection
from hyperfleet.model.kind import Kind
from hyperfleet.model.resource import Draft, Scope, Status
from hyperfleet.store.connections import UniqueViolated
from hyperfleet.store.database import Database, Statement
from hyperfleet.store.filters import Parameters
from hyperfleet.store.projections import WHOLE_WITH_ADAPTERS, projection

_ONE: Final = "FROM resources WHERE id = $1 AND kind = $2 AND ($3::uuid IS NULL OR owner_id = $3)"

RESOURCE: Final = Statement("RESOURCE", f"SELECT {WHOLE_WITH_ADAPTERS.columns} {_ONE}", is_read=True)

_NEW_ROW: Final = """
    id, owner_id, created_time, updated_time, last_updated_time, last_transition_time, generation,
    observed_generation, kind, name, owner_kind, href, created_by, updated_by, phase, rules, tenancy, labels,
    condition_status, conditions, status, spec, envelope
"""

NEW_RESOURCE: Final = Statement(
    "NEW_RESOURCE",
    f"""
    INSERT INTO resources ({_NEW_ROW})
    VALUES ($1, NULL, $2, $2, $3, $4, 1, $5, $6, $7, NULL, $8, $9, $9, $10, $11, '{{}}', $12, $13, $14, $15, $16, $17)
    RETURNING resource_version
    """,
)

# The owner is locked in the same statement, so that it cannot be marked or removed while the child comes; KEY SHARE is
# the weakest lock that does it, and lets reports on the owner pass.
NEW_CHILD: Final = Statement(
    "NEW_CHILD",
    f"""
    WITH owner AS (
        SELECT id, kind, href, tenancy, deleted_time IS NOT NULL AS is_deleting
        FROM resources WHERE id = $18 AND kind = $19 FOR KEY SHARE
    ), inserted AS (
        INSERT INTO resources ({_NEW_ROW})
        SELECT $1, owner.id, $2, $2, $3, $4, 1, $5, $6, $7, owner.kind, $8, $9, $9, $10, $11, owner.tenancy, $12, $13,
               $14, $15, $16, ($17 || to_json(owner.href)::text || $20)::json
        FROM owner WHERE NOT owner.is_deleting
        RETURNING resource_version
    )
    SELECT owner.href AS owner_href, inserted.resource_version FROM owner LEFT JOIN inserted ON true
    """,
)


def not_found(kind: Kind, id: UUID) -> NotFound:
    """The 404 of a missing resource, with its kind's own code."""
    return NotFound(f"There is no {kind.title} {id}.", code=kind.not_found_code)


async def get_rendered(db: Database, scope: Scope, id: UUID, selection: Selection | None) -> bytes:
    """The resource as served, or what is selected of it; without a selection with its adapters. Raises NotFound."""
    arguments: list[object] = [id, scope.kind.name, scope.owner.id if scope.owner else None]
    statement, render = RESOURCE, WHOLE_WITH_ADAPTERS.render
    if selection is not None:
        parameters = Parameters(arguments)
        selected = projection(selection, parameters)
        statement = Statement("RESOURCE", f"SELECT {selected.columns} {_ONE}", is_read=True)
        arguments, render = parameters.values, selected.render
    row = await db.fetch_row(statement, *arguments)
    if row is None:
        raise not_found(scope.kind, id)
    return render(row)


@dataclass(frozen=True, slots=True)
class NewResource:
    """A row to insert: what the caller wants, and what the service adds."""

    id: UUID
    href: str
    draft: Draft
    status: Status
    rules: str
    created_time: datetime
    created_by: str


async def insert(db: Database, scope: Scope, new: NewResource) -> tuple[bytes, int]:
    """Stores a new resource and gives it as served, with its version.

    Raises AlreadyExists when a live one has its name, NotFound for the owner, WrongState when the owner is being
    deleted.
    """
    before, after = rendering.envelope(
        new.draft,
        kind=scope.kind,
        id=new.id,
        href=new.href,
        owner=scope.owner,
        created_time=new.created_time,
        created_by=new.created_by,
    )
    status = rendering.status(new.status)
    arguments: tuple[object, ...] = (
        new.id,
        new.created_time,
        new.status.last_updated_time,
        new.status.last_transition_time,
        new.status.observed_generation,
        scope.kind.name,
        new.draft.name,
        new.href,
        new.created_by,
        new.status.phase,
        new.rules,
        rendering.labels(new.draft.desired.labels),
        rendering.condition_status(new.status),
        rendering.condition_details(new.status),
        status,
        new.draft.desired.spec,
    )
    try:
        if scope.owner is None:
            row = await db.fetch_row(NEW_RESOURCE, *arguments, before)
            assert row is not None
            return rendering.resource(before, row[0], status, b""), row[0]
        row = await db.fetch_row(
            NEW_CHILD, *arguments, before.decode(), scope.owner.id, scope.owner.kind.name, after.decode()
        )
    except UniqueViolated as taken:
        place = "" if scope.owner is None else f" in {scope.owner.kind.title} {scope.owner.id}"
        raise AlreadyExists(f"There is {scope.kind.one} named {new.draft.name!r}{place} already.") from taken
    if row is None:
        raise not_found(scope.owner.kind, scope.owner.id)
    owner_href, resource_version = row
    if resource_version is None:
        raise WrongState(
            f"The {scope.owner.kind.title} {scope.owner.id} is being deleted; nothing can be created in it."
        )
    whole = b"%b%b%b" % (before, f'"{owner_href}"'.encode(), after)
    return rendering.resource(whole, resource_version, status, b""), resource_version
