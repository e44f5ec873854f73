"""Sessions of the tests' own on a database; each is closed at the end, also when a statement in it fails."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg

from hyperfleet import settings
from hyperfleet.postgres import embedded
from hyperfleet.store.connections import connect
from hyperfleet.store.database import Database

OWN_SESSIONS_ENDED: Final = (
    "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
    " WHERE datname = '{name}' AND usename = current_user AND backend_type = 'client backend'"
)


@asynccontextmanager
async def session(configured: settings.Database, name: str = "tests") -> AsyncIterator[asyncpg.Connection]:
    """One connection, beside any pool."""
    connection = await connect(configured, application_name=name)
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def pool(configured: settings.Database, **more: Any) -> AsyncIterator[Database]:
    """An open pool."""
    database = Database(configured, **more)
    try:
        await database.open()
        yield database
    finally:
        await database.close()


async def execute(configured: settings.Database, *statements: str) -> None:
    """Runs the statements in a session of their own."""
    async with session(configured) as connection:
        for statement in statements:
            await connection.execute(statement)


async def value(configured: settings.Database, statement: str, *arguments: object) -> Any:
    """The first column of the statement's first row."""
    async with session(configured) as connection:
        return await connection.fetchval(statement, *arguments)


async def drop(server: embedded.Server, name: str) -> None:
    """Drops a database, and ends the role's own sessions on it.

    Without FORCE: that fails beside autovacuum, which the role may not end. PostgreSQL ends it by itself.
    """
    administration = server.settings("postgres")
    await execute(administration, OWN_SESSIONS_ENDED.format(name=name), f"DROP DATABASE {name}")
