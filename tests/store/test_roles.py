"""Permissions on an embedded PostgreSQL: the TCP port requires a password, and the service is not a superuser."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from hyperfleet.postgres import embedded, programs, roles
from hyperfleet.settings import Secret
from hyperfleet.store import migrations
from hyperfleet.store.database import Database
from testbed import fleet, ports, serving, waiting
from testbed.programs import client_command
from testbed.sessions import execute, pool, session, value


@pytest.fixture
def data() -> Iterator[Path]:
    with serving.folder() as folder:
        yield folder / "data"


@contextmanager
def running(data: Path, port: int | None = None) -> Iterator[embedded.Server]:
    server = embedded.start(data, port=port)
    try:
        yield server
    finally:
        embedded.stop(server)


async def tried(server: embedded.Server, password: str, statement: str, username: str = roles.USER) -> object:
    over_tcp = replace(server.settings(), host="127.0.0.1", username=username, password=Secret(password))
    return await value(over_tcp, statement)


def test_the_tcp_port_accepts_its_password_and_nothing_else(data: Path) -> None:
    [port] = ports.free_ports(1)
    with running(data, port) as server:
        password = roles.password(data)
        assert len(password) >= 32
        assert asyncio.run(tried(server, password, "SELECT 1")) == 1
        for wrong in ("", "hyperfleet", password + "x"):
            with pytest.raises(asyncpg.InvalidPasswordError):
                asyncio.run(tried(server, wrong, "SELECT 1"))
        with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
            asyncio.run(tried(server, password, "SELECT 1", roles.SUPERUSER))


def test_only_the_owner_of_the_data_can_read_the_password_and_it_does_not_change(data: Path) -> None:
    [port] = ports.free_ports(1)
    with running(data, port):
        pass
    file = data / roles.PASSWORD_FILE
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.stat().st_uid == data.stat().st_uid
    assert data.stat().st_mode & 0o777 == 0o700
    before = roles.password(data)
    with running(data, port) as server:
        assert roles.password(data) == before
        assert asyncio.run(tried(server, before, "SELECT 1")) == 1


def test_without_a_port_no_password_is_generated(data: Path) -> None:
    with running(data):
        pass
    assert not (data / roles.PASSWORD_FILE).exists()


@pytest.mark.parametrize(
    "statement",
    ["COPY resources FROM PROGRAM 'id'", "SELECT pg_read_file('/etc/hostname')", "CREATE ROLE more", "LOAD 'x'"],
)
async def test_the_service_s_role_is_not_a_superuser(db: Database, postgres: embedded.Server, statement: str) -> None:
    with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.UndefinedTableError)):
        await execute(postgres.settings(), statement.replace("resources", "pg_class"))


def made_by_the_version_before(data: Path) -> None:
    """A data directory with some data, where the service's role is the superuser and every connection is trusted."""
    account = programs.account_for()
    binaries = programs.binaries(account)
    data.mkdir(mode=0o700)
    if account is not None:
        os.chown(data, account.pw_uid, account.pw_gid)
    command = [str(binaries / "initdb"), "-D", str(data), f"--username={roles.USER}", "--auth=trust", "--encoding=UTF8"]
    command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--no-instructions"]
    subprocess.run(
        command, env=programs.ENVIRONMENT, cwd="/", check=True, capture_output=True, **programs.identity(account)
    )
    with old_server(data) as server:
        for words in (["createdb", "hyperfleet"], ["createdb", "another"]):
            subprocess.run(client_command(server, *words), check=True)
        asyncio.run(filled(server))


class old_server:  # noqa: N801
    """A plain PostgreSQL on such a directory."""

    def __init__(self, data: Path) -> None:
        account = programs.account_for(data)
        command = [str(programs.binaries(account) / "postgres"), "-D", str(data), "-k", str(data), "-h", ""]
        self._process = subprocess.Popen(
            command,
            env=programs.ENVIRONMENT,
            cwd="/",
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            **programs.identity(account),
        )
        self._server = embedded.Server(data, data, 5432, self._process.pid, self._process)

    def __enter__(self) -> embedded.Server:
        ready = client_command(self._server, "pg_isready", "-q")
        waiting.eventually(lambda: subprocess.run(ready, check=False).returncode == 0, "it takes connections")
        return self._server

    def __exit__(self, *_: object) -> None:
        embedded.stop(self._server)


