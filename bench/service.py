"""The service under load: started as an operator starts it, filled through its own API, observed from outside."""

import asyncio
import contextlib
import json
import random
import re
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx2

from bench.scenarios import FRESH
from hyperfleet.postgres import embedded
from testbed import processes, programs, serving, sessions
from testbed.processes import cpu_seconds
from testbed.programs import NOTHING
from testbed.sessions import session

ADAPTERS: Final = 5


@dataclass(frozen=True, slots=True)
class Service:
    """The running service: its supervisor's process id, its database server, the folder of this run, and its URLs."""

    pid: int
    server: embedded.Server
    folder: Path
    url: str
    metrics: str
    database: str


@contextlib.contextmanager
def running(
    folder: Path,
    *,
    python: str = sys.executable,
    server: embedded.Server | None = None,
    database: str = embedded.DATABASE,
    variables: Mapping[str, str] = NOTHING,
) -> Iterator[Service]:
    """Starts `hyperfleet-api serve` with its default number of workers; yields it when ready, and stops it at the end.

    `python` is the interpreter of the served checkout. With `server` the service uses `database` on that PostgreSQL,
    otherwise an embedded PostgreSQL of its own. `variables` are added to the benchmark's own.
    """
    settings = serving.on(server.settings(database)) if server else {}
    service = serving.Service(folder, variables={**settings, **variables}, python=python)
    service.environment.pop("HYPERFLEET_SERVER_WORKERS")
    if server is not None:
        program = (python, "-m", "hyperfleet")
        done = programs.run("migrate", variables={**settings, **variables}, program=program)
        if done.returncode:
            raise RuntimeError(f"The database {database} could not be migrated:\n{done.stderr[-2000:]}")
    try:
        service.start().ready()
        used = server or embedded.status(service.data)
        assert used is not None
        url, metrics = (f"http://127.0.0.1:{port}" for port in (service.api, service.metrics))
        yield Service(service.pid, used, folder, url, f"{metrics}/metrics", database)
    finally:
        service.stop()


def spec(chance: random.Random) -> dict[str, Any]:
    """A desired state of about 1 KB."""
    pools = [
        {
            "name": f"pool-{number}",
            "instance_type": chance.choice(["m5.xlarge", "c6i.2xlarge"]),
            "replicas": chance.randrange(1, 90),
        }
        for number in range(8)
    ]
    return {
        "region": chance.choice(["us-east-1", "us-west-2", "eu-west-1"]),
        "version": f"4.16.{chance.randrange(30)}",
        "nodes": chance.randrange(3, 90),
        "network": {"pod_cidr": f"10.{chance.randrange(255)}.0.0/16", "type": "OVNKubernetes"},
        "pools": pools,
        "note": "".join(chance.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=300)),
    }


async def fill(clusters: int, url: str, headers: Mapping[str, str] = NOTHING) -> tuple[list[str], list[str]]:
    """Creates the fleet and sends a report of every adapter on each cluster; 2 % of the clusters are not reconciled.

    Returns the ids of these clusters, and those of further clusters without reports.
    """
    chance = random.Random(1)
    ids: list[str] = []
    fresh: list[str] = []
    slots = asyncio.Semaphore(64)
    limits = httpx2.Limits(max_connections=64, max_keepalive_connections=64)
    async with httpx2.AsyncClient(
        base_url=f"{url}/api/hyperfleet/v1", limits=limits, timeout=60, headers=headers
    ) as client:

        async def create(name: str, shard: int) -> str:
            labels = {"env": "production", "team": "platform", "shard": f"s{shard}", "region": "eu"}
            body = {"kind": "Cluster", "name": name, "labels": labels, "spec": spec(chance)}
            created = await client.post("/clusters", json=body)
            return str(created.raise_for_status().json()["id"])

        async def one(number: int) -> None:
            async with slots:
                id = await create(f"cluster-{number}", number % 50)
                for adapter in range(ADAPTERS):
                    sent = await client.post(f"/clusters/{id}/statuses", json=_report(adapter, fails=number % 50 == 7))
                    sent.raise_for_status()
                ids.append(id)

        async def another(number: int) -> None:
            async with slots:
                fresh.append(await create(f"fresh-{number}", number % 50))

        await asyncio.gather(*(one(number) for number in range(clusters)))
        await asyncio.gather(*(another(number) for number in range(FRESH)))
    return ids, fresh


def prepare(service: Service, clusters: int, headers: Mapping[str, str] = NOTHING) -> None:
    """Creates the fleet, writes the files that wrk's scripts read, and updates the planner's statistics."""
    ids, fresh = asyncio.run(fill(clusters, service.url, headers))
    (service.folder / "ids").write_text("\n".join(ids))
    (service.folder / "fresh").write_text("\n".join(fresh))
    (service.folder / "spec").write_text(json.dumps(spec(random.Random(2))))
    asyncio.run(execute(service, "VACUUM ANALYZE"))


def _report(adapter: int, *, fails: bool) -> dict[str, Any]:
    conditions = [
        {
            "type": type,
            "status": "False" if fails and type == "Available" else "True",
            "reason": "AsExpected",
            "message": message,
        }
        for type, message in (
            ("Available", "What was asked for is there"),
            ("Applied", "The manifest was applied"),
            ("Health", "All probes succeed"),
        )
    ]
    data = {"attempts": 3, "endpoint": "https://api.example.com"}
    return {"adapter": f"adapter-{adapter}", "observed_generation": 1, "conditions": conditions, "data": data}


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds of the service's processes and of the database's, and the number of statements, since the start."""

    service: float
    database: float
    statements: float


def usage(service: Service) -> Usage:
    """The usage since the start."""
    tree = {service.pid, *processes.descendants(service.pid)}
    database = {service.server.pid, *processes.descendants(service.server.pid)}
    of_database = sum(map(cpu_seconds, database)) + processes.cpu_seconds_of_the_gone(service.server.pid)
    return Usage(sum(map(cpu_seconds, tree - database)), of_database, _statements(service.metrics))


def worker_memory(service: Service) -> float:
    """The largest resident set among the worker processes, in MB."""
    return max(map(processes.megabytes, serving.workers(service.pid)))


async def updates(service: Service) -> tuple[int, int]:
    """The number of updates of rows in `resources` so far, and how many of them touched no index (HOT)."""
    counted = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'resources'"
    async with session(service.server.settings(service.database), "bench") as connection:
        await connection.execute("SELECT pg_stat_force_next_flush()")
        row = await connection.fetchrow(counted)
    return row["n_tup_upd"], row["n_tup_hot_upd"]


async def execute(service: Service, statements: str) -> None:
    """Runs SQL."""
    await sessions.execute(service.server.settings(service.database), statements)


async def samples(service: Service) -> dict[str, str]:
    """A stored row and a report, as texts, for the ceiling to write again; reconciled, so that no status changes."""
    async with session(service.server.settings(service.database), "bench") as connection:
        row = await connection.fetchrow(
            "SELECT * FROM resources JOIN adapter_statuses ON resource_id = id"
            " WHERE adapter = 'adapter-1' AND condition_status ->> 'Reconciled' = 'True' LIMIT 1"
        )
    return {name: value.decode() for name, value in row.items() if isinstance(value, bytes)}


def _statements(metrics: str) -> float:
    text = urllib.request.urlopen(metrics, timeout=5).read().decode()
    found = re.findall(r"^hyperfleet_db_query_duration_seconds_count\{[^}]*\} ([\d.e+]+)$", text, re.MULTILINE)
    return sum(map(float, found))
