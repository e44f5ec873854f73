"""`db shell`, `db dump` and `db restore`: the configured database or the embedded one, and the programs' own status."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from hyperfleet import settings
from hyperfleet.errors import Unavailable
from hyperfleet.postgres import client_programs, embedded
from hyperfleet.services import reading
from hyperfleet.store import migrations
from hyperfleet.store.database import Statement
from hyperfleet.store.lists.pages import Listing
from testbed import serving
from testbed.fleet import CLUSTERS, below, create, report, send
from testbed.programs import client_command, environment, run
from testbed.sessions import pool, session

Variables = dict[str, str]


def variables_of(postgres: embedded.Server, name: str) -> Variables:
    """The variables for this database, and for an embedded one that must not be created."""
    return {
        "HYPERFLEET_DATABASE_HOST": str(postgres.socket_dir),
        "HYPERFLEET_DATABASE_PORT": str(postgres.port),
        "HYPERFLEET_DATABASE_NAME": name,
        "HYPERFLEET_DATABASE_EMBEDDED_DATA_DIR": "/nowhere/data",
    }


@pytest.fixture
def there(postgres: embedded.Server) -> Iterator[Variables]:
    """A new database without a schema."""
    name = f"clients_{uuid4().hex}"
    subprocess.run(client_command(postgres, "createdb", name), check=True)
    yield variables_of(postgres, name)
    subprocess.run(client_command(postgres, "dropdb", "--force", name), check=True)


def test_db_shell_opens_the_configured_database(there: Variables) -> None:
    asked = run("db", "shell", "--", "-Atc", "select current_database()", variables=there)
    assert asked.stdout == there["HYPERFLEET_DATABASE_NAME"] + "\n", asked.stderr
    url = f"postgresql://hyperfleet@/{there['HYPERFLEET_DATABASE_NAME']}?host={there['HYPERFLEET_DATABASE_HOST']}"
    named = {"HYPERFLEET_DATABASE_URL": f"{url}&port={there['HYPERFLEET_DATABASE_PORT']}&work_mem=5MB"}
    asked = run("db", "shell", "-Atc", "select current_database() || current_setting('work_mem')", variables=named)
    assert asked.stdout == there["HYPERFLEET_DATABASE_NAME"] + "5MB\n", asked.stderr


@pytest.mark.parametrize(("words", "status"), [(("-c", "select 1"), 0), (("-c", "nonsense"), 1), (("--nonsense",), 1)])
def test_the_command_exits_with_the_status_of_psql(there: Variables, words: tuple[str, ...], status: int) -> None:
    assert run("db", "shell", "--", *words, variables=there).returncode == status
    failing = run("db", "shell", "--", "-v", "ON_ERROR_STOP=1", "-f", "/nowhere", variables=there)
    assert failing.returncode == 1


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 128 + signal.SIGTERM), (signal.SIGHUP, 128 + signal.SIGHUP)]
)
def test_a_signal_reaches_psql_and_ends_it(there: Variables, number: int, status: int) -> None:
    command = [
        sys.executable,
        "-m",
        "hyperfleet",
        "db",
        "shell",
        "--",
        "-Atc",
        "select 'here' from pg_sleep(0)",
        "-f",
        "-",
    ]
    with subprocess.Popen(
        command,
        env=environment(there),
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # If the test runner ignores SIGHUP, the program ignores it, too.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    ) as shell:
        assert shell.stdout is not None
        assert shell.stdout.readline() == b"here\n"
        shell.send_signal(number)
        # Its input stays open: the end of input would end psql, too.
        assert shell.wait(60) == status


def test_a_signal_during_the_start_of_psql_reaches_it(there: Variables, tmp_path: Path) -> None:
    """The psql in the path sends the signal to its parent before anything else."""
    psql = tmp_path / "psql"
    psql.write_text("#!/bin/sh\nkill -TERM $PPID\nexec sleep 60\n")
    psql.chmod(0o755)
    tls = {"HYPERFLEET_DATABASE_SSL_MODE": "require", "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    assert run("db", "shell", variables=there | tls).returncode == 128 + signal.SIGTERM


def test_a_password_is_on_no_command_line(there: Variables, tmp_path: Path) -> None:
    bundled = tmp_path / "psql"
    bundled.write_text('#!/bin/sh\necho "$0 $@"; printenv PGPASSWORD PGSSLMODE PGHOST\n')
    bundled.chmod(0o755)
    tls = {"HYPERFLEET_DATABASE_SSL_MODE": "require", "HYPERFLEET_DATABASE_PASSWORD": "hush"}
    asked = run("db", "shell", "-l", variables=there | tls | {"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    command, *rest = asked.stdout.splitlines()
    assert command == f"{bundled} -l"
    assert rest == ["hush", "require", there["HYPERFLEET_DATABASE_HOST"]]


def test_a_database_that_requires_tls_needs_the_machines_own_psql(there: Variables, tmp_path: Path) -> None:
    for mode in ("require", "verify-ca", "verify-full"):
        tls = {"HYPERFLEET_DATABASE_SSL_MODE": mode, "PATH": str(tmp_path)}
        asked = run("db", "shell", variables=there | tls)
        assert asked.returncode == 1
        assert "apt install postgresql-client" in asked.stderr


@pytest.mark.parametrize(
    ("url", "way"),
    [
        (
            "postgresql://me:p%40ss@one:6432,two/fleet?sslmode=require",
            {"PGHOST": "one,two", "PGPORT": "6432,", "PGUSER": "me", "PGPASSWORD": "p@ss", "PGDATABASE": "fleet"}
            | {"PGSSLMODE": "require"},
        ),
        ("postgres://[::1]:5433/", {"PGHOST": "::1", "PGPORT": "5433"}),
        (
            "postgresql:///fleet?host=/run/pg&target_session_attrs=any&search_path=a b",
            {"PGHOST": "/run/pg", "PGDATABASE": "fleet", "PGTARGETSESSIONATTRS": "any"}
            | {"PGOPTIONS": "-c search_path=a\\ b"},
        ),
    ],
)
def test_a_url_has_the_same_meaning_for_the_programs(url: str, way: Variables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "elsewhere")
    found = client_programs.environment(settings.Database(url=settings.Secret(url)))
    way = {"PGTARGETSESSIONATTRS": "primary"} | way
    assert {name: text for name, text in found.items() if name.startswith("PG")} == way


async def served(configured: settings.Database) -> tuple[bytes, int]:
    """All served resources, and their highest version."""
    async with pool(configured) as db:
        page = await reading.resources(db, CLUSTERS, Listing())
        [(everything,)] = await db.fetch(
            Statement(
                "EVERYTHING",
                "SELECT array_agg(t ORDER BY t)::text FROM (SELECT r::text AS t FROM resources r UNION ALL"
                " SELECT a::text FROM adapter_statuses a UNION ALL SELECT c::text FROM resource_counts c) AS rows",
                is_read=True,
            )
        )
        versions = [int(item["resource_version"]) for item in json.loads(page)["items"]]
        return page + everything.encode(), max(versions)


async def filled(configured: settings.Database) -> None:
    await migrations.upgrade(configured)
    async with pool(configured) as db:
        cluster = await create(db, "kept", labels={"env": "production"}, spec={"text": "ü\\N\t\n", "number": 1.0})
        await create(db, "pool", below(UUID(cluster["id"])))
        await send(db, cluster["id"], report(adapter="dns-adapter"))


async def one_more(configured: settings.Database) -> int:
    async with pool(configured) as db:
        return int((await create(db, "after"))["resource_version"])


@pytest.fixture
def data() -> Iterator[Path]:
    with serving.folder() as place:
        yield place / "data"


def test_a_dump_restored_into_a_new_data_directory_serves_the_same_resources(
    there: Variables, postgres: embedded.Server, data: Path, tmp_path: Path
) -> None:
    configured = replace(postgres.settings(), name=there["HYPERFLEET_DATABASE_NAME"])
    asyncio.run(filled(configured))
    before, version = asyncio.run(served(configured))
    file = tmp_path / "fleet.dump"
    dumped = run("db", "dump", str(file), variables=there)
    assert dumped.returncode == 0, dumped.stderr
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [file]
    own = f"--database-embedded-data-dir={data}"
    restored = run("db", "restore", str(file), own)
    assert (restored.returncode, restored.stdout) == (0, "Restored.\n"), restored.stderr
    assert embedded.status(data) is None
    server = embedded.start(data)
    try:
        assert asyncio.run(served(server.settings())) == (before, version)
        assert asyncio.run(one_more(server.settings())) > version
        # While it runs: first refused as not empty, then as in use, then replaced.
        refused = run("db", "restore", str(file), own)
        assert refused.returncode == 1
        assert "is not empty; use --replace to delete its contents first" in refused.stderr
        in_use = asyncio.run(restored_while_used(server, file, own))
        assert "sessions are using" in in_use
        again = run("db", "restore", str(file), "--replace", own)
        assert again.returncode == 0, again.stderr
        assert asyncio.run(served(server.settings())) == (before, version)
    finally:
        embedded.stop(server)


async def restored_while_used(server: embedded.Server, file: Path, own: str) -> str:
    async with session(server.settings(), "a service"):
        refused = await asyncio.to_thread(run, "db", "restore", str(file), "--replace", own)
    assert refused.returncode == 1
    return refused.stderr


def test_an_incomplete_or_foreign_dump_changes_nothing(
    there: Variables, postgres: embedded.Server, tmp_path: Path
) -> None:
    name = there["HYPERFLEET_DATABASE_NAME"]
    configured = replace(postgres.settings(), name=name)
    asyncio.run(filled(configured))
    before = asyncio.run(served(configured))
    whole, cut, text = tmp_path / "whole", tmp_path / "cut", tmp_path / "text"
    assert run("db", "dump", str(whole), variables=there).returncode == 0
    cut.write_bytes(whole.read_bytes()[:-2000])
    text.write_text("SELECT 1;\n")
    foreign, newer = tmp_path / "foreign", tmp_path / "newer"
    other = f"foreign_{uuid4().hex}"
    subprocess.run(client_command(postgres, "createdb", "--template", name, other), check=True)
    for file, statement in (
        (newer, "UPDATE alembic_version SET version_num = '9999'"),
        (foreign, "DROP TABLE alembic_version"),
    ):
        psql = client_command(postgres, "psql", "-qd", other, "-c", statement)
        subprocess.run(psql, check=True)
        dump = client_command(postgres, "pg_dump", "--format=custom", f"--file={file}", other)
        subprocess.run(dump, check=True)
    subprocess.run(client_command(postgres, "dropdb", other), check=True)
    for file, said in (
        (cut, "pg_restore: error"),
        (text, "pg_restore: error"),
        (newer, "newer schema"),
        (foreign, "not a dump of a HyperFleet database"),
        (tmp_path / "none", "does not exist"),
    ):
        refused = run("db", "restore", str(file), "--replace", variables=there)
        assert refused.returncode != 0
        assert said in refused.stderr
        assert asyncio.run(served(configured)) == before


def test_a_failed_dump_leaves_the_file_unchanged(there: Variables, tmp_path: Path) -> None:
    file = tmp_path / "fleet.dump"
    file.write_text("of yesterday")
    missing = there | {"HYPERFLEET_DATABASE_NAME": "nowhere"}
    assert run("db", "dump", str(file), variables=missing).returncode != 0
    assert file.read_text() == "of yesterday"
    assert list(tmp_path.iterdir()) == [file]
    nowhere = run("db", "dump", str(tmp_path / "nowhere" / "file"), variables=there)
    assert (nowhere.returncode, "does not exist; create it" in nowhere.stderr) == (1, True)


@pytest.mark.parametrize("name", ["/", "/dev/null", "/dev/stdout", "folder", "pipe", "link to pipe"])
def test_a_dump_replaces_only_a_regular_file(there: Variables, tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link to pipe").symlink_to("pipe")
    place = tmp_path / name
    before = place.lstat()

    tried = run("db", "dump", str(place), variables=there)

    assert tried.returncode == 1
    assert (
        tried.stderr == f"hyperfleet-api: {place} exists and is not a regular file; name another file for the dump.\n"
    )
    after = place.lstat()
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)


def test_a_dump_follows_a_link(there: Variables, tmp_path: Path) -> None:
    (tmp_path / "latest.dump").symlink_to("of today.dump")

    assert run("db", "dump", str(tmp_path / "latest.dump"), variables=there).returncode == 0

    assert (tmp_path / "latest.dump").is_symlink()
    dumped = (tmp_path / "of today.dump").stat()
    assert dumped.st_size > 0
    assert dumped.st_mode & 0o777 == 0o600


def test_a_missing_program_is_reported_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(Unavailable, match="bundled pg_dump does not support"):
        client_programs.program("pg_dump", {"PGSSLMODE": "verify-full"})
