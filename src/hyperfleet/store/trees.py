"""Trees of resources: locked from the root down, marked as being deleted, removed; and the references from outside.

The locking rules (storage: Locks): a transaction that marks or removes resources locks FOR UPDATE the chain of owners
from the root down, then the resource, then its descendants, level by level and by id, all before its first write. So
the root's lock alone serializes deletions in one tree. FOR UPDATE also blocks new children and references, which lock
KEY SHARE.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple
from uuid import UUID

from hyperfleet.model import rendering
from hyperfleet.model.resource import Scope
from hyperfleet.model.standing import Change, Node, Standing
from hyperfleet.store.database import Database, Statement, Transaction
from hyperfleet.store.standings import (
    ASSESSED,
    COLUMNS,
    DELETED,
    ENVELOPE,
    HAS_CHILDREN,
    ID,
    IS_REFERENCED,
    ONE,
    REVISED,
    assignments,
    not_found,
    one,
    rows,
    values,
    values_of,
)

NAMED_SOURCES: Final = 10
"""How many of the resources that block a deletion an error names."""

_NODE: Final = (
    "resources.id, kind, name, owner_kind, resources.owner_id, resource_version, generation,"
    " deleted_time IS NOT NULL AS is_deleting"
)

# The chain is read without locks: the owner of a resource never changes.
LOCKED_CHAIN: Final = Statement(
    "LOCKED_CHAIN",
    f"""
    WITH RECURSIVE chain AS (
        SELECT id, owner_id, 0 AS height FROM resources WHERE {ONE}
        UNION ALL
        SELECT owner.id, owner.owner_id, height + 1
        FROM chain JOIN resources AS owner ON owner.id = chain.owner_id
    )
    SELECT {_NODE}
    FROM chain JOIN resources ON resources.id = chain.id
    ORDER BY height DESC FOR UPDATE OF resources
    """,
)

LOCKED_CHILDREN: Final = Statement(
    "LOCKED_CHILDREN", f"SELECT {_NODE} FROM resources WHERE owner_id = ANY (:ids::uuid[]) ORDER BY id FOR UPDATE"
)

LOCKED_NODES: Final = Statement(
    "LOCKED_NODES", f"SELECT {_NODE} FROM resources WHERE id = ANY (:ids::uuid[]) ORDER BY id FOR UPDATE"
)

REFERENCES_INTO: Final = Statement(
    "REFERENCES_INTO",
    "SELECT source_id, target_id FROM resource_references WHERE target_id = ANY (:ids::uuid[])"
    " AND source_id = ANY (:ids::uuid[]) AND source_id <> target_id",
    is_read=True,
)

SOURCES_OUTSIDE: Final = Statement(
    "SOURCES_OUTSIDE",
    f"""
    SELECT source.kind, source.name, source.href, resource_references.ref_type,
           source.tenancy @> :tenancy::jsonb AS is_seen
    FROM resource_references JOIN resources AS source ON source.id = source_id
    WHERE target_id = ANY (:ids::uuid[]) AND NOT source_id = ANY (:ids::uuid[])
    ORDER BY is_seen DESC, source.kind, source.name, source.id LIMIT {NAMED_SOURCES}
    """,
    is_read=True,
)

REFERENCED_FROM_OUTSIDE: Final = Statement(
    "REFERENCED_FROM_OUTSIDE",
    "SELECT DISTINCT target_id FROM resource_references WHERE target_id = ANY (:ids::uuid[])"
    " AND NOT source_id = ANY (:ids::uuid[])",
    is_read=True,
)

REPORTED_ON: Final = Statement(
    "REPORTED_ON",
    "SELECT id FROM unnest(:ids::uuid[]) AS id WHERE EXISTS (SELECT FROM adapter_statuses WHERE resource_id = id)",
    is_read=True,
)

# MATERIALIZED makes the planner begin with the index on resources that are being deleted.
CHILDLESS_BEING_DELETED: Final = Statement(
    "CHILDLESS_BEING_DELETED",
    f"""
    WITH deleting AS MATERIALIZED (
        SELECT id FROM resources WHERE kind = ANY (:kinds::text[]) AND deleted_time IS NOT NULL AND id > :after
    )
    SELECT {COLUMNS} FROM resources JOIN deleting ON deleting.id = resources.id
    WHERE NOT {HAS_CHILDREN} AND NOT {IS_REFERENCED}
    ORDER BY resources.id LIMIT :most
    """,
    is_read=True,
)

TARGETS_BEING_DELETED: Final = Statement(
    "TARGETS_BEING_DELETED",
    """
    SELECT DISTINCT resources.id FROM resource_references JOIN resources ON resources.id = target_id
    WHERE source_id = ANY (:ids::uuid[]) AND deleted_time IS NOT NULL AND NOT target_id = ANY (:ids::uuid[])
    """,
    is_read=True,
)

_MARKED: Final = (*REVISED, *DELETED, *ENVELOPE, *ASSESSED)

MARKED: Final = Statement(
    "MARKED",
    f"""
    UPDATE resources SET {assignments(*_MARKED, source="marked.")}
    FROM {rows("marked", *ID, *_MARKED)} WHERE resources.id = marked.id
    RETURNING resources.id, resource_version
    """,
)

# Runs even when the status is unchanged: the new version makes writes start over that were computed before the child or
# the reference was removed.
RECOMPUTED: Final = Statement("RECOMPUTED", f"UPDATE resources SET {assignments(*ASSESSED)} WHERE id = :id")

# References are removed first: a target's foreign key is checked before the deletion cascades to a source's references.
REMOVED: Final = Statement(
    "REMOVED",
    """
    WITH dropped AS (DELETE FROM resource_references WHERE source_id = ANY (:ids::uuid[]))
    DELETE FROM resources WHERE id = ANY (:ids::uuid[])
    """,
)


class Source(NamedTuple):
    """A resource that references another: the fields that an error shows, and whether the caller may see it."""

    kind: str
    name: str
    href: str
    ref_type: str
    is_seen: bool


async def lock_chain(tx: Transaction, scope: Scope, id: UUID) -> list[Node]:
    """Locks the resource's owners, then the resource; returns them from the root to the resource. Raises NotFound."""
    rows = await tx.fetch(LOCKED_CHAIN, **one(scope, id))
    # A row that was removed during the wait for its lock is missing.
    if not rows or rows[-1]["id"] != id:
        raise not_found(scope.kind, id)
    return [Node(*row) for row in rows]


