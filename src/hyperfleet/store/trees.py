"""Trees of resources: locked from the root down, marked as being deleted, removed; and what names them from outside.

The rules of locks (storage: Locks). Whoever marks or removes locks FOR UPDATE the chain of owners from the root down,
then the resource, then what it owns, level by level, ids in order, all before the first write. So the root's lock alone
keeps two deletions in one tree apart; FOR UPDATE keeps children and references out, whose creation locks KEY SHARE.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from hyperfleet.model import rendering
from hyperfleet.model.catalog import Catalog
from hyperfleet.model.resource import Scope
from hyperfleet.model.status.condition import Status
from hyperfleet.store.clauses.projections import HAS_CHILDREN, REPORTS, SUMMARY_LIST
from hyperfleet.store.database import Database, Statement, Transaction
from hyperfleet.store.resources import ONE, not_found, one, status_values

NAMED_SOURCES: Final = 10
"""How many of the resources that keep another from going an error names."""

_NODE: Final = (
    "resources.id, kind, name, owner_kind, owner_id, resource_version, generation, updated_time, deleted_time"
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
    SELECT {_NODE.replace("owner_id", "resources.owner_id")}
    FROM chain JOIN resources ON resources.id = chain.id
    ORDER BY height DESC FOR UPDATE OF resources
    """,
)

LOCKED_CHILDREN: Final = Statement(
    "LOCKED_CHILDREN", f"SELECT {_NODE} FROM resources WHERE owner_id = ANY ($1::uuid[]) ORDER BY id FOR UPDATE"
)

LOCKED_NODES: Final = Statement(
    "LOCKED_NODES", f"SELECT {_NODE} FROM resources WHERE id = ANY ($1::uuid[]) ORDER BY id FOR UPDATE"
)

REFERENCES_INTO: Final = Statement(
    "REFERENCES_INTO",
    "SELECT source_id, target_id FROM resource_references WHERE target_id = ANY ($1::uuid[])"
    " AND source_id = ANY ($1::uuid[]) AND source_id <> target_id",
    is_read=True,
)

SOURCES_OUTSIDE: Final = Statement(
    "SOURCES_OUTSIDE",
    f"""
    SELECT source.kind, source.name, source.href, resource_references.ref_type, source.tenancy @> $2::jsonb AS is_seen
    FROM resource_references JOIN resources AS source ON source.id = source_id
    WHERE target_id = ANY ($1::uuid[]) AND NOT source_id = ANY ($1::uuid[])
    ORDER BY is_seen DESC, source.kind, source.name, source.id LIMIT {NAMED_SOURCES}
    """,
    is_read=True,
)

REFERENCED_FROM_OUTSIDE: Final = Statement(
    "REFERENCED_FROM_OUTSIDE",
    "SELECT DISTINCT target_id FROM resource_references WHERE target_id = ANY ($1::uuid[])"
    " AND NOT source_id = ANY ($1::uuid[])",
    is_read=True,
)

REPORTED_ON: Final = Statement(
    "REPORTED_ON",
    "SELECT id FROM unnest($1::uuid[]) AS id WHERE EXISTS (SELECT FROM adapter_statuses WHERE resource_id = id)",
    is_read=True,
)

SUMMARIES_OF: Final = Statement(
    "SUMMARIES_OF",
    f"SELECT id, {SUMMARY_LIST} AS summaries FROM resources WHERE id = ANY ($1::uuid[])",
    is_read=True,
)

# The index on what is being deleted is asked first, whatever the planner thinks of the order.
CHILDLESS_BEING_DELETED: Final = Statement(
    "CHILDLESS_BEING_DELETED",
    f"""
    WITH deleting AS MATERIALIZED (
        SELECT id FROM resources WHERE kind = ANY ($1::text[]) AND deleted_time IS NOT NULL AND id > $2
    )
    SELECT resources.id, kind, generation, {SUMMARY_LIST} AS summaries
    FROM resources JOIN deleting ON deleting.id = resources.id
    WHERE NOT {HAS_CHILDREN}
        AND NOT EXISTS (SELECT FROM resource_references WHERE target_id = resources.id AND source_id <> resources.id)
    ORDER BY resources.id LIMIT $3
    """,
    is_read=True,
)

TARGETS_BEING_DELETED: Final = Statement(
    "TARGETS_BEING_DELETED",
    """
    SELECT DISTINCT resources.id FROM resource_references JOIN resources ON resources.id = target_id
    WHERE source_id = ANY ($1::uuid[]) AND deleted_time IS NOT NULL AND NOT target_id = ANY ($1::uuid[])
    """,
    is_read=True,
)

