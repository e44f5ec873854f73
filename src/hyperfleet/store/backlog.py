"""What waits to be reconciled in the whole fleet, counted by one statement over a connection of its own."""

import asyncio
from typing import Final, NamedTuple

from hyperfleet import settings
from hyperfleet.store.connections import connect

# Both terms have an index. A live resource waits since its Reconciled became False, one that is being deleted since it
# was asked to go; kinds that require no adapter have no condition, and wait only while they are being deleted.
WAITING: Final = """
    SELECT kind, is_delete, count(*) AS pending, count(*) FILTER (WHERE seconds > $2) AS stuck,
           coalesce(max(seconds) FILTER (WHERE seconds > $2), 0)::float8 AS longest
    FROM (
        SELECT kind, deleted_time IS NOT NULL AS is_delete,
               extract(epoch FROM now() - coalesce(deleted_time, (conditions -> 'Reconciled' ->> 't')::timestamptz))
                   AS seconds
        FROM resources
        WHERE (kind = ANY ($1::text[]) AND condition_status ->> 'Reconciled' = 'False')
            OR (kind = ANY ($1::text[]) AND deleted_time IS NOT NULL)
    ) AS waiting
    GROUP BY kind, is_delete
"""
_APPLICATION_NAME: Final = "hyperfleet-api metrics"


class Waiting(NamedTuple):
    """How many resources of a kind wait, how many of them too long, and the longest of these, in seconds."""

    kind: str
    is_delete: bool
    pending: int
    stuck: int
    longest: float


async def waiting(
    configured: settings.Database, kinds: list[str], *, threshold: float, timeout: float
) -> list[Waiting]:
    """What waits, without kinds where nothing does; `threshold` is the seconds after which a resource is stuck.

    Raises TimeoutError, and what the driver raises.
    """
    async with asyncio.timeout(timeout):
        connection = await connect(configured, application_name=_APPLICATION_NAME, timeout=timeout)
        try:
            rows = await connection.fetch(WAITING, kinds, threshold)
            await connection.close()
        finally:
            # A farewell to a database that has gone silent is never answered; after one that was, this is nothing.
            connection.terminate()
    return [Waiting(*row) for row in rows]
