"""Searches: quick ones run side by side, slow ones one after the other, so that they do not slow down other requests.

Whether a search is slow cannot be predicted. So each search begins among the quick ones. If it takes longer than a
quick search may, it starts again among the slow ones, and the process remembers it as slow.
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
"""How long a quick search may take."""

WORKERS_PER_SLOW_SEARCH: Final = 2
"""Workers of a service for each slow search that may run: one search keeps a core of the database busy."""

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
    """A number of places, shared by all processes that open the same file.

    Each place is a record lock of the kernel, which releases it when its process dies.
    """

    def __init__(self, file: Path, count: int) -> None:
        self._file = file.open("wb", buffering=0)
        self.count = count

    @classmethod
    def of(cls, directory: Path, workers: int) -> "Places":
        """The places for slow searches of a service with this many workers, which share the directory."""
        return cls(directory / "searches", max(1, workers // WORKERS_PER_SLOW_SEARCH))

    async def take(self, until: float) -> int:
        """Takes a place, which `leave` releases; raises TimeoutError when no place is free by `until`.

        A process may call this in one task at a time, and only while it holds no place: the kernel grants a process any
        lock that the process holds already.
        """
        # The process that holds the lock after the places is next. Without that lock, a process that leaves a place
        # would take it again before another process looks.
        await self._lock((self.count,), until)
        try:
            return await self._lock(range(self.count), until)
        finally:
            self.leave(self.count)

    def leave(self, place: int) -> None:
        """Releases a place."""
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

    `quick` is how many quick searches run at once. `most` is how many searches may run or wait; more are refused at
    once. `others` is the share of everything but plain reads; searches count in it, too. `places` are shared with the
    other workers of the service, None without other workers.
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
        """The result of `work`, within the deadline for searches, which also bounds its statements.

        Searches of the same `name` are expected to take equally long. `work` is called again when it was not quick.
        Raises DeadlineExceeded with advice on faster searches, and Unavailable when there are already too many
        searches.
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
        """Releases the shared places."""
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
