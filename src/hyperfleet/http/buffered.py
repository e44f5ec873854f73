"""Counts the responses that the HTTP server has accepted. They stay in memory until their callers have read them.

The server does not report when it has sent a response. The kernel does: while a caller is behind, its connection has
unacknowledged bytes. When there are none left, the server has sent everything.
"""

import asyncio
import contextlib
import fcntl
import struct
import termios
from pathlib import Path
from typing import Final

from hyperfleet.http import sockets

PAUSE_SECONDS: Final = 0.1
"""The time between two scans of the connections. A scan costs a few microseconds per connection."""

_HANDED_ON_SECONDS: Final = 0.05
"""How long the server may take to pass a response to the kernel."""

_INT: Final = struct.Struct("i")
_Peer = tuple[str, str]


class Buffered:
    """Bytes accepted by the server, by connection: an upper bound of what is unread. 0 on systems without /proc."""

    def __init__(self) -> None:
        self.now = 0
        self._answers: dict[_Peer, tuple[int, float]] = {}
        self._is_known = Path("/proc/self/fd").is_dir()
        self._looking: asyncio.Task[None] | None = None
        self._looked_at = float("-inf")

    def add(self, client: tuple[object, object], size: int) -> None:
        """Records that the server has accepted `size` bytes for this caller."""
        if not self._is_known:
            return
        peer = (str(client[0]), str(client[1]))
        before = self._answers.get(peer)
        self._answers[peer] = (size + (before[0] if before else 0), asyncio.get_running_loop().time())
        self.now += size

    async def settle(self) -> None:
        """Drops what callers have read, and connections that are closed, unless a scan has just been made."""
        if self._looking is None or self._looking.done():
            if asyncio.get_running_loop().time() < self._looked_at + PAUSE_SECONDS:
                return
            self._looking = asyncio.create_task(self._look())
        await asyncio.shield(self._looking)

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        handed_on = loop.time() - _HANDED_ON_SECONDS
        behind = await asyncio.to_thread(peers_behind)
        for peer, (size, at) in list(self._answers.items()):
            if at < handed_on and peer not in behind:
                del self._answers[peer]
                self.now -= size
        self._looked_at = loop.time()


def peers_behind() -> frozenset[_Peer]:
    """The addresses and ports of callers that have not acknowledged everything sent to them."""
    found = set()
    for each in sockets.own():
        # A listener has no peer.
        with contextlib.suppress(OSError):
            unacknowledged = fcntl.ioctl(each.fileno(), termios.TIOCOUTQ, bytes(_INT.size))
            if _INT.unpack(unacknowledged)[0]:
                host, port = each.getpeername()[:2]
                found.add((str(host), str(port)))
    return frozenset(found)
