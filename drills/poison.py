"""Stores a row, then adds a rule that cannot be evaluated on that row, and restarts the service.

Then it kills workers one after another, as if each had died of the same row, until the service is not ready.
"""

import contextlib
import json
import os
import signal
import time
from functools import partial
from pathlib import Path
from typing import Final

from drills.hostile import CONFIG, created, report, started
from testbed.calls import CLUSTERS, asked, fetched
from testbed.serving import Service
from testbed.waiting import eventually

HEAD = ("what", "count", "after s")
CLUSTERS_STORED: Final = 150
DEATHS: Final = 3


def drill(folder: Path) -> list[list[str]]:
    """Rows for what was recomputed, what was set aside, and when the service was ready."""
    poison = _filled(folder)
    (folder / "rules.yaml").write_text(CONFIG)
    began = time.monotonic()
    service = Service(folder, variables={"HYPERFLEET_CONFIG": str(folder / "rules.yaml")}).start()
    try:
        started(service)
        ready = time.monotonic() - began
        search = f"{CLUSTERS}?pageSize=1&search=status.conditions.ZonesKnown%20=%20%27True%27"
        eventually(lambda: _total(service, search) == CLUSTERS_STORED, "the others are recomputed", 60)
        recomputed = time.monotonic() - began
        event = "a mapping rule could not be evaluated; its condition is unchanged"
        eventually(lambda: bool(service.lines(event)), "the row is named", 60)
        assert {(line["id"], line["condition"]) for line in service.lines(event)} == {(poison, "ZonesKnown")}
        eventually(lambda: service.metric("hyperfleet_api_resources_set_aside") == 1, "counted", 60)
        counted = time.monotonic() - began
        died = service.metric("hyperfleet_api_workers_replaced_total")
        assert died == 0, f"{died:.0f} workers died"
        assert service.status(service.health, "/readyz") == 200
        unready, again = _killed(service)
    finally:
        service.stop()
    return [
        ["ready", "", f"{ready:.1f}"],
        ["recomputed", f"{CLUSTERS_STORED}", f"{recomputed:.1f}"],
        ["set aside, named, and counted", "1", f"{counted:.1f}"],
        ["workers that died of it", f"{died:.0f}", ""],
        ["workers killed until not ready", f"{DEATHS}", f"{unready:.1f}"],
        ["ready again", "", f"{again:.1f}"],
    ]


def _filled(folder: Path) -> str:
    """Creates clusters while their kind has no rules; returns the id of the one that the rule will fail on."""
    (folder / "none.yaml").write_text("entities: [{kind: Cluster, required_adapters: [dns]}]\n")
    service = Service(folder, variables={"HYPERFLEET_CONFIG": str(folder / "none.yaml")}).start()
    try:
        started(service)
        ids = [created(service.api, f"cluster-{number}", {"zones": ["first"]}) for number in range(CLUSTERS_STORED)]
        poison = created(service.api, "poison", {"zones": [f"zone-{number}" for number in range(5000)]})
        large = {"rows": [{"key": number, "value": "v" * 40} for number in range(3500)]}
        for id, data in (*((id, {}) for id in ids), (poison, large)):
            status, said = asked(service.api, "POST", f"{CLUSTERS}/{id}/statuses", report(data))
            assert status == 201, said
        return poison
    finally:
        service.stop()


def _total(service: Service, path: str) -> int:
    status, body = fetched(service.api, path)
    return int(json.loads(body)["total"]) if status == 200 else -1


def _replaced(service: Service, count: int) -> bool:
    return service.metric("hyperfleet_api_workers_replaced_total") >= count


def _killed(service: Service) -> tuple[float, float]:
    """Kills workers one after another; returns the seconds until the service is not ready, and until it is again."""
    began = time.monotonic()
    for number in range(1, DEATHS + 1):
        eventually(lambda: len(service.worker_pids()) == 2, "both workers run", 60)
        # If a worker dies too soon after its predecessor, the HTTP server stops as well.
        time.sleep(6)
        with contextlib.suppress(ProcessLookupError):
            os.kill(service.worker_pids()[0], signal.SIGKILL)
        eventually(partial(_replaced, service, number), "replaced", 60)
    eventually(lambda: service.status(service.health, "/readyz") == 503, "not ready", 30)
    unready = time.monotonic() - began
    reasons = json.loads(fetched(service.health, "/readyz")[1])["reasons"]
    assert reasons == [f"Workers died {DEATHS} times within 60 s; see the log for the reasons."], reasons
    eventually(lambda: service.status(service.health, "/readyz") == 200, "ready again", 90)
    return unready, time.monotonic() - began
