"""Runs a service under a mixed load for a given time: its memory, open files and processes must not grow.

`python -m drills.soak MINUTES`. Writers create, change and delete; readers list and search; others connect without a
request, stop in the middle of a body, or request resources that do not exist. The last third of the time is compared
with the second: by then the service holds everything that it keeps permanently.
"""

import argparse
import contextlib
import http.client
import itertools
import json
import random
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench import report
from bench.service import spec
from testbed.calls import CLUSTERS
from testbed.processes import command, descendants, megabytes, status
from testbed.serving import Service

HEAD = ("third of the time", "requests/s", "largest worker MB", "all MB", "open files", "processes", "threads")
GROWTH: Final = 1.10
"""How much more the last third may use than the second, as a factor."""

SLACK_MB: Final = 8.0
SLACK_FILES: Final = 12
KEPT: Final = 500
"""The clusters kept at a time; older ones are deleted, so that the data does not grow."""

CALLERS: Final = 6
SAMPLE_SECONDS: Final = 2.0


@dataclass(frozen=True)
class Sample:
    """What the service uses: the memory of its largest worker and of all its processes in MB, and counts."""

    worker: float
    memory: float
    files: int
    processes: int
    threads: int
    answers: int


class Load:
    """Callers that send requests until `end`; `answers` counts the statuses."""

    def __init__(self, port: int, callers: int) -> None:
        self._port = port
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._ids: list[str] = []
        self._numbers = itertools.count()
        self.answers: Counter[int] = Counter()
        self._threads = [threading.Thread(target=self._call, args=(number,), daemon=True) for number in range(callers)]
        self._threads.append(threading.Thread(target=self._misbehave, daemon=True))
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Stops the callers, each after its current round."""
        self._over.set()
        for thread in self._threads:
            thread.join(60)

    def _call(self, seed: int) -> None:
        chance = random.Random(seed)
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        while not self._over.is_set():
            for method, path, body in self._turn(chance):
                status, content = self._ask(connection, method, path, body)
                if status == 201 and path == CLUSTERS:
                    with self._lock:
                        self._ids.append(content["id"])
            time.sleep(0.002)
        connection.close()

    def _turn(self, chance: random.Random) -> Iterator[tuple[str, str, Any]]:
        number = next(self._numbers)
        yield "POST", CLUSTERS, {"name": f"soak-{number}", "labels": {"shard": str(number % 10)}, "spec": spec(chance)}
        with self._lock:
            id = chance.choice(self._ids) if self._ids else ""
            old = self._ids.pop(0) if len(self._ids) > KEPT else ""
        if id:
            conditions = [{"type": "Available", "status": chance.choice(["True", "False"])}]
            adapter = f"adapter-{chance.randrange(8)}"
            yield (
                "POST",
                f"{CLUSTERS}/{id}/statuses",
                {
                    "adapter": adapter,
                    "observed_generation": 1,
                    "conditions": conditions,
                },
            )
            yield "PATCH", f"{CLUSTERS}/{id}", {"spec": {"n": number}}
            yield "GET", f"{CLUSTERS}/{id}", None
        yield "GET", f"{CLUSTERS}?pageSize=20", None
        # Every search is different, so a cache of searches must not grow.
        yield "GET", f"{CLUSTERS}?pageSize=5&search=labels.shard%3D%27{number}%27", None
        yield "GET", f"{CLUSTERS}/{number}", None
        yield "GET", f"/api/hyperfleet/v1/{number}", None
        yield "POST", CLUSTERS, {"nonsense": number}
        if old:
            yield "POST", f"{CLUSTERS}/{old}/force-delete", {"reason": "soak"}
            yield "DELETE", f"{CLUSTERS}/{old}", None
            yield "POST", f"{CLUSTERS}/{old}/force-delete", {"reason": "soak"}

    def _ask(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: Any
    ) -> tuple[int, dict[str, Any]]:
        try:
            connection.request(
                method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json"}
            )
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            self.answers[0] += 1
            return 0, {}
        self.answers[answer.status] += 1
        return answer.status, json.loads(text) if text else {}

    def _misbehave(self) -> None:
        texts = (
            b"",
            b"GET /api",
            b"POST /api/hyperfleet/v1/clusters HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n"
            b"Content-Type: application/json\r\n\r\n{",
            b"GET /api/hyperfleet/v1/clusters?pageSize=500 HTTP/1.1\r\nHost: x\r\n\r\n",
        )
        held: list[socket.socket] = []
        for text in itertools.cycle(texts):
            if self._over.wait(0.05):
                break
            with contextlib.suppress(OSError):
                each = socket.create_connection(("127.0.0.1", self._port), 5)
                each.sendall(text)
                held.append(each)
            if len(held) > 100:
                held.pop(0).close()
        for each in held:
            each.close()


def _sample(service: Service, answers: int) -> Sample:
    pids = [service.pid, *descendants(service.pid)]
    database = [pid for pid in pids if "postgres" in command(pid)[:200]]
    own = [pid for pid in pids if pid not in database]
    memory = {pid: megabytes(pid) for pid in own}
    return Sample(
        worker=max(memory[pid] for pid in service.worker_pids() if pid in memory),
        memory=sum(memory.values()),
        files=sum(sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()) for pid in own),
        processes=len(own),
        threads=sum(status(pid, "Threads") for pid in own),
        answers=answers,
    )


def soak(folder: Path, seconds: float, callers: int = CALLERS) -> tuple[list[list[str]], list[str]]:
    """A row for each third of the time, and a list of failures."""
    service = Service(folder, HYPERFLEET_SERVER_WORKERS="2").start()
    samples: list[Sample] = []
    try:
        service.ready()
        load = Load(service.api, callers)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(SAMPLE_SECONDS)
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                samples.append(_sample(service, sum(load.answers.values())))
        load.end()
        died = service.lines("a worker died and was replaced")
    finally:
        service.stop()
    size = len(samples) // 3
    thirds = [samples[start : start + size] for start in (0, size, 2 * size)]
    rows = [
        [
            name,
            f"{(third[-1].answers - third[0].answers) / (len(third) * SAMPLE_SECONDS):,.0f}",
            f"{median(sample.worker for sample in third):.0f}",
            f"{median(sample.memory for sample in third):.0f}",
            f"{median(sample.files for sample in third):.0f}",
            f"{median(sample.processes for sample in third):.0f}",
            f"{median(sample.threads for sample in third):.0f}",
        ]
        for name, third in zip(("first", "second", "last"), thirds, strict=True)
    ]
    before, last = thirds[1], thirds[2]
    wrong = []
    for what, slack in (("worker", SLACK_MB), ("memory", 2 * SLACK_MB), ("files", SLACK_FILES), ("threads", 4)):
        was, now = (median(getattr(sample, what) for sample in third) for third in (before, last))
        if now > was * GROWTH and now > was + slack:
            wrong.append(f"{what} grew from {was:.0f} to {now:.0f}")
    unexpected = {status: many for status, many in load.answers.items() if status == 0 or status >= 500}
    if unexpected:
        wrong.append(f"answers that there should be none of: {unexpected}")
    if died:
        wrong.append(f"{len(died)} workers died")
    return rows, wrong


def main() -> None:
    """Runs the soak; exits with 1 when something is wrong."""
    options = argparse.ArgumentParser(prog="drills.soak", description=__doc__)
    options.add_argument("minutes", type=float, nargs="?", default=60.0)
    options.add_argument("--callers", type=int, default=CALLERS, help="how many ask at a time")
    options.add_argument("--write", action="store_true", help="put the table into docs/reliability.md")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="hyperfleet-soak-") as name:
        Path(name).chmod(0o755)
        rows, wrong = soak(Path(name), given.minutes * 60, given.callers)
    lines = [
        *report.table(rows, HEAD),
        "",
        f"{given.minutes:g} minutes, {given.callers} at a time and one that misbehaves.",
    ]
    print("\n".join(lines))
    if given.write:
        report.write(lines, "drills.soak", Path("docs/reliability.md"))
    if wrong:
        sys.exit("; ".join(wrong))


if __name__ == "__main__":
    main()
