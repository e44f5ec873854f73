"""Rows whose status was computed by other rules than those of now: found in order of their ids, and written again."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from hyperfleet.model import rendering
from hyperfleet.model.kind import Kind
from hyperfleet.model.resource import Status
from hyperfleet.store.database import Connection, Database, Statement
from hyperfleet.store.projections import HAS_CHILDREN, REPORTS, SUMMARY_LIST
from hyperfleet.store.resources import status_values

LOCK: Final = 0x48464152
"""The key of the advisory lock that lets one process at a time compute rows again."""

TURN: Final = Statement("TURN", f"SELECT pg_try_advisory_xact_lock({LOCK})")

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
    JOIN unnest($1::text[], $2::text[], $5::boolean[]) AS now (kind, rules, has_rules) ON now.kind = resources.kind
    WHERE resources.rules <> now.rules AND resources.id > $3
    ORDER BY resources.id LIMIT $4
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


async def outdated(connection: Connection, kinds: tuple[Kind, ...], *, after: UUID, most: int) -> list[Outdated]:
    """The next rows, by id, whose rules are not those of their kind now."""
    names = [kind.name for kind in kinds]
    rules, have_rules = [rendering.rules(kind) for kind in kinds], [bool(kind.conditions) for kind in kinds]
    rows = await connection.fetch(OUTDATED, names, rules, after, most, have_rules)
    return [Outdated(*row) for row in rows]


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
