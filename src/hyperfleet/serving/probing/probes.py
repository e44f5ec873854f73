"""The health and metrics pages: the parent process serves them, so they respond while workers start or stop.

Readiness checks the database on its own connection: a full pool or a busy worker does not make an instance unready, and
a probe never queues behind requests.
"""

import asyncio
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Final

from hyperfleet import settings
from hyperfleet.serving.deaths import Deaths
from hyperfleet.serving.probing.probe_listeners import Page, Source
from hyperfleet.telemetry import logging

METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
SHARED_SECONDS: Final = 0.5
"""How long all probes share one result of the database check: several probers open one connection in total."""

_log = logging.get("probes")


class Readiness:
    """Whether this instance should get requests: `stage` is None while it serves, otherwise the reason why not."""

    def __init__(self, timeout: float) -> None:
        self.stage: str | None = "starting"
        self.database: settings.Database | None = None
        self.deaths: Deaths | None = None
        self._timeout = timeout
        self._lock = threading.Lock()
        self._asked_at = 0.0
        self._failure: str | None = None

    def reasons(self) -> list[str]:
        """Why the service is not ready, one sentence each; empty when it is."""
        if self.stage is not None:
            return [f"The service is {self.stage}."]
        died = self.deaths.reason() if self.deaths is not None else None
        return [reason for reason in (self._database_failure(), died) if reason is not None]

    def _database_failure(self) -> str | None:
        with self._lock:
            if monotonic() - self._asked_at > SHARED_SECONDS:
                assert self.database is not None
                self._failure = asyncio.run(_failure_of(self.database, self._timeout))
                self._asked_at = monotonic()
            return self._failure


async def _failure_of(database: settings.Database, timeout: float) -> str | None:
    from hyperfleet.store.connections import connect

    try:
        async with asyncio.timeout(timeout):
            connection = await connect(database, application_name="hyperfleet-api probe", timeout=timeout)
            try:
                await connection.fetchval("SELECT 1")
                await connection.close()
            finally:
                # close() would wait for a database that no longer responds; after a close() this does nothing.
                connection.terminate()
    except TimeoutError:
        return f"The database did not respond within {timeout:g} s."
    except Exception as failure:  # noqa: BLE001 - any failure means that the database cannot be used
        _log.warning("the database does not respond", driver=type(failure).__name__, text=str(failure))
        return "The database is not available."
    return None


def health_pages(readiness: Readiness) -> dict[str, Source]:
    """The pages of the health listener, by path."""

    def alive() -> Page:
        return _line(200, {"status": "ok"})

    def ready() -> Page:
        reasons = readiness.reasons()
        return _line(503, {"status": "not ready", "reasons": reasons}) if reasons else _line(200, {"status": "ready"})

    return {"/healthz": Source(alive), "/healthcheck": Source(alive), "/readyz": Source(ready, blocks=True)}


def metrics_pages(directory: Path, fleet: Callable[[], bytes]) -> dict[str, Source]:
    """The pages of the metrics listener, by path.

    `directory` is where the workers keep their metrics; `fleet` returns the gauges read from the database.
    """

    def metrics() -> Page:
        # Read the fleet first, so that a failure during the reading is counted in this scrape.
        from_database = fleet()
        return Page(200, METRICS_TYPE, _summed(directory) + from_database)

    return {"/metrics": Source(metrics, blocks=True)}


def _line(status: int, content: object) -> Page:
    return Page(status, "application/json", json.dumps(content).encode() + b"\n")


def _summed(directory: Path) -> bytes:
    from prometheus_client import CollectorRegistry
    from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

    from hyperfleet.telemetry.metrics import exposition

    # Keep the counters of a dead worker, but drop its gauges, such as open requests and connections.
    for pid in {int(file.stem.rpartition("_")[2]) for file in directory.glob("gauge_live*.db")}:
        if not _is_alive(pid):
            mark_process_dead(pid, str(directory))  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(directory))  # type: ignore[no-untyped-call]
    return exposition(registry)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
