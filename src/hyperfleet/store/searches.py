"""Searches: quick ones run side by side, slow ones one after the other, so that everybody else keeps their pace.

Nothing tells beforehand which search is slow. So each begins among the quick ones, and starts again among the slow ones
when it takes longer than those may; which searches did is remembered.
"""

import asyncio
import contextlib
import fcntl
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, TypeVar

from hyperfleet.errors import DeadlineExceeded, Unavailable
from hyperfleet.store.deadlines import DEADLINE, within
from hyperfleet.store.shares import Share
from hyperfleet.telemetry import metrics

Result = TypeVar("Result")

QUICK_SECONDS: Final = 0.1
"""How long a search may take among the quick ones."""

WORKERS_PER_SLOW_SEARCH: Final = 2
"""Workers of a service for each slow search that runs: one search keeps a core of the database busy."""

TOO_SLOW: Final = (
    "The list timed out. To make it faster, use: `labels.<key> = …`, `status.conditions.<Type> = "
    "…`, `id = …` or `owner_id = …`, joined with `and`; `ref_type` with `ref_target_id`; "
    "`order=created_time`; `count=none`; `page_token` instead of a high `page`."
)

_MOST_REMEMBERED: Final = 10_000
_FIRST_PAUSE: Final = 0.001
_LONGEST_PAUSE: Final = 0.01


class _NotQuick(Exception):
    """A search took longer than a quick one may."""


class Places:
    """So many places, shared by all processes that open the same file.

    They are the kernel's record locks, so a process that dies leaves its places.
    """

    def __init__(self, file: Path, count: int) -> None:
        self._file = file.open("wb", buffering=0)
        self.count = count

    @classmethod
    def of(cls, directory: Path, workers: int) -> "Places":
        """The places for slow searches of a service with so many workers, which share the directory."""
        return cls(directory / "searches", max(1, workers // WORKERS_PER_SLOW_SEARCH))

    async def take(self, until: float) -> int:
        """Takes a place, which `leave` gives back; raises TimeoutError when none is free at `until`.

        Only one task of a process may be in here, and it may hold no place: the kernel grants a process its own locks.
        """
        # Whoever holds the lock behind the places is next. Without it a process that leaves a place would take it again
        # before another one looks.
        await self._lock((self.count,), until)
        try:
            return await self._lock(range(self.count), until)
        finally:
            self.leave(self.count)

    def leave(self, place: int) -> None:
        """Gives a place back."""
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, place)

    def close(self) -> None:
        """Releases every place."""
        self._file.close()

    async def _lock(self, places: Iterable[int], until: float) -> int:
        pause = _FIRST_PAUSE
        while True:
            for place in places:
                try:
                    fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
                except OSError:
                    continue
                return place
            if asyncio.get_running_loop().time() >= until:
                raise TimeoutError
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)


class Searches:
    """The searches of one process; times in seconds.

    `quick` is how many quick ones run at once, `most` how many searches there are before more are refused at once.
    `others` is the share of everything but reads, in which searches count as well. `places` are shared with the other
    workers of the service; None: there are none.
    """

    def __init__(self, *, quick: int, most: int, seconds: float, others: Share, places: Places | None) -> None:
        self._quick = Share(quick)
        self._slow = Share(1)
        self._most = most
        self._seconds = seconds
        self._others = others
        self._places = places
        self._known_slow: set[Hashable] = set()
        self._present = self._running = 0

    async def run(self, name: Hashable, work: Callable[[], Awaitable[Result]]) -> Result:
        """What `work` returns, within the deadline of searches, which its statements have too.

        Searches of one `name` are expected to take as long as each other. `work` is called again when it was not quick.
        Raises DeadlineExceeded, with what would be faster, and Unavailable when there are too many searches already.
        """
        if self._present >= self._most:
            metrics.count_search_refused("crowd")
            raise Unavailable("Too many searches are waiting; try again later.")
        end = within(self._seconds)
        deadline = DEADLINE.set(end)
        self._count(present=1)
        try:
            if name not in self._known_slow:
                with contextlib.suppress(_NotQuick):
                    return await self._quickly(name, work, end)
            return await self._slowly(name, work, end)
        except (TimeoutError, DeadlineExceeded) as late:
            metrics.count_search_refused("deadline")
            raise DeadlineExceeded(TOO_SLOW) from late
        finally:
            self._count(present=-1)
            DEADLINE.reset(deadline)

    def close(self) -> None:
        """Gives the shared places back."""
        if self._places is not None:
            self._places.close()

    async def _quickly(self, name: Hashable, work: Callable[[], Awaitable[Result]], end: float) -> Result:
        async with self._quick.place(end), self._running_one(end):
            quick = asyncio.timeout(QUICK_SECONDS)
            try:
                async with quick:
                    return await work()
            except TimeoutError:
                if not quick.expired():
                    raise
        if len(self._known_slow) >= _MOST_REMEMBERED:
            self._known_slow.clear()
        self._known_slow.add(name)
        raise _NotQuick

    async def _slowly(self, name: Hashable, work: Callable[[], Awaitable[Result]], end: float) -> Result:
        async with self._slow.place(end), self._shared_place(end), self._running_one(end):
            began = asyncio.get_running_loop().time()
            result = await work()
            if asyncio.get_running_loop().time() - began < QUICK_SECONDS / 2:
                self._known_slow.discard(name)
            return result

    @asynccontextmanager
    async def _running_one(self, end: float) -> AsyncIterator[None]:
        async with self._others.place(end):
            self._count(running=1)
            try:
                yield
            finally:
                self._count(running=-1)

    @asynccontextmanager
    async def _shared_place(self, end: float) -> AsyncIterator[None]:
        if self._places is None:
            yield
            return
        place = await self._places.take(end)
        try:
            yield
        finally:
            self._places.leave(place)

    def _count(self, *, present: int = 0, running: int = 0) -> None:
        self._present += present
        self._running += running
        metrics.set_searches(running=self._running, waiting=self._present - self._running)
