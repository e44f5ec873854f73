"""Shares of a worker's connections, so that no sort of work and no locked row can take them all.

Work enters its share before it asks for a connection, and waits there in order of arrival. Work that needs several
shares enters them in one order: the row that it writes, the rows that must stay, the narrower share, the wider share.
So nothing holds a place in a wide share while it waits for a narrow one, and waits cannot deadlock.
"""

import asyncio
from collections.abc import AsyncIterator, Hashable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Final

from hyperfleet.errors import Unavailable
from hyperfleet.store.deadlines import within
from hyperfleet.telemetry import metrics

QUICK_SEARCHES_PER_CONNECTION: Final = 0.125
"""The fraction of the connections that quick searches may use; the contract allows half for all searches."""

DELETIONS_PER_CONNECTION: Final = 0.25
SHARERS_PER_CONNECTION: Final = 0.25
RESERVED_PER_CONNECTION: Final = 0.125

SEARCHES_IN_FLIGHT: Final = 0.5
"""The fraction of the requests in flight that may be searches."""

STALLED_WAITERS_IN_FLIGHT: Final = 0.25
"""When this fraction of the requests in flight waits for rows, new requests for a stalled row are refused at once."""

STALLED_SECONDS: Final = 1.0
"""A row is stalled when no request got a turn at it for this long: another process holds its lock."""

_MOMENT_SECONDS: Final = 0.001


class Held(Unavailable):
    """A write did not get a lock in time; nothing was stored."""

    def __init__(self) -> None:
        super().__init__("Timed out waiting for a lock that another session holds. Nothing was stored; try again.")


@dataclass(frozen=True, slots=True)
class Widths:
    """How many may be in each share at once.

    `others` is for everything but plain reads, and includes `quick_searches` and `deletions`; the remaining connections
    are for plain reads alone. `row` is for writers of one row. `sharers` is for writes that need a row to stay, because
    they create its children or reference it. When there are `searches` searches, or `stalled_waiters` waiters, more are
    refused at once.
    """

    quick_searches: int
    deletions: int
    others: int
    row: int
    sharers: int
    searches: int
    stalled_waiters: int

    @classmethod
    def of(cls, connections: int, in_flight: int) -> "Widths":
        """The widths for this many connections and requests in flight."""
        reserved = max(1, int(connections * RESERVED_PER_CONNECTION)) if connections > 2 else 0
        return cls(
            quick_searches=max(1, int(connections * QUICK_SEARCHES_PER_CONNECTION)),
            deletions=max(1, int(connections * DELETIONS_PER_CONNECTION)),
            others=connections - reserved,
            row=1,
            sharers=max(1, int(connections * SHARERS_PER_CONNECTION)),
            searches=max(1, int(in_flight * SEARCHES_IN_FLIGHT)),
            stalled_waiters=max(1, int(in_flight * STALLED_WAITERS_IN_FLIGHT)),
        )


class Share:
    """Admits at most `width` at a time; the others wait in order of arrival."""

    __slots__ = ("_places", "_waits", "entered", "inside", "waiting")

    def __init__(self, width: int) -> None:
        self._places = asyncio.Semaphore(width)
        self._waits: set[asyncio.Timeout] = set()
        self.inside = 0
        self.waiting = 0
        self.entered = 0.0

    @property
    def is_full(self) -> bool:
        """Whether entering now means waiting."""
        return self._places.locked()

    async def enter(self, until: float) -> bool:
        """Takes a place; returns whether it had to wait. Raises TimeoutError when no place is free by `until`."""
        waits = self._places.locked()
        if waits:
            wait = asyncio.timeout_at(until)
            self._waits.add(wait)
            self.waiting += 1
            try:
                async with wait:
                    await self._places.acquire()
            finally:
                self._waits.discard(wait)
                self.waiting -= 1
        else:
            await self._places.acquire()
        self.inside += 1
        return waits

    @asynccontextmanager
    async def place(self, until: float) -> AsyncIterator[None]:
        """Holds a place while the context lasts. Raises TimeoutError when no place is free by `until`."""
        await self.enter(until)
        try:
            yield
        finally:
            self.leave()

    def send_away(self) -> None:
        """Ends all waits with TimeoutError. A wait that times out by itself at this moment must not be rescheduled."""
        now = asyncio.get_running_loop().time()
        for wait in self._waits:
            end = wait.when()
            if end is not None and end > now + _MOMENT_SECONDS:
                wait.reschedule(now)

    def leave(self) -> None:
        """Frees the place for the waiter that has waited longest."""
        self._places.release()
        self.inside -= 1


