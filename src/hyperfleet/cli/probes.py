"""The listeners for health and metrics: threads of the parent process, so that they answer while workers start or stop.

Readiness asks the database over a connection of its own: a full pool or a busy worker does not make an instance
unready, and a probe never waits behind requests.
"""

import asyncio
import json
import os
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic
from typing import Any, Final, NamedTuple

from hyperfleet import settings
from hyperfleet.cli import certificates
from hyperfleet.cli.addresses import Address, refusal
from hyperfleet.cli.deaths import Deaths
from hyperfleet.errors import Unavailable
from hyperfleet.telemetry import logging

METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
SHARED_SECONDS: Final = 0.5
"""How long one answer of the database serves all probes: several probers open one connection, not one each."""

_SOCKET_SECONDS: Final = 10.0

_log = logging.get("probes")


class Page(NamedTuple):
    """An answer to a GET."""

    status: int
    media_type: str
    body: bytes


class Readiness:
    """Whether requests should come here: `stage` is None while the service is up, else what keeps it from serving."""

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
                # A farewell to a database that has gone silent is never answered; after one that was, this is nothing.
                connection.terminate()
    except TimeoutError:
        return f"The database did not answer within {timeout:g} s."
    except Exception as failure:  # noqa: BLE001 - whatever it is, the database cannot be used
        _log.warning("the database does not answer", driver=type(failure).__name__, text=str(failure))
        return "The database is not available."
    return None


def health_pages(readiness: Readiness) -> dict[str, Callable[[], Page]]:
    """What the health listener serves, by path."""

    def alive() -> Page:
        return _line(200, {"status": "ok"})

    def ready() -> Page:
        reasons = readiness.reasons()
        return _line(503, {"status": "not ready", "reasons": reasons}) if reasons else _line(200, {"status": "ready"})

    return {"/healthz": alive, "/healthcheck": alive, "/readyz": ready}


def metrics_pages(directory: Path, fleet: Callable[[], bytes]) -> dict[str, Callable[[], Page]]:
    """What the metrics listener serves, by path.

    `directory` is the one that the workers count in, `fleet` gives what is read from the database.
    """

    def metrics() -> Page:
        # First the reading: what fails in it is counted, and the count is among the rest.
        from_database = fleet()
        return Page(200, METRICS_TYPE, _summed(directory) + from_database)

    return {"/metrics": metrics}


def _line(status: int, content: object) -> Page:
    return Page(status, "application/json", json.dumps(content).encode() + b"\n")


def _summed(directory: Path) -> bytes:
    from prometheus_client import CollectorRegistry
    from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

    from hyperfleet.telemetry.metrics import exposition

    # What a dead worker counted stays; how many requests or connections it had open does not.
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


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: Address, pages: dict[str, Callable[[], Page]], tls: settings.Tls) -> None:
        self.address_family = address.family
        self.pages = pages
        self._tls = certificates.context(tls) if tls.enabled else None
        super().__init__((address.host, address.port), _Handler)

    def server_bind(self) -> None:
        """Binds without asking the name server for this machine's name, which may take seconds."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def get_request(self) -> tuple[socket.socket, Any]:
        """The next connection; hands shaken in its own thread, so that one who does not offer his holds up nobody."""
        connection, client = super().get_request()
        if self._tls is not None:
            connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, client

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 - the library's signature
        """A record instead of a stack on standard error; a prober that hangs up is no event."""
        failure = sys.exception()
        if isinstance(failure, ConnectionError | TimeoutError | ssl.SSLError):
            _log.debug("a prober went away", client=client_address)
        else:
            _log.error("a probe failed", client=client_address, exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "hyperfleet-api"
    sys_version = ""
    timeout = _SOCKET_SECONDS
    server: _Listener

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        path = self.path.partition("?")[0]
        page = self.server.pages.get(path)
        answer = page() if page else _line(404, {"paths": sorted(self.server.pages)})
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.media_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if with_body:
            self.wfile.write(answer.body)
        _log.debug("probe", path=path, status=answer.status)

    def log_message(self, format: str, *arguments: object) -> None:
        """Its own lines on standard error say nothing that the record above does not."""


@contextmanager
def listening(
    address: Address, setting: str, pages: dict[str, Callable[[], Page]], tls: settings.Tls
) -> Iterator[None]:
    """Serves these pages while the context lasts; raises Unavailable when the port cannot be had."""
    try:
        listener = _Listener(address, pages, tls)
    except OSError as failure:
        raise Unavailable(refusal(failure, address, setting)) from failure
    thread = threading.Thread(target=listener.serve_forever, args=(0.1,), name=setting, daemon=True)
    thread.start()
    try:
        yield
    finally:
        listener.shutdown()
        listener.server_close()
