"""A service that has seen a little of everything, and Prometheus, which has watched it.

Callers of all kinds, overload, deletions that wait, late reports: enough for a value of every alert and every panel.
"""

import json
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from testbed.calls import CLUSTERS, asked
from testbed.ports import free_ports
from testbed.serving import Service, folder
from tests.chart.manifests import NAMESPACE, RELEASE

PROMETHEUS: Final = shutil.which("prometheus")
VARIABLES: Final = {
    "HYPERFLEET_METRICS_RECONCILIATION_STUCK_THRESHOLD": "1s",
    "HYPERFLEET_DATABASE_POOL_MAX_CONNECTIONS": "1",
    "HYPERFLEET_SERVER_MAX_IN_FLIGHT": "4",
}


def report(adapter: str, status: str = "False", **more: str) -> dict[str, Any]:
    conditions = [{"type": "Available", "status": status}]
    return {"adapter": adapter, "observed_generation": 1, "conditions": conditions, **more}


def create(service: Service, path: str, name: str) -> str:
    """The href of a new resource."""
    status, created = asked(service.api, "POST", path, {"name": name, "spec": {}})
    assert status == 201, created
    return str(created["href"])


def prepare(service: Service) -> list[str]:
    """Makes resources in every phase; the hrefs of those that are reported on."""
    clusters = [create(service, CLUSTERS, f"watched-{n}") for n in range(6)]
    pools = [create(service, f"{clusters[0]}/nodepools", f"pool-{n}") for n in range(3)]
    for href in (*clusters[1:4], pools[0]):
        assert asked(service.api, "POST", f"{href}/statuses", report("net", "True"))[0] == 201
    failed = report("net") | {"conditions": [{"type": "Failed", "status": "True"}]}
    assert asked(service.api, "POST", f"{clusters[4]}/statuses", failed)[0] == 201
    for name in ("going", "going-too"):
        going = create(service, CLUSTERS, name)
        assert asked(service.api, "POST", f"{going}/statuses", report("dns"))[0] == 201
        assert asked(service.api, "DELETE", going)[0] == 202
    return [clusters[0], clusters[5]]


def use(service: Service, hrefs: list[str], rounds: int) -> None:
    """One burst: more requests than are let in, mistakes, and reports that are new, late and outdated."""
    hour_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    with ThreadPoolExecutor(24) as callers:
        list(callers.map(lambda _: asked(service.api, "GET", CLUSTERS), range(rounds)))
    asked(service.api, "GET", "/api/hyperfleet/v1/nowhere")
    asked(service.api, "POST", CLUSTERS, {"name": "watched-0", "spec": {}})
    for href in hrefs:
        assert asked(service.api, "POST", f"{href}/statuses", report("dns"))[0] == 201
        asked(service.api, "POST", f"{href}/statuses", report("late", observed_time=hour_ago))
        asked(service.api, "POST", f"{href}/statuses", report("dns", observed_time=hour_ago))


@contextmanager
def watched(seconds: float, *, rounds: int = 400) -> Iterator[str]:
    """Prometheus, which has watched a service for so long; its address."""
    with folder() as place:
        service = Service(place, variables=VARIABLES).start()
        prometheus: subprocess.Popen[bytes] | None = None
        try:
            service.ready()
            hrefs = prepare(service)
            time.sleep(1.5)
            prometheus, address = started(place, service)
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                use(service, hrefs, rounds)
                time.sleep(0.2)
            yield address
        finally:
            if prometheus is not None:
                prometheus.terminate()
                prometheus.wait(30)
            service.stop()


def started(place: Path, service: Service) -> tuple[subprocess.Popen[bytes], str]:
    """Prometheus, which finds the service as it would in Kubernetes."""
    [port] = free_ports(1)
    configuration = place / "prometheus.yaml"
    targets = [{"targets": [f"127.0.0.1:{service.metrics}"], "labels": {"namespace": NAMESPACE}}]
    jobs = [{"job_name": RELEASE, "scrape_interval": "500ms", "static_configs": targets}]
    configuration.write_text(json.dumps({"scrape_configs": jobs}))
    words = [
        *(PROMETHEUS or "", f"--config.file={configuration}", f"--storage.tsdb.path={place / 'tsdb'}"),
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (place / "prometheus.log").open("wb") as log:
        return subprocess.Popen(words, stdout=log, stderr=log), f"http://127.0.0.1:{port}"


def values(prometheus: str, expression: str, **parameters: Any) -> list[Any]:
    """The series that the expression has now; with `start`, `end` and `step` over that time."""
    query = urllib.parse.urlencode({"query": expression, **parameters})
    path = "query_range" if parameters else "query"
    with urllib.request.urlopen(f"{prometheus}/api/v1/{path}?{query}", timeout=30) as answer:
        said = json.loads(answer.read())
    assert said["status"] == "success", said
    return list(said["data"]["result"])
