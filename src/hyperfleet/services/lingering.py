"""Resources that linger: they are being deleted, but a change of the configuration left no adapter to await.

Only requests of callers remove resources (contract: Delete), so they stay until the next report, DELETE or
force-delete. The service logs their number when it starts.
"""

import asyncio
from collections import Counter
from typing import Final
from uuid import UUID

from hyperfleet.errors import HyperFleetError
from hyperfleet.model.catalog import Catalog
from hyperfleet.store import trees
from hyperfleet.store.database import Database
from hyperfleet.telemetry import logging

ROWS_AT_ONCE: Final = 500
NAMED: Final = 10
"""How many of them the log names by id."""

PAUSE_SECONDS: Final = 5.0
_FIRST: Final = UUID(int=0)

_log = logging.get("resources")


async def tell(db: Database, catalog: Catalog) -> None:
    """Logs once how many resources linger; waits while the database is unavailable."""
    while True:
        try:
            ids = await find(db, catalog)
        except HyperFleetError:
            await asyncio.sleep(PAUSE_SECONDS)
            continue
        if ids:
            _log.warning(
                "resources are being deleted although no adapter is awaited any more",
                resources=len(ids),
                kinds=dict(Counter(ids.values())),
                ids=[str(id) for id in list(ids)[:NAMED]],
                hint="each remains until its next report, DELETE or force-delete",
            )
        return


async def find(db: Database, catalog: Catalog) -> dict[UUID, str]:
    """The resources that linger, by id, with their kinds; raises what the database raises.

    The owner of such a resource is not among them, because it is removed together with the resource.
    """
    found: dict[UUID, str] = {}
    after = _FIRST
    while True:
        rows = await trees.being_deleted(db, [*catalog.by_name], after=after, most=ROWS_AT_ONCE)
        found |= {row.id: row.kind for row in rows if row.is_gone(catalog.by_name[row.kind])}
        if len(rows) < ROWS_AT_ONCE:
            return found
        after = rows[-1].id
