"""Trees of resources: locked from the root down, marked as being deleted, removed; and what names them from outside.

The rules of locks (storage: Locks). Whoever marks or removes locks FOR UPDATE the chain of owners from the root down,
then the resource, then what it owns, level by level, ids in order, all before the first write. So the root's lock alone
keeps two deletions in one tree apart; FOR UPDATE keeps children and references out, whose creation locks KEY SHARE.
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
"""How many of the resources that keep another from going an error names."""

_NODE: Final = (
    "resources.id, kind, name, owner_kind, resources.owner_id, resource_version, generation,"
    " deleted_time IS NOT NULL AS is_deleting"
)

# The chain is read without locks: who owns what never changes.
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

# The index on what is being deleted is asked first, whatever the planner thinks of the order.
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

# Written also when nothing differs: whatever was computed before the child or the reference went must start over.
RECOMPUTED: Final = Statement("RECOMPUTED", f"UPDATE resources SET {assignments(*ASSESSED)} WHERE id = :id")

# References go first: the key of a target is checked before a source's own are cascaded to.
REMOVED: Final = Statement(
    "REMOVED",
    """
    WITH dropped AS (DELETE FROM resource_references WHERE source_id = ANY (:ids::uuid[]))
    DELETE FROM resources WHERE id = ANY (:ids::uuid[])
    """,
)


class Source(NamedTuple):
    """A resource that references another: what an error says of it, and whether the caller may see it."""

    kind: str
    name: str
    href: str
    ref_type: str
    is_seen: bool


async def lock_chain(tx: Transaction, scope: Scope, id: UUID) -> list[Node]:
    """Locks the resource's owners, then itself; gives them from the root to the resource. Raises NotFound."""
    rows = await tx.fetch(LOCKED_CHAIN, **one(scope, id))
    # A row that went while the lock was waited for is not among them.
    if not rows or rows[-1]["id"] != id:
        raise not_found(scope.kind, id)
    return [Node(*row) for row in rows]


async def lock_descendants(tx: Transaction, id: UUID) -> list[Node]:
    """Locks everything below a resource that is locked itself, level by level; owners come before what they own."""
    found: list[Node] = []
    level = [id]
    while level:
        nodes = [Node(*row) for row in await tx.fetch(LOCKED_CHILDREN, ids=level)]
        found += nodes
        level = [node.id for node in nodes]
    return found


async def lock(tx: Transaction, ids: Sequence[UUID]) -> list[Node]:
    """Locks those of these resources that exist, in the order of their ids."""
    return [Node(*row) for row in await tx.fetch(LOCKED_NODES, ids=ids)]


async def reported_on(tx: Transaction, ids: Sequence[UUID]) -> set[UUID]:
    """Which of these resources have a report; they must be locked by an earlier statement."""
    return {row[0] for row in await tx.fetch(REPORTED_ON, ids=ids)}


async def referenced_from_outside(tx: Transaction, ids: Sequence[UUID]) -> set[UUID]:
    """Which resources of a tree others reference."""
    return {row[0] for row in await tx.fetch(REFERENCED_FROM_OUTSIDE, ids=ids)}


async def being_deleted(db: Database, kinds: Sequence[str], *, after: UUID, most: int) -> list[Standing]:
    """The next resources, by id, that are being deleted, own nothing and are not referenced."""
    rows = await db.fetch(
        CHILDLESS_BEING_DELETED, kinds=kinds, after=after, most=most, with_rules=[], with_envelope=False
    )
    return [Standing(*row) for row in rows]


async def references_within(tx: Transaction, ids: Sequence[UUID]) -> list[tuple[UUID, UUID]]:
    """The references between different resources of a tree, source and target."""
    return [(row[0], row[1]) for row in await tx.fetch(REFERENCES_INTO, ids=ids)]


async def sources_outside(tx: Transaction, scope: Scope, ids: Sequence[UUID]) -> list[Source]:
    """Resources outside a tree that reference one of it, ten at most, those of the scope's tenancy first."""
    tenancy = rendering.tenancy(scope.tenancy)
    return [Source(*row) for row in await tx.fetch(SOURCES_OUTSIDE, ids=ids, tenancy=tenancy)]


async def targets_being_deleted(tx: Transaction, ids: Sequence[UUID]) -> list[UUID]:
    """The resources being deleted that these resources reference, themselves excluded."""
    return [row[0] for row in await tx.fetch(TARGETS_BEING_DELETED, ids=ids)]


async def mark(tx: Transaction, marks: Sequence[Change]) -> dict[UUID, int]:
    """Stores that resources are being deleted from now on; their new versions."""
    marked = await tx.fetch(MARKED, **values_of(marks, *ID, *_MARKED))
    return {row[0]: row[1] for row in marked}


async def rewrite(tx: Transaction, standing: Standing) -> None:
    """Stores the status of a locked resource, and gives it a new version."""
    await tx.fetch(RECOMPUTED, **values(Change(standing), *ASSESSED), id=standing.id)


async def remove(tx: Transaction, ids: Iterable[UUID]) -> None:
    """Removes resources with their reports and the references that they hold; nothing else may own or name them."""
    await tx.fetch(REMOVED, ids=list(ids))
