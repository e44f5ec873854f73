"""After a change of the rules what is stored is computed again: by `migrate`, and while the service serves.

Row by row, by the ordinary write, so nobody waits; a row that somebody else writes meanwhile is computed by them. One
process at a time works, in order of ids. Nothing is removed: what is being deleted and waits for nobody any more stays
until a caller comes (services/lingering.py).
"""

import asyncio
from typing import Final
from uuid import UUID

import msgspec

from hyperfleet.errors import HyperFleetError
from hyperfleet.model import rendering
from hyperfleet.model.assessment import evidence
from hyperfleet.model.catalog import Catalog
from hyperfleet.model.kind import Kind
from hyperfleet.model.report import Summary
from hyperfleet.model.resource import Status
from hyperfleet.services import assessing
from hyperfleet.store import recomputations
from hyperfleet.store.database import Database, Transaction
from hyperfleet.store.recomputations import Outdated
from hyperfleet.telemetry import logging

ROWS_AT_ONCE: Final = 100
PAUSE_SECONDS: Final = 5.0
"""How long a process waits while another one has the turn, or the database is away."""

_FIRST: Final = UUID(int=0)
_log = logging.get("resources")
_status = msgspec.json.Decoder(Status)
_summaries = msgspec.json.Decoder(tuple[Summary, ...])


async def recompute(db: Database, catalog: Catalog) -> int:
    """Computes every row again whose rules are not those of now; how many there were.

    Raises what the database raises; what was written until then stays, and the next call goes on.
    """
    done = 0
    after = _FIRST
    while True:

        async def turn(tx: Transaction, after: UUID = after) -> list[Outdated] | None:
            if not await recomputations.has_turn(tx):
                return None
            rows = await recomputations.outdated(tx, catalog.kinds, after=after, most=ROWS_AT_ONCE)
            for row in rows:
                await _recompute(tx, catalog.by_name[row.kind], row)
            return rows

        rows = await db.in_transaction(turn)
        if rows is None:
            await asyncio.sleep(PAUSE_SECONDS)
            continue
        if not rows:
            break
        done += len(rows)
        after = rows[-1].id
    if done:
        _log.info("computed again by the rules of now", resources=done)
    return done


async def keep_trying(db: Database, catalog: Catalog) -> None:
    """`recompute` in the background of a service: whatever fails is logged and tried again."""
    while True:
        try:
            await recompute(db, catalog)
            return
        except HyperFleetError as failure:
            _log.warning("computing again waits", code=failure.row.full_name, detail=failure.detail)
        await asyncio.sleep(PAUSE_SECONDS)


async def _recompute(tx: Transaction, kind: Kind, row: Outdated) -> None:
    envelope = rendering.declared(row.envelope, kind)
    status = await assessing.status(
        kind,
        row.id,
        generation=row.generation,
        reference_time=row.updated_time,
        deleted=row.is_deleting,
        previous=_status.decode(row.status),
        reports=_summaries.decode(row.summaries),
        has_children=row.has_children,
        evidence=evidence(envelope, row.reports),
    )
    await recomputations.write(tx, row, status, envelope=envelope, rules=rendering.rules(kind))
