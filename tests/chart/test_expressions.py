"""Every expression of alerts and dashboard, evaluated by Prometheus on what a running service tells.

The service has seen a little of everything: callers of all kinds, overload, a deletion that waits, a late report. Then
every expression, its threshold taken away, has a value; one without would never alert and never show anything.
"""

import http.client
import json
import re
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.chart.expressions import expressions
from tests.cli.serving import CLUSTERS, Service, eventually, folder, free_ports

PROMETHEUS = shutil.which("prometheus")
pytestmark = pytest.mark.skipif(PROMETHEUS is None, reason="needs the program prometheus")
THRESHOLD = re.compile(r"\s(?:==|>|<)\s[\d.]+")


def ask(service: Service, method: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
    with closing(http.client.HTTPConnection("127.0.0.1", service.api, timeout=30)) as connection:
        connection.request(method, path, body and json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or b"{}")


def report(adapter: str, **more: str) -> dict[str, Any]:
    conditions = [{"type": "Available", "status": "False"}]
    return {"adapter": adapter, "observed_generation": 1, "conditions": conditions, **more}


def much_at_once(service: Service) -> None:
    """More than is let in, on fewer connections than are asked for."""
    with ThreadPoolExecutor(24) as callers:
        list(callers.map(lambda _: ask(service, "GET", CLUSTERS), range(400)))


@pytest.fixture(scope="module")
def prometheus() -> Iterator[str]:
    """Prometheus, which has watched a service for a while; its address."""
    with folder() as place:
        variables = {
            "HYPERFLEET_METRICS_RECONCILIATION_STUCK_THRESHOLD": "1s",
            "HYPERFLEET_DATABASE_POOL_MAX_CONNECTIONS": "1",
            "HYPERFLEET_SERVER_MAX_IN_FLIGHT": "4",
        }
        service = Service(place, variables=variables).start()
        [port] = free_ports(1)
        configuration = place / "prometheus.yaml"
        targets = [{"targets": [f"127.0.0.1:{service.metrics}"]}]
        jobs = [{"job_name": "api", "scrape_interval": "500ms", "static_configs": targets}]
        configuration.write_text(json.dumps({"scrape_configs": jobs}))
        watching: subprocess.Popen[bytes] | None = None
        try:
            service.ready()
            _, created = ask(service, "POST", CLUSTERS, {"name": "watched", "spec": {}})
            _, going = ask(service, "POST", CLUSTERS, {"name": "going", "spec": {}})
            assert ask(service, "DELETE", going["href"])[0] == 202
            time.sleep(1.5)
            with (place / "prometheus.log").open("wb") as log:
                watching = subprocess.Popen(
                    [
                        *(PROMETHEUS or "", f"--config.file={configuration}", f"--storage.tsdb.path={place / 'tsdb'}"),
                        f"--web.listen-address=127.0.0.1:{port}",
                    ],
                    stdout=log,
                    stderr=log,
                )
            hour_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
            until = time.monotonic() + 8
            while time.monotonic() < until:
                much_at_once(service)
                assert ask(service, "POST", f"{created['href']}/statuses", report("dns"))[0] == 201
                ask(service, "POST", f"{created['href']}/statuses", report("late", observed_time=hour_ago))
                time.sleep(0.2)
            yield f"http://127.0.0.1:{port}"
        finally:
            if watching is not None:
                watching.terminate()
                watching.wait(30)
            service.stop()


def values(prometheus: str, expression: str) -> list[Any]:
    """The series that the expression has now."""
    query = urllib.parse.urlencode({"query": expression})
    with urllib.request.urlopen(f"{prometheus}/api/v1/query?{query}", timeout=30) as answer:
        said = json.loads(answer.read())
    assert said["status"] == "success", said
    return list(said["data"]["result"])


@pytest.mark.parametrize("name", expressions())
def test_every_expression_has_a_value_on_a_service_that_has_seen_everything(prometheus: str, name: str) -> None:
    expression = expressions()[name]
    without = THRESHOLD.sub("", expression)
    eventually(lambda: bool(values(prometheus, without)), f"{without} has a value", 20)
    # The threshold keeps some of these series, or none of them, and is itself no mistake.
    assert len(values(prometheus, expression)) <= len(values(prometheus, without))
