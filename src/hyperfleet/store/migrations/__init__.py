"""The schema and its versions: plain SQL in `versions/`, applied by Alembic, one process at a time.

Replicas start together, so a migration runs under an advisory lock. The lock is polled: a session that *blocks* on it
would deadlock with CREATE INDEX CONCURRENTLY, which waits for every session that is running a statement.
"""

import asyncio
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Final, Literal

import asyncpg

from hyperfleet import settings
from hyperfleet.errors import Unavailable
from hyperfleet.store.connections import connect
from hyperfleet.telemetry import logging

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection

State = Literal["current", "empty", "older", "newer"]

LOCK: Final = 0x48595045_52464C54
"""The advisory lock's key, the same in every version."""

LOCK_SECONDS: Final = 600.0
_POLL_SECONDS: Final = 0.2
_APPLICATION_NAME: Final = "hyperfleet-api migrate"
_VERSION: Final = "SELECT version_num FROM alembic_version"

_log = logging.get("migrate")


async def state(configured: settings.Database) -> State:
    """Whether the database has this version's schema, none, an older one, or one that this version does not support."""
    connection = await connect(configured, application_name=_APPLICATION_NAME)
    try:
        found = await connection.fetchval(_VERSION)
    except asyncpg.UndefinedTableError:
        return "empty"
    finally:
        await connection.close()
    known = revisions()
    if found is None:
        return "empty"
    if found not in known:
        return "newer"
    return "current" if found == known[-1] else "older"


async def pending(configured: settings.Database) -> bool:
    """Whether `upgrade` has migrations to apply."""
    return await state(configured) in {"empty", "older"}


async def upgrade(configured: settings.Database) -> None:
    """Migrates the database to this version's schema, if it has an older one; waits while another process migrates it.

    Raises Unavailable when the other process takes more than ten minutes, and raises what the driver raises.
    """
    guard = await connect(configured, application_name=_APPLICATION_NAME)
    try:
        await _lock(guard)
        if await pending(configured):
            await _apply(configured)
            _log.info("schema migrated", revision=revisions()[-1])
        await _limit_waits(guard, configured)
    finally:
        await guard.close()


def revisions() -> list[str]:
    """The revisions that this version supports, oldest first."""
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(_config())
    return [script.revision for script in reversed(list(scripts.walk_revisions()))]


async def _lock(guard: asyncpg.Connection) -> None:
    until = monotonic() + LOCK_SECONDS
    while not await guard.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):
        if monotonic() > until:
            raise Unavailable(
                "Another process has been migrating this database for ten minutes; find out what it is waiting for."
            )
        await asyncio.sleep(_POLL_SECONDS)


async def _apply(configured: settings.Database) -> None:
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    async def connection() -> asyncpg.Connection:
        return await connect(configured, application_name=_APPLICATION_NAME)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connection, poolclass=NullPool)
    try:
        async with engine.connect() as connected:
            await connected.run_sync(_run_scripts)
            await connected.commit()
    except DBAPIError as wrapped:
        # The rest of the service classifies the driver's own errors.
        driver = wrapped.orig.__cause__ if wrapped.orig is not None else None
        raise (driver or wrapped) from wrapped
    finally:
        await engine.dispose()


def _run_scripts(connection: "Connection") -> None:
    from alembic import command

    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


async def _limit_waits(guard: asyncpg.Connection, configured: settings.Database) -> None:
    """Sets limits on the role, in this database only: PgBouncer does not pass on the settings of a new connection.

    They limit how long a statement waits for a lock; how long it runs, as a last resort after the deadline that each
    statement has; and the processes that run it to one: a search takes one core of the database, not several.
    """
    limits = {
        "lock_timeout": int(configured.lock_timeout * 1000),
        "statement_timeout": int(configured.pool.request_timeout * 2000),
        "max_parallel_workers_per_gather": 0,
    }
    database = await guard.fetchval("SELECT quote_ident(current_database())")
    for name, limit in limits.items():
        await guard.execute(f"ALTER ROLE CURRENT_USER IN DATABASE {database} SET {name} = {limit}")


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    return config
