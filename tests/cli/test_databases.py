"""`migrate` and `db` on real servers: their results, and their messages when they fail."""

import asyncio
import json
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from hyperfleet import settings
from hyperfleet.assembly import databases
from hyperfleet.errors import Unavailable
from hyperfleet.postgres import embedded
from testbed import fleet
from testbed.programs import client_command, run
from testbed.sessions import pool


@pytest.fixture
def directory() -> Iterator[Path]:
    """A data directory for one test; its server is stopped at the end."""
    folder = Path(tempfile.mkdtemp(prefix="hyperfleet-tests-"))
    folder.chmod(0o755)
    yield folder / "data"
    server = embedded.status(folder / "data")
    if server is not None:
        embedded.stop(server)
    shutil.rmtree(folder)


def on(directory: Path) -> str:
    return f"--database-embedded-data-dir={directory}"


@pytest.fixture
def empty_database(postgres: embedded.Server) -> dict[str, str]:
    """The variables for a new database without a schema."""
    name = f"cli_{uuid4().hex}"
    subprocess.run(client_command(postgres, "createdb", name), check=True)
    return {
        "HYPERFLEET_DATABASE_HOST": str(postgres.socket_dir),
        "HYPERFLEET_DATABASE_PORT": str(postgres.port),
        "HYPERFLEET_DATABASE_NAME": name,
    }


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_migrate_updates_the_schema_and_check_says_whether_it_has_to(
    empty_database: dict[str, str],
) -> None:
    behind = run("migrate", "--check", variables=empty_database)
    assert (behind.returncode, behind.stdout) == (2, "The schema is out of date: run hyperfleet-api migrate.\n")
    done = run("migrate", variables=empty_database)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["changed"] is True
    assert run("migrate", "--check", variables=empty_database).stdout == "Nothing to do.\n"
    again = run("migrate", variables=empty_database)
    assert again.returncode == 0
    assert json.loads(again.stdout.splitlines()[-1])["changed"] is False


def test_migrate_recomputes_statuses_by_the_rules_of_the_configured_kinds(
    empty_database: dict[str, str], postgres: embedded.Server, tmp_path: Path
) -> None:
    def migrated(**more: str) -> tuple[int, str, str]:
        done = run("migrate", variables=empty_database | more)
        return done.returncode, done.stdout, done.stderr

    def recomputed(**more: str) -> int:
        status, said, failure = migrated(**more)
        assert status == 0, failure
        return int(json.loads(said.splitlines()[-1])["recomputed"])

    async def fill() -> None:
        async with pool(configured) as db:
            for name in ("alpha", "beta"):
                await fleet.create(db, name)

    assert recomputed() == 0
    name = empty_database["HYPERFLEET_DATABASE_NAME"]
    configured = replace(postgres.settings(), name=name)
    asyncio.run(fill())
    file = tmp_path / "kinds.yaml"
    file.write_text("entities: [{kind: Cluster, required_adapters: [d-ns, dNs]}]")
    status, _, failure = migrated(HYPERFLEET_CONFIG=str(file))
    assert status == 1
    assert "DNsSuccessful" in failure
    file.write_text("entities: [{kind: Cluster, required_adapters: [dns]}]")
    assert recomputed(HYPERFLEET_CONFIG=str(file)) == 2
    assert recomputed(HYPERFLEET_CONFIG=str(file)) == 0
    # A job that has only the database does not mistake the built-in rules for the service's rules.
    assert recomputed() == 0
    counted = "SELECT count(*) FROM resources WHERE condition_status ->> 'Reconciled' = 'False'"
    psql = client_command(postgres, "psql", "-d", name, "-Atc", counted)
    assert subprocess.run(psql, capture_output=True, text=True, check=True).stdout.strip() == "2"


def test_a_url_is_enough_for_server_role_and_database(
    empty_database: dict[str, str], postgres: embedded.Server, tmp_path: Path
) -> None:
    role, name = f"role_{uuid4().hex}", empty_database["HYPERFLEET_DATABASE_NAME"]
    grant = f"CREATE ROLE {role} LOGIN; ALTER DATABASE {name} OWNER TO {role}; ALTER SCHEMA public OWNER TO {role}"
    subprocess.run(
        client_command(postgres, "psql", "-d", name, "-c", grant, role="postgres"),
        check=True,
        capture_output=True,
    )
    (tmp_path / "url").write_text(f"postgresql://{role}@/{name}?host={postgres.socket_dir}&port={postgres.port}\n")
    done = run("migrate", variables={"HYPERFLEET_DATABASE_URL_FILE": str(tmp_path / "url")})
    assert done.returncode == 0, done.stderr
    owner = "SELECT tableowner FROM pg_tables WHERE tablename = 'resources'"
    psql = client_command(postgres, "psql", "-d", name, "-Atc", owner)
    assert subprocess.run(psql, capture_output=True, text=True, check=True).stdout.strip() == role


