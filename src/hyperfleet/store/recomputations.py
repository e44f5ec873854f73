"""Rows whose status was computed by other rules than those of now: found, marked, and written again.

A row is marked before it is computed, in a transaction of its own, so that the mark outlives a process that dies of it.
A mark that grows old is of such a process: its row is tried alone, and set aside when that failed too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from hyperfleet.model import rendering
from hyperfleet.model.kind import Kind
from hyperfleet.model.status.condition import Status
from hyperfleet.store.clauses.projections import HAS_CHILDREN, REPORTS, SUMMARY_LIST
from hyperfleet.store.database import Connection, Database, Statement
from hyperfleet.store.resources import status_values

LOCK: Final = 0x48464152
"""The key of the advisory lock that lets one process at a time compute rows again."""

STALE_SECONDS: Final = 15
"""Age of a mark whose process must have died."""

TURN: Final = Statement("TURN", f"SELECT pg_try_advisory_xact_lock({LOCK})")

UNDER_WAY: Final = Statement(
    "RECOMPUTATION_UNDER_WAY",
    f"""
    SELECT FROM recomputations
    WHERE NOT set_aside AND since > now() - interval '{STALE_SECONDS} s' AND since <= now() LIMIT 1
    """,
    is_read=True,
)

_OTHERS = """
    (SELECT id FROM resources
     WHERE kind = now.kind AND rules {sign} now.rules
        AND NOT EXISTS (SELECT FROM recomputations AS known WHERE known.resource_id = id AND known.rules = now.rules)
     ORDER BY rules LIMIT $3)