class Turns:
    """A share for each row that is being written, by key; a share is dropped when its last user leaves."""

    def __init__(self, width: int, *, stalled_waiters: int) -> None:
        self._width = width
        self._stalled_waiters = stalled_waiters
        self._shares: dict[Hashable, Share] = {}
        self.waiting = 0

    async def enter(self, row: Hashable, seconds: float) -> bool:
        """Takes a turn; returns whether it had to wait. Raises Unavailable when there is none within `seconds`."""
        share = self._shares.get(row)
        if share is None:
            share = self._shares[row] = Share(self._width)
        now = asyncio.get_running_loop().time()
        if not share.is_full:
            await share.enter(now)
            share.entered = now
            return False
        if self.waiting >= self._stalled_waiters and now - share.entered > STALLED_SECONDS:
            raise _held()
        self._count(1)
        try:
            await share.enter(within(seconds))
            share.entered = asyncio.get_running_loop().time()
        except TimeoutError:
            raise _held() from None
        finally:
            self._count(-1)
            self._forget(row, share)
        return True

    def leave(self, row: Hashable, *, held: bool) -> None:
        """Ends the turn. When another session `held` the row, all waiters fail at once, not one after the other."""
        share = self._shares[row]
        if held:
            share.send_away()
        share.leave()
        self._forget(row, share)

    def _forget(self, row: Hashable, share: Share) -> None:
        if not share.inside and not share.waiting:
            del self._shares[row]

    def _count(self, more: int) -> None:
        self.waiting += more
        metrics.add_writes_waiting(more)


def _held() -> Held:
    metrics.count_database_error("lock_timeout")
    return Held()


class Turn:
    """A context: a write's turn at its row (None: it has no row of its own) and at the rows that must stay meanwhile.

    Entering returns whether it waited for its row. Raises Unavailable when it gets no turn in time.
    """

    __slots__ = ("_beside", "_entered", "_row", "_shares")

    def __init__(self, shares: "Shares", row: Hashable, beside: Iterable[Hashable]) -> None:
        self._shares = shares
        self._row = row
        # Always in the same order, so that two turns cannot deadlock.
        self._beside = sorted(set(beside), key=str) if beside else ()
        self._entered: list[Hashable] = []

    async def __aenter__(self) -> bool:
        shares = self._shares
        waited = False
        if self._row is not None:
            waited = await shares.rows.enter(self._row, shares.lock_seconds)
        try:
            for row in self._beside:
                await shares.shared.enter(row, shares.lock_seconds)
                self._entered.append(row)
        except BaseException as failure:
            self._leave(held=isinstance(failure, Held))
            raise
        return waited

    async def __aexit__(
        self, type: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leave(held=isinstance(value, Held))

    def _leave(self, *, held: bool) -> None:
        while self._entered:
            self._shares.shared.leave(self._entered.pop(), held=held)
        if self._row is not None:
            self._shares.rows.leave(self._row, held=held)


class Shares:
    """The shares of one process; times in seconds."""

    def __init__(self, widths: Widths, *, lock_seconds: float) -> None:
        self.others = Share(widths.others)
        self.deletions = Share(widths.deletions)
        self.rows = Turns(widths.row, stalled_waiters=widths.stalled_waiters)
        self.shared = Turns(widths.sharers, stalled_waiters=widths.stalled_waiters)
        self.lock_seconds = lock_seconds

    @property
    def waiting(self) -> int:
        """How many wait for a turn at a row or for a place among the deletions."""
        return self.rows.waiting + self.shared.waiting + self.deletions.waiting

    def turn(self, row: Hashable, beside: Iterable[Hashable] = ()) -> Turn:
        """A turn to write `row` while the rows `beside` must stay; limits the connections that wait for any one row."""
        return Turn(self, row, beside)
