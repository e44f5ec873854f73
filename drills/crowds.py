"""Crowds of callers hold connections and send nothing, little, or too much; other callers must not notice."""

import contextlib
import http.client
import resource
import socket
import struct
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from testbed.calls import CLUSTERS
from testbed.serving import Service

HEAD = ("crowd", "connections", "requests beside it", "failed", "p50 ms", "p99 ms", "still open after s")
HELD_SECONDS: Final = 10.0
PROBES: Final = 4
TCP_REPAIR: Final = 19
"""The socket option that lets root close a connection without sending anything to the other end."""

CROWD: Final = 6_000
GONE_WITHIN_SECONDS: Final = 90.0
WORKERS: Final = 2


class Crowd:
    """Connections that send `first` once, and then `again` every second until they are closed."""

    def __init__(self, count: int, first: bytes, again: bytes, port: int) -> None:
        self.sockets: list[socket.socket] = []
        self._over = threading.Event()
        self._again = again
        for _ in range(count):
            with contextlib.suppress(OSError):
                made = socket.create_connection(("127.0.0.1", port), 5)
                made.settimeout(1)
                self.sockets.append(made)
                if first:
                    made.sendall(first)
        self._thread = threading.Thread(target=self._trickle, daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        return len(self.sockets)

    def close(self) -> None:
        """Closes all connections."""
        self._over.set()
        self._thread.join()
        for each in self.sockets:
            each.close()

    def _trickle(self) -> None:
        while not self._over.wait(1.0):
            if self._again:
                for each in self.sockets:
                    with contextlib.suppress(OSError):
                        each.sendall(self._again)


class Flood:
    """One caller that connects and disconnects as fast as it can."""

    def __init__(self, port: int) -> None:
        self._count = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._come_and_go, args=(port,), daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        return self._count

    def close(self) -> None:
        """Stops connecting."""
        self._over.set()
        self._thread.join()

    def _come_and_go(self, port: int) -> None:
        while not self._over.is_set():
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5) as each:
                # Close with a reset, so that our port does not stay in TIME_WAIT.
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self._count += 1


def vanished(count: int, port: int) -> Crowd:
    """Callers whose machine failed in the middle of a request line: their ends close without notice."""
    crowd = Crowd(count, b"GET /api/hyp", b"", port)
    for each in crowd.sockets:
        each.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
        each.close()
    return crowd


def held(port: int) -> int:
    """How many connections the service holds: established, or closed only by the caller."""
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return sum(row[1].endswith(f":{port:04X}") and row[3] in ("01", "08") for row in rows)


class Probes:
    """Well-behaved callers that repeat a read until `end`."""

    def __init__(self, port: int, path: str = f"{CLUSTERS}?pageSize=1") -> None:
        self.seconds: list[float] = []
        self.failed = 0
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(port, path), daemon=True) for _ in range(PROBES)]
        for thread in self._threads:
            thread.start()

    def _ask(self, port: int, path: str) -> None:
        while not self._over.is_set():
            began = time.perf_counter()
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            try:
                connection.request("GET", path)
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
        """Stops the callers, each after its last answer."""
        self._over.set()
        for thread in self._threads:
            thread.join()


_HEAD: Final = b"POST /api/hyperfleet/v1/clusters HTTP/1.1\r\nHost: drill\r\nContent-Type: application/json\r\n"
UNREAD: Final = b"GET /api/hyperfleet/v1/openapi HTTP/1.1\r\nHost: drill\r\n\r\n" * 20
CROWDS: Final[tuple[tuple[str, Callable[[int], Crowd | Flood]], ...]] = (
    ("nobody", partial(Crowd, 0, b"", b"")),
    ("connected and silent", partial(Crowd, CROWD, b"", b"")),
    ("half a request line", partial(Crowd, CROWD, b"GET /api/hyp", b"")),
    ("gone without a word", partial(vanished, CROWD)),
    ("coming and going", Flood),
    ("a header that trickles", partial(Crowd, 1_000, b"GET /api/hyperfleet HTTP/1.1\r\nX-Slow: ", b"a")),
    ("a body that trickles", partial(Crowd, 300, _HEAD + b"Content-Length: 100000\r\n\r\n{", b" ")),
    ("a body that never comes", partial(Crowd, 300, _HEAD + b"Content-Length: 100\r\n\r\n", b"")),
    ("1 MB of headers", partial(Crowd, 300, b"GET /api/hyperfleet HTTP/1.1\r\nX-Long: " + b"a" * 1_000_000, b"")),
    (
        "answers that are not read",
        partial(Crowd, 300, b"GET /api/hyperfleet/v1/openapi HTTP/1.1\r\nHost: drill\r\n\r\n" * 20, b""),
    ),
)


def drill(folder: Path) -> list[list[str]]:
    """A row for each crowd; raises AssertionError when another caller's request failed, or connections stay open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 20_000), hard), hard))
    service = Service(folder, HYPERFLEET_SERVER_WORKERS=str(WORKERS)).start()
    rows: list[list[str]] = []
    wrong: list[str] = []
    try:
        service.ready()
        for name, gather in CROWDS:
            crowd = gather(service.api)
            probes = Probes(service.api)
            time.sleep(HELD_SECONDS)
            probes.end()
            if isinstance(crowd, Flood):
                crowd.close()
            began, still = time.monotonic(), held(service.api)
            while still and time.monotonic() < began + GONE_WITHIN_SECONDS:
                time.sleep(1)
                still = held(service.api)
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
