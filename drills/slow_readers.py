"""Callers read lists slowly or stop reading: their unsent bytes must stay bounded, and others must not notice."""

import contextlib
import socket
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Final

from drills.crowds import Probes, held
from drills.readers import Memory, fill
from testbed.calls import CLUSTERS
from testbed.serving import Service

HEAD = (
    *("readers", "connections", "200", "503", "largest worker MB", "most unsent MB", "reads beside them", "failed"),
    *("p50 ms", "p99 ms", "all gone after s"),
)
ROWS: Final = 1_000
ROW_BYTES: Final = 4_000
CROWD: Final = 200
BURST: Final = 25
SLOW_BYTES: Final = 16_000
WRITE_SECONDS: Final = 10.0
GONE_WITHIN_SECONDS: Final = 75.0
MOST_MB: Final = 400.0
MOST_SECONDS: Final = 1.0
CROWDS: Final = (
    ("nobody", 0, 0, ROWS),
    ("16 KB/s each", CROWD, SLOW_BYTES, ROWS),
    ("stopped", CROWD, 0, ROWS),
    ("stopped, lists of 250 KB", 15 * CROWD, 0, 60),
)
"""For each crowd: its name, its size, the bytes per second that each caller reads, and its `pageSize`."""


class Readers:
    """Connections that each request a list of `size` resources and read `pace` bytes of it per second until `close`."""

    def __init__(self, port: int, count: int, pace: int, size: int) -> None:
        self.answers: Counter[str] = Counter()
        self._over = threading.Event()
        self._sockets: list[socket.socket] = []
        for number in range(count):
            self._sockets.append(self._connected(port, size))
            # Requests that all came at once would exceed what may be in flight.
            if number % BURST == BURST - 1:
                time.sleep(0.05)
        self._thread = threading.Thread(target=self._read, args=(pace,), daemon=True)
        self._thread.start()

    def _connected(self, port: int, size: int) -> socket.socket:
        made = socket.socket()
        # A small receive buffer, so that the list does not fit into the kernel's buffers.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2 * SLOW_BYTES)
        made.settimeout(30)
        made.connect(("127.0.0.1", port))
        made.sendall(f"GET {CLUSTERS}?pageSize={size} HTTP/1.1\r\nHost: drill\r\n\r\n".encode())
        return made

    def _read(self, pace: int) -> None:
        for each in self._sockets:
            try:
                self.answers[each.recv(12)[-3:].decode()] += 1
            except OSError:
                self.answers["closed"] += 1
            each.settimeout(0)
        while pace and not self._over.wait(1.0):
            for each in self._sockets:
                with contextlib.suppress(OSError):
                    each.recv(pace)

    def close(self) -> None:
        """Closes all connections."""
        self._over.set()
        self._thread.join()
        for each in self._sockets:
            each.close()


def drill(folder: Path) -> list[list[str]]:
    """A row for each crowd; raises AssertionError when others were slow, or the service held too much for too long."""
    variables = {"HYPERFLEET_SERVER_WORKERS": "2", "HYPERFLEET_SERVER_TIMEOUTS_WRITE": f"{WRITE_SECONDS:.0f}s"}
    service = Service(folder, variables=variables).start()
    rows = []
    wrong = []
    try:
        service.ready()
        ids = fill(service.api, ROWS, ROW_BYTES)
        for name, count, pace, size in CROWDS:
            memory, probes = Memory(service), Probes(service.api, f"{CLUSTERS}/{ids[0]}")
            began = time.monotonic()
            readers = Readers(service.api, count, pace, size)
            time.sleep(WRITE_SECONDS / 2)
            unsent = service.metric("hyperfleet_api_unsent_bytes")
            time.sleep(WRITE_SECONDS / 2)
            probes.end()
            gone = _gone(service, began)
            readers.close()
            ordered = sorted(probes.seconds)
            p99 = ordered[len(ordered) * 99 // 100]
            most = memory.end()
            rows.append(
                [
                    *(name, str(count), str(readers.answers["200"]), str(readers.answers["503"]), f"{most:.0f}"),
                    *(f"{unsent / 1e6:.0f}", f"{len(ordered):,}", str(probes.failed)),
                    *(f"{ordered[len(ordered) // 2] * 1000:.1f}", f"{p99 * 1000:.1f}", f"{gone:.0f}"),
                ]
            )
            answered = sum(readers.answers[told] for told in ("200", "503", "closed")) == count
            if not answered or probes.failed or p99 > MOST_SECONDS or most > MOST_MB or gone > GONE_WITHIN_SECONDS:
                wrong.append(name)
    finally:
        service.stop()
    assert not wrong, (wrong, rows)
    return rows


def _gone(service: Service, began: float) -> float:
    """The seconds until the service holds neither unsent bytes nor connections."""
    while time.monotonic() < began + GONE_WITHIN_SECONDS + 1:
        if not held(service.api) and not service.metric("hyperfleet_api_unsent_bytes"):
            break
        time.sleep(0.5)
    return time.monotonic() - began
