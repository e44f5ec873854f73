"""Large answers on their way to their callers: how many bytes wait in this process, and how long a caller may take.

The HTTP server takes a whole body at once and keeps it until the caller has read it (buffered.py). Given in pieces, it
takes the next one only when there is room, so what has not been taken yet can be counted, limited and given up.
"""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Hashable
from typing import Final

from starlette.types import Scope, Send

from hyperfleet.errors import Unavailable
from hyperfleet.http import sockets
from hyperfleet.http.buffered import Buffered
from hyperfleet.store.deadlines import within
from hyperfleet.store.shares import Share
from hyperfleet.telemetry import logging, metrics

SMALL: Final = 8 * 1024
"""Bodies up to this size are not counted: as many as there are connections fit into memory."""

WHOLE: Final = 256 * 1024
"""Bodies up to this size are sent whole, which is the cheapest; more than this the server does not take of others."""

PIECE: Final = 128 * 1024
"""The size of the pieces of larger bodies."""

SLOWEST: Final = 128 * 1024
"""Bytes a second at which a caller must read a large answer, on average."""

RETRY_AFTER: Final = 5

LIGHT: Final = 1 << 20
"""A list that is expected to have no more bytes is made at once, beside all others."""

TOGETHER: Final = 2
"""Larger lists that a worker makes at a time: each keeps a core busy, here and in the database."""

_ITEM: Final = 4096
_MOST_KEPT: Final = 1024

_log = logging.get("http")
_Peer = tuple[str, str]


class Unsent:
    """The bytes of answers that this process holds; `most` of them at a time."""

    def __init__(self, most: int, patience: float) -> None:
        self.most = most
        self.now = 0
        self.buffered = Buffered()
        self._lists: dict[Hashable, int] = {}
        self._expected = 0
        self._share = Share(TOGETHER)
        self._patience = patience
        self._doomed: set[_Peer] = set()
        self._closing: asyncio.Task[None] | None = None

    def lacks_room(self, size: int = 0) -> bool:
        """Whether so many bytes more are too many, or there are too many now; there is always room for one answer."""
        taken = self.now + self._expected + self.buffered.now
        return bool(taken) and taken + max(size, 1) > self.most

    async def find_room(self, size: int = 0) -> None:
        """Raises Unavailable when there is no room for this many more bytes."""
        if not self.lacks_room(size):
            return
        await self.buffered.settle()
        if self.lacks_room(size):
            raise Unavailable(
                "Too many large responses are still being read by callers; try again later, with a smaller "
                "`pageSize` or with `fields`.",
                retry_after=RETRY_AFTER,
            )

    async def made(self, name: Hashable, items: int, make: Callable[[], Awaitable[bytes]]) -> bytes:
        """The list that `make` makes: a large one has its bytes taken into account before, and waits for its turn.

        The size of a list is estimated from the previous list of that `name`, or from its number of items. Raises
        Unavailable when there is no room for it, or no turn before the request's deadline.
        """
        before = self._lists.get(name, 0)
        expected = before or items * _ITEM
        await self.find_room(expected if expected > LIGHT else 0)
        body = await (make() if expected <= LIGHT else self._in_turn(expected, make))
        if len(self._lists) >= _MOST_KEPT:
            self._lists.clear()
        self._lists[name] = max(len(body), before // 2)
        return body

    async def _in_turn(self, expected: int, make: Callable[[], Awaitable[bytes]]) -> bytes:
        self._expected += expected
        try:
            await self._enter()
            try:
                return await make()
            finally:
                self._share.leave()
        finally:
            self._expected -= expected

    async def _enter(self) -> None:
        try:
            await self._share.enter(within(self._patience))
        except TimeoutError:
            raise Unavailable(
                "Too many large lists are being prepared; try again later, with a smaller `pageSize` or with `fields`.",
                retry_after=RETRY_AFTER,
            ) from None

    def hold(self, size: int) -> None:
        """Counts bytes that wait from now on; a negative size when they do no longer."""
        self.now += size
        metrics.add_unsent_bytes(size)

    async def deliver(self, body: bytes, scope: Scope, send: Send) -> bool:
        """Sends a body, a large one in pieces as the caller reads it; whether it did, or its connection was closed."""
        if len(body) <= WHOLE:
            await send({"type": "http.response.body", "body": body})
            if len(body) > SMALL:
                self.buffered.add(scope["client"], len(body))
            return True
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
            _log.warning("a response was read too slowly", bytes=len(body), sent=sent, seconds=round(seconds, 1))
            self._close(scope)
            return False
        self.buffered.add(scope["client"], WHOLE)
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
    for each in sockets.own():
        # A listener has no peer.
        with contextlib.suppress(OSError):
            host, port = each.getpeername()[:2]
            if (str(host), str(port)) in peers:
                each.shutdown(socket.SHUT_RDWR)
                closed += 1
    return closed
