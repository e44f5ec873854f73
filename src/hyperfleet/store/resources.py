"""The row of one resource: read as it is served, inserted and updated.

The statement that writes a row also locks and checks its owner and the targets of its references.
"""

from typing import Final
from uuid import UUID

from hyperfleet.errors import Conflict, WrongState
from hyperfleet.model import rendering
from hyperfleet.model.kind import Kind
from hyperfleet.model.resource import Owner, Scope
from hyperfleet.model.search.selection import Selection
from hyperfleet.model.standing import Change
from hyperfleet.store import references
from hyperfleet.store.clauses.filters import Parameters
from hyperfleet.store.clauses.projections import (
    WHOLE_OF_TENANT_WITH_ADAPTERS,
    WHOLE_WITH_ADAPTERS,
    projection,
    whole,
)
from hyperfleet.store.database import Connection, Database, Row, Statement
from hyperfleet.store.standings import (
    ASSESSED,
    CREATED,
    DESIRED,
    ENVELOPE,
    ONE,
    REVISED,
    Rendered,
    assignments,
    names,
    not_found,
    one,
    placeholders,
    rendered,
    values,
)

_VERSIONED: Final = f"resource_version AS version FROM resources WHERE {ONE}"

RESOURCE: Final = Statement("RESOURCE", f"SELECT {WHOLE_WITH_ADAPTERS.columns}, {_VERSIONED}", is_read=True)

RESOURCE_OF_TENANT: Final = Statement(
    "RESOURCE", f"SELECT {WHOLE_OF_TENANT_WITH_ADAPTERS.columns}, {_VERSIONED}", is_read=True
)

RESOURCE_KIND: Final = Statement("RESOURCE_KIND", f"SELECT kind FROM resources WHERE {ONE}", is_read=True)

_CHANGED: Final = (*REVISED, *DESIRED, *ASSESSED)
_UNCHANGED_SINCE: Final = "WHERE id = :id AND resource_version = :resource_version"

CHANGED_RESOURCE: Final = Statement(
    "CHANGED_RESOURCE",
    f"UPDATE resources SET {assignments(*ENVELOPE, *_CHANGED)} {_UNCHANGED_SINCE} RETURNING resource_version",
)

