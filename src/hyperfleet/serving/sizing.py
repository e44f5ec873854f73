"""The number of workers and the size of their pools, within the limits of the container and the database."""

from dataclasses import replace
from pathlib import Path
from typing import Final

from hyperfleet import settings
from hyperfleet.assembly import databases
from hyperfleet.serving import cores
from hyperfleet.telemetry import logging

OTHER_CONNECTIONS: Final = 4
"""Connections of an instance beyond its pools: the readiness probe, the fleet's gauges, startup, a migration."""

_log = logging.get("supervisor")


def workers(configured: int, cgroup: Path = cores.CGROUP) -> int:
    """The number of workers; if `configured` is 0, as many as the container's limits allow. Logs the limits."""
    limit = cores.memory(cgroup)
    found = configured or cores.workers(cgroup)
    needed = found * cores.WORKER_BYTES + cores.PARENT_BYTES
    if limit is not None and needed > limit:
        _log.warning(
            "the memory limit is too small for the workers; raise it or lower server.workers",
            workers=found,
            memory_limit=limit,
            memory_needed=needed,
        )
    else:
        _log.info(
            "workers",
            workers=found,
            cores=cores.available(cgroup),
            memory_limit=limit,
            memory_per_worker=cores.WORKER_BYTES,
        )
    return found


def fitted(database: settings.Database, workers: int) -> settings.Database:
    """The settings with pools that the database can serve; raises Unavailable when the database does not respond.

    Ignores other instances and programs on the same database, because their number is unknown here.
    """
    granted = databases.connections(database)
    most = max(1, (granted - OTHER_CONNECTIONS) // workers)
    if database.pool.max_connections <= most:
        return database
    _log.warning(
        "the database grants too few connections; pools are smaller than configured",
        granted=granted,
        workers=workers,
        configured=database.pool.max_connections,
        connections_per_worker=most,
    )
    return replace(database, pool=replace(database.pool, max_connections=most))
