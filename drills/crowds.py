"""Callers that hold connections and say nothing, or little, or too much, while others are served as ever."""

import contextlib
import http.client
import resource
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.cli.serving import CLUSTERS, Service

HEAD = ("crowd", "connections", "requests beside it", "failed", "p50 ms", "p99 ms", "still open after s")
HELD_SECONDS: Final = 10.0
PROBES: Final = 4
CROWD: Final = 6_000
GONE_WITHIN_SECONDS: Final = 90.0
WORKERS: Final = 2

Do = Callable[[int], None]


class Crowd:
    """Connections that each do one thing again and again until they are closed."""

    def __init__(self, port: int, count: int, first: bytes, again: bytes, every: float) -> None:
        self._sockets: list[socket.socket] = []
        self._over = threading.Event()
        self._again, self._every = again, every
        for _ in range(count):
            with contextlib.suppress(OSError):
                made = socket.create_connection(("127.0.0.1", port), 5)
                made.settimeout(1)
                self._sockets.append(made)
                if first:
                    made.sendall(first)
        self._thread = threading.Thread(target=self._trickle, daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        return len(self._sockets)

    def open(self) -> int:
        """How many of them the service has not closed."""
        still = 0
        for each in self._sockets:
            each.setblocking(False)
            try:
                while each.recv(65536):
                    pass
            except BlockingIOError:
                still += 1
            except OSError:
                pass
        return still

    def close(self) -> None:
        """Ends them all."""
        self._over.set()
        self._thread.join()
        for each in self._sockets:
            each.close()

    def _trickle(self) -> None:
        while not self._over.wait(self._every):
            if self._again:
                for each in self._sockets:
                    with contextlib.suppress(OSError):
                        each.sendall(self._again)


class Probes:
    """Callers as they should be, who ask all the while."""

    def __init__(self, port: int) -> None:
        self.seconds: list[float] = []
        self.failed = 0
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(port,), daemon=True) for _ in range(PROBES)]
        for thread in self._threads:
            thread.start()

    def _ask(self, port: int) -> None:
        while not self._over.is_set():
            began = time.perf_counter()
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            try:
                connection.request("GET", f"{CLUSTERS}?pageSize=1")
                answer = connection.getresponse()
                answer.read()
                self.failed += answer.status != 200
            except (OSError, http.client.HTTPException):
                self.failed += 1
            finally:
                connection.close()
            self.seconds.append(time.perf_counter() - began)
            time.sleep(0.02)

    def end(self) -> None:
        """Lets each have its answer."""
        self._over.set()
        for thread in self._threads:
            thread.join()


_HEAD: Final = b"POST /api/hyperfleet/v1/clusters HTTP/1.1\r\nHost: drill\r\nContent-Type: application/json\r\n"
CROWDS: Final = (
    ("nobody", 0, b"", b"", 1.0),
    ("connected and silent", CROWD, b"", b"", 1.0),
    ("half a request line", CROWD, b"GET /api/hyp", b"", 1.0),
    ("a header that trickles", 1_000, b"GET /api/hyperfleet HTTP/1.1\r\nX-Slow: ", b"a", 1.0),
    ("a body that trickles", 300, _HEAD + b"Content-Length: 100000\r\n\r\n{", b" ", 1.0),
    ("a body that never comes", 300, _HEAD + b"Content-Length: 100\r\n\r\n", b"", 1.0),
    ("1 MB of headers", 300, b"GET /api/hyperfleet HTTP/1.1\r\nX-Long: " + b"a" * 1_000_000, b"", 1.0),
    (
        "answers that are not read",
        300,
        b"GET /api/hyperfleet/v1/openapi HTTP/1.1\r\nHost: drill\r\n\r\n" * 20,
        b"",
        1.0,
    ),
)


def drill(folder: Path) -> list[list[str]]:
    """A row for each crowd; raises AssertionError when a request beside it failed, or its connections stay."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 20_000), hard), hard))
    service = Service(folder, HYPERFLEET_SERVER_WORKERS=str(WORKERS)).start()
    rows: list[list[str]] = []
    wrong: list[str] = []
    try:
        service.ready()
        for name, count, first, again, every in CROWDS:
            crowd = Crowd(service.api, count, first, again, every)
            probes = Probes(service.api)
            time.sleep(HELD_SECONDS)
            probes.end()
            began, still = time.monotonic(), crowd.open()
            while still and time.monotonic() < began + GONE_WITHIN_SECONDS:
                time.sleep(1)
                still = crowd.open()
            took = HELD_SECONDS + time.monotonic() - began
            ordered = sorted(probes.seconds)
            rows.append(
                [
                    name,
                    f"{len(crowd):,}",
                    f"{len(ordered):,}",
                    str(probes.failed),
                    f"{ordered[len(ordered) // 2] * 1000:.1f}",
                    f"{ordered[len(ordered) * 99 // 100] * 1000:.1f}",
                    f"{still:,} at {took:.0f}" if still else f"none at {took:.0f}",
                ]
            )
            if probes.failed or still:
                wrong.append(name)
            crowd.close()
            assert service.status(service.health, "/readyz") == 200
    finally:
        service.stop()
    assert not wrong, (wrong, rows)
    return rows
