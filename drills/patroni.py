"""Runs three nodes of Debian's PostgreSQL under Patroni in synchronous mode, with one etcd, on loopback addresses.

A write is acknowledged once a standby has it, too, so the next leader has every acknowledged write.
"""

import contextlib
import http.client
import json
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import yaml

from testbed.ports import listens
from testbed.programs import Missing, found, running
from testbed.waiting import eventually

NODES: Final = 3
PORT: Final = 15432
REST_PORT: Final = 18008
ETCD_PORT: Final = 12379
TTL_SECONDS: Final = 20
USER: Final = "hyperfleet"
PASSWORD: Final = "drill"


@dataclass
class Node:
    """A node: its number, its folder, and its Patroni process."""

    number: int
    folder: Path
    start: Callable[[], subprocess.Popen[bytes]]
    process: subprocess.Popen[bytes]

    @property
    def host(self) -> str:
        """The node's address."""
        return f"127.0.0.{self.number + 2}"

    def role(self) -> str:
        """The node's role from Patroni: `primary` or `master`, or `replica`; empty while the node is not running."""
        connection = http.client.HTTPConnection(self.host, REST_PORT, timeout=2)
        with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
            connection.request("GET", "/patroni")
            said: dict[str, Any] = json.loads(connection.getresponse().read())
            return str(said["role"]) if said.get("state") == "running" else ""
        return ""

    @property
    def leads(self) -> bool:
        """Whether the node is the leader."""
        return self.role() in ("primary", "master")

    def kill(self) -> None:
        """Kills Patroni and PostgreSQL at once, as a power failure would."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.end_database()

    def end_database(self) -> None:
        """Kills PostgreSQL if it is running."""
        with contextlib.suppress(OSError):
            os.kill(int((self.folder / "data" / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)

    def revive(self) -> None:
        """Starts the node again; it follows the current leader."""
        self.process = self.start()


@dataclass
class Cluster:
    """The nodes of one Patroni cluster."""

    nodes: list[Node] = field(default_factory=list)

    def leader(self) -> Node | None:
        """The current leader, or None."""
        return next((node for node in self.nodes if node.leads), None)

    def has_standbys(self, count: int) -> bool:
        """Whether there is a leader with at least `count` standbys."""
        roles = [node.role() for node in self.nodes]
        return self.leader() is not None and roles.count("replica") >= count


@contextmanager
def patroni(folder: Path) -> Iterator[Cluster]:
    """Three nodes with an elected leader, and a database and a role for the service."""
    binaries = Path("/usr/lib/postgresql/15/bin")
    if not (binaries / "postgres").exists():
        raise Missing("PostgreSQL 15 is missing; on Debian: apt install postgresql")
    program, etcd = found("patroni", "patroni"), found("etcd", "etcd-server")
    account = pwd.getpwnam("postgres")
    with contextlib.ExitStack() as stack:
        url = f"http://127.0.0.1:{ETCD_PORT}"
        peer = f"http://127.0.0.1:{ETCD_PORT + 1}"
        command = [
            etcd,
            "--data-dir",
            str(folder / "etcd"),
            "--listen-client-urls",
            url,
            "--advertise-client-urls",
            url,
        ]
        stack.enter_context(running([*command, "--listen-peer-urls", peer], folder / "etcd.log"))
        eventually(lambda: listens(ETCD_PORT), "etcd listens")
        cluster = Cluster()
        for number in range(NODES):
            place = folder / f"node-{number}"
            place.mkdir()
            file = place / "patroni.yml"
            file.write_text(yaml.safe_dump(_configuration(number, place, binaries)))
            for each in (place, file):
                os.chown(each, account.pw_uid, account.pw_gid)
            start = partial(_started, stack, [program, str(file)], folder / f"node-{number}.log")
            node = Node(number, place, start, start())
            cluster.nodes.append(node)
            stack.callback(node.end_database)
            if number == 0:
                eventually(lambda: cluster.leader() is not None, "the first node leads")
        eventually(lambda: cluster.has_standbys(NODES - 1), "every node follows")
        leader = cluster.leader()
        assert leader is not None
        psql = shutil.which("psql", path=str(binaries)) or "psql"
        for statement in (f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'", f"CREATE DATABASE {USER} OWNER {USER}"):
            command = [psql, "-h", leader.host, "-p", str(PORT), "-U", "postgres", "-d", "postgres", "-c", statement]
            subprocess.run(command, check=True, capture_output=True)
        yield cluster


def _started(stack: contextlib.ExitStack, command: list[str], log: Path) -> subprocess.Popen[bytes]:
    return stack.enter_context(running(command, log, user="postgres"))


def _configuration(number: int, place: Path, binaries: Path) -> dict[str, Any]:
    host = f"127.0.0.{number + 2}"
    trust = ["local all all trust", "host all all 127.0.0.0/8 trust", "host replication all 127.0.0.0/8 trust"]
    return {
        "scope": "drill",
        "name": f"node-{number}",
        "restapi": {"listen": f"{host}:{REST_PORT}", "connect_address": f"{host}:{REST_PORT}"},
        "etcd3": {"host": f"127.0.0.1:{ETCD_PORT}"},
        "bootstrap": {
            "dcs": {
                "ttl": TTL_SECONDS,
                "loop_wait": 2,
                "retry_timeout": 5,
                "synchronous_mode": True,
                "postgresql": {"use_pg_rewind": True, "parameters": {"max_connections": 200}},
            },
            "initdb": [{"encoding": "UTF8"}, {"locale": "C.UTF-8"}],
        },
        "postgresql": {
            "listen": f"{host}:{PORT}",
            "connect_address": f"{host}:{PORT}",
            "data_dir": str(place / "data"),
            "bin_dir": str(binaries),
            "pgpass": str(place / "pgpass"),
            "pg_hba": trust,
            "authentication": {
                "superuser": {"username": "postgres"},
                "replication": {"username": "postgres"},
                "rewind": {"username": "postgres"},
            },
            "parameters": {"unix_socket_directories": str(place)},
        },
    }
