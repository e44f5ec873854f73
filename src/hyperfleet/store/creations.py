"""One resource's row: inserted, with its owner and what it references locked and checked by the same statement."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from hyperfleet.errors import Conflict, WrongState
from hyperfleet.model import rendering
from hyperfleet.model.rendering import Envelope
from hyperfleet.model.resource import Desired, Draft, Owner, Scope
from hyperfleet.model.status.condition import Status
from hyperfleet.store import references
from hyperfleet.store.database import Database, Statement
from hyperfleet.store.resources import Rendered, not_found

_NEW_ROW: Final = """
    id, owner_id, created_time, updated_time, last_updated_time, last_transition_time, generation,
    observed_generation, kind, name, owner_kind, href, created_by, updated_by, phase, rules, tenancy, labels,
    condition_status, conditions, status, spec, envelope
"""

# A taken name leaves no row behind. Raised as an error, each one would put the whole statement into the server's log.
_UNLESS_TAKEN: Final = "ON CONFLICT DO NOTHING RETURNING"

NEW_RESOURCE: Final = Statement(
    "NEW_RESOURCE",
    f"""
    INSERT INTO resources ({_NEW_ROW})
    VALUES ($1, NULL, $2, $2, $3, $4, 1, $5, $6, $7, NULL, $8, $9, $9, $10, $11, $18, $12, $13, $14, $15, $16, $17)
    {_UNLESS_TAKEN} resource_version
    """,
)

# The owner is locked in the same statement, so that it cannot be marked or removed while the child comes; KEY SHARE is
# the weakest lock that does it, and lets reports on the owner pass.
NEW_CHILD: Final = Statement(
    "NEW_CHILD",
    f"""
    WITH owner AS (
        SELECT id, kind, href, tenancy, deleted_time IS NOT NULL AS is_deleting
        FROM resources WHERE id = $18 AND kind = $19 AND tenancy @> $21::jsonb FOR KEY SHARE
    ), inserted AS (
        INSERT INTO resources ({_NEW_ROW})
        SELECT $1, owner.id, $2, $2, $3, $4, 1, $5, $6, $7, owner.kind, $8, $9, $9, $10, $11, owner.tenancy, $12, $13,
               $14, $15, $16, ($17 || to_json(owner.href)::text || $20)::json
        FROM owner WHERE NOT owner.is_deleting
        {_UNLESS_TAKEN} resource_version
    )
    SELECT owner.href AS owner_href, owner.tenancy AS owner_tenancy, owner.is_deleting AS owner_is_deleting,
           inserted.resource_version
    FROM owner LEFT JOIN inserted ON true
    """,
)


# A child is of its owner's tenancy.
_TENANCY: Final = "coalesce((SELECT tenancy FROM owner), $24::jsonb)"

NEW_REFERRING: Final = Statement(
    "NEW_REFERRING",
    f"""
    WITH owner AS (
        SELECT id, kind, href, tenancy, deleted_time IS NOT NULL AS is_deleting
        FROM resources WHERE id = $17 AND kind = $18 AND tenancy @> $24::jsonb FOR KEY SHARE
    ), {references.targets(types="$21", kinds="$22", ids="$23", tenancy=_TENANCY)}, named AS (
        SELECT id, href FROM owner UNION SELECT id, href FROM target
    ), inserted AS (
        INSERT INTO resources ({_NEW_ROW})
        SELECT $1, owner.id, $2, $2, $3, $4, 1, $5, $6, $7, owner.kind, $8, $9, $9, $10, $11,
               {_TENANCY}, $12, $13, $14, $15, $16, {references.composition("$19", "$20")}
        FROM (SELECT) AS always LEFT JOIN owner ON true
        WHERE ($17::uuid IS NULL OR NOT owner.is_deleting) AND NOT EXISTS (SELECT FROM unfit)
        {_UNLESS_TAKEN} id, resource_version, envelope
    ), referred AS (
        INSERT INTO resource_references (source_id, target_id, ref_type)
        SELECT inserted.id, wanted.id, wanted.type FROM inserted CROSS JOIN wanted
    )
    SELECT owner.href AS owner_href, owner.tenancy AS owner_tenancy, owner.is_deleting AS owner_is_deleting,
           inserted.resource_version, inserted.envelope, {references.UNFIT} AS unfit
    FROM (SELECT) AS always LEFT JOIN owner ON true LEFT JOIN inserted ON true
    """,
)

NAMED_RESOURCE: Final = Statement(
    "NAMED_RESOURCE",
    "SELECT kind, id, href FROM resources"
    " WHERE kind = $1 AND tenancy = $2 AND name = $3 AND deleted_time IS NULL AND owner_id IS NULL",
    is_read=True,
)

NAMED_CHILD: Final = Statement(
    "NAMED_CHILD",
    "SELECT kind, id, href FROM resources"
    " WHERE owner_id = $4 AND kind = $1 AND tenancy @> $2 AND name = $3 AND deleted_time IS NULL",
    is_read=True,
)


@dataclass(frozen=True, slots=True)
class NewResource:
    """A row to insert: what the caller wants, and what the service adds."""

    id: UUID
    href: str
    draft: Draft
    envelope: Envelope
    status: Status
    rules: str
    created_time: datetime
    created_by: str


async def insert(db: Database, scope: Scope, new: NewResource) -> Rendered | None:
    """Stores a new resource and gives it as served; None when a live one has its name.

    Raises NotFound for the owner, WrongState when the owner or a target of a reference is being deleted, InvalidInput
    when a target does not exist.
    """
    envelope = new.envelope
    status = rendering.status(new.status)
    arguments = (
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
    if new.draft.desired.references:
        stored, tenancy, resource_version = await _insert_referring(db, scope, new.draft.desired, envelope, arguments)
    elif scope.owner is not None:
        stored, tenancy, resource_version = await _insert_child(db, scope, scope.owner, envelope, arguments)
    else:
        stored, tenancy = envelope.whole, rendering.tenancy(scope.tenancy)
        row = await db.fetch_row(NEW_RESOURCE, *arguments, stored, tenancy)
        resource_version = None if row is None else row[0]
    if resource_version is None:
        return None
    if scope.shows_tenancy:
        stored = rendering.with_tenancy(stored, tenancy)
    return Rendered(rendering.resource(stored, resource_version, status, b""), resource_version)


async def find_named(db: Database, scope: Scope, name: str) -> Conflict | None:
    """The live resource of the scope's kind, owner and exact tenancy that has this name; None without one."""
    arguments = (scope.kind.name, rendering.tenancy(scope.tenancy), name)
    if scope.owner_id is None:
        row = await db.fetch_row(NAMED_RESOURCE, *arguments)
    else:
        row = await db.fetch_row(NAMED_CHILD, *arguments, scope.owner_id)
    return None if row is None else Conflict(row["kind"], str(row["id"]), row["href"])


