"""Runs the service as an operator would: real processes on free ports, observed from outside."""

import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hyperfleet.settings import Database
from testbed.calls import fetched
from testbed.ports import free_ports
from testbed.processes import command, descendants, kill
from testbed.programs import NOTHING, environment
from testbed.waiting import SECONDS, eventually


@contextmanager
def folder() -> Iterator[Path]:
    """A temporary folder that the embedded PostgreSQL's account may enter."""
    path = Path(tempfile.mkdtemp(prefix="hyperfleet-cli-"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def workers(pid: int) -> list[int]:
    """The worker processes of a supervisor."""
    return [each for each in descendants(pid) if "spawn_main" in command(each)]


def on(database: Database) -> dict[str, str]:
    """The environment variables for a service that uses this database."""
    return {
        "HYPERFLEET_DATABASE_HOST": database.host,
        "HYPERFLEET_DATABASE_PORT": str(database.port),
        "HYPERFLEET_DATABASE_NAME": database.name,
        "HYPERFLEET_DATABASE_USERNAME": database.username,
        "HYPERFLEET_DATABASE_EMBEDDED_DATA_DIR": "",
    }


class Service:
    """`hyperfleet-api serve` on its own ports; `data` is the directory of its embedded PostgreSQL.

    `variables` and `settings` are added to its environment. `python` is the interpreter of the checkout to serve from.
    """

    def __init__(
        self,
        place: Path,
        *,
        data: Path | None = None,
        variables: Mapping[str, str] = NOTHING,
        python: str = sys.executable,
        **settings: str,
    ) -> None:
        self._command = (python, "-m", "hyperfleet", "serve")
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
        """Starts the service without waiting; `below` is a command that the service is run under."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [*below, *self._command],
                env=self.environment,
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
            )
        return self

    def ready(self) -> "Service":
        """Waits until the service is ready."""
        eventually(lambda: self.ended() is not None or self.status(self.health, "/readyz") == 200, "ready")
        assert self.ended() is None, self.text()
        return self

    @property
    def pid(self) -> int:
        """The supervisor's process id."""
        assert self.process is not None
        return self.process.pid

    def ended(self) -> int | None:
        """The exit status, or None while the service runs."""
        assert self.process is not None
        return self.process.poll()

    def wait(self, seconds: float = SECONDS) -> int:
        """Waits for the service to end, and returns its exit status."""
        assert self.process is not None
        return self.process.wait(seconds)

    def signal(self, number: int = signal.SIGTERM) -> None:
        """Sends a signal to the supervisor."""
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self) -> None:
        """Stops the service and its descendants, in whatever state they are."""
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
        """Everything the service has logged."""
        return self.log.read_text()

    def lines(self, message: str) -> list[dict[str, Any]]:
        """The log records with this message."""
        records = [json.loads(line) for line in self.text().splitlines() if line.startswith("{")]
        return [record for record in records if record["message"] == message]

    def status(self, port: int, path: str) -> int:
        """The status of a GET; 0 without an answer."""
        return fetched(port, path)[0]

    def worker_pids(self) -> list[int]:
        """The process ids of the workers."""
        return workers(self.pid)

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric over the series with these labels."""
        total = 0.0
        for line in fetched(self.metrics, "/metrics")[1].decode().splitlines():
            found = re.fullmatch(name + r"\{(.*)\} (\S+)", line)
            if found and all(f'{key}="{value}"' in found[1] for key, value in labels.items()):
                total += float(found[2])
        return total
