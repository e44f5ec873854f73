"""Direct database sessions for tests; each is closed at the end, even when a statement fails."""

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
    """One connection, outside of any pool."""
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
    """Runs the statements in a new session."""
    async with session(configured) as connection:
        for statement in statements:
            await connection.execute(statement)


async def value(configured: settings.Database, statement: str, *arguments: object) -> Any:
    """The first column of the statement's first row."""
    async with session(configured) as connection:
        return await connection.fetchval(statement, *arguments)


async def drop(server: embedded.Server, name: str) -> None:
    """Drops a database, after terminating the role's own sessions on it.

    FORCE would fail while autovacuum runs, because the role may not terminate it; PostgreSQL does so by itself.
    """
    administration = server.settings("postgres")
    await execute(administration, OWN_SESSIONS_ENDED.format(name=name), f"DROP DATABASE {name}")
