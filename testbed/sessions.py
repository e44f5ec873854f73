"""Sessions of the tests' own on a database; each is closed at the end, also when a statement in it fails."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from hyperfleet import settings
from hyperfleet.store.connections import connect
from hyperfleet.store.database import Database


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
