"""Hostile callers send data on which rules and patterns would run for minutes, while others read.

The kind has a rule that serializes each report's data again for each zone, and a pattern just below the cost limit.
Some callers report 250 KB on clusters of 1,000 and 5,000 zones, others create specs of a megabyte; readers read
clusters by id all the time.
"""

import http.client
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from testbed.calls import CLUSTERS, asked
from testbed.processes import command, descendants, megabytes
from testbed.serving import Service
from testbed.waiting import eventually

HEAD = ("callers", "for s", "reads/s", "p50 ms", "p99 ms", "hostile requests", "answers", "worker MB", "child MB")
SECONDS: Final = 12.0
START_SECONDS: Final = 150.0
READERS: Final = 4
HOSTILE: Final = 6
MOST_MEGABYTES: Final = 400
MOST_P99_SECONDS: Final = 0.5

CONFIG: Final = """
entities:
  - kind: Cluster
    required_adapters: [dns]
    conditions:
      - type: ZonesKnown
        when: {expression: "resource.spec.zones.all(z, statuses.exists(s, !toJson(s.data).contains(z)))"}
        output: {status: {expression: "true"}, reason: {expression: "'Known'"}, message: {expression: "''"}}
"""
DOCUMENT: Final = r"""
openapi: 3.0.3
components:
  schemas:
    ClusterSpec:
      type: object
      properties:
        note: {type: string, pattern: '\p{L}{1,180}\d'}
"""


def variables(folder: Path) -> dict[str, str]:
    """Writes the rules and the document, and returns the environment variables of a service that uses them."""
    (folder / "rules.yaml").write_text(CONFIG)
    (folder / "specs.yaml").write_text(DOCUMENT)
    return {
        "HYPERFLEET_CONFIG": str(folder / "rules.yaml"),
        "OPENAPI_SCHEMA_PATH": str(folder / "specs.yaml"),
        "HYPERFLEET_SERVER_WORKERS": "2",
    }


def started(service: Service) -> None:
    """Waits until the service is ready, with time enough for a busy machine."""
    eventually(lambda: service.status(service.health, "/readyz") == 200, "ready", START_SECONDS)


def created(port: int, name: str, spec: Any) -> str:
    """Creates a cluster and returns its id."""
    status, made = asked(port, "POST", CLUSTERS, {"kind": "Cluster", "name": name, "spec": spec})
    assert status == 201, made
    return str(made["id"])


def report(data: Any) -> dict[str, Any]:
    """A report from the only required adapter."""
    return {
        "adapter": "dns",
        "observed_generation": 1,
        "conditions": [{"type": "Available", "status": "True"}],
        "data": data,
    }


class _Watch:
    """Runs functions in threads until the time is over."""

    def __init__(self, *work: Callable[["_Watch"], None]) -> None:
        self.over = threading.Event()
        self._threads = [threading.Thread(target=each, args=(self,), daemon=True) for each in work]

    def run(self, seconds: float) -> None:
        for thread in self._threads:
            thread.start()
        self.over.wait(seconds)
        self.over.set()
        for thread in self._threads:
            thread.join(60)


def _measured(service: Service, ids: list[str], hostile: list[tuple[str, Any]]) -> list[str]:
    taken: list[float] = []
    answers: Counter[int] = Counter()
    peaks = {"worker": 0.0, "child": 0.0}

    def read(watch: _Watch) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", service.api, timeout=60)
        number = 0
        while not watch.over.is_set():
            number += 1
            began = time.perf_counter()
            connection.request("GET", f"{CLUSTERS}/{ids[number % len(ids)]}")
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, answer.status
            taken.append(time.perf_counter() - began)
            time.sleep(0.002)

    def attack(watch: _Watch) -> None:
        number = threading.get_ident()
        while not watch.over.is_set():
            number += 1
            path, body = hostile[number % len(hostile)]
            answers[asked(service.api, "POST", path, body)[0]] += 1

    def weigh(watch: _Watch) -> None:
        while not watch.over.is_set():
            for pid in descendants(service.pid):
                text = command(pid)
                which = "worker" if "spawn_main" in text else "child" if "confining" in text else None
                if which is not None:
                    peaks[which] = max(peaks[which], megabytes(pid))
            time.sleep(0.05)

    attackers = [attack] * (HOSTILE if hostile else 0)
    _Watch(*[read] * READERS, *attackers, weigh).run(SECONDS)
    taken.sort()
    p50, p99 = (taken[int(len(taken) * share)] for share in (0.5, 0.99))
    assert p99 < MOST_P99_SECONDS, f"p99 of reads is {p99:.3f} s"
    assert peaks["worker"] < MOST_MEGABYTES, peaks
    assert peaks["child"] < MOST_MEGABYTES, peaks
    # Each is refused with a reason or times out; nothing is stored.
    assert set(answers) <= {400, 409, 503, 504}, answers
    assert not hostile or answers[400] or answers[409], answers
    told = ", ".join(f"{count} × {status}" for status, count in sorted(answers.items()))
    return [
        f"{READERS} readers" + (f", {HOSTILE} hostile" if hostile else ""),
        f"{SECONDS:.0f}",
        f"{len(taken) / SECONDS:,.0f}",
        f"{p50 * 1000:.1f}",
        f"{p99 * 1000:.1f}",
        f"{sum(answers.values())}",
        told or "–",
        f"{peaks['worker']:.0f}",
        f"{peaks['child']:.0f}" if peaks["child"] else "–",
    ]


def drill(folder: Path) -> list[list[str]]:
    """A row for the readers alone, and one for the readers beside hostile callers."""
    service = Service(folder, variables=variables(folder)).start()
    try:
        started(service)
        ids = [created(service.api, f"cluster-{number}", {"zones": ["first"]}) for number in range(50)]
        data = {"rows": [{"key": number, "value": "v" * 40} for number in range(3500)]}
        hostile: list[tuple[str, Any]] = []
        for zones in (1000, 5000):
            id = created(service.api, f"zones-{zones}", {"zones": [f"zone-{number}" for number in range(zones)]})
            hostile.append((f"{CLUSTERS}/{id}/statuses", report(data)))
        hostile.append((CLUSTERS, {"kind": "Cluster", "name": "large", "spec": {"zones": [], "note": "é" * 500_000}}))
        rows = [_measured(service, ids, []), _measured(service, ids, hostile)]
        assert service.metric("hyperfleet_api_workers_replaced_total") == 0
        assert service.status(service.health, "/readyz") == 200
        return rows
    finally:
        service.stop()
