"""Migrations: one process at a time, never edited after a release; older and newer schemas are recognized."""

import asyncio
import json
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import pytest
from alembic import command

from hyperfleet import settings
from hyperfleet.model.caller import Tenancy
from hyperfleet.model.resource import Scope
from hyperfleet.postgres import embedded
from hyperfleet.services import reading
from hyperfleet.store import migrations
from hyperfleet.store.database import Database
from hyperfleet.store.lists.pages import Listing
from testbed.fleet import CLUSTER, create
from testbed.sessions import drop, execute, session

RELEASED = {
    "0001_resources.py": "00d88f51a6019bd7",
    "0002_references.py": "5302b8e9149bad92",
    "0003_tenancy.py": "d3eb1511a1192eca",
    "0004_pending.py": "79cee954a6882436",
    "0005_tenancies.py": "048d06a94abac518",
    "0006_recomputations.py": "2b2d6b46df5ddb3c",
}


@pytest.fixture
async def empty(postgres: embedded.Server, worker_id: str) -> AsyncIterator[settings.Database]:
    """An empty database."""
    name = f"migrations_{worker_id}"
    await execute(postgres.settings("postgres"), f"CREATE DATABASE {name}")
    yield postgres.settings(name)
    await drop(postgres, name)


def test_a_released_migration_is_not_edited() -> None:
    folder = Path(migrations.__file__).parent / "versions"
    found = {path.name: sha256(path.read_bytes()).hexdigest()[:16] for path in folder.glob("*.py")}
    assert found == RELEASED


async def test_eight_processes_that_migrate_at_once_all_succeed(empty: settings.Database) -> None:
    await asyncio.gather(*(migrations.upgrade(empty) for _ in range(8)))
    assert await migrations.state(empty) == "current"
    async with session(empty) as connection:
        assert await connection.fetchval("SELECT count(*) FROM alembic_version") == 1


async def upgrade_to(revision: str, configured: settings.Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Migrates the database to an earlier schema."""
    present = command.upgrade
    with monkeypatch.context() as patched:
        patched.setattr(command, "upgrade", lambda config, _: present(config, revision))
        await migrations.upgrade(configured)


async def seen(db: Database, tenancy: Tenancy) -> set[str]:
    """The names that a caller sees; the total must be their number."""
    page = json.loads(await reading.resources(db, Scope(CLUSTER, tenancy=tenancy), Listing()))
    assert page["total"] == page["size"]
    return {item["name"] for item in page["items"]}


@pytest.mark.parametrize("revision", migrations.revisions()[:-1])
async def test_every_released_schema_migrates_to_the_current_one_with_its_rows(
    empty: settings.Database, revision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await upgrade_to(revision, empty, monkeypatch)
    assert await migrations.state(empty) == "older"
    db = Database(empty)
    await db.open()
    fleet: dict[str, Tenancy] = {"open": (), "red": (("org", "a"),), "one": (("org", "a"), ("project", "one"))}
    for name, tenancy in fleet.items():
        await create(db, name, Scope(CLUSTER, tenancy=tenancy))
    await migrations.upgrade(empty)
    assert await migrations.state(empty) == "current"
    assert await seen(db, ()) == {"open", "red", "one"}
    for _ in range(2):
        assert await seen(db, (("org", "a"),)) == {"red", "one"}
        assert await seen(db, fleet["one"]) == {"one"}
    await create(db, "two", Scope(CLUSTER, tenancy=(("org", "a"), ("project", "two"))))
    assert await seen(db, (("org", "a"),)) == {"red", "one", "two"}
    await db.close()


async def test_a_tenancy_added_during_the_migration_is_not_lost(
    empty: settings.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await upgrade_to("0004", empty, monkeypatch)
    db = Database(empty)
    await db.open()
    await create(db, "before", Scope(CLUSTER, tenancy=(("org", "a"),)))
    async with session(empty) as connection, session(empty) as watching:
        writing = connection.transaction()
        await writing.start()
        # Another tenancy's first row, in an open transaction.
        await connection.execute(
            "INSERT INTO resources SELECT (jsonb_populate_record(r, jsonb_build_object('id', gen_random_uuid(),"
            " 'name', 'copy', 'tenancy', jsonb_build_object('org', 'b')))).* FROM resources AS r"
        )
        upgrading = asyncio.create_task(migrations.upgrade(empty))
        waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'ShareRowExclusiveLock'"
        for _ in range(500):
            if upgrading.done() or await watching.fetchval(waits):
                break
            await asyncio.sleep(0.02)
        assert not upgrading.done()
        await writing.commit()
        await upgrading
    # The copy is served like the original.
    assert await seen(db, (("org", "b"),)) == {"before"}
    assert await seen(db, (("org", "a"),)) == {"before"}
    await db.close()


async def test_a_database_reports_whether_it_is_older_current_or_newer(empty: settings.Database) -> None:
    assert await migrations.state(empty) == "empty"
    assert await migrations.pending(empty)
    await migrations.upgrade(empty)
    assert await migrations.state(empty) == "current"
    assert not await migrations.pending(empty)
    async with session(empty) as connection:
        await connection.execute("UPDATE alembic_version SET version_num = 'from the future'")
    assert await migrations.state(empty) == "newer"
    assert not await migrations.pending(empty)


async def test_migrating_waits_for_the_process_that_migrates(empty: settings.Database) -> None:
    async with session(empty) as connection:
        await connection.execute("SELECT pg_advisory_lock($1)", migrations.LOCK)
        waiting = asyncio.create_task(migrations.upgrade(empty))
        await asyncio.sleep(0.5)
        assert not waiting.done()
        assert await migrations.state(empty) == "empty"
        await connection.execute("SELECT pg_advisory_unlock($1)", migrations.LOCK)
        await waiting
    assert await migrations.state(empty) == "current"


async def test_the_statement_limit_of_the_role_applies_to_this_database_only(empty: settings.Database) -> None:
    await migrations.upgrade(empty)
    async with session(empty) as connection:
        assert await connection.fetchval("SHOW statement_timeout") == "1min"
        assert await connection.fetchval("SHOW lock_timeout") == "5s"
        assert await connection.fetchval("SHOW max_parallel_workers_per_gather") == "0"


async def test_the_names_of_the_first_schema_exist_as_views(empty: settings.Database) -> None:
    await migrations.upgrade(empty)
    async with session(empty) as connection:
        for name in ("clusters", "node_pools", "labels", "adapter_statuses"):
            assert await connection.fetchval(f"SELECT count(*) FROM {name}") == 0
