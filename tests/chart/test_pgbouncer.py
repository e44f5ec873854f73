"""The chart's PgBouncer and back-up, run against a database with TLS and a private authority."""

import asyncio
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest

from testbed.ports import free_ports
from testbed.serving import folder
from testbed.waiting import eventually
from tests.chart.manifests import container, environment, one, rendered
from tests.chart.values import PRIVATE
from tests.cli.test_tls import certificate

SERVERS: Final = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
pytestmark = pytest.mark.skipif(
    not SERVERS or shutil.which("pgbouncer") is None or os.geteuid() != 0,
    reason="needs the programs pgbouncer and postgres with TLS, and root to run them as another account",
)
PASSWORD: Final = "s3cret"


@dataclass(frozen=True)
class Place:
    """A folder of the account that runs the programs, with certificates, and the port of the database."""

    path: Path
    port: int

    def run(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """A command as that account."""
        return subprocess.run(
            command,
            env=self.variables(variables),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            user="postgres",
        )

    def variables(self, more: dict[str, str]) -> dict[str, str]:
        return {"PATH": f"{SERVERS[-1]}:/usr/sbin:{os.environ['PATH']}", "HOME": str(self.path), **more}

    def own(self) -> None:
        """Gives everything here to the account."""
        account = pwd.getpwnam("postgres")
        for path in (self.path, *self.path.rglob("*")):
            os.chown(path, account.pw_uid, account.pw_gid)


@pytest.fixture(scope="module")
def database() -> Iterator[Place]:
    """A PostgreSQL that takes connections by TLS and a password only."""
    with folder() as path:
        [port] = free_ports(1)
        place = Place(path, port)
        cert, key = certificate(path / "authority")
        key.chmod(0o600)
        certificate(path / "another")
        (path / "password").write_text(PASSWORD)
        place.own()
        data = str(path / "data")
        made = place.run(
            "initdb", "-D", data, "-U", "hyperfleet", f"--pwfile={path / 'password'}", "-A", "scram-sha-256"
        )
        assert made.returncode == 0, made.stderr
        (path / "data" / "pg_hba.conf").write_text("hostssl all all all scram-sha-256\n")
        options = f"-c port={port} -c listen_addresses=localhost -c unix_socket_directories= -c ssl=on"
        options += f" -c ssl_cert_file={cert} -c ssl_key_file={key}"
        started = place.run("pg_ctl", "start", "-w", "-D", data, "-l", str(path / "log"), "-o", options)
        assert started.returncode == 0, (path / "log").read_text()
        try:
            yield place
        finally:
            place.run("pg_ctl", "stop", "-m", "immediate", "-D", data)


@contextmanager
def bounced(database: Place, authority: str) -> Iterator[int]:
    """The PgBouncer of the chart, which trusts this authority; its port."""
    [port] = free_ports(1)
    manifests = rendered({"database": PRIVATE, "pgbouncer": {"enabled": True, "port": port}})
    [script] = container(manifests, "pgbouncer")["args"]
    run = database.path / f"run-{authority}"
    run.mkdir()
    database.own()
    script = script.replace("/run/pgbouncer", str(run)).replace(
        "/etc/hyperfleet-database/ca.crt", str(ca(database, authority))
    )
    variables = {name: value for name, value in environment(manifests, "pgbouncer").items() if isinstance(value, str)}
    variables |= {
        "HYPERFLEET_DATABASE_HOST": "localhost",
        "HYPERFLEET_DATABASE_PORT": str(database.port),
        "HYPERFLEET_DATABASE_NAME": "postgres",
        "HYPERFLEET_DATABASE_USERNAME": "hyperfleet",
        "HYPERFLEET_DATABASE_PASSWORD": PASSWORD,
    }
    command = [*container(manifests, "pgbouncer")["command"], script]
    with (run / "log").open("wb") as log:
        process = subprocess.Popen(command, env=database.variables(variables), stdout=log, stderr=log, user="postgres")
    try:
        eventually(lambda: b"process up" in (run / "log").read_bytes(), "PgBouncer is up", 20)
        yield port
    finally:
        process.kill()
        process.wait(30)


def ca(database: Place, authority: str) -> Path:
    return database.path / authority / "tls.crt"


async def encryption(port: int) -> bool:
    """Whether PgBouncer's own connection to the database is encrypted."""
    connection: Any = await asyncpg.connect(
        host="127.0.0.1", port=port, user="hyperfleet", password=PASSWORD, database="postgres", statement_cache_size=0
    )
    try:
        return bool(await connection.fetchval("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"))
    finally:
        await connection.close()


def test_pgbouncer_reaches_the_database_by_tls_and_checks_its_certificate(database: Place) -> None:
    with bounced(database, "authority") as port:
        assert asyncio.run(encryption(port)) is True


def test_pgbouncer_refuses_a_database_of_another_authority(database: Place) -> None:
    with bounced(database, "another") as port:
        # It tries again and again, and answers nothing meanwhile.
        with pytest.raises((asyncpg.PostgresError, OSError)):
            asyncio.run(asyncio.wait_for(encryption(port), 2))
        log = database.path / "run-another" / "log"
        eventually(lambda: "certificate verify failed" in log.read_text(), "the certificate is refused", 20)


@pytest.mark.parametrize(("authority", "works"), [("authority", True), ("another", False)])
def test_the_back_up_checks_the_certificate(database: Place, authority: str, works: bool) -> None:
    manifests = rendered({"database": PRIVATE, "backup": {"enabled": True}})
    [job] = one(manifests, "CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    directory = database.path / f"backup-{authority}"
    directory.mkdir()
    database.own()
    variables = {each["name"]: each["value"] for each in job["env"] if "value" in each}
    here = {
        "BACKUP_DIRECTORY": str(directory),
        "PGSSLROOTCERT": str(ca(database, authority)),
        "PGHOST": "localhost",
        "PGPORT": str(database.port),
        "PGUSER": "hyperfleet",
        "PGPASSWORD": PASSWORD,
        "PGDATABASE": "postgres",
    }
    done = database.run(*job["command"], *job["args"], **(variables | here))
    assert (done.returncode == 0) is works, done.stderr
    assert len(list(directory.glob("hyperfleet-*.dump"))) == works
    assert works or "certificate verify failed" in done.stderr