def test_many_migrations_can_run_concurrently(empty_database: dict[str, str]) -> None:
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: run("migrate", variables=empty_database), range(4)))
    assert [each.returncode for each in done] == [0, 0, 0, 0]


def test_migrate_refuses_a_database_from_a_newer_version(
    empty_database: dict[str, str], postgres: embedded.Server
) -> None:
    assert run("migrate", variables=empty_database).returncode == 0
    database = empty_database["HYPERFLEET_DATABASE_NAME"]
    psql = client_command(postgres, "psql", "-d", database, "-c", "UPDATE alembic_version SET version_num = 'x'")
    subprocess.run(psql, check=True, capture_output=True)
    for words in ((), ("--check",)):
        done = run("migrate", *words, variables=empty_database)
        assert done.returncode == 1
        assert "schema is newer" in done.stderr


def test_migrate_is_not_stopped_by_settings_that_it_does_not_need(empty_database: dict[str, str]) -> None:
    unrelated = {"HYPERFLEET_SERVER_PORT": "x", "HYPERFLEET_METRICS_PROT": "1", "HYPERFLEET_LOGGING_LEVEL": "loud"}
    assert run("migrate", variables=empty_database | unrelated).returncode == 0


def test_migrate_is_stopped_by_a_typo_in_the_name_of_the_database() -> None:
    done = run("migrate", variables={"HYPERFLEET_DATABASE_HSOT": "db"})
    assert done.returncode == 1
    assert "HYPERFLEET_DATABASE_HOST" in done.stderr


def test_migrate_waits_for_the_database_for_a_limited_time_and_names_it(tmp_path: Path) -> None:
    bounds = ("--database-pool-conn-retry-attempts=2", "--database-pool-conn-retry-interval=10ms")
    port = str(free_port())
    done = run("migrate", *bounds, "--database-host=127.0.0.1", f"--database-port={port}", "--database-password=hush")
    assert done.returncode == 1
    assert f"the database hyperfleet at 127.0.0.1, port {port}" in done.stderr
    assert done.stdout.count("the database is not reachable yet") == 1
    assert "Traceback" not in done.stderr
    assert "hush" not in done.stdout + done.stderr


@contextmanager
def answering(sqlstate: str) -> Iterator[tuple[int, list[bytes]]]:
    """The port of a server that rejects each session with this error, and the sessions that were started."""
    told = b"SFATAL\0VFATAL\0C" + sqlstate.encode() + b"\0Mnot now\0\0"
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            # Closing the listener ends the loop.
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        asked.append(connection.recv(4096))
                        connection.sendall(b"E" + (len(told) + 4).to_bytes(4, "big") + told)

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1], asked
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(("sqlstate", "attempts"), [("28P01", 1), ("28000", 1), ("57P03", 3)])
def test_migrate_waits_for_a_server_that_starts_but_not_for_one_that_refuses_the_role(
    sqlstate: str, attempts: int
) -> None:
    with answering(sqlstate) as (port, asked):
        configured = settings.Database(
            # Without TLS the driver connects once per attempt.
            url=settings.Secret(f"postgresql://role@127.0.0.1:{port}/name?sslmode=disable"),
            pool=settings.Pool(conn_retry_attempts=3, conn_retry_interval=0.01),
        )
        with pytest.raises(Unavailable, match="Could not use the database"):
            asyncio.run(databases.schema(configured))
    assert len(asked) == attempts


def test_without_a_configured_database_migrate_starts_and_stops_the_embedded_one(directory: Path) -> None:
    assert run("migrate", on(directory)).returncode == 0
    assert embedded.status(directory) is None
    assert run("migrate", "--check", on(directory)).returncode == 0


def test_db_start_leaves_a_server_for_the_other_commands_and_db_stop_ends_it(directory: Path) -> None:
    assert run("db", "status", on(directory)).returncode == 3
    started = run("db", "start", on(directory))
    assert started.returncode == 0, started.stderr
    server = embedded.status(directory)
    assert server is not None
    assert str(server.pid) in started.stdout
    assert "TCP" not in started.stdout
    assert run("db", "start", on(directory)).returncode == 0
    assert run("migrate", on(directory)).returncode == 0
    status = run("db", "status", on(directory))
    assert status.returncode == 0
    assert str(server.pid) in status.stdout
    tables = run("db", "shell", "-At", "-c", "select count(*) from resources", on(directory))
    assert tables.stdout == "0\n"
    assert run("db", "stop", on(directory)).returncode == 0
    assert embedded.status(directory) is None
    assert run("db", "stop", on(directory)).returncode == 0