CHANGED_REFERENCES: Final = Statement(
    "CHANGED_REFERENCES",
    f"""
    WITH {references.targets("(SELECT tenancy FROM resources WHERE id = :id)")}, named AS (
        SELECT id, href FROM target
    ), changed AS (
        UPDATE resources SET {assignments(*ENVELOPE, *_CHANGED, envelope=references.COMPOSITION)}
        {_UNCHANGED_SINCE} AND NOT EXISTS (SELECT FROM unfit)
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

_CREATED: Final = (*CREATED, *_CHANGED)
_INTO: Final = f"INSERT INTO resources (owner_id, owner_kind, tenancy, envelope, {names(*_CREATED)})"

# When the name is taken, nothing is inserted. An error would put the whole statement into the server's log.
_UNLESS_TAKEN: Final = "ON CONFLICT DO NOTHING RETURNING"

NEW_RESOURCE: Final = Statement(
    "NEW_RESOURCE",
    f"""
    {_INTO} VALUES (NULL, NULL, :tenancy, {placeholders(*ENVELOPE, *_CREATED)})
    {_UNLESS_TAKEN} resource_version
    """,
)

# The same statement locks the owner, so that the owner cannot be marked or removed while the child is inserted. KEY
# SHARE is the weakest lock that does this; it does not block reports on the owner.
_OWNER: Final = """
    owner AS (
        SELECT id, kind, href, tenancy, deleted_time IS NOT NULL AS is_deleting
        FROM resources WHERE id = :owner_id AND kind = :owner_kind AND tenancy @> :tenancy::jsonb FOR KEY SHARE
    )
"""
_OWNER_FOUND: Final = "owner.href AS owner_href, owner.tenancy AS owner_tenancy, owner.is_deleting AS owner_is_deleting"

NEW_CHILD: Final = Statement(
    "NEW_CHILD",
    f"""
    WITH {_OWNER}, inserted AS (
        {_INTO} SELECT owner.id, owner.kind, owner.tenancy, (:before || to_json(owner.href)::text || :after)::json,
                       {placeholders(*_CREATED)}
        FROM owner WHERE NOT owner.is_deleting
        {_UNLESS_TAKEN} resource_version
    )
    SELECT {_OWNER_FOUND}, inserted.resource_version FROM owner LEFT JOIN inserted ON true
    """,
)

# A child has its owner's tenancy.
_TENANCY: Final = "coalesce((SELECT tenancy FROM owner), :tenancy::jsonb)"

NEW_REFERRING: Final = Statement(
    "NEW_REFERRING",
    f"""
    WITH {_OWNER}, {references.targets(_TENANCY)}, named AS (
        SELECT id, href FROM owner UNION SELECT id, href FROM target
    ), inserted AS (
        {_INTO} SELECT owner.id, owner.kind, {_TENANCY}, {references.COMPOSITION}, {placeholders(*_CREATED)}
        FROM (SELECT) AS always LEFT JOIN owner ON true
        WHERE (:owner_id::uuid IS NULL OR NOT owner.is_deleting) AND NOT EXISTS (SELECT FROM unfit)
        {_UNLESS_TAKEN} id, resource_version, envelope
    ), referred AS (
        INSERT INTO resource_references (source_id, target_id, ref_type)
        SELECT inserted.id, wanted.id, wanted.type FROM inserted CROSS JOIN wanted
    )
    SELECT {_OWNER_FOUND}, inserted.resource_version, inserted.envelope, {references.UNFIT} AS unfit
    FROM (SELECT) AS always LEFT JOIN owner ON true LEFT JOIN inserted ON true
    """,
)

NAMED_RESOURCE: Final = Statement(
    "NAMED_RESOURCE",
    "SELECT kind, id, href FROM resources"
    " WHERE kind = :kind AND tenancy = :tenancy AND name = :name AND deleted_time IS NULL AND owner_id IS NULL",
    is_read=True,
)

NAMED_CHILD: Final = Statement(
    "NAMED_CHILD",
    "SELECT kind, id, href FROM resources"
    " WHERE owner_id = :owner_id AND kind = :kind AND tenancy @> :tenancy AND name = :name AND deleted_time IS NULL",
    is_read=True,
)


async def get_rendered(db: Connection, scope: Scope, id: UUID, selection: Selection | None = None) -> Rendered:
    """The resource as served: the members that `selection` names, or all of it with its adapters. Raises NotFound."""
    if selection is None:
        render = whole(with_adapters=True, shows_tenancy=scope.shows_tenancy).render
        row = await db.fetch_row(RESOURCE_OF_TENANT if scope.shows_tenancy else RESOURCE, **one(scope, id))
    else:
        parameters = Parameters()
        selected = projection(selection, parameters, shows_tenancy=scope.shows_tenancy)
        render = selected.render
        text = f"SELECT {selected.columns}, {parameters.bound(_VERSIONED, one(scope, id))}"
        row = await db.fetch_row(Statement("RESOURCE", text, is_read=True, is_numbered=True), *parameters.values)
    if row is None:
        raise not_found(scope.kind, id)
    return Rendered(render(row), row["version"])


async def get_kind(db: Connection, scope: Scope, id: UUID) -> Kind:
    """The kind of a resource, which is one of the scope's kinds; raises NotFound."""
    row = await db.fetch_row(RESOURCE_KIND, **one(scope, id))
    if row is None:
        raise not_found(scope.kind, id)
    return scope.kind_named(row[0])


async def update(connection: Connection, scope: Scope, kind: Kind, new: Change) -> Rendered | None:
    """Stores a change and returns the resource as served; None when its version is no longer the one that was read.

    Raises InvalidInput when the target of a reference does not exist, WrongState when it is being deleted.
    """
    standing = new.standing
    given = {"id": standing.id, "resource_version": standing.resource_version, **values(new, *_CHANGED)}
    if "references" not in new.difference.members:
        row = await connection.fetch_row(CHANGED_RESOURCE, **given, **values(new, *ENVELOPE))
        return None if row is None else rendered(scope, standing, row[0])
    row = await connection.fetch_row(
        CHANGED_REFERENCES, **given, **references.composed(new.envelope), **references.wanted(kind, new.desired)
    )
    assert row is not None
    references.require_fit(row["unfit"])
    version = row["resource_version"]
    return None if version is None else rendered(scope, standing, version, envelope=row["envelope"])


async def insert(db: Database, scope: Scope, new: Change) -> Rendered | None:
    """Stores a new resource and returns it as served; None when a resource that is not being deleted has its name.

    Raises NotFound for a missing owner, WrongState when the owner or the target of a reference is being deleted,
    InvalidInput when a target does not exist.
    """
    owner, given = scope.owner, {**values(new, *_CREATED), "tenancy": new.standing.tenancy}
    if owner is None and not new.desired.references:
        row = await db.fetch_row(NEW_RESOURCE, **given, **values(new, *ENVELOPE))
        return None if row is None else rendered(scope, new.standing, row["resource_version"])
    given |= {"owner_id": scope.owner_id, "owner_kind": new.standing.owner_kind}
    if new.desired.references:
        given |= references.composed(new.envelope) | references.wanted(scope.kind, new.desired)
        row = await db.fetch_row(NEW_REFERRING, **given)
        assert row is not None
        _require_owner(owner, row)
        references.require_fit(row["unfit"])
        envelope = row["envelope"]
    else:
        before, after = new.envelope.texts
        row = await db.fetch_row(NEW_CHILD, **given, before=before.decode(), after=after.decode())
        _require_owner(owner, row)
        assert row is not None
        envelope = b'%b"%b"%b' % (before, row["owner_href"].encode(), after)
    version, tenancy = row["resource_version"], row["owner_tenancy"]
    return None if version is None else rendered(scope, new.standing, version, envelope=envelope, tenancy=tenancy)


async def find_named(db: Database, scope: Scope, name: str) -> Conflict | None:
    """The resource of this name, of the scope's kind, owner and exact tenancy, that is not being deleted; else None."""
    given = {"kind": scope.kind.name, "tenancy": rendering.tenancy(scope.tenancy), "name": name}
    if scope.owner is None:
        row = await db.fetch_row(NAMED_RESOURCE, **given)
    else:
        row = await db.fetch_row(NAMED_CHILD, **given, owner_id=scope.owner.id)
    return None if row is None else Conflict(row["kind"], str(row["id"]), row["href"])


def _require_owner(owner: Owner | None, row: Row | None) -> None:
    """Raises NotFound when the owner is missing, WrongState when it is being deleted."""
    if owner is None:
        return
    if row is None or row["owner_href"] is None:
        raise not_found(owner.kind, owner.id)
    if row["owner_is_deleting"]:
        raise WrongState(
            f"The {owner.kind.title} {owner.id} is being deleted; resources can no longer be created under it."
        )
