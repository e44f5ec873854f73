"""Migrations: one process at a time, never edited once released, told apart when older or newer."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import asyncpg
import pytest

from hyperfleet import settings
from hyperfleet.store import embedded, migrations
from hyperfleet.store.connections import connect

RELEASED = {
    "0001_resources.py": "00d88f51a6019bd7",
    "0002_references.py": "5302b8e9149bad92",
    "0003_tenancy.py": "d3eb1511a1192eca",
    "0004_pending.py": "79cee954a6882436",
}


@pytest.fixture
async def empty(postgres: embedded.Server, worker_id: str) -> AsyncIterator[settings.Database]:
    """A database without anything in it."""
    name = f"migrations_{worker_id}"
    connection = await connect(postgres.settings("postgres"), application_name="tests")
    await connection.execute(f"CREATE DATABASE {name}")
    yield postgres.settings(name)
    await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await connection.close()


@contextlib.asynccontextmanager
async def connected(configured: settings.Database) -> AsyncIterator[asyncpg.Connection]:
    connection = await connect(configured, application_name="tests")
    yield connection
    await connection.close()


def test_a_released_migration_is_not_edited() -> None:
    folder = Path(migrations.__file__).parent / "versions"
    found = {path.name: sha256(path.read_bytes()).hexdigest()[:16] for path in folder.glob("*.py")}
    assert found == RELEASED


async def test_eight_processes_that_migrate_at_once_all_succeed(empty: settings.Database) -> None:
    await asyncio.gather(*(migrations.upgrade(empty) for _ in range(8)))
    assert await migrations.state(empty) == "current"
    async with connected(empty) as connection:
        assert await connection.fetchval("SELECT count(*) FROM alembic_version") == 1


async def test_a_database_says_how_it_stands_to_this_version(empty: settings.Database) -> None:
    assert await migrations.state(empty) == "empty"
    assert await migrations.pending(empty)
    await migrations.upgrade(empty)
    assert await migrations.state(empty) == "current"
    assert not await migrations.pending(empty)
    async with connected(empty) as connection:
        await connection.execute("UPDATE alembic_version SET version_num = 'from the future'")
    assert await migrations.state(empty) == "newer"
    assert not await migrations.pending(empty)


async def test_migrating_waits_for_the_process_that_migrates(empty: settings.Database) -> None:
    async with connected(empty) as connection:
        await connection.execute("SELECT pg_advisory_lock($1)", migrations.LOCK)
        waiting = asyncio.create_task(migrations.upgrade(empty))
        await asyncio.sleep(0.5)
        assert not waiting.done()
        assert await migrations.state(empty) == "empty"
        await connection.execute("SELECT pg_advisory_unlock($1)", migrations.LOCK)
        await waiting
    assert await migrations.state(empty) == "current"


async def test_the_role_has_a_limit_on_statements_in_this_database_only(empty: settings.Database) -> None:
    await migrations.upgrade(empty)
    async with connected(empty) as connection:
        assert await connection.fetchval("SHOW statement_timeout") == "1min"


async def test_the_words_of_the_first_schema_are_there_as_views(empty: settings.Database) -> None:
    await migrations.upgrade(empty)
    async with connected(empty) as connection:
        for name in ("clusters", "node_pools", "labels", "adapter_statuses"):
            assert await connection.fetchval(f"SELECT count(*) FROM {name}") == 0
