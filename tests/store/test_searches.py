"""Searches: quick ones run side by side, slow ones one at a time in the whole service, and each has a time limit."""

import asyncio
import sys
from collections.abc import AsyncIterator, Hashable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from time import monotonic

import pytest

from hyperfleet import settings
from hyperfleet.errors import DeadlineExceeded, Unavailable
from hyperfleet.store.database import DEADLINE, Database, Statement
from hyperfleet.store.searches import Places
from hyperfleet.telemetry import metrics

ONE = Statement("ONE", "SELECT 1", is_read=True)
MEDIUM = Statement("MEDIUM", "SELECT pg_sleep(0.25)", is_read=True)
ENDLESS = Statement("ENDLESS", "SELECT pg_sleep(30)", is_read=True)
WRITE = Statement("WRITE", "INSERT INTO resource_counts VALUES ('x', '*', 0, 1) ON CONFLICT DO NOTHING")
CONNECTIONS = 16
"""Two quick searches and a slow one."""


async def opened(
    database_settings: settings.Database, *, seconds: float = 2.0, places: Places | None = None
) -> Database:
    limits = settings.Server(timeouts=settings.Timeouts(search=seconds))
    pool = settings.Pool(max_connections=CONNECTIONS)
    db = Database(replace(database_settings, pool=pool), limits=limits, slow_searches=places)
    await db.open()
    return db


@pytest.fixture
async def small(database_settings: settings.Database) -> AsyncIterator[Database]:
    """A pool whose searches may take two seconds."""
    db = await opened(database_settings)
    yield db
    await db.close()


async def search(db: Database, statement: Statement, name: Hashable = "name") -> None:
    await db.searches.run(name, lambda: db.fetch(statement))


def refused(reason: str) -> float:
    labels = {"component": "api", "version": metrics.COMMON_VALUES[1], "reason": reason}
    return metrics.REGISTRY.get_sample_value("hyperfleet_db_searches_refused_total", labels) or 0.0


class Runs:
    """Work that counts its runs and its concurrent runs."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.now = self.most = self.begun = 0

    async def __call__(self) -> int:
        self.begun += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self.now -= 1
        return self.begun


async def test_reads_and_writes_keep_their_pace_beside_many_searches(small: Database) -> None:
    searches = [asyncio.create_task(search(small, ENDLESS)) for _ in range(40)]
    await asyncio.sleep(0.2)
    began = monotonic()
    for _ in range(20):
        await asyncio.gather(small.fetch(ONE), small.fetch(WRITE))
    took = monotonic() - began
    results = await asyncio.gather(*searches, return_exceptions=True)
    assert took < 1.5, took
    assert {type(result) for result in results} == {DeadlineExceeded}


async def test_a_search_that_times_out_gets_advice_on_what_is_fast(small: Database) -> None:
    before = refused("deadline")
    began = monotonic()
    with pytest.raises(DeadlineExceeded, match=r"labels\.<key>.*status\.conditions\.<Type>.*count=none.*page_token"):
        await search(small, ENDLESS)
    assert 1.8 < monotonic() - began < 4
    assert refused("deadline") == before + 1


async def test_a_search_ends_at_its_requests_deadline_if_that_is_earlier(small: Database) -> None:
    DEADLINE.set(asyncio.get_running_loop().time() + 0.2)
    began = monotonic()
    with pytest.raises(DeadlineExceeded):
        await search(small, ENDLESS)
    assert monotonic() - began < 1.5


async def test_the_deadline_of_a_search_ends_with_it(small: Database) -> None:
    end = asyncio.get_running_loop().time() + 20
    DEADLINE.set(end)
    await search(small, ONE)
    assert DEADLINE.get() == end


async def test_waiting_searches_are_served_in_order_of_arrival(small: Database) -> None:
    order: list[int] = []

    async def append(number: int) -> None:
        order.append(number)
        await asyncio.sleep(0.01)

    async def numbered(number: int) -> None:
        await small.searches.run(number, partial(append, number))

    await asyncio.gather(*(numbered(number) for number in range(12)))
    assert order == list(range(12))


async def test_when_too_many_searches_wait_the_next_one_is_refused_at_once(
    database_settings: settings.Database,
) -> None:
    limits = settings.Server(max_in_flight=8, timeouts=settings.Timeouts(search=2.0))
    db = Database(replace(database_settings, pool=settings.Pool(max_connections=CONNECTIONS)), limits=limits)
    before = refused("crowd")
    # Half of the requests in flight may be searches.
    searches = [asyncio.create_task(search(db, ENDLESS)) for _ in range(4)]
    await asyncio.sleep(0.1)
    began = monotonic()
    with pytest.raises(Unavailable, match="Too many searches"):
        await search(db, ONE)
    assert monotonic() - began < 1
    assert refused("crowd") == before + 1
    await asyncio.gather(*searches, return_exceptions=True)
    await search(db, ONE)
    await db.close()


async def test_a_cancelled_search_frees_its_place(small: Database) -> None:
    for _ in range(5):
        searches = [asyncio.create_task(search(small, ENDLESS)) for _ in range(6)]
        await asyncio.sleep(0.05)
        for one in searches:
            one.cancel()
        ended = await asyncio.gather(*searches, return_exceptions=True)
        assert all(isinstance(one, asyncio.CancelledError) for one in ended)
    await asyncio.wait_for(search(small, ONE), 1)


async def test_a_quick_search_runs_once_beside_others(small: Database) -> None:
    runs = Runs(0.05)
    await asyncio.gather(*(small.searches.run("quick", runs) for _ in range(6)))
    assert (runs.begun, runs.most) == (6, 2)


async def test_a_slow_search_restarts_and_runs_alone(small: Database) -> None:
    runs = Runs(0.15)
    results = await asyncio.gather(*(small.searches.run(name, runs) for name in "ab"))
    assert sorted(results) == [3, 4]
    runs.most = 0
    # From now on they are known as slow.
    await asyncio.gather(*(small.searches.run(name, runs) for name in "abab"))
    assert (runs.begun, runs.most) == (8, 1)


async def test_a_slow_search_does_not_delay_a_quick_one(small: Database) -> None:
    slow = [asyncio.create_task(search(small, ENDLESS, f"slow-{number}")) for number in range(3)]
    await asyncio.sleep(0.5)
    began = monotonic()
    await search(small, ONE, "quick")
    # The slow ones end after two seconds each.
    assert monotonic() - began < 1
    await asyncio.gather(*slow, return_exceptions=True)


async def test_a_search_that_has_become_quick_is_quick_again(small: Database) -> None:
    runs = Runs(0.15)
    await small.searches.run("name", runs)
    runs.seconds = 0.0
    await small.searches.run("name", runs)
    runs.most = 0
    runs.seconds = 0.05
    await asyncio.gather(small.searches.run("name", runs), small.searches.run("name", runs))
    assert runs.most == 2


async def test_the_statement_of_a_search_that_exceeded_its_time_is_cancelled_in_the_database(small: Database) -> None:
    await search(small, MEDIUM)
    active = Statement(
        "ACTIVE",
        "SELECT count(*) AS active FROM pg_stat_activity WHERE datname = current_database()"
        " AND state = 'active' AND query LIKE 'SELECT pg_sleep%'",
        is_read=True,
    )
    row = await small.fetch_row(active)
    assert row is not None
    assert row["active"] == 0


async def test_a_search_has_its_own_error(small: Database) -> None:
    async def fail() -> None:
        raise TimeoutError

    with pytest.raises(DeadlineExceeded):
        await small.searches.run("name", fail)

    async def be_wrong() -> None:
        raise ValueError("its own")

    with pytest.raises(ValueError, match="its own"):
        await small.searches.run("name", be_wrong)


HOLDER = """
import asyncio, sys, time
from pathlib import Path
from hyperfleet.store.searches import Places