STANDING: Final = Statement(
    "STANDING",
    f"""
    SELECT id, kind, generation, updated_time, deleted_time IS NOT NULL AS is_deleting, status, envelope,
           {SUMMARY_LIST} AS summaries, {HAS_CHILDREN} AS has_children,
           EXISTS (SELECT FROM resource_references WHERE target_id = resources.id AND source_id <> resources.id)
               AS is_referenced,
           CASE WHEN kind = ANY ($2::text[]) THEN {REPORTS} END AS reports
    FROM resources WHERE id = ANY ($1::uuid[])
    """,
    is_read=True,
)

# An equal condition_status is kept as it is stored: a new value costs an index entry, even when it is the same.
MARKED: Final = Statement(
    "MARKED",
    """
    UPDATE resources
    SET resource_version = nextval('resource_versions'), generation = marked.generation,
        updated_time = marked.updated_time, updated_by = $4, deleted_time = marked.updated_time, deleted_by = $4,
        envelope = marked.envelope, status = marked.status, phase = marked.phase,
        condition_status = CASE WHEN resources.condition_status = marked.condition_status
                                THEN resources.condition_status ELSE marked.condition_status END,
        conditions = marked.conditions, observed_generation = marked.observed_generation,
        last_updated_time = marked.last_updated_time, last_transition_time = marked.last_transition_time,
        rules = marked.rules
    FROM unnest($1::uuid[], $2::integer[], $3::timestamptz[], $5::json[], $6::json[], $7::text[], $8::jsonb[],
                $9::jsonb[], $10::integer[], $11::timestamptz[], $12::timestamptz[], $13::text[])
        AS marked (id, generation, updated_time, envelope, status, phase, condition_status, conditions,
                   observed_generation, last_updated_time, last_transition_time, rules)
    WHERE resources.id = marked.id
    RETURNING resources.id, resource_version
    """,
)

# Written also when nothing differs: whatever was computed before the child or the reference went must start over.
RECOMPUTED: Final = Statement(
    "RECOMPUTED",
    """
    UPDATE resources
    SET resource_version = nextval('resource_versions'), status = $2, phase = $3,
        condition_status = CASE WHEN condition_status = $4 THEN condition_status ELSE $4 END,
        conditions = $5, observed_generation = $6, last_updated_time = $7, last_transition_time = $8, rules = $9
    WHERE id = $1
    """,
)

# References go first: the key of a target is checked before a source's own are cascaded to.
REMOVED: Final = Statement(
    "REMOVED",
    """
    WITH dropped AS (DELETE FROM resource_references WHERE source_id = ANY ($1::uuid[]))
    DELETE FROM resources WHERE id = ANY ($1::uuid[])
    """,
)


class Node(NamedTuple):
    """A resource of a locked tree."""

    id: UUID
    kind: str
    name: str
    owner_kind: str | None
    owner_id: UUID | None
    resource_version: int
    generation: int
    updated_time: datetime
    deleted_time: datetime | None


class Source(NamedTuple):
    """A resource that references another: what an error says of it, and whether the caller may see it."""

    kind: str
    name: str
    href: str
    ref_type: str
    is_seen: bool


class Childless(NamedTuple):
    """A resource that is being deleted and can wait for adapters only; `summaries` is JSON text as stored."""

    id: UUID
    kind: str
    generation: int
    summaries: bytes


@dataclass(frozen=True, slots=True)
class Standing:
    """A locked resource as its deletion finds it; `status`, `envelope` and `summaries` are JSON text as stored.

    `reports` is an array of them as served, None where the kind has no rules of its own.
    """

    id: UUID
    kind: str
    generation: int
    updated_time: datetime
    is_deleting: bool
    status: bytes
    envelope: bytes
    summaries: bytes
    has_children: bool
    is_referenced: bool
    reports: bytes | None


@dataclass(frozen=True, slots=True)
class Mark:
    """What being deleted makes of a resource; `time` is its new `updated_time` and its `deleted_time`."""

    id: UUID
    generation: int
    time: datetime
    envelope: bytes
    status: Status
    rules: str


