"""The HTTP server and its worker processes: a process of its own, because it stops listening at the first signal.

The parent passes SIGTERM on when it is time. Settings arrive on standard input, and its end means that the parent is
gone, however that happened; the workers watch this process in the same way. So nothing is left behind by a hard kill.
"""

import gc
import math
import multiprocessing
import os
import pickle
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import resources
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any, Final

import hyperfleet
from hyperfleet import settings
from hyperfleet.serving.addresses import Address
from hyperfleet.serving.deaths import Deaths
from hyperfleet.serving.listeners import limit_unread
from hyperfleet.telemetry import logging, tracing

BACKLOG: Final = 4096
MOST_CONNECTIONS: Final = 8_192
"""Connections that a worker holds at most, where the system lets it: of 6 KB each, 20 KB once they have said something,
so that even as many as these fit into a small container."""

LARGEST_HEAD: Final = 128 << 10
"""Bytes that a connection may hold of a head that is not complete. Of one that is, the address has 64 KiB at most, and
what headers may have is the application's to say."""

_OTHER_FILES: Final = 256
"""Open files other than callers' connections: the database's, logs, metrics, the interpreter's."""

GARBAGE_THRESHOLD: Final = 20_000
_LEEWAY_SECONDS: Final = 1.0

# Its own records go the way of ours; it would write them to standard output as plain text.
_LOGS: Final[dict[str, Any]] = {
    "formatters": {},
    "handlers": {},
    "loggers": {"_granian": {"handlers": [], "propagate": True}},
}


@dataclass(frozen=True)
class Assignment:
    """What the parent wants served; `document` is the OpenAPI document that specs are validated by."""

    settings: settings.Settings
    address: Address
    workers: int
    version: str
    document: dict[str, Any]


def main() -> None:
    """Serves until SIGTERM, or until the parent is gone; PROMETHEUS_MULTIPROC_DIR must be set."""
    assignment: Assignment = pickle.load(sys.stdin.buffer)
    # Not through sys.stdin: a thread that waits inside it cannot be left behind when the interpreter ends.
    _watch_parent(partial(os.read, sys.stdin.fileno(), 1), assignment)
    _configure_logs(assignment)
    # A new process, not a copy of this one with its threads: the same on every version of Python.
    multiprocessing.set_start_method("spawn")
    from granian import Granian
    from granian.constants import HTTPModes, Interfaces, Loops, SSLProtocols
    from granian.http import HTTP1Settings
    from granian.log import LogLevels

    tls = assignment.settings.server.tls
    connections = _connections()
    Granian(
        "hyperfleet.assembly.application",
        address=assignment.address.host,
        port=assignment.address.port,
        interface=Interfaces.ASGI,
        # What the server bounds of a request, it bounds for HTTP/1; pollers gain nothing by the other one.
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(max_buffer_size=LARGEST_HEAD),
        ssl_cert=Path(tls.cert_file) if tls.enabled else None,
        ssl_key=Path(tls.key_file) if tls.enabled else None,
        ssl_protocol_min=SSLProtocols.tls12,
        loop=Loops.uvloop,
        workers=assignment.workers,
        websockets=False,
        backlog=BACKLOG,
        # As many connections as may be are taken: by default, a few thousand that say nothing shut out all others.
        backpressure=connections,
        respawn_failed_workers=True,
        workers_kill_timeout=math.ceil(assignment.settings.health.shutdown_timeout),
        log_level=LogLevels.warning,
        log_dictconfig=_LOGS,
    ).serve(target_loader=partial(_load, assignment, multiprocessing.Value("i", 0)), wrap_loader=False)


def _connections() -> int:
    """How many connections a worker may hold; lets this process and its workers open as many files as that needs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_CONNECTIONS + _OTHER_FILES
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return max(allowed - _OTHER_FILES, allowed // 2)


def _load(assignment: Assignment, started: Any) -> Any:
    """The application of a worker that begins; `started` counts the workers of all time."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    _watch_parent(parent.join, assignment)
    limit_unread(assignment.address.port, assignment.settings.server.timeouts.write)
    # Such a process ends without Python's own exit, which would write the lines that still wait.
    Finalize(None, logging.drain, exitpriority=0)
    _configure_logs(assignment)
    if assignment.settings.logging.otel.enabled:
        tracing.start(version=assignment.version, hostname=assignment.settings.server.hostname)
        Finalize(None, tracing.stop, exitpriority=1)
    from hyperfleet.assembly.application import assembled
    from hyperfleet.store.searches import Places
    from hyperfleet.telemetry import metrics

    metrics.start_at_zero()
    metrics.set_build_info(_commit(), ".".join(map(str, sys.version_info[:3])))
    with started.get_lock():
        started.value += 1
        is_first = started.value == 1
        is_replacement = started.value > assignment.workers
    shared = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
    if is_replacement:
        metrics.count_worker_replaced()
        deaths = Deaths(shared)
        deaths.add()
        pause = deaths.pause()
        logging.get("workers").warning("a worker died and was replaced", pid=os.getpid(), serves_after=pause)
        time.sleep(pause)
    # One is enough; one that takes the place of another may take the place of that one.
    application = assembled(
        assignment.settings,
        assignment.document,
        recomputes=is_first or is_replacement,
        slow_searches=Places.of(shared, assignment.workers),
    )
    # What is there by now stays, and a request leaves few cycles: the collector need not look so often.
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD, 20, 50)
    return application


def _configure_logs(assignment: Assignment) -> None:
    logging.configure(
        assignment.settings.logging, version=assignment.version, hostname=assignment.settings.server.hostname
    )


def _watch_parent(await_end: Callable[[], object], assignment: Assignment) -> None:
    """Ends this process after its parent, gracefully within the time that a stop may take."""

    def follow() -> None:
        await_end()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(assignment.settings.health.shutdown_timeout + _LEEWAY_SECONDS)
        logging.drain()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _commit() -> str:
    """The commit that the package was built from, as the build of an image leaves it beside the code."""
    file = resources.files(hyperfleet) / "commit"
    return file.read_text(encoding="utf-8").strip() if file.is_file() else "unknown"
