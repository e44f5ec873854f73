"""The pool and its boundary: deadlines reach the server, failures are distinguished, nothing is left behind."""

import asyncio
from dataclasses import replace

import pytest

from hyperfleet import settings
from hyperfleet.errors import DatabaseFailure, DeadlineExceeded, Unavailable
from hyperfleet.store.database import DEADLINE, Database, Statement, Transaction

ONE = Statement("ONE", "SELECT 1", is_read=True)
SLEEP = Statement("SLEEP", "SELECT pg_sleep(30)", is_read=True)
PID = Statement("PID", "SELECT pg_backend_pid()", is_read=True)
KILL = Statement("KILL", "SELECT pg_terminate_backend($1)")
SLEEPING = Statement(
    "SLEEPING",
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND query LIKE '%pg_sleep(30)' AND state = 'active'",
)
KILL_SLEEPING = Statement(
    "KILL_SLEEPING",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND wait_event = 'PgSleep'",
)
INSERT = Statement("INSERT", "INSERT INTO resource_counts VALUES ($1, '*', 0, 1)")
COUNT = Statement("COUNT", "SELECT count(*) FROM resource_counts")


async def number(db: Database, statement: Statement) -> int:
    row = await db.fetch_row(statement)
    assert row is not None
    return int(row[0])


async def kill_sleeping(db: Database) -> None:
    """Terminates the sleeping session, as soon as there is one."""
    for _ in range(500):
        if await db.fetch(KILL_SLEEPING):
            return
        await asyncio.sleep(0.01)
    pytest.fail("Nobody sleeps.")


async def test_a_deadline_cancels_the_statement_on_the_server(db: Database) -> None:
    DEADLINE.set(asyncio.get_running_loop().time() + 0.2)
    with pytest.raises(DeadlineExceeded):
        await db.fetch(SLEEP)
    DEADLINE.set(asyncio.get_running_loop().time() + 30)
    for _ in range(100):
        if await number(db, SLEEPING) == 0:
            break
        await asyncio.sleep(0.02)
    assert await number(db, SLEEPING) == 0


async def test_after_the_deadline_no_statement_runs_for_long(db: Database) -> None:
    DEADLINE.set(asyncio.get_running_loop().time() - 1)
    with pytest.raises(DeadlineExceeded):
        await db.fetch(SLEEP)


async def test_a_connection_closed_by_the_server_is_replaced_and_a_read_retried(db: Database) -> None:
    victim = await number(db, PID)

    async def kill(tx: Transaction) -> None:
        await tx.fetch(KILL, victim)

    await asyncio.gather(db.in_transaction(kill), return_exceptions=True)
    assert await number(db, ONE) == 1


async def test_a_read_is_retried_if_its_connection_breaks(db: Database) -> None:
    slow = Statement("SLOW", "SELECT pg_sleep(1), pg_backend_pid()", is_read=True)
    running = asyncio.create_task(db.fetch(slow))
    await kill_sleeping(db)
    assert len(await running) == 1


async def test_a_write_whose_connection_breaks_is_unavailable_and_not_retried(db: Database) -> None:
    write = Statement("WRITE", "INSERT INTO resource_counts SELECT 'x', '*', 1, 1 FROM pg_sleep(5)")
    running = asyncio.create_task(db.fetch(write))
    await kill_sleeping(db)
    with pytest.raises(Unavailable):
        await running
    assert await number(db, COUNT) == 0


async def test_a_transaction_that_raises_stores_nothing(db: Database) -> None:
    async def work(tx: Transaction) -> None:
        await tx.fetch(INSERT, "a")
        raise LookupError

    with pytest.raises(LookupError):
        await db.in_transaction(work)
    assert await number(db, COUNT) == 0


async def test_both_transactions_of_a_deadlock_succeed(db: Database) -> None:
    await db.fetch(INSERT, "a")
    await db.fetch(INSERT, "b")
    lock = Statement("LOCK", "UPDATE resource_counts SET resources = resources + 1 WHERE kind = $1")
    both = asyncio.Barrier(2)
    attempts = 0

    async def crossing(first: str, second: str, patience: str) -> None:
        async def work(tx: Transaction) -> None:
            nonlocal attempts
            attempts += 1
            # The database aborts the session whose deadlock timeout expires first: here always the same one.
            await tx.fetch(Statement("PATIENCE", f"SET LOCAL deadlock_timeout = '{patience}'"))
            await tx.fetch(lock, first)
            if attempts <= 2:
                await both.wait()
            await tx.fetch(lock, second)

        await db.in_transaction(work)

    await asyncio.gather(crossing("a", "b", "20s"), crossing("b", "a", "100ms"))
    assert attempts == 3
    rows = await db.fetch(Statement("ROWS", "SELECT resources FROM resource_counts"))
    assert [row[0] for row in rows] == [3, 3]


