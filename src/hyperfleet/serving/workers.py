"""The HTTP server and its workers: a process apart from the parent, because it stops listening on the first signal.

The parent sends SIGTERM when it is time to stop. Settings arrive on standard input; its end means that the parent has
exited, for whatever reason. Workers watch this process in the same way, so a hard kill leaves no process behind.
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
"""The most connections of a worker, where the system allows it. Each takes 6 KB, 20 KB after its first request, so even
this number fits into a small container."""

LARGEST_HEAD: Final = 128 << 10
"""The most bytes of an incomplete request head that a connection may buffer. In a complete head, the address may have
64 KiB; the application limits the headers."""

_OTHER_FILES: Final = 256
"""Open files other than callers' connections: the database's, logs, metrics, the interpreter's."""

GARBAGE_THRESHOLD: Final = 20_000
_LEEWAY_SECONDS: Final = 1.0

# The server's own records go through our logging; by default it writes plain text to standard output.
_LOGS: Final[dict[str, Any]] = {
    "formatters": {},
    "handlers": {},
    "loggers": {"_granian": {"handlers": [], "propagate": True}},
}


@dataclass(frozen=True)
class Assignment:
    """What the parent has this process serve; `document` is the OpenAPI document that validates specs."""

    settings: settings.Settings
    address: Address
    workers: int
    version: str
    document: dict[str, Any]


def main() -> None:
    """Serves until SIGTERM or until the parent exits; PROMETHEUS_MULTIPROC_DIR must be set."""
    assignment: Assignment = pickle.load(sys.stdin.buffer)
    # Not through sys.stdin: a thread blocked on its lock would hang the interpreter's exit.
    _watch_parent(partial(os.read, sys.stdin.fileno(), 1), assignment)
    _configure_logs(assignment)
    # Spawn rather than fork: a fork would copy this process without its threads. The default depends on Python's
    # version.
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
        # The server's request limits apply to HTTP/1 only, and pollers would gain nothing from HTTP/2.
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(max_buffer_size=LARGEST_HEAD),
        ssl_cert=Path(tls.cert_file) if tls.enabled else None,
        ssl_key=Path(tls.key_file) if tls.enabled else None,
        ssl_protocol_min=SSLProtocols.tls12,
        loop=Loops.uvloop,
        workers=assignment.workers,
        websockets=False,
        backlog=BACKLOG,
        # Accept as many connections as allowed: by default a few thousand idle ones would shut out all others.
        backpressure=connections,
        respawn_failed_workers=True,
        workers_kill_timeout=math.ceil(assignment.settings.health.shutdown_timeout),
        log_level=LogLevels.warning,
        log_dictconfig=_LOGS,
    ).serve(target_loader=partial(_load, assignment, multiprocessing.Value("i", 0)), wrap_loader=False)


def _connections() -> int:
    """The number of connections that a worker may hold; raises the limit of open files accordingly."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_CONNECTIONS + _OTHER_FILES
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return max(allowed - _OTHER_FILES, allowed // 2)


def _load(assignment: Assignment, started: Any) -> Any:
    """Builds the application in a new worker; `started` counts all workers ever started."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    _watch_parent(parent.join, assignment)
    limit_unread(assignment.address.port, assignment.settings.server.timeouts.write)
    # Such a process skips Python's exit handlers, which would write the buffered log lines.
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
    # One worker is enough to recompute. A replacement recomputes too, because it may replace that worker.
    application = assembled(
        assignment.settings,
        assignment.document,
        recomputes=is_first or is_replacement,
        slow_searches=Places.of(shared, assignment.workers),
    )
    # Existing objects stay, and a request leaves few cycles, so the garbage collector can run less often.
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD, 20, 50)
    return application


def _configure_logs(assignment: Assignment) -> None:
    logging.configure(
        assignment.settings.logging, version=assignment.version, hostname=assignment.settings.server.hostname
    )


def _watch_parent(await_end: Callable[[], object], assignment: Assignment) -> None:
    """Ends this process after its parent has exited: gracefully, but within the shutdown timeout."""

    def follow() -> None:
        await_end()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(assignment.settings.health.shutdown_timeout + _LEEWAY_SECONDS)
        logging.drain()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _commit() -> str:
    """The commit that the package was built from; the image build writes it to a file beside the code."""
    file = resources.files(hyperfleet) / "commit"
    return file.read_text(encoding="utf-8").strip() if file.is_file() else "unknown"