async def lock_chain(tx: Transaction, scope: Scope, id: UUID) -> list[Node]:
    """Locks the resource's owners, then itself; gives them from the root to the resource. Raises NotFound."""
    rows = await tx.fetch(LOCKED_CHAIN, *one(scope, id))
    # A row that went while the lock was waited for is not among them.
    if not rows or rows[-1]["id"] != id:
        raise not_found(scope.kind, id)
    return [Node(*row) for row in rows]


async def lock_descendants(tx: Transaction, id: UUID) -> list[Node]:
    """Locks everything below a resource that is locked itself, level by level; owners come before what they own."""
    found: list[Node] = []
    level = [id]
    while level:
        nodes = [Node(*row) for row in await tx.fetch(LOCKED_CHILDREN, level)]
        found += nodes
        level = [node.id for node in nodes]
    return found


async def lock(tx: Transaction, ids: Sequence[UUID]) -> list[Node]:
    """Locks these resources, those that are there, in the order of their ids."""
    return [Node(*row) for row in await tx.fetch(LOCKED_NODES, ids)]


async def reported_on(tx: Transaction, ids: Sequence[UUID]) -> set[UUID]:
    """Which of these resources have a report; they must be locked by an earlier statement."""
    return {row[0] for row in await tx.fetch(REPORTED_ON, ids)}


async def summaries(tx: Transaction, ids: Sequence[UUID]) -> dict[UUID, bytes]:
    """The reports on each of these resources, as a JSON array of summaries; they must be locked as above."""
    return {row[0]: row[1] for row in await tx.fetch(SUMMARIES_OF, ids)}


async def referenced_from_outside(tx: Transaction, ids: Sequence[UUID]) -> set[UUID]:
    """Which resources of a tree others reference."""
    return {row[0] for row in await tx.fetch(REFERENCED_FROM_OUTSIDE, ids)}


async def being_deleted(db: Database, kinds: Sequence[str], *, after: UUID, most: int) -> list[Childless]:
    """The next resources, by id, that are being deleted, own nothing and are not referenced."""
    return [Childless(*row) for row in await db.fetch(CHILDLESS_BEING_DELETED, kinds, after, most)]


async def references_within(tx: Transaction, ids: Sequence[UUID]) -> list[tuple[UUID, UUID]]:
    """The references between different resources of a tree, source and target."""
    return [(row[0], row[1]) for row in await tx.fetch(REFERENCES_INTO, ids)]


async def sources_outside(tx: Transaction, scope: Scope, ids: Sequence[UUID]) -> list[Source]:
    """Resources outside a tree that reference one of it, ten at most, those of the scope's tenancy first."""
    return [Source(*row) for row in await tx.fetch(SOURCES_OUTSIDE, ids, rendering.tenancy(scope.tenancy))]


async def targets_being_deleted(tx: Transaction, ids: Sequence[UUID]) -> list[UUID]:
    """What these resources reference among those that are being deleted, themselves aside."""
    return [row[0] for row in await tx.fetch(TARGETS_BEING_DELETED, ids)]


async def standing(tx: Transaction, catalog: Catalog, ids: Sequence[UUID]) -> list[Standing]:
    """The resources as they stand; they must be locked by an earlier statement, which waited for other writers."""
    return [Standing(*row) for row in await tx.fetch(STANDING, ids, catalog.names_with_rules)]


async def mark(tx: Transaction, marks: Sequence[Mark], *, by: str) -> dict[UUID, int]:
    """Stores that resources are being deleted from now on; their new versions."""
    rows = await tx.fetch(
        MARKED,
        [mark.id for mark in marks],
        [mark.generation for mark in marks],
        [mark.time for mark in marks],
        by,
        [mark.envelope for mark in marks],
        [rendering.status(mark.status) for mark in marks],
        [mark.status.phase for mark in marks],
        [rendering.condition_status(mark.status) for mark in marks],
        [rendering.condition_details(mark.status) for mark in marks],
        [mark.status.observed_generation for mark in marks],
        [mark.status.last_updated_time for mark in marks],
        [mark.status.last_transition_time for mark in marks],
        [mark.rules for mark in marks],
    )
    return {row[0]: row[1] for row in rows}


async def rewrite(tx: Transaction, id: UUID, status: Status, *, rules: str) -> None:
    """Stores the status of a locked resource, and gives it a new version."""
    await tx.fetch(
        RECOMPUTED,
        id,
        *status_values(status, rules),
    )


async def remove(tx: Transaction, ids: Iterable[UUID]) -> None:
    """Removes resources with their reports and the references that they hold; nothing else may own or name them."""
    await tx.fetch(REMOVED, list(ids))