async def test_a_database_error_hides_the_driver(db: Database) -> None:
    with pytest.raises(DatabaseFailure) as failure:
        await db.fetch(Statement("BAD", "SELECT 1/0"))
    assert "zero" not in failure.value.detail


async def test_a_pool_never_has_more_connections_than_its_limit(database_settings: settings.Database) -> None:
    pool = settings.Pool(max_connections=3)
    db = Database(replace(database_settings, pool=pool), application_name="limited")
    await db.open()
    counted = "SELECT pg_sleep(0.02), count(*) FROM pg_stat_activity WHERE application_name = 'limited'"
    slow = Statement("SLOW", counted, is_read=True)
    counts = [rows[0][1] for rows in await asyncio.gather(*(db.fetch(slow) for _ in range(30)))]
    assert max(counts) == 3
    await db.close()


async def test_waiting_for_a_connection_ends_with_the_deadline(database_settings: settings.Database) -> None:
    db = Database(replace(database_settings, pool=settings.Pool(max_connections=1)))
    await db.open()
    DEADLINE.set(asyncio.get_running_loop().time() + 5)
    busy = asyncio.create_task(db.fetch(Statement("BUSY", "SELECT pg_sleep(0.6)")))
    await asyncio.sleep(0.05)
    DEADLINE.set(asyncio.get_running_loop().time() + 0.1)
    with pytest.raises(Unavailable):
        await db.fetch(ONE)
    await busy
    DEADLINE.set(asyncio.get_running_loop().time() + 5)
    assert await number(db, ONE) == 1
    await db.close()


async def test_a_connection_is_renewed_at_the_end_of_its_lifetime(database_settings: settings.Database) -> None:
    db = Database(replace(database_settings, pool=settings.Pool(max_connections=1, conn_max_lifetime=0.05)))
    await db.open()
    first = await number(db, PID)
    await asyncio.sleep(0.1)
    await db.fetch(ONE)
    assert await number(db, PID) != first
    await db.close()


async def test_an_unreachable_database_is_unavailable(database_settings: settings.Database) -> None:
    db = Database(replace(database_settings, host="127.0.0.1", port=1))
    with pytest.raises(Unavailable) as away:
        await db.open()
    assert dict(away.value.headers)["Retry-After"]


async def test_everything_works_without_the_statement_cache(database_settings: settings.Database) -> None:
    db = Database(replace(database_settings, statement_cache=False))
    await db.open()
    assert [await number(db, ONE) for _ in range(3)] == [1, 1, 1]
    await db.close()


@pytest.mark.parametrize(
    ("sqlstate", "expected"),
    [
        ("40P01", Unavailable),
        ("40001", Unavailable),
        ("57P01", Unavailable),
        ("57P03", Unavailable),
        ("53300", Unavailable),
        ("25006", Unavailable),
        ("57014", DeadlineExceeded),
        ("22012", DatabaseFailure),
        ("XX000", DatabaseFailure),
        ("42P01", DatabaseFailure),
    ],
)
async def test_a_database_error_is_recognized_by_its_code(
    db: Database, sqlstate: str, expected: type[Exception]
) -> None:
    raising = Statement("RAISING", f"DO $$ BEGIN RAISE EXCEPTION 'secret words' USING ERRCODE = '{sqlstate}'; END $$")
    with pytest.raises(expected) as failure:
        await db.fetch(raising)
    assert "secret" not in str(failure.value)
    assert await number(db, ONE) == 1


async def test_a_transaction_rolled_back_in_favor_of_others_is_retried_once(db: Database) -> None:
    await db.fetch(Statement("SEQUENCE", "CREATE SEQUENCE IF NOT EXISTS tries"))
    before = await number(db, Statement("TRIES", "SELECT nextval('tries')"))
    failing = Statement(
        "FAILING",
        "DO $$ BEGIN PERFORM nextval('tries'); RAISE EXCEPTION 'x' USING ERRCODE = '40001'; END $$",
    )
    with pytest.raises(Unavailable):
        await db.fetch(failing)
    assert await number(db, Statement("TRIES", "SELECT nextval('tries')")) == before + 3
    await db.fetch(Statement("SEQUENCE", "DROP SEQUENCE tries"))


async def test_a_statement_runs_outside_any_transaction_block(db: Database) -> None:
    # VACUUM refuses to run inside one.
    await db.fetch(Statement("VACUUM", "VACUUM resource_counts"))
    assert await number(db, ONE) == 1


async def test_a_cancelled_caller_frees_its_place_in_the_pool(database_settings: settings.Database) -> None:
    db = Database(replace(database_settings, pool=settings.Pool(max_connections=1)))
    await db.open()
    for _ in range(5):
        busy = asyncio.create_task(db.fetch(SLEEP))
        waiting = asyncio.create_task(db.fetch(ONE))
        await asyncio.sleep(0.05)
        waiting.cancel()
        busy.cancel()
        await asyncio.gather(busy, waiting, return_exceptions=True)
    assert await number(db, ONE) == 1
    await db.close()
