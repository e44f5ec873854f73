"""Limits large answers on their way to callers: how many bytes wait in this process, and how long a caller may take.

The HTTP server accepts a whole body at once and keeps it until the caller has read it (buffered.py). It accepts the
next piece of a body only when it has room, so unsent pieces can be counted, limited and dropped.
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
"""Bodies up to this size are not counted: one for every connection fits into memory."""

WHOLE: Final = 256 * 1024
"""Bodies up to this size are sent whole, which is cheapest; of larger ones the server buffers no more than this."""

PIECE: Final = 128 * 1024
"""The size of the pieces of larger bodies."""

SLOWEST: Final = 128 * 1024
"""The bytes per second at which a caller must read a large answer, on average."""

RETRY_AFTER: Final = 5

LIGHT: Final = 1 << 20
"""A list with an expected size up to this many bytes is prepared at once, without a turn."""

TOGETHER: Final = 2
"""How many larger lists a worker prepares at a time; each keeps a core busy, here and in the database."""

_ITEM: Final = 4096
_MOST_KEPT: Final = 1024

_log = logging.get("http")
_Peer = tuple[str, str]


class Unsent:
    """Counts the bytes of unsent answers in this process, `most` at a time. `patience` is in seconds."""

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
        """Whether `size` more bytes would exceed the limit. There is always room for one answer."""
        taken = self.now + self._expected + self.buffered.now
        return bool(taken) and taken + max(size, 1) > self.most

    async def find_room(self, size: int = 0) -> None:
        """Raises Unavailable when there is no room for `size` more bytes."""
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
        """The list that `make` returns. A large list reserves its expected size first, and waits for its turn.

        The expected size comes from the previous list of that `name`, else from the number of items. Raises Unavailable
        when there is no room for the list, or no turn before the request's deadline.
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
        """Counts `size` more bytes as unsent; a negative size when they are sent or dropped."""
        self.now += size
        metrics.add_unsent_bytes(size)

    async def deliver(self, body: bytes, scope: Scope, send: Send) -> bool:
        """Sends a body, a large one in pieces as the caller reads it; False when the caller was too slow."""
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
        """Closes the caller's connection soon; otherwise the server would keep sending its buffer for a long time."""
        host, port = scope["client"]
        self._doomed.add((str(host), str(port)))
        if self._closing is None or self._closing.done():
            self._closing = asyncio.create_task(self._close_doomed())

    async def _close_doomed(self) -> None:
        while self._doomed:
            doomed, self._doomed = frozenset(self._doomed), set()
            await asyncio.to_thread(close_connections, doomed)


def close_connections(peers: frozenset[_Peer]) -> int:
    """Closes this process's connections to these peers, and returns how many; 0 on systems without /proc."""
    closed = 0
    for each in sockets.own():
        # A listener has no peer.
        with contextlib.suppress(OSError):
            host, port = each.getpeername()[:2]
            if (str(host), str(port)) in peers:
                each.shutdown(socket.SHUT_RDWR)
                closed += 1
    return closed