def test_db_start_listens_on_a_tcp_port_with_a_password_on_request(directory: Path, tmp_path: Path) -> None:
    port = free_port()
    home = {"HOME": str(tmp_path)}
    kept = "db.example.com:5432:*:me:mine\n# a comment\nlocalhost:*:*:hyperfleet:of another\n"
    (tmp_path / ".pgpass").write_text(kept)
    started = run("db", "start", f"--port={port}", on(directory), variables=home)
    assert started.returncode == 0, started.stderr
    shell = f"psql -h localhost -p {port} -U hyperfleet hyperfleet"
    ready = f"PGPASSFILE={directory / 'pgpass'} {shell}"
    assert ready in started.stdout
    assert ready in run("db", "status", on(directory)).stdout
    server = embedded.status(directory)
    assert server is not None
    bundled = str(Path(client_command(server, "psql")[0]).parent)
    ask = " -wAtc 'select 1'"

    def asked(line: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": f"{bundled}:/usr/bin:/bin", "LC_ALL": "C", **variables}
        return subprocess.run(["sh", "-c", line], env=environment, capture_output=True, text=True, check=False)

    assert asked(shell + ask, **home).stdout == "1\n"
    assert asked(ready + ask).stdout == "1\n"
    assert "no password supplied" in asked(shell + ask, HOME="/nowhere").stderr
    assert run("db", "start", f"--port={port}", on(directory), variables=home).returncode == 0
    refused = run(
        *("migrate", "--database-host=localhost", f"--database-port={port}", "--database-name=hyperfleet"),
        variables={"HYPERFLEET_DATABASE_USERNAME": "hyperfleet", "HYPERFLEET_DATABASE_PASSWORD": "of another"},
    )
    assert refused.returncode == 1
    assert "password authentication failed" in refused.stderr
    assert "check database.username, database.password" in refused.stderr
    assert "of another" not in refused.stdout + refused.stderr
    assert "not reachable" not in refused.stdout
    other = run("db", "start", f"--port={free_port()}", on(directory), variables=home)
    assert other.returncode == 1
    assert "db stop" in other.stderr
    assert (tmp_path / ".pgpass").stat().st_mode & 0o777 == 0o600
    assert run("db", "stop", on(directory), variables=home).returncode == 0
    assert (tmp_path / ".pgpass").read_text() == kept


def test_a_password_file_that_cannot_be_written_does_not_stop_the_start(directory: Path, tmp_path: Path) -> None:
    (tmp_path / ".pgpass").mkdir()
    port = free_port()
    started = run("db", "start", f"--port={port}", on(directory), variables={"HOME": str(tmp_path)})
    assert started.returncode == 0, started.stderr
    assert f"PGPASSFILE={directory / 'pgpass'} psql" in started.stdout
    assert list(tmp_path.iterdir()) == [tmp_path / ".pgpass"]
    assert run("db", "stop", on(directory), variables={"HOME": str(tmp_path)}).returncode == 0


def test_db_start_refuses_a_port_in_use(directory: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        done = run("db", "start", f"--port={port}", on(directory))
    assert done.returncode == 1
    assert str(port) in done.stderr
    assert embedded.status(directory) is None


@pytest.mark.parametrize("port", ["0", "65536", "-1", "x"])
def test_db_start_refuses_an_invalid_port(port: str, directory: Path) -> None:
    done = run("db", "start", f"--port={port}", on(directory))
    assert done.returncode == 1
    assert "port" in done.stderr
    assert not directory.exists()


def test_db_shell_runs_the_server_while_it_runs_and_returns_the_exit_status_of_psql(directory: Path) -> None:
    foreign = {"PGHOST": "nowhere.invalid", "PGDATABASE": "other", "PGOPTIONS": "-c nonsense=1"}
    assert (
        run("db", "shell", on(directory), "-Atc", "select current_database()", variables=foreign).stdout
        == "hyperfleet\n"
    )
    assert run("db", "shell", on(directory), "-c", "\\q").returncode == 0
    assert run("db", "shell", on(directory), "-v", "ON_ERROR_STOP=1", "-c", "nonsense").returncode == 1
    assert embedded.status(directory) is None
