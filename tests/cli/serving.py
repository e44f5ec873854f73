"""The program as an operator starts it: real processes on free ports, watched from outside."""

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.cli.programs import NOTHING, environment

CLUSTERS = "/api/hyperfleet/v1/clusters"
SECONDS = 60.0
"""How long anything may take before a test gives up; only a test that fails waits so long."""


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@contextmanager
def folder() -> Iterator[Path]:
    """A folder that the account of the embedded PostgreSQL may enter."""
    path = Path(tempfile.mkdtemp(prefix="hyperfleet-cli-"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def eventually(holds: Callable[[], bool], what: str, seconds: float = SECONDS) -> None:
    """Waits until it holds; fails when it does not in time."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.05)


class Service:
    """`hyperfleet-api serve` on ports of its own; `data` is its embedded PostgreSQL's directory.

    Its environment has `variables` and `settings`.
    """

    def __init__(
        self, place: Path, *, data: Path | None = None, variables: Mapping[str, str] = NOTHING, **settings: str
    ) -> None:
        self.api, self.health, self.metrics = free_ports(3)
        self.log = place / f"serve-{self.api}.log"
        self.data = data or place / "data"
        self.environment = {
            **environment(),
            "HYPERFLEET_SERVER_JWT_ENABLED": "false",
            "HYPERFLEET_SERVER_HOST": "127.0.0.1",
            "HYPERFLEET_SERVER_PORT": str(self.api),
            "HYPERFLEET_SERVER_WORKERS": "2",
            "HYPERFLEET_HEALTH_PORT": str(self.health),
            "HYPERFLEET_METRICS_PORT": str(self.metrics),
            "HYPERFLEET_DATABASE_EMBEDDED_DATA_DIR": str(self.data),
            **variables,
            **settings,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *below: str) -> "Service":
        """Starts it, without waiting; `below` is a program that runs it."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [*below, sys.executable, "-m", "hyperfleet", "serve"],
                env=self.environment,
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
            )
        return self

    def ready(self) -> "Service":
        """Waits until it says so."""
        eventually(lambda: self.ended() is not None or self.status(self.health, "/readyz") == 200, "ready")
        assert self.ended() is None, self.text()
        return self

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def ended(self) -> int | None:
        """The exit status, None while it runs."""
        assert self.process is not None
        return self.process.poll()

    def wait(self, seconds: float = SECONDS) -> int:
        """The exit status, once it has one."""
        assert self.process is not None
        return self.process.wait(seconds)

    def signal(self, number: int = signal.SIGTERM) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self) -> None:
        """Ends it and everything that it started, whatever state it is in."""
        if self.process is None or self.ended() is not None:
            return
        tree = descendants(self.pid)
        self.signal()
        try:
            self.wait(30)
        except subprocess.TimeoutExpired:
            for pid in [self.pid, *tree]:
                kill(pid)
            self.wait()

    def text(self) -> str:
        return self.log.read_text()

    def lines(self, message: str) -> list[dict[str, Any]]:
        """The log's records with this message."""
        records = [json.loads(line) for line in self.text().splitlines() if line.startswith("{")]
        return [record for record in records if record["message"] == message]

    def status(self, port: int, path: str) -> int:
        """The status of a GET, 0 when nobody answers."""
        return fetched(port, path)[0]

    def worker_pids(self) -> list[int]:
        """The processes that answer requests."""
        return [pid for pid in descendants(self.pid) if "spawn_main" in command(pid)]

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric over the series with these labels."""
        total = 0.0
        for line in fetched(self.metrics, "/metrics")[1].decode().splitlines():
            found = re.fullmatch(name + r"\{(.*)\} (\S+)", line)
            if found and all(f'{key}="{value}"' in found[1] for key, value in labels.items()):
                total += float(found[2])
        return total


def fetched(port: int, path: str) -> tuple[int, bytes]:
    """The status and body of a GET; 0 and nothing when nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as failure:
        with failure:
            return failure.code, failure.read()
    except (OSError, http.client.HTTPException):
        return 0, b""


def create(port: int, name: str) -> int:
    """Creates a cluster over a connection of its own; the status. Raises OSError or HTTPException without an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    with contextlib.closing(connection):
        body = json.dumps({"kind": "Cluster", "name": name, "spec": {"nodes": 3}})
        connection.request("POST", CLUSTERS, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        return answer.status


def names(port: int) -> set[str]:
    """The names of all clusters."""
    found: set[str] = set()
    page = 1
    while True:
        status, body = fetched(port, f"{CLUSTERS}?pageSize=100&page={page}&fields=name")
        assert status == 200, body
        items = json.loads(body)["items"]
        found |= {item["name"] for item in items}
        if len(items) < 100:
            return found
        page += 1


def descendants(pid: int) -> list[int]:
    """Every process below this one."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, task.read_text().split()):
                found += [child, *descendants(child)]
    return found


def command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""


def lives(pid: int) -> bool:
    """Whether the process runs; one that ended and was not taken note of does not."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def kill(pid: int) -> None:
    """Kills it hard."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
