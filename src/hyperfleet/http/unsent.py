"""Large answers on their way to their callers: how many bytes wait in this process, and how long a caller may take.

The HTTP server takes a whole body at once and keeps it until the caller has read it. Given in pieces, it takes the next
one only when there is room, so what has not been taken yet can be counted, limited and given up.
"""

import asyncio
import contextlib
import os
import socket
import stat
from pathlib import Path
from typing import Final

from starlette.types import Scope, Send

from hyperfleet.errors import Unavailable
from hyperfleet.telemetry import logging, metrics

PIECE: Final = 128 * 1024
"""Bodies up to this size are sent whole and not counted: the server's buffer of a connection holds three of them."""

SLOWEST: Final = 128 * 1024
"""Bytes a second at which a caller must read a large answer, on average."""

RETRY_AFTER: Final = 5

_log = logging.get("http")
_Peer = tuple[str, str]


class Unsent:
    """The bytes of large answers that this process holds; `most` of them at a time."""

    def __init__(self, most: int, patience: float) -> None:
        self.most = most
        self.now = 0
        self._patience = patience
        self._doomed: set[_Peer] = set()
        self._closing: asyncio.Task[None] | None = None

    def require_room(self, size: int = 0) -> None:
        """Raises Unavailable when so many bytes more are too many, or there are too many now.

        There is always room for one answer.
        """
        if self.now and self.now + max(size, 1) > self.most:
            raise Unavailable(
                "Callers have not read earlier answers of this service yet; try again later, with a smaller `pageSize`"
                " or with `fields`.",
                retry_after=RETRY_AFTER,
            )

    def hold(self, size: int) -> None:
        """Counts bytes that wait from now on; a negative size when they do no longer."""
        self.now += size
        metrics.add_unsent_bytes(size)

    async def deliver(self, body: bytes, scope: Scope, send: Send) -> bool:
        """Sends a body in pieces as the caller reads it; whether it did, or its connection was closed."""
        seconds = self._patience + len(body) / SLOWEST
        sent = 0
        try:
            async with asyncio.timeout(seconds):
                while sent < len(body):
                    piece = body[sent : sent + PIECE]
                    more = sent + len(piece) < len(body)
                    await send({"type": "http.response.body", "body": piece, "more_body": more})
                    sent += len(piece)
        except TimeoutError:
            metrics.count_abandoned_answer()
            _log.warning("an answer was read too slowly", bytes=len(body), sent=sent, seconds=round(seconds, 1))
            self._close(scope)
            return False
        return True

    def _close(self, scope: Scope) -> None:
        """Closes the caller's connection, soon: what the server has buffered would go on to the caller for long."""
        host, port = scope["client"]
        self._doomed.add((str(host), str(port)))
        if self._closing is None or self._closing.done():
            self._closing = asyncio.create_task(self._close_doomed())

    async def _close_doomed(self) -> None:
        while self._doomed:
            doomed, self._doomed = frozenset(self._doomed), set()
            await asyncio.to_thread(close_connections, doomed)


def close_connections(peers: frozenset[_Peer]) -> int:
    """Closes this process's connections with these addresses and ports; how many. None where the system hides them."""
    closed = 0
    with contextlib.suppress(OSError):
        for entry in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):
                descriptor = int(entry.name)
                if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                    continue
                with socket.socket(fileno=os.dup(descriptor)) as each:
                    if each.family not in (socket.AF_INET, socket.AF_INET6):
                        continue
                    host, port = each.getpeername()[:2]
                    if (str(host), str(port)) in peers:
                        each.shutdown(socket.SHUT_RDWR)
                        closed += 1
    return closed
