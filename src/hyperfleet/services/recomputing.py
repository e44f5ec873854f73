"""Recomputation of stored resources after a change of rules: by `migrate`, and while the service runs.

It writes row by row with the ordinary write, so no request waits; a row that a request writes meanwhile is recomputed
by that write. One process works at a time. Nothing is removed: a resource that is being deleted and no longer awaits an
adapter stays until a caller's next request (services/lingering.py).

A row that cannot be recomputed is set aside: logged, counted, and not tried again until the rules change. Rows are
marked before they are recomputed (store/upkeep/recomputations.py), so this also holds when the process died of a row.
"""

import asyncio
from collections.abc import Sequence
from time import monotonic
from typing import Final, NamedTuple
from uuid import UUID

from hyperfleet.errors import HyperFleetError
from hyperfleet.model import standing
from hyperfleet.model.assessment import Assessment
from hyperfleet.model.catalog import Catalog
from hyperfleet.model.kind import Kind
from hyperfleet.services import assessing
from hyperfleet.store.database import Database, Transaction
from hyperfleet.store.upkeep import recomputations
from hyperfleet.telemetry import logging

ROWS_AT_ONCE: Final = 100
ROWS_READ: Final = 10
"""Rows that are in memory at once, each with all its reports."""

SECONDS_AT_ONCE: Final = 5.0
"""How long one transaction computes: less than STALE_SECONDS, the age at which a mark's process must have died."""

PAUSE_SECONDS: Final = 5.0
"""How long a process waits while another one has the turn, or while the database is unavailable."""

REPEAT_SECONDS: Final = 300.0
"""How often a process looks again, since a process of the previous version may have written rows afterwards."""

MOST_TRIES: Final = 3
"""How often a row is tried: with others, alone, and once more, since the process may have ended for another reason."""

_DIED: Final = "the process that recomputed it exited"
_log = logging.get("resources")


class _Batch(NamedTuple):
    """Marked rows; `aside`: they were tried too often and must be set aside."""

    ids: Sequence[UUID]
    aside: bool = False


async def recompute(db: Database, catalog: Catalog) -> int:
    """Recomputes every row whose rules are not the current ones; returns how many there were.

    Raises what the database raises. Rows written before that remain written, and the next call continues.
    """
    done = 0
    while True:
        batch = await db.in_transaction(lambda tx: _marked(tx, catalog))
        if batch is None:
            await asyncio.sleep(PAUSE_SECONDS)
        elif not batch.ids:
            break
        elif batch.aside:
            await _set_aside(db, catalog, batch.ids[0], _DIED)
        else:
            done += await _computed(db, catalog, batch.ids)
    await recomputations.clear(db)
    if done:
        _log.info("recomputed after a change of rules", resources=done)
    return done


async def keep_trying(db: Database, catalog: Catalog) -> None:
    """Runs `recompute` in the background of a service, again and again; logs failures and tries again."""
    while True:
        pause = REPEAT_SECONDS
        try:
            await recompute(db, catalog)
        except HyperFleetError as failure:
            _log.warning("recomputation is waiting", code=failure.row.full_name, detail=failure.detail)
            pause = PAUSE_SECONDS
        await asyncio.sleep(pause)


async def _marked(tx: Transaction, catalog: Catalog) -> _Batch | None:
    """Marks and returns the next rows; None while another process works."""
    if not await recomputations.has_turn(tx) or await recomputations.is_under_way(tx):
        return None
    again = await recomputations.mark_again(tx, catalog.kinds)
    if again is not None:
        id, tries = again
        return _Batch([id], aside=tries > MOST_TRIES)
    return _Batch(await recomputations.mark(tx, catalog.kinds, most=ROWS_AT_ONCE))


async def _computed(db: Database, catalog: Catalog, ids: Sequence[UUID]) -> int:
    """Recomputes marked rows; returns how many there were. When it returns or raises, they are no longer marked."""
    try:
        return await db.in_transaction(lambda tx: _compute(tx, catalog, ids))
    except HyperFleetError:
        await _unmark_soon(db, ids)
        raise
    except asyncio.CancelledError:
        await _unmark_soon(db, ids)
        raise
    except Exception as failure:  # noqa: BLE001 - no failure of one row may block the others
        # Nothing was written. Trying each row alone finds the one that failed.
        if len(ids) == 1:
            _log.exception("a resource could not be recomputed", id=str(ids[0]))
            await _set_aside(db, catalog, ids[0], f"{type(failure).__name__}: {failure}")
            return 0
        return sum([await _computed(db, catalog, [id]) for id in ids])


async def _compute(tx: Transaction, catalog: Catalog, ids: Sequence[UUID]) -> int:
    until = monotonic() + SECONDS_AT_ONCE
    found: list[tuple[Kind, Assessment]] = []
    for start in range(0, len(ids), ROWS_READ):
        rows = await recomputations.outdated(tx, catalog.kinds, ids[start : start + ROWS_READ])
        for row in rows:
            if monotonic() < until:
                kind = catalog.by_name[row.kind]
                found.append((kind, await assessing.assess(kind, standing.declared(row, kind))))
    # All rows are written at the end, so that no writer waits for a slow computation. Rows that are left over are
    # marked again.
    await recomputations.unmark(tx, ids)
    for kind, assessment in found:
        await _write(tx, catalog, kind, assessment)
    return len(found)


async def _write(tx: Transaction, catalog: Catalog, kind: Kind, assessment: Assessment) -> None:
    row, failures = assessment
    if await recomputations.write(tx, row) and failures:
        # The conditions of failed rules stay as they were; the rest of the status is written.
        assessing.tell(kind, row.id, failures)
        await recomputations.set_aside(tx, catalog.kinds, row.id, f"rule {failures[0].type}: {failures[0].reason}")


async def _set_aside(db: Database, catalog: Catalog, id: UUID, reason: str) -> None:
    kind = await recomputations.set_aside(db, catalog.kinds, id, reason)
    if kind is not None:
        _log.error(
            "a resource is set aside: it is not recomputed under these rules", kind=kind, id=str(id), reason=reason
        )


async def _unmark_soon(db: Database, ids: Sequence[UUID]) -> None:
    """Removes marks, so that the next process need not wait until they are old; does nothing without the database."""
    try:
        async with asyncio.timeout(1):
            await recomputations.unmark(db, ids)
    except (HyperFleetError, TimeoutError):
        return
