"""The service under load: started as an operator starts it, filled over its own API, watched from outside."""

import asyncio
import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import asyncpg
import httpx2

from bench.scenarios import FRESH
from hyperfleet.postgres import embedded
from hyperfleet.store.connections import connect

API_PORT: Final = 28000
METRICS_PORT: Final = 28080
HEALTH_PORT: Final = 28083
API: Final = f"http://127.0.0.1:{API_PORT}"
ADAPTERS: Final = 5
NOTHING: Final = MappingProxyType[str, str]({})
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Service:
    """The running service: its supervisor's process id, its database, the folder of this run, its addresses."""

    pid: int
    server: embedded.Server
    folder: Path
    url: str
    metrics: str
    database: str


@contextlib.contextmanager
def running(
    folder: Path,
    offset: int = 0,
    *,
    python: str = sys.executable,
    server: embedded.Server | None = None,
    database: str = embedded.DATABASE,
    variables: Mapping[str, str] = NOTHING,
) -> Iterator[Service]:
    """`hyperfleet-api serve` on ports of its own, ready, and stopped at the end.

    `offset` is added to the ports, for a second service beside the first. `python` is the interpreter of the checkout
    that serves. With `server` the service uses that PostgreSQL's `database`, otherwise an embedded PostgreSQL of its
    own. `variables` come on top of those that the benchmark sets.
    """
    url, health = f"http://127.0.0.1:{API_PORT + offset}", HEALTH_PORT + offset
    metrics = METRICS_PORT + offset
    settings = {
        "HYPERFLEET_SERVER_JWT_ENABLED": "false",
        "HYPERFLEET_SERVER_HOST": "127.0.0.1",
        "HYPERFLEET_SERVER_PORT": str(API_PORT + offset),
        "HYPERFLEET_METRICS_PORT": str(metrics),
        "HYPERFLEET_HEALTH_PORT": str(health),
        **(_external(server, database) if server else {"HYPERFLEET_DATABASE_EMBEDDED_DATA_DIR": str(folder / "data")}),
        **variables,
    }
    environment = os.environ | settings
    if server is not None:
        done = subprocess.run([python, "-m", "hyperfleet", "migrate"], env=environment, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"The database {database} could not be migrated:\n{done.stderr[-2000:]}")
    with (folder / "service.log").open("wb") as log:
        process = subprocess.Popen([python, "-m", "hyperfleet", "serve"], env=environment, stdout=log, stderr=log)
    try:
        _await_ready(process, folder, url, health)
        used = server or embedded.status(folder / "data")
        assert used is not None
        yield Service(process.pid, used, folder, url, f"http://127.0.0.1:{metrics}/metrics", database)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _external(server: embedded.Server, database: str) -> dict[str, str]:
    """The variables with which a service uses this database."""
    used = server.settings(database)
    return {
        "HYPERFLEET_DATABASE_HOST": used.host,
        "HYPERFLEET_DATABASE_PORT": str(used.port),
        "HYPERFLEET_DATABASE_NAME": used.name,
        "HYPERFLEET_DATABASE_USERNAME": used.username,
        "HYPERFLEET_DATABASE_EMBEDDED_DATA_DIR": "",
    }


def _await_ready(process: subprocess.Popen[bytes], folder: Path, url: str, health: int) -> None:
    for _ in range(600):
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{health}/readyz", timeout=2).close()
            urllib.request.urlopen(f"{url}/api/hyperfleet", timeout=2).close()
            return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError(f"The service did not start:\n{(folder / 'service.log').read_text()[-2000:]}")


def spec(chance: random.Random) -> dict[str, Any]:
    """A desired state of about one KB."""
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


async def fill(clusters: int, url: str = API, headers: Mapping[str, str] = NOTHING) -> tuple[list[str], list[str]]:
    """Creates the fleet and has every adapter report on each cluster; 2 % of the clusters are not reconciled.

    The ids of these, and of further ones that nobody reports on.
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
    """Fills the fleet, writes the files that wrk's scripts read, and gathers the planner's statistics."""
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
    """Seconds of CPU so far, of the service's processes and of the database's, and statements so far."""

    service: float
    database: float
    statements: float


def usage(service: Service) -> Usage:
    """What has been used since the start."""
    tree = _children(service.pid)
    database = {service.server.pid, *_children(service.server.pid)}
    of_database = sum(map(_cpu, database)) + _cpu_of_the_gone(service.server.pid)
    return Usage(sum(_cpu(pid) for pid in tree - database | {service.pid}), of_database, _statements(service.metrics))


def worker_memory(service: Service) -> float:
    """The largest resident set among the worker processes, in MB: those that have no children and are not the
    database's."""
    database = {service.server.pid, *_children(service.server.pid)}
    workers = [pid for pid in _children(service.pid) - database if "spawn_main" in _command(pid)]
    return max(_resident(pid) for pid in workers)


async def updates(service: Service) -> tuple[int, int]:
    """How many rows of `resources` were updated so far, and how many of these touched no index."""
    connection: asyncpg.Connection = await connect(service.server.settings(service.database), application_name="bench")
    await connection.execute("SELECT pg_stat_force_next_flush()")
    row = await connection.fetchrow(
        "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'resources'"
    )
    await connection.close()
    return row["n_tup_upd"], row["n_tup_hot_upd"]


async def execute(service: Service, statements: str) -> None:
    """Runs SQL as it is."""
    connection: asyncpg.Connection = await connect(service.server.settings(service.database), application_name="bench")
    await connection.execute(statements)
    await connection.close()


async def samples(service: Service) -> dict[str, str]:
    """A stored row and the report that its ceiling writes again, as texts; a reconciled one, so that nothing flips."""
    connection: asyncpg.Connection = await connect(service.server.settings(service.database), application_name="bench")
    row = await connection.fetchrow(
        "SELECT * FROM resources JOIN adapter_statuses ON resource_id = id"
        " WHERE adapter = 'adapter-1' AND condition_status ->> 'Reconciled' = 'True' LIMIT 1"
    )
    await connection.close()
    return {name: value.decode() for name, value in row.items() if isinstance(value, bytes)}


def _statements(metrics: str) -> float:
    text = urllib.request.urlopen(metrics, timeout=5).read().decode()
    found = re.findall(r"^hyperfleet_db_query_duration_seconds_count\{[^}]*\} ([\d.e+]+)$", text, re.MULTILINE)
    return sum(map(float, found))


def _children(pid: int) -> set[int]:
    """Every descendant, by the parents that the kernel names: its own lists of children may leave some out."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = {pid}
    while True:
        more = {child for child, parent in parents.items() if parent in found} - found
        if not more:
            return found - {pid}
        found |= more


def _cpu(pid: int) -> float:
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS
    return 0.0


def _cpu_of_the_gone(pid: int) -> float:
    """What the children used that have ended: connections come and go."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / _TICKS


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""


def _resident(pid: int) -> float:
    with contextlib.suppress(OSError):
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
        return int(found[1]) / 1024 if found else 0.0
    return 0.0