class _Inserted(NamedTuple):
    """A row as it was stored; `resource_version` is None when its name was taken."""

    envelope: bytes
    tenancy: bytes
    resource_version: int | None


async def _insert_child(
    db: Database, scope: Scope, owner: Owner, envelope: Envelope, arguments: tuple[object, ...]
) -> _Inserted:
    before, after = envelope.texts
    row = await db.fetch_row(
        NEW_CHILD,
        *arguments,
        before.decode(),
        owner.id,
        owner.kind.name,
        after.decode(),
        rendering.tenancy(scope.tenancy),
    )
    _require_owner(owner, row and row["owner_href"], is_deleting=row is not None and row["owner_is_deleting"])
    assert row is not None
    stored = b'%b"%b"%b' % (before, row["owner_href"].encode(), after)
    return _Inserted(stored, row["owner_tenancy"], row["resource_version"])


async def _insert_referring(
    db: Database, scope: Scope, desired: Desired, envelope: Envelope, arguments: tuple[object, ...]
) -> _Inserted:
    row = await db.fetch_row(
        NEW_REFERRING,
        *arguments,
        scope.owner_id,
        scope.owner.kind.name if scope.owner is not None else None,
        *references.composed(envelope),
        *references.wanted(scope.kind, desired),
        rendering.tenancy(scope.tenancy),
    )
    assert row is not None
    if scope.owner is not None:
        _require_owner(scope.owner, row["owner_href"], is_deleting=row["owner_is_deleting"])
    references.require_fit(row["unfit"])
    tenancy = row["owner_tenancy"] if scope.owner is not None else rendering.tenancy(scope.tenancy)
    return _Inserted(row["envelope"], tenancy, row["resource_version"])


def _require_owner(owner: Owner, href: str | None, *, is_deleting: bool) -> None:
    if href is None:
        raise not_found(owner.kind, owner.id)
    if is_deleting:
        raise WrongState(f"The {owner.kind.title} {owner.id} is being deleted; nothing can be created in it.")