print("here", flush=True)
sys.stdin.readline()

async def hold(times: int, seconds: float) -> None:
    places = Places.of(Path(sys.argv[1]), workers=2)
    for _ in range(times):
        place = await places.take(asyncio.get_running_loop().time() + 20)
        began = time.monotonic()
        print(began, flush=True)
        await asyncio.sleep(seconds)
        print(time.monotonic(), flush=True)
        places.leave(place)

asyncio.run(hold(int(sys.argv[2]), float(sys.argv[3])))
"""


async def holder(directory: Path, *, times: int, seconds: float) -> asyncio.subprocess.Process:
    """Another worker: on a signal, it takes a place several times, for some time each, and prints when."""
    words = (sys.executable, "-c", HOLDER, str(directory), str(times), str(seconds))
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*words, stdin=pipe, stdout=pipe)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"here\n"
    return process


async def held_by_another(directory: Path) -> asyncio.subprocess.Process:
    """Another worker that holds a place until it is killed."""
    other = await holder(directory, times=1, seconds=60)
    assert other.stdin is not None
    assert other.stdout is not None
    other.stdin.close()
    await other.stdout.readline()
    return other


async def test_two_workers_share_a_place_in_turns(tmp_path: Path) -> None:
    both = await asyncio.gather(*(holder(tmp_path, times=6, seconds=0.05) for _ in range(2)))
    outputs = await asyncio.gather(*(each.communicate(b"begin\n") for each in both))
    printed = [[float(line) for line in output.split()] for output, _ in outputs]
    held = sorted(
        (began, ended, worker)
        for worker, times in enumerate(printed)
        for began, ended in zip(times[::2], times[1::2], strict=True)
    )
    assert len(held) == 12
    assert all(ended <= next_began for (_, ended, _), (next_began, _, _) in pairwise(held))
    # While both want the place, neither takes it twice in a row.
    both_want_it = [worker for began, _, worker in held if began <= min(times[-1] for times in printed)]
    started_together = both_want_it[both_want_it.index(1 - both_want_it[0]) :]
    assert all(worker != following for worker, following in pairwise(started_together))


async def test_a_killed_worker_frees_its_place(tmp_path: Path) -> None:
    other = await held_by_another(tmp_path)
    places = Places.of(tmp_path, workers=2)
    now = asyncio.get_running_loop().time
    with pytest.raises(TimeoutError):
        await places.take(now() + 0.1)
    other.kill()
    await other.wait()
    places.leave(await places.take(now() + 5))
    places.close()


async def test_a_search_that_waits_for_another_worker_ends_in_time(
    database_settings: settings.Database, tmp_path: Path
) -> None:
    other = await held_by_another(tmp_path)
    db = await opened(database_settings, places=Places.of(tmp_path, workers=2))
    began = monotonic()
    with pytest.raises(DeadlineExceeded):
        await search(db, MEDIUM)
    assert 1.8 < monotonic() - began < 4
    other.kill()
    await other.wait()
    await search(db, MEDIUM)
    await db.close()


@pytest.mark.parametrize(("workers", "count"), [(1, 1), (2, 1), (3, 1), (4, 2), (8, 4)])
async def test_half_as_many_slow_searches_run_as_a_service_has_workers(
    tmp_path: Path, workers: int, count: int
) -> None:
    places = Places.of(tmp_path, workers)
    assert places.count == count
    places.close()
