"""The database that a command uses: the configured one, or the embedded one, joined or started for the command.

This module has no SQL. It stops a server that it has started, and leaves a server running that it has joined.
"""

import asyncio
import contextlib
import os
import shlex
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from hyperfleet import settings
from hyperfleet.errors import DatabaseFailure, HyperFleetError, Unavailable
from hyperfleet.model.catalog import Catalog
from hyperfleet.postgres import data_directories, embedded, password_files, roles
from hyperfleet.services import confining, recomputing
from hyperfleet.store import migrations
from hyperfleet.store.connections import is_refusal, translated
from hyperfleet.store.database import Database
from hyperfleet.store.upkeep import capacities, counts
from hyperfleet.telemetry import logging

_log = logging.get("database")


def data_dir(configured: settings.Database) -> Path:
    """Where the embedded PostgreSQL keeps its data."""
    named = configured.embedded.data_dir
    return Path(named).absolute() if named else data_directories.default()


def described(configured: settings.Database) -> str:
    """A description of the database without secrets."""
    if configured.url:
        url = urlsplit(str(configured.url))
        return f"the database at {url.netloc.rpartition('@')[2]}{url.path}"
    return f"the database {configured.name} at {configured.host}, port {configured.port}"


@contextmanager
def available(configured: settings.Database) -> Iterator[settings.Database]:
    """The connection settings, within the context; raises Unavailable if the embedded PostgreSQL does not start."""
    if configured.is_configured:
        yield configured
        return
    with running(data_dir(configured)) as server:
        here = server.settings()
        yield replace(configured, host=here.host, port=here.port, name=here.name, username=here.username)


@contextmanager
def running(directory: Path, connections: int = embedded.CONNECTIONS, kinds: str = "") -> Iterator[embedded.Server]:
    """The embedded PostgreSQL: joins the server of this directory, or starts one for the duration of the context.

    A server started here allows at least `connections` connections and reports `kinds` to processes that join it.
    """
    try:
        server = embedded.start(directory, connections=connections, kinds=kinds)
    except embedded.AlreadyRunning as other:
        yield other.server
        return
    try:
        yield server
    finally:
        embedded.stop(server)


async def schema(configured: settings.Database) -> migrations.State:
    """The state of the database's schema; retries as `database.pool.conn_retry_*` say, then raises Unavailable.

    Does not retry when the database refuses the role.
    """
    attempts = configured.pool.conn_retry_attempts
    for attempt in range(1, attempts + 1):
        try:
            return await migrations.state(configured)
        except Exception as failure:
            meaning = translated(failure, "CONNECT")
            if meaning is None or isinstance(meaning, DatabaseFailure):
                raise
            if is_refusal(failure):
                raise Unavailable(
                    f"Could not use {described(configured)}: {failure}. The server refuses the role: check"
                    " database.username, database.password and the server's pg_hba.conf, then start again."
                ) from failure
            if attempt == attempts:
                raise Unavailable(f"Could not use {described(configured)}: {failure}") from failure
            _log.warning("the database is not reachable yet", attempt=attempt, attempts=attempts)
        await asyncio.sleep(configured.pool.conn_retry_interval)
    raise AssertionError(attempts)


def start(configured: settings.Database, port: int | None) -> str:
    """Starts the embedded PostgreSQL in the background; returns a report. Raises Unavailable when that fails."""
    directory = data_dir(configured)
    if port is not None and embedded.status(directory) is None and _answers(port):
        raise Unavailable(
            f"Port {port} on localhost is in use. Stop the program that uses it, or choose another port: "
            "--port=PORT, or DB_PORT=PORT with make."
        )
    try:
        server = embedded.start(directory, port=port, background=True)
    except embedded.AlreadyRunning as other:
        if port is None or _tcp_port(other.server) == port:
            return f"Already running. {_report(other.server)}"
        raise Unavailable(
            f"Already running as process {other.server.pid}, but not on TCP port {port}: stop it "
            "(hyperfleet-api db stop, or stop the service that started it), then start it again."
        ) from other
    if port is not None:
        password_files.remember(server.data_dir, port, embedded.DATABASE, roles.USER, roles.password(server.data_dir))
    return f"Started.\n{_report(server)}"


