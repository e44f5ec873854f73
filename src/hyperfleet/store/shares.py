"""Shares of a worker's connections, so that no kind of work and no locked row can take them all.

Work enters its share before it asks for a connection, and waits there in the order it came. Whoever enters several
shares takes the row first, then what it shares, then the narrower share, then the wider one: nobody holds a place in a
wide share while it waits for a narrow one, and no two wait for each other.
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
"""The share of the connections that quick searches have; the contract allows half for all."""

DELETIONS_PER_CONNECTION: Final = 0.25
SHARERS_PER_CONNECTION: Final = 0.25
RESERVED_PER_CONNECTION: Final = 0.125

SEARCHES_IN_FLIGHT: Final = 0.5
"""The share of the requests in flight that searches may be."""

STALLED_WAITERS_IN_FLIGHT: Final = 0.25
"""The share of the requests in flight that may wait for rows before newcomers to a stalled row are refused at once."""

STALLED_SECONDS: Final = 1.0
"""A row is stalled when nobody got a turn at it for so long: someone outside this process holds it."""

_MOMENT_SECONDS: Final = 0.001


class Held(Unavailable):
    """A lock that a write needs was not to be had in time; nothing was stored."""

    def __init__(self) -> None:
        super().__init__("Timed out waiting for a lock that another session holds. Nothing was stored; try again.")


@dataclass(frozen=True, slots=True)
class Widths:
    """How many may be in each share at once.

    `quick_searches` and `deletions` count in `others` as well, which is everything but reads: the other connections are
    for reads alone. `row` is for writers of one row, `sharers` for creators of its children and for whoever references
    it: these need it to stay. `searches` and `stalled_waiters` are how many there are before more are refused at once.
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
        """The widths for so many connections and requests in flight."""
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
    """At most `width` at a time; the others wait in the order they came."""

    __slots__ = ("_places", "_waits", "entered", "inside", "waiting")

    def __init__(self, width: int) -> None:
        self._places = asyncio.Semaphore(width)
        self._waits: set[asyncio.Timeout] = set()
        self.inside = 0
        self.waiting = 0
        self.entered = 0.0

    @property
    def is_full(self) -> bool:
        """Whether whoever enters now has to wait."""
        return self._places.locked()

    async def enter(self, until: float) -> bool:
        """Takes a place, and says whether that took a wait. Raises TimeoutError when none is free at `until`."""
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
        """A place for as long as the context lasts. Raises TimeoutError when none is free at `until`."""
        await self.enter(until)
        try:
            yield
        finally:
            self.leave()

    def send_away(self) -> None:
        """Ends all waits: each raises TimeoutError. One that ends by itself at this moment must not be touched."""
        now = asyncio.get_running_loop().time()
        for wait in self._waits:
            end = wait.when()
            if end is not None and end > now + _MOMENT_SECONDS:
                wait.reschedule(now)

    def leave(self) -> None:
        """Gives the place to whoever has waited longest."""
        self._places.release()
        self.inside -= 1


class Turns:
    """A share for each row, by a key, that somebody writes; none is kept beyond that."""

    def __init__(self, width: int, *, stalled_waiters: int) -> None:
        self._width = width
        self._stalled_waiters = stalled_waiters
        self._shares: dict[Hashable, Share] = {}
        self.waiting = 0

    async def enter(self, row: Hashable, seconds: float) -> bool:
        """Takes a turn, and says whether that took a wait. Raises Unavailable when there is none within `seconds`."""
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
        """Ends the turn; when the row was `held`, all waiters fail at once instead of one after the other."""
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
    """A write's turn at a row, or None for none of its own, and at rows that must stay meanwhile; a context.

    Entering gives whether it waited for the row. Raises Unavailable when a turn is not had in time.
    """

    __slots__ = ("_beside", "_entered", "_row", "_shares")

    def __init__(self, shares: "Shares", row: Hashable, beside: Iterable[Hashable]) -> None:
        self._shares = shares
        self._row = row
        # In one order, so that no two wait for each other.
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
        """How many wait for their turn at a row, or for their place among deletions."""
        return self.rows.waiting + self.shared.waiting + self.deletions.waiting

    def turn(self, row: Hashable, beside: Iterable[Hashable] = ()) -> Turn:
        """A turn to write `row`, for which the rows `beside` must stay: so few connections wait for any one row."""
        return Turn(self, row, beside)
