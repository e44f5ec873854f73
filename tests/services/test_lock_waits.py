"""Another session locks a row: writers that need it get an error in time, and all other requests continue as before."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from time import monotonic
from typing import Any, Final
from uuid import UUID

import asyncpg
import pytest

from hyperfleet import settings
from hyperfleet.errors import Unavailable
from hyperfleet.model.catalog import Catalog
from hyperfleet.model.kind import BUILT_IN, Kind, ReferenceRule
from hyperfleet.model.resource import Scope
from hyperfleet.store import migrations
from hyperfleet.store.database import Database
from hyperfleet.store.shares import Held
from testbed.fleet import CLUSTER, CLUSTERS, below, change, create, delete, force_delete, read, report, send
from testbed.sessions import session

LOCK_SECONDS: Final = 2.0
CONNECTIONS: Final = 8
ADDON: Final = Kind("Addon", "addons", "addon", references=(ReferenceRule("cluster", "Cluster"),))
WAITED_FOR: Final = Scope(replace(CLUSTER, required_adapters=("dns-adapter",)))
WORLD: Final = Catalog([WAITED_FOR.kind, *BUILT_IN[1:], ADDON])
ROW: Final = "SELECT FROM resources WHERE id = $1 FOR UPDATE"
ROWS: Final = "SELECT FROM resources FOR UPDATE"
NAME: Final = "UPDATE resources SET name = 'wanted' WHERE id = $1"
VERSIONS: Final = "SELECT id, resource_version FROM resources ORDER BY id"
WAITING: Final = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
Write = Callable[[Database, str, str], Awaitable[Any]]


@pytest.fixture
async def impatient(database_settings: settings.Database, db: Database) -> AsyncIterator[Database]:
    """A pool of eight, in a database whose role waits two seconds for a lock, as `migrate` sets it."""
    configured = replace(database_settings, lock_timeout=LOCK_SECONDS, pool=settings.Pool(max_connections=CONNECTIONS))
    await migrations.upgrade(configured)
    here = Database(configured)
    await here.open()
    yield here
    await here.close()
    async with session(configured) as connection:
        name = await connection.fetchval("SELECT quote_ident(current_database())")
        await connection.execute(f"ALTER ROLE CURRENT_USER IN DATABASE {name} RESET ALL")


@asynccontextmanager
async def stranger(
    configured: settings.Database, statement: str, *arguments: object
) -> AsyncIterator[asyncpg.Connection]:
    """Another session in a transaction that has run a statement; rolled back at the end."""
    async with session(configured, "stranger") as connection:
        await connection.execute("BEGIN")
        await connection.fetch(statement, *arguments)
        try:
            yield connection
        finally:
            await connection.execute("ROLLBACK")


async def delete_child(db: Database, held: str, child: str) -> Any:
    return await delete(db, child, below(UUID(held)))


async def force(db: Database, held: str, child: str) -> Any:
    return await force_delete(db, held)


WRITES: Final[dict[str, tuple[str, Write]]] = {
    "a change": (ROW, lambda db, held, _: change(db, held, spec={"a": 2})),
    "a report": (ROW, lambda db, held, _: send(db, held, report(at=5))),
    "a deletion": (ROW, lambda db, held, _: delete(db, held)),
    "a removal by force": (ROW, force),
    "the deletion of a child": (ROW, delete_child),
    "the create of a child": (ROW, lambda db, held, _: create(db, "pool", below(UUID(held)))),
    "the create of what references it": (
        ROW,
        lambda db, held, _: create(db, "addon", Scope(ADDON), references={"cluster": (UUID(held),)}),
    ),
    "the create of a name that is about to be taken": (NAME, lambda db, held, _: create(db, "wanted")),
}


async def waiting_in(other: asyncpg.Connection) -> int:
    """The number of sessions that wait for a lock, a moment after the first one does."""
    for _ in range(100):
        if await other.fetchval(WAITING):
            break
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)
    return int(await other.fetchval(WAITING))


@pytest.mark.parametrize("name", WRITES)
async def test_a_write_blocked_by_another_sessions_lock_fails_in_time(
    impatient: Database, database_settings: settings.Database, name: str
) -> None:
    holding, write = WRITES[name]
    held = (await create(impatient, "held"))["id"]
    child = (await create(impatient, "child", below(UUID(held))))["id"]
    async with stranger(database_settings, holding, UUID(held)) as other:
        before = await other.fetch(VERSIONS)
        began = monotonic()
        with pytest.raises(Held) as told:
            await write(impatient, held, child)
        assert 0.5 * LOCK_SECONDS < monotonic() - began < 2.5 * LOCK_SECONDS
        assert "a lock that another session holds" in told.value.detail
        assert told.value.row.name == "SVC-001"
        assert dict(told.value.headers)["Retry-After"]
    async with session(database_settings) as connection:
        assert await connection.fetch(VERSIONS) == before
    if write is not force:
        await write(impatient, held, child)


async def test_other_requests_keep_their_pace_while_forty_writers_wait_for_one_row(
    impatient: Database, database_settings: settings.Database
) -> None:
    held, free = [(await create(impatient, name))["id"] for name in ("held", "free")]

    async def others(prefix: str, first: int) -> float:
        """The seconds that ten rounds of other requests take."""
        began = monotonic()
        for number in range(first, first + 10):
            await asyncio.gather(
                *(read(impatient, held) for _ in range(4)),
                change(impatient, free, spec={"b": number}),
                send(impatient, free, report(at=number, generation=number)),
                create(impatient, f"{prefix}-{number}"),
            )
        return monotonic() - began

    alone = await others("alone", 1)
    async with stranger(database_settings, ROW, UUID(held)) as other:
        writers = [asyncio.create_task(change(impatient, held, spec={"a": n})) for n in range(1, 41)]
        assert await waiting_in(other) == 1
        # The forty wait for two seconds on one connection. They once waited on all connections, and blocked the others.
        assert await others("beside", 11) < 3 * alone + 1
        outcomes = await asyncio.gather(*writers, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {Held}
    assert (await read(impatient, held))["generation"] == 1


async def test_all_waiting_writes_are_stored_when_the_row_is_unlocked(
    impatient: Database, database_settings: settings.Database
) -> None:
    held = (await create(impatient, "held"))["id"]
    async with stranger(database_settings, ROW, UUID(held)):
        labelled = [asyncio.create_task(change(impatient, held, labels={"n": str(n)})) for n in range(20)]
        reported = [asyncio.create_task(send(impatient, held, report(f"adapter-{n}"))) for n in range(10)]
        await asyncio.sleep(0.3)
    await asyncio.gather(*labelled)
    assert {outcome.result for outcome in await asyncio.gather(*reported)} == {"stored"}
    found = await read(impatient, held)
    assert found["generation"] == 21
    assert len(found["status"]["adapters"]) == 10


async def test_reads_continue_while_writers_of_every_row_wait(
    impatient: Database, database_settings: settings.Database
) -> None:
    ids = [(await create(impatient, f"row-{number}"))["id"] for number in range(30)]
    async with stranger(database_settings, ROWS):
        writers = [asyncio.create_task(change(impatient, id, spec={"a": 1})) for id in ids]
        await asyncio.sleep(0.2)
        began = monotonic()
        for id in ids:
            await read(impatient, id)
        assert monotonic() - began < 0.9 * LOCK_SECONDS
        await asyncio.gather(*writers, return_exceptions=True)


@pytest.mark.parametrize("what", ["creates", "deletions"])
async def test_few_connections_wait_for_an_owner_however_many_children_are_created(
    impatient: Database, database_settings: settings.Database, what: str
) -> None:
    held = UUID((await create(impatient, "held"))["id"])
    pools = [(await create(impatient, f"old-{number}", below(held)))["id"] for number in range(10)]
    async with stranger(database_settings, ROW, held) as other:
        if what == "creates":
            waiting = [asyncio.create_task(create(impatient, f"new-{n}", below(held))) for n in range(10)]
        else:
            waiting = [asyncio.create_task(delete(impatient, id, below(held))) for id in pools]
        assert 1 <= await waiting_in(other) <= CONNECTIONS // 4
        assert (await create(impatient, "elsewhere"))["name"] == "elsewhere"
    await asyncio.gather(*waiting)


async def test_ten_concurrent_reports_on_one_resource_take_fewer_statements_than_lost_races(
    impatient: Database,
) -> None:
    from tests.services.test_statement_counts import statements

    id = (await create(impatient, "alpha"))["id"]
    ten = asyncio.gather(*(send(impatient, id, report(f"adapter-{number}")) for number in range(10)))
    # Each reads, nine read again after their turn has come, each writes. A transaction would take five statements.
    assert await statements(ten) <= 10 + 9 + 10
    assert len((await read(impatient, id))["status"]["adapters"]) == 10


async def test_a_deletion_of_a_kind_that_waits_for_its_adapters_is_completed_after_the_wait(
    impatient: Database, database_settings: settings.Database
) -> None:
    id = (await create(impatient, "alpha", WAITED_FOR))["id"]
    await delete(impatient, id, WAITED_FOR, catalog=WORLD)
    last = report(generation=2, Finalized="True")
    async with stranger(database_settings, ROW, UUID(id)):
        with pytest.raises(Unavailable):
            await send(impatient, id, last, WAITED_FOR, catalog=WORLD)
    assert (await read(impatient, id, CLUSTERS))["deleted_time"]
    assert (await send(impatient, id, last, WAITED_FOR, catalog=WORLD)).result == "stored"