def stop(configured: settings.Database) -> str:
    """Stops the embedded PostgreSQL cleanly, whichever process started it; returns a sentence for the operator."""
    password_files.forget(Path(os.path.realpath(data_dir(configured))))
    server = embedded.status(data_dir(configured))
    if server is None:
        return f"The embedded PostgreSQL is not running on {data_dir(configured)}."
    embedded.stop(server)
    return f"Stopped process {server.pid}. The data remain in {server.data_dir}."


def status(configured: settings.Database) -> str | None:
    """A report on the running embedded PostgreSQL; None when it is not running."""
    server = embedded.status(data_dir(configured))
    return None if server is None else _report(server)


@dataclass(frozen=True, slots=True)
class Migrated:
    """The previous state of the schema, its current revision, and the number of recomputed resources."""

    before: migrations.State
    revision: str
    recomputed: int


def migrate(configured: settings.Database, catalog: Catalog | None) -> Migrated:
    """Migrates the schema and recomputes statuses by the rules of `catalog`; None leaves statuses to the service.

    Does not change a database whose schema is newer than this version.
    """

    async def upgrade(connection: settings.Database) -> Migrated:
        before = await schema(connection)
        revision = migrations.revisions()[-1]
        if before == "newer":
            return Migrated(before, revision, 0)
        await migrations.upgrade(connection)
        return Migrated(before, revision, await _recompute(connection, catalog) if catalog else 0)

    with available(configured) as connection, plain_failures(connection):
        return asyncio.run(upgrade(connection))


async def _recompute(connection: settings.Database, catalog: Catalog) -> int:
    db = Database(connection, application_name="hyperfleet-migrate")
    await db.open()
    try:
        return await recomputing.recompute(db, catalog)
    finally:
        confining.stop()
        await db.close()


def schema_now(configured: settings.Database) -> migrations.State:
    """The state of the database's schema."""
    with available(configured) as connection, plain_failures(connection):
        return asyncio.run(schema(connection))


def totals(configured: settings.Database) -> dict[str, int]:
    """The number of stored resources by kind, including kinds that are not served."""
    with plain_failures(configured):
        return asyncio.run(counts.totals(configured))


def connections(configured: settings.Database) -> int:
    """The number of connections that the database grants to the configured role."""
    with plain_failures(configured):
        return asyncio.run(capacities.connections(configured))


@contextmanager
def plain_failures(configured: settings.Database) -> Iterator[None]:
    """Turns failures of the database into one sentence for the operator instead of a driver's traceback."""
    try:
        yield
    except HyperFleetError:
        raise
    except Exception as failure:
        if translated(failure, "MIGRATE") is None:
            raise
        raise Unavailable(f"Could not use {described(configured)}: {failure}") from failure


def _report(server: embedded.Server) -> str:
    lines = [
        f"PostgreSQL, process {server.pid}",
        f"  data    {server.data_dir}",
        f"  socket  {server.socket_dir}",
    ]
    port = _tcp_port(server)
    if port is not None:
        password_file = shlex.quote(str(server.data_dir / roles.PASSWORD_FILE))
        shell = f"psql -h localhost -p {port} -U {roles.USER} {embedded.DATABASE}"
        lines.append(f"  TCP     PGPASSFILE={password_file} {shell}")
    return "\n".join([*lines, "  shell   hyperfleet-api db shell"])


def _tcp_port(server: embedded.Server) -> int | None:
    """The server's TCP port; None when it serves only its socket. Line 6 of postmaster.pid has the listen address."""
    lines = (server.data_dir / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    return server.port if lines[5].strip() else None


def _answers(port: int) -> bool:
    """Whether a program accepts connections on this port of localhost."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
