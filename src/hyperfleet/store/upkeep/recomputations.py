"""Rows whose status was computed by other rules than the current ones: found, marked, and rewritten.

A row is marked before it is recomputed, in a separate transaction, so that the mark remains when the process dies of
it. An old mark is from such a process: its row is tried alone, and set aside when that fails too.
"""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from hyperfleet.model import rendering
from hyperfleet.model.kind import Kind
from hyperfleet.model.standing import Change, Standing
from hyperfleet.store.database import Connection, Database, Statement
from hyperfleet.store.standings import ASSESSED, COLUMNS, ENVELOPE, assignments, values

LOCK: Final = 0x48464152
"""The key of the advisory lock that lets one process at a time recompute rows."""

STALE_SECONDS: Final = 15
"""The age at which a mark's process must have died."""

TURN: Final = Statement("TURN", f"SELECT pg_try_advisory_xact_lock({LOCK})")

UNDER_WAY: Final = Statement(
    "RECOMPUTATION_UNDER_WAY",
    f"""
    SELECT FROM recomputations
    WHERE NOT set_aside AND since > now() - interval '{STALE_SECONDS} s' AND since <= now() LIMIT 1
    """,
    is_read=True,
)

_NOW: Final = "unnest(:kinds::text[], :rules::text[]) AS now (kind, rules)"

_OTHERS: Final = """
    (SELECT id FROM resources
     WHERE kind = now.kind AND rules {sign} now.rules
        AND NOT EXISTS (SELECT FROM recomputations AS known WHERE known.resource_id = id AND known.rules = now.rules)
     ORDER BY rules LIMIT :most)
"""

MARKED: Final = Statement(
    "MARKED",
    f"""
    INSERT INTO recomputations (resource_id, rules)
    SELECT other.id, now.rules
    FROM {_NOW}
    CROSS JOIN LATERAL ({_OTHERS.format(sign="<")} UNION ALL {_OTHERS.format(sign=">")}) AS other
    LIMIT :most
    ON CONFLICT (resource_id) DO UPDATE
    SET rules = excluded.rules, tries = 1, since = now(), set_aside = false, reason = '', resource_version = 0
    RETURNING resource_id
    """,
)

# The rows that a process was recomputing when it died, including the row that it died of.
TRIED_AGAIN: Final = Statement(
    "TRIED_AGAIN",
    f"""
    UPDATE recomputations SET tries = tries + 1, since = now()
    WHERE resource_id = (
        SELECT resource_id FROM recomputations
        JOIN resources ON resources.id = resource_id
        JOIN {_NOW} ON now.kind = resources.kind
        WHERE recomputations.rules = now.rules AND NOT set_aside
        ORDER BY resource_id LIMIT 1
    )
    RETURNING resource_id, tries
    """,
)

SET_ASIDE: Final = Statement(
    "SET_ASIDE",
    f"""
    INSERT INTO recomputations AS known (resource_id, rules, set_aside, reason, resource_version)
    SELECT id, now.rules, true, :reason, resource_version
    FROM resources JOIN {_NOW} ON now.kind = resources.kind
    WHERE id = :id
    ON CONFLICT (resource_id) DO UPDATE
    SET rules = excluded.rules, set_aside = true, reason = excluded.reason,
        resource_version = excluded.resource_version, since = now()
    RETURNING (SELECT kind FROM resources WHERE id = :id)
    """,
)

UNMARKED: Final = Statement(
    "UNMARKED", "DELETE FROM recomputations WHERE resource_id = ANY (:ids::uuid[]) AND NOT set_aside"
)

CLEARED: Final = Statement(
    "CLEARED",
    "DELETE FROM recomputations WHERE NOT EXISTS (SELECT FROM resources WHERE id = resource_id)",
)

OUTDATED: Final = Statement(
    "OUTDATED",
    f"""
    SELECT {COLUMNS} FROM resources JOIN {_NOW} ON now.kind = resources.kind
    WHERE resources.rules <> now.rules AND resources.id = ANY (:ids::uuid[])
    ORDER BY resources.id
    """,
    is_read=True,
)

COMPUTED_AGAIN: Final = Statement(
    "COMPUTED_AGAIN",
    f"""
    UPDATE resources SET {assignments(*ASSESSED, *ENVELOPE)} WHERE id = :id AND resource_version = :resource_version
    RETURNING resource_version
    """,
)


async def has_turn(connection: Connection) -> bool:
    """Whether this transaction is the only one that may recompute rows, until it ends."""
    row = await connection.fetch_row(TURN)
    return row is not None and bool(row[0])


async def is_under_way(connection: Connection) -> bool:
    """Whether another process has marked rows that it is recomputing."""
    return await connection.fetch_row(UNDER_WAY) is not None


async def mark(connection: Connection, kinds: Sequence[Kind], *, most: int) -> list[UUID]:
    """Marks the next rows whose rules are not their kind's current ones, except rows set aside; returns their ids."""
    return [row[0] for row in await connection.fetch(MARKED, **_rules(kinds), most=most)]


async def mark_again(connection: Connection, kinds: Sequence[Kind]) -> tuple[UUID, int] | None:
    """Marks again a row of a process that died; returns its id and how often it was tried, this time included."""
    row = await connection.fetch_row(TRIED_AGAIN, **_rules(kinds))
    return None if row is None else (row[0], row[1])


async def set_aside(db: Database | Connection, kinds: Sequence[Kind], id: UUID, reason: str) -> str | None:
    """Excludes a row from recomputation under these rules; returns its kind, None when the row no longer exists."""
    row = await db.fetch_row(SET_ASIDE, **_rules(kinds), id=id, reason=reason)
    return None if row is None else str(row[0])


async def unmark(db: Database | Connection, ids: Sequence[UUID]) -> None:
    """Removes the marks of rows, except rows that are set aside."""
    await db.fetch(UNMARKED, ids=ids)


async def clear(db: Database) -> None:
    """Removes the marks of resources that no longer exist."""
    await db.fetch(CLEARED)


async def outdated(connection: Connection, kinds: Sequence[Kind], ids: Sequence[UUID]) -> list[Standing]:
    """The rows among these whose rules are not their kind's current ones, sorted by id."""
    with_rules = [kind.name for kind in kinds if kind.conditions]
    rows = await connection.fetch(OUTDATED, **_rules(kinds), ids=ids, with_rules=with_rules, with_envelope=True)
    return [Standing(*row) for row in rows]


def _rules(kinds: Sequence[Kind]) -> dict[str, object]:
    return {"kinds": [kind.name for kind in kinds], "rules": [rendering.rules(kind) for kind in kinds]}


async def write(db: Database | Connection, standing: Standing) -> bool:
    """Stores a recomputed row if its version is still the one that was read; False when another writer came first."""
    written = await db.fetch_row(
        COMPUTED_AGAIN,
        **values(Change(standing), *ASSESSED, *ENVELOPE),
        id=standing.id,
        resource_version=standing.resource_version,
    )
    return written is not None
