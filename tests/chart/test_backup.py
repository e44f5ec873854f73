"""The back-up's own script, run: its dumps can be restored, it keeps the newest, a failure pushes none out."""

import os
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from hyperfleet import settings
from hyperfleet.postgres import embedded
from hyperfleet.store.database import Database
from testbed.fleet import create
from testbed.programs import client_command, tool
from testbed.sessions import session
from tests.chart.manifests import of_kind, one, rendered
from tests.chart.values import EXTERNAL


@dataclass(frozen=True)
class Job:
    """The container of the CronJob, run here with PostgreSQL's programs of the embedded server."""

    directory: Path
    server: embedded.Server
    database: str
    keep: int = 2

    def run(self, **more: str) -> subprocess.CompletedProcess[str]:
        manifests = rendered({"backup": {"enabled": True, "keep": self.keep}})
        [container] = one(manifests, "CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
        variables = {each["name"]: each["value"] for each in container["env"] if "value" in each}
        programs = Path(client_command(self.server, "pg_dump")[0]).parent
        here = {
            "BACKUP_DIRECTORY": str(self.directory),
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PGHOST": str(self.server.socket_dir),
            "PGPORT": str(self.server.port),
            "PGUSER": self.server.settings().username,
            "PGDATABASE": self.database,
        }
        command = [*container["command"], *container["args"]]
        return subprocess.run(
            command, env=variables | here | more, capture_output=True, text=True, timeout=120, check=False
        )

    def dumps(self) -> list[str]:
        return sorted(path.name for path in self.directory.iterdir())


@pytest.fixture
def job(tmp_path: Path, postgres: embedded.Server, database_settings: settings.Database) -> Job:
    return Job(tmp_path, postgres, database_settings.name)


async def test_what_it_leaves_can_be_restored(
    db: Database, job: Job, postgres: embedded.Server, database_settings: settings.Database
) -> None:
    await create(db, "kept")
    done = job.run()
    assert done.returncode == 0, done.stderr
    [dump] = job.dumps()
    assert dump in done.stdout
    assert (job.directory / dump).stat().st_mode & 0o077 == 0
    name = f"backup_{job.database}"
    tool(postgres, "createdb", name)
    try:
        tool(postgres, "pg_restore", f"--dbname={name}", "--exit-on-error", str(job.directory / dump))
        async with session(replace(database_settings, name=name)) as restored:
            rows = await restored.fetch("SELECT name FROM resources")
        assert [row["name"] for row in rows] == ["kept"]
    finally:
        tool(postgres, "dropdb", name)


def test_it_keeps_the_newest(job: Job) -> None:
    for day in (1, 2, 3):
        (job.directory / f"hyperfleet-2026010{day}T030000Z.dump").write_text("old")
    (job.directory / "hyperfleet-20260104T030000Z.dump.part").write_text("cut off")
    (job.directory / "of-another").write_text("stays")
    done = job.run()
    assert done.returncode == 0, done.stderr
    of_another, *dumps = reversed(job.dumps())
    assert of_another == "of-another"
    assert [dump for dump in dumps if dump.startswith("hyperfleet-202601")] == ["hyperfleet-20260103T030000Z.dump"]
    assert len(dumps) == job.keep


def test_a_failure_is_told_and_pushes_out_no_dump(job: Job) -> None:
    kept = [f"hyperfleet-2026010{day}T030000Z.dump" for day in (1, 2)]
    for name in kept:
        (job.directory / name).write_text("old")
    done = job.run(PGDATABASE="nowhere")
    assert done.returncode != 0
    assert "nowhere" in done.stderr
    assert [name for name in job.dumps() if name.endswith(".dump")] == kept


def test_the_claim_outlives_the_release_unless_it_is_the_users_own() -> None:
    manifests = rendered({"backup": {"enabled": True, "storage": "50Gi", "storageClassName": "slow"}})
    claim = one(manifests, "PersistentVolumeClaim")
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert claim["spec"]["storageClassName"] == "slow"
    assert claim["spec"]["resources"] == {"requests": {"storage": "50Gi"}}
    for values, name in (({}, claim["metadata"]["name"]), ({"existingClaim": "mine"}, "mine")):
        manifests = rendered({"backup": {"enabled": True, **values}})
        [volume] = one(manifests, "CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"]["volumes"]
        assert volume["persistentVolumeClaim"] == {"claimName": name}
        assert len(of_kind(manifests, "PersistentVolumeClaim")) == (name != "mine")


def test_it_is_off_by_default_and_takes_the_credentials_of_the_service() -> None:
    assert not [each for each in rendered({}) if each["kind"] == "CronJob"]
    for values, name, key in (
        ({}, "hyperfleet-api-postgresql", "password"),
        ({"database": EXTERNAL}, "hyperfleet-db-external", "db.password"),
    ):
        manifests = rendered({"backup": {"enabled": True}, **values})
        spec = one(manifests, "CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        variables = {each["name"]: each.get("valueFrom") for each in spec["containers"][0]["env"]}
        assert variables["PGPASSWORD"] == {"secretKeyRef": {"name": name, "key": key}}
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