async def filled(server: embedded.Server) -> None:
    await migrations.upgrade(server.settings())
    async with pool(server.settings()) as db:
        await fleet.create(db, "kept")
    for database in ("hyperfleet", "another"):
        await execute(
            server.settings(database),
            "CREATE SCHEMA own; CREATE TABLE own.notes (id bigint GENERATED ALWAYS AS IDENTITY, at serial);"
            " CREATE VIEW own.seen AS SELECT id FROM own.notes; CREATE TYPE own.mood AS ENUM ('fine');"
            " CREATE TYPE own.pair AS (a int, b int); CREATE DOMAIN own.small AS int; CREATE SEQUENCE own.numbers;"
            " CREATE FUNCTION own.one() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE EXTENSION pg_trgm;"
            " CREATE MATERIALIZED VIEW own.kept AS SELECT 1 AS one;"
            " CREATE TABLE own.parts (id int) PARTITION BY LIST (id);"
            " CREATE TABLE own.part PARTITION OF own.parts FOR VALUES IN (1)",
        )


OWNED_BY_ANOTHER = """
SELECT relname::text FROM pg_class WHERE relnamespace::regnamespace::text IN ('public', 'own')
  AND relowner <> $1::regrole
  AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e')
UNION ALL SELECT proname FROM pg_proc WHERE pronamespace::regnamespace::text IN ('public', 'own')
  AND proowner <> $1::regrole AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')
UNION ALL SELECT typname FROM pg_type WHERE typnamespace::regnamespace::text IN ('public', 'own')
  AND typowner <> $1::regrole AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_type.oid AND deptype = 'e')
  AND NOT EXISTS (SELECT FROM pg_depend JOIN pg_type element ON element.oid = refobjid
    WHERE objid = pg_type.oid AND element.typname LIKE 'gtrgm%')
UNION ALL SELECT nspname FROM pg_namespace WHERE nspname = 'own' AND nspowner <> $1::regrole
UNION ALL SELECT datname FROM pg_database WHERE datname = current_database() AND datdba <> $1::regrole
"""


async def converted(server: embedded.Server) -> None:
    for database in ("hyperfleet", "another"):
        async with session(server.settings(database)) as connection:
            assert [name for (name,) in await connection.fetch(OWNED_BY_ANOTHER, roles.USER)] == []
            assert await connection.fetchval("SELECT NOT rolsuper FROM pg_roles WHERE rolname = current_user")
            assert await connection.fetchval("SELECT rolname FROM pg_roles WHERE rolname LIKE '%conversion'") is None
            await connection.execute(
                "ALTER TABLE own.notes ADD COLUMN more text; DROP VIEW own.seen; DROP SCHEMA own CASCADE"
            )
    assert await migrations.state(server.settings()) == "current"
    await migrations.upgrade(server.settings())
    async with pool(server.settings()) as db:
        await fleet.create(db, "after")


@pytest.mark.parametrize("cut_short", ["", roles.CONVERTER, roles.CONVERTER + roles.RENAMED])
def test_a_directory_where_everyone_was_a_superuser_is_converted_at_the_next_start(data: Path, cut_short: str) -> None:
    made_by_the_version_before(data)
    if cut_short:
        with old_server(data) as server:
            converter, _, renamed = cut_short.partition("BEGIN;")
            for role, script in ((roles.USER, converter), ("hyperfleet_conversion", renamed)):
                psql = client_command(server, "psql", "-Xqd", "postgres", "-v", "ON_ERROR_STOP=1", role=role)
                subprocess.run(psql, input=script.replace("COMMIT;", ""), text=True, check=True)
    [port] = ports.free_ports(1)
    for _ in range(2):
        with running(data, port) as server:
            assert asyncio.run(tried(server, roles.password(data), "SELECT 1")) == 1
            with pytest.raises(asyncpg.InvalidPasswordError):
                asyncio.run(tried(server, "", "SELECT 1"))
    with running(data) as server:
        asyncio.run(converted(server))