"""

MARKED: Final = Statement(
    "MARKED",
    f"""
    INSERT INTO recomputations (resource_id, rules)
    SELECT other.id, now.rules
    FROM unnest($1::text[], $2::text[]) AS now (kind, rules)
    CROSS JOIN LATERAL ({_OTHERS.format(sign="<")} UNION ALL {_OTHERS.format(sign=">")}) AS other
    LIMIT $3
    ON CONFLICT (resource_id) DO UPDATE
    SET rules = excluded.rules, tries = 1, since = now(), set_aside = false, reason = '', resource_version = 0
    RETURNING resource_id
    """,
)

# The rows that a process died of, or was computing when it did.
TRIED_AGAIN: Final = Statement(
    "TRIED_AGAIN",
    """
    UPDATE recomputations SET tries = tries + 1, since = now()
    WHERE resource_id = (
        SELECT resource_id FROM recomputations
        JOIN resources ON resources.id = resource_id
        JOIN unnest($1::text[], $2::text[]) AS now (kind, rules) ON now.kind = resources.kind
        WHERE recomputations.rules = now.rules AND NOT set_aside
        ORDER BY resource_id LIMIT 1
    )
    RETURNING resource_id, tries
    """,
)

SET_ASIDE: Final = Statement(
    "SET_ASIDE",
    """
    INSERT INTO recomputations AS known (resource_id, rules, set_aside, reason, resource_version)
    SELECT id, now.rules, true, $4, resource_version
    FROM resources JOIN unnest($2::text[], $3::text[]) AS now (kind, rules) ON now.kind = resources.kind
    WHERE id = $1
    ON CONFLICT (resource_id) DO UPDATE
    SET rules = excluded.rules, set_aside = true, reason = excluded.reason,
        resource_version = excluded.resource_version, since = now()
    RETURNING (SELECT kind FROM resources WHERE id = $1)
    """,
)

UNMARKED: Final = Statement(
    "UNMARKED", "DELETE FROM recomputations WHERE resource_id = ANY ($1::uuid[]) AND NOT set_aside"
)

CLEARED: Final = Statement(
    "CLEARED",
    "DELETE FROM recomputations WHERE NOT EXISTS (SELECT FROM resources WHERE id = resource_id)",
)

OUTDATED: Final = Statement(
    "OUTDATED",
    f"""
    SELECT resources.id, resources.kind, resource_version, generation, updated_time,
           deleted_time IS NOT NULL AS is_deleting, status, envelope,
           {SUMMARY_LIST} AS summaries,
           {HAS_CHILDREN} AS has_children,
           EXISTS (SELECT FROM resource_references WHERE target_id = resources.id AND source_id <> resources.id)
               AS is_referenced,
           CASE WHEN now.has_rules THEN {REPORTS} END AS reports
    FROM resources
    JOIN unnest($1::text[], $2::text[], $4::boolean[]) AS now (kind, rules, has_rules) ON now.kind = resources.kind
    WHERE resources.rules <> now.rules AND resources.id = ANY ($3::uuid[])
    ORDER BY resources.id
    """,
    is_read=True,
)

COMPUTED_AGAIN: Final = Statement(
    "COMPUTED_AGAIN",
    """
    UPDATE resources
    SET resource_version = nextval('resource_versions'), status = $3, phase = $4,
        condition_status = CASE WHEN condition_status = $5 THEN condition_status ELSE $5 END,
        conditions = $6, observed_generation = $7, last_updated_time = $8, last_transition_time = $9, rules = $10,
        envelope = $11
    WHERE id = $1 AND resource_version = $2
    RETURNING resource_version
    """,
)


@dataclass(frozen=True, slots=True)
class Outdated:
    """A row to compute again; `status`, `envelope` and `summaries` are JSON text as stored.

    `reports` is an array of them as served, None where the kind has no rules of its own.
    """

    id: UUID
    kind: str
    resource_version: int
    generation: int
    updated_time: datetime
    is_deleting: bool
    status: bytes
    envelope: bytes
    summaries: bytes
    has_children: bool
    is_referenced: bool
    reports: bytes | None


async def has_turn(connection: Connection) -> bool:
    """Whether this transaction is the one that may compute rows again, until it ends."""
    row = await connection.fetch_row(TURN)
    return row is not None and bool(row[0])


async def is_under_way(connection: Connection) -> bool:
    """Whether another process has marked rows that it computes now."""
    return await connection.fetch_row(UNDER_WAY) is not None


async def mark(connection: Connection, kinds: Sequence[Kind], *, most: int) -> list[UUID]:
    """Marks the next rows whose rules are not those of their kind now, all but the ones that are set aside."""
    return [row[0] for row in await connection.fetch(MARKED, *_rules(kinds), most)]


async def mark_again(connection: Connection, kinds: Sequence[Kind]) -> tuple[UUID, int] | None:
    """Marks a row of a process that died once more; the row, and how often it was tried with this time."""
    row = await connection.fetch_row(TRIED_AGAIN, *_rules(kinds))
    return None if row is None else (row[0], row[1])


async def set_aside(db: Database | Connection, kinds: Sequence[Kind], id: UUID, reason: str) -> str | None:
    """Keeps a row from being tried again under these rules; its kind, None when it is gone."""
    row = await db.fetch_row(SET_ASIDE, id, *_rules(kinds), reason)
    return None if row is None else str(row[0])


async def unmark(db: Database | Connection, ids: Sequence[UUID]) -> None:
    """Takes the marks of rows away, unless they are set aside."""
    await db.fetch(UNMARKED, ids)


async def clear(db: Database) -> None:
    """Removes what resources that are gone have left."""
    await db.fetch(CLEARED)


async def outdated(connection: Connection, kinds: Sequence[Kind], ids: Sequence[UUID]) -> list[Outdated]:
    """Of these rows, by id, the ones whose rules are not those of their kind now."""
    rows = await connection.fetch(OUTDATED, *_rules(kinds), ids, [bool(kind.conditions) for kind in kinds])
    return [Outdated(*row) for row in rows]


def _rules(kinds: Sequence[Kind]) -> tuple[list[str], list[str]]:
    return [kind.name for kind in kinds], [rendering.rules(kind) for kind in kinds]


async def write(db: Database | Connection, row: Outdated, status: Status, *, envelope: bytes, rules: str) -> bool:
    """Stores a row's status when it still has its version; False when another writer came first."""
    written = await db.fetch_row(
        COMPUTED_AGAIN,
        row.id,
        row.resource_version,
        *status_values(status, rules),
        envelope,
    )
    return written is not None