async def lock_descendants(tx: Transaction, id: UUID) -> list[Node]:
    """Locks all descendants of a locked resource, level by level; owners come before their children."""
    found: list[Node] = []
    level = [id]
    while level:
        nodes = [Node(*row) for row in await tx.fetch(LOCKED_CHILDREN, ids=level)]
        found += nodes
        level = [node.id for node in nodes]
    return found


async def lock(tx: Transaction, ids: Sequence[UUID]) -> list[Node]:
    """Locks the resources with these ids that exist, in the order of their ids."""
    return [Node(*row) for row in await tx.fetch(LOCKED_NODES, ids=ids)]


async def reported_on(tx: Transaction, ids: Sequence[UUID]) -> set[UUID]:
    """Which of these resources have a report. An earlier statement must have locked them."""
    return {row[0] for row in await tx.fetch(REPORTED_ON, ids=ids)}


async def referenced_from_outside(tx: Transaction, ids: Sequence[UUID]) -> set[UUID]:
    """Which resources of a tree are referenced from outside it."""
    return {row[0] for row in await tx.fetch(REFERENCED_FROM_OUTSIDE, ids=ids)}


async def being_deleted(db: Database, kinds: Sequence[str], *, after: UUID, most: int) -> list[Standing]:
    """The next resources, by id, that are being deleted, have no children and are not referenced."""
    rows = await db.fetch(
        CHILDLESS_BEING_DELETED, kinds=kinds, after=after, most=most, with_rules=[], with_envelope=False
    )
    return [Standing(*row) for row in rows]


async def references_within(tx: Transaction, ids: Sequence[UUID]) -> list[tuple[UUID, UUID]]:
    """The references between different resources of a tree, as source and target."""
    return [(row[0], row[1]) for row in await tx.fetch(REFERENCES_INTO, ids=ids)]


async def sources_outside(tx: Transaction, scope: Scope, ids: Sequence[UUID]) -> list[Source]:
    """Ten resources at most outside a tree that reference a member of it, those of the scope's tenancy first."""
    tenancy = rendering.tenancy(scope.tenancy)
    return [Source(*row) for row in await tx.fetch(SOURCES_OUTSIDE, ids=ids, tenancy=tenancy)]


async def targets_being_deleted(tx: Transaction, ids: Sequence[UUID]) -> list[UUID]:
    """The resources being deleted that these resources reference, except these resources themselves."""
    return [row[0] for row in await tx.fetch(TARGETS_BEING_DELETED, ids=ids)]


async def mark(tx: Transaction, marks: Sequence[Change]) -> dict[UUID, int]:
    """Marks resources as being deleted; returns their new versions by id."""
    marked = await tx.fetch(MARKED, **values_of(marks, *ID, *_MARKED))
    return {row[0]: row[1] for row in marked}


async def rewrite(tx: Transaction, standing: Standing) -> None:
    """Stores the status of a locked resource, and gives it a new version."""
    await tx.fetch(RECOMPUTED, **values(Change(standing), *ASSESSED), id=standing.id)


async def remove(tx: Transaction, ids: Iterable[UUID]) -> None:
    """Removes resources with their reports and references. No other resource may reference or be owned by them."""
    await tx.fetch(REMOVED, ids=list(ids))
