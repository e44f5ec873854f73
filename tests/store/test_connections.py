"""Which server a connection uses: the primary of several hosts, whatever state the others are in."""

import asyncio
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from hyperfleet import settings
from hyperfleet.errors import Unavailable
from hyperfleet.postgres import embedded, programs
from hyperfleet.store import connections
from hyperfleet.store.database import Database, Statement
from testbed import serving, waiting
from testbed.programs import client_command
from testbed.sessions import session, value

ONE = Statement("ONE", "SELECT 1", is_read=True)
WRITE = Statement("WRITE", "INSERT INTO resource_counts VALUES ('Kept', '*', 0, 1)")


@pytest.fixture(scope="module")
def standby() -> Iterator[embedded.Server]:
    """A PostgreSQL in recovery, like a replica, which accepts reads."""
    with serving.folder() as folder:
        primary = embedded.start(folder / "data")
        embedded.stop(primary)
        (primary.data_dir / "standby.signal").touch()
        account = programs.account_for(primary.data_dir)
        options = {"-D": str(primary.data_dir), "-k": str(primary.socket_dir), "-N": str(embedded.CONNECTIONS)}
        command = [str(programs.binaries(account) / "postgres"), "-c", "listen_addresses="]
        process: subprocess.Popen[bytes] = subprocess.Popen(
            [*command, *(word for pair in options.items() for word in pair)],
            stderr=subprocess.DEVNULL,
            env=programs.ENVIRONMENT,
            cwd="/",
            **programs.identity(account),
        )
        server = replace(primary, pid=process.pid, process=process)
        try:
            waiting.eventually(lambda: is_up(server), "the standby takes connections")
            yield server
        finally:
            embedded.stop(server)


def is_up(server: embedded.Server) -> bool:
    command = client_command(server, "pg_isready", "-q")
    return subprocess.run(command, check=False).returncode == 0


@contextmanager
def silent(place: Path, port: int) -> Iterator[str]:
    """The directory of a server that accepts connections and never sends anything."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place / f".s.PGSQL.{port}"))
        listener.listen()
        yield str(place)


async def opened(configured: settings.Database, timeout: float = 6.0) -> float:
    """The seconds that a connection took."""
    began = time.monotonic()
    connection = await connections.connect(configured, application_name="tests", timeout=timeout)
    try:
        took = time.monotonic() - began
        assert await connection.fetchval("SELECT NOT pg_is_in_recovery()")
    finally:
        await connection.close()
    return took


def test_a_standby_is_refused_with_what_to_do(standby: embedded.Server) -> None:
    with pytest.raises(asyncpg.TargetServerAttributeNotMatched, match=r"set database.host to the primary"):
        asyncio.run(opened(standby.settings()))


async def test_a_service_on_a_standby_reads_nothing(standby: embedded.Server) -> None:
    db = Database(standby.settings())
    with pytest.raises(Unavailable):
        await db.fetch(ONE)
    await db.close()


async def test_a_url_may_request_a_standby(standby: embedded.Server) -> None:
    here = standby.settings()
    url = f"postgresql://{here.username}@/{here.name}?host={here.host}&port={here.port}&target_session_attrs=any"
    assert await value(settings.Database(url=settings.Secret(url)), "SELECT pg_is_in_recovery()")


async def test_the_primary_of_several_hosts_is_found_and_then_tried_first(
    tmp_path: Path, database_settings: settings.Database
) -> None:
    nobody = tmp_path / "nobody"
    nobody.mkdir()
    with silent(tmp_path, database_settings.port) as first:
        several = replace(database_settings, host=f"{first}, {nobody}, {database_settings.host}")
        assert 1.5 < await opened(several) < 4
        assert await opened(several) < 1.5


async def test_if_all_of_several_hosts_are_down_none_is_waited_for_beyond_the_limit(
    tmp_path: Path, database_settings: settings.Database
) -> None:
    with silent(tmp_path, database_settings.port) as first:
        several = replace(database_settings, host=f"{first},{tmp_path / 'nobody'}")
        began = time.monotonic()
        with pytest.raises(OSError, match="No such file"):
            await opened(several, timeout=1.0)
        assert time.monotonic() - began < 4


async def test_a_connection_to_a_server_that_no_longer_accepts_writes_is_closed(
    database_settings: settings.Database,
) -> None:
    db = Database(replace(database_settings, pool=settings.Pool(max_connections=1)))
    pid = Statement("PID", "SELECT pg_backend_pid()", is_read=True)
    [(before,)] = await db.fetch(pid)
    await db.fetch(Statement("READ_ONLY", "SET default_transaction_read_only = on"))
    with pytest.raises(Unavailable, match="is read-only"):
        await db.fetch(WRITE)
    [(after,)] = await db.fetch(pid)
    assert after != before
    await db.close()


def test_a_promoted_standby_is_accepted(standby: embedded.Server) -> None:
    with pytest.raises(asyncpg.TargetServerAttributeNotMatched):
        asyncio.run(opened(standby.settings()))
    (standby.data_dir / "promote").touch()
    os.kill(standby.pid, signal.SIGUSR1)

    def is_primary() -> bool:
        try:
            asyncio.run(opened(standby.settings()))
        except asyncpg.TargetServerAttributeNotMatched:
            return False
        return True

    waiting.eventually(is_primary, "the standby is promoted")


async def test_a_connection_whose_preparation_fails_is_closed(
    database_settings: settings.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server may disappear, or the caller's deadline may pass, between the login and the last query."""
    application = "half made"
    monkeypatch.setattr(connections, "_JSONB_VERSION", None)
    with pytest.raises(AttributeError):
        await connections.connect(database_settings, application_name=application)
    monkeypatch.undo()
    async with session(database_settings) as other:
        counted = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1"
        for _ in range(100):
            if not await other.fetchval(counted, application):
                return
            await asyncio.sleep(0.05)
    pytest.fail("It is open after five seconds.")
