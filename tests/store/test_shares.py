"""Shares of the connections: no class of work takes all, every wait has a limit, and nothing is left behind."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from time import monotonic

import pytest

from hyperfleet import settings
from hyperfleet.errors import Unavailable
from hyperfleet.store.database import Database, Statement
from hyperfleet.store.shares import Held, Shares, Widths

ONE = Statement("ONE", "SELECT 1", is_read=True)
WRITE = Statement("WRITE", "INSERT INTO resource_counts VALUES ('x', '*', 0, 1) ON CONFLICT DO NOTHING")
SLOW_WRITE = Statement("SLOW_WRITE", "SELECT pg_sleep(10)")
CONNECTIONS = 8


@pytest.fixture
async def small(database_settings: settings.Database) -> AsyncIterator[Database]:
    """A pool of eight connections whose searches may take two seconds."""
    limits = settings.Server(timeouts=settings.Timeouts(search=2.0))
    db = Database(replace(database_settings, pool=settings.Pool(max_connections=CONNECTIONS)), limits=limits)
    await db.open()
    yield db
    await db.close()


@pytest.mark.parametrize("connections", [1, 2, 3, 4, 8, 16, 17, 100, 1000])
def test_searches_have_at_most_half_of_the_connections_and_leave_some_for_reads(connections: int) -> None:
    widths = Widths.of(connections, 20 * connections)
    assert 1 <= widths.quick_searches <= max(1, connections // 2)
    assert 1 <= widths.deletions <= max(1, connections // 2)
    assert widths.others < connections or connections < 3
    assert widths.quick_searches + 1 < widths.others or connections < 4
    assert 1 <= widths.searches <= max(1, 10 * connections)
    assert widths.row == 1


async def test_reads_have_connections_of_their_own_beside_many_slow_writes(small: Database) -> None:
    writes = [asyncio.create_task(small.fetch(SLOW_WRITE)) for _ in range(30)]
    await asyncio.sleep(0.1)
    began = monotonic()
    await small.fetch(ONE)
    assert monotonic() - began < 4
    for write in writes:
        write.cancel()
    await asyncio.gather(*writes, return_exceptions=True)


def shares(*, row: int = 1, stalled_waiters: int = 100, lock_seconds: float = 5.0) -> Shares:
    widths = Widths(4, 4, 14, row, 2, searches=10, stalled_waiters=stalled_waiters)
    return Shares(widths, lock_seconds=lock_seconds)


async def test_writers_of_one_row_take_turns_and_learn_whether_they_waited() -> None:
    here = shares()
    inside, most, waited = 0, 0, []

    async def write(row: str) -> None:
        nonlocal inside, most
        async with here.turn(row) as did_wait:
            waited.append(did_wait)
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.005)
            inside -= 1

    await asyncio.gather(*(write("a") for _ in range(5)))
    assert (most, waited) == (1, [False, True, True, True, True])
    await asyncio.gather(*(write(name) for name in "abc"))
    assert most == 3


async def test_no_state_is_kept_for_a_row_without_writers() -> None:
    here = shares(lock_seconds=0.05)

    async def write(row: str, seconds: float) -> None:
        async with here.turn(row, beside=("owner", row)):
            await asyncio.sleep(seconds)

    results = await asyncio.gather(*(write(f"row-{n % 3}", 0.03) for n in range(30)), return_exceptions=True)
    assert {type(result) for result in results} == {type(None), Held}
    assert (here.rows._shares, here.shared._shares, here.waiting) == ({}, {}, 0)


async def test_waiting_for_a_row_has_a_limit() -> None:
    here = shares(lock_seconds=0.1)
    async with here.turn("a"):
        began = monotonic()
        with pytest.raises(Unavailable, match="a lock that another session holds") as held:
            async with here.turn("a"):
                raise AssertionError
        assert 0.05 < monotonic() - began < 1
    assert dict(held.value.headers)["Retry-After"]
    async with here.turn("a") as waited:
        assert not waited


async def test_if_a_row_was_locked_its_waiters_fail_at_once() -> None:
    here = shares(lock_seconds=20)

    async def write(row: str) -> None:
        async with here.turn(row):
            await asyncio.sleep(0.1)
            raise Held

    began = monotonic()
    results = await asyncio.gather(*(write("a") for _ in range(10)), return_exceptions=True)
    assert {type(result) for result in results} == {Held}
    assert monotonic() - began < 1
    async with here.turn("a") as waited:
        assert not waited
    assert here.rows._shares == {}


async def test_a_row_may_turn_out_to_be_locked_just_as_waits_for_it_end() -> None:
    for milliseconds in range(-3, 4):
        here = shares(lock_seconds=0.05)

        async def hold(here: Shares = here, seconds: float = 0.05 + milliseconds / 1000) -> None:
            async with here.turn("a"):
                await asyncio.sleep(seconds)
                raise Held

        async def wait(here: Shares = here) -> None:
            async with here.turn("a"):
                raise Held

        results = await asyncio.gather(hold(), *(wait() for _ in range(20)), return_exceptions=True)
        assert {type(result) for result in results} == {Held}
        assert (here.rows._shares, here.waiting) == ({}, 0)


async def test_other_errors_of_a_write_do_not_affect_its_waiters() -> None:
    here = shares()

    async def write(number: int) -> int:
        async with here.turn("a"):
            await asyncio.sleep(0.01)
            if number == 0:
                raise Unavailable("The database is unavailable.")
            return number

    results = await asyncio.gather(*(write(number) for number in range(4)), return_exceptions=True)
    assert results[1:] == [1, 2, 3]


async def test_the_number_of_waiters_for_a_stalled_row_is_limited() -> None:
    here = shares(stalled_waiters=2)
    async with here.turn("a"):
        waiting = [asyncio.create_task(here.turn("a").__aenter__()) for _ in range(3)]
        # Nobody is refused within the first second: ordinary bursts are over by then.
        await asyncio.sleep(0.1)
        assert here.waiting == 3
        await asyncio.sleep(1)
        began = monotonic()
        with pytest.raises(Unavailable):
            await here.turn("a").__aenter__()
        assert monotonic() - began < 2
        async with here.turn("b") as waited:
            assert not waited
    for one in waiting:
        await one
        here.rows.leave("a", held=False)


async def test_writers_of_several_rows_never_deadlock() -> None:
    here = shares()
    written: list[int] = []

    async def write(number: int) -> None:
        rows = [f"row-{(number * step) % 5}" for step in (1, 2, 3)]
        async with here.turn(f"own-{number}", beside=rows):
            await asyncio.sleep(0.001)
            written.append(number)

    await asyncio.wait_for(asyncio.gather(*(write(number) for number in range(100))), 5)
    assert sorted(written) == list(range(100))
