"""The benchmark's own statements: each ceiling uses the current statements, on a fleet filled by the benchmark."""

import asyncio
import json
import shutil
import urllib.request
from pathlib import Path

import pytest

from bench import against, ceilings, report, service
from bench.__main__ import measured
from bench.rounds import Figures
from bench.scenarios import SCENARIOS
from testbed.calls import CLUSTERS as PATH
from testbed.serving import folder

ROOT = Path(__file__).parents[2]
CLUSTERS = 60
STARTED = "2026-01-01T00:00:00.000000Z"


def test_every_ceiling_can_be_measured() -> None:
    with folder() as place, service.running(place) as running:
        asyncio.run(service.fill(CLUSTERS, running.url))
        asyncio.run(service.execute(running, ceilings.NUMBERS))
        samples = asyncio.run(service.samples(running))
        for scenario in (each for each in SCENARIOS if each.listing or each.ceiling):
            rate = ceilings.run(running, scenario, samples, clusters=CLUSTERS, seconds=1)
            assert rate is not None, scenario.name
            assert rate > 0, scenario.name


def _total(running: service.Service) -> int:
    with urllib.request.urlopen(f"{running.url}{PATH}?pageSize=1") as answer:
        return int(json.load(answer)["total"])


@pytest.mark.skipif(shutil.which("wrk") is None, reason="needs the program wrk")
def test_two_checkouts_are_measured_in_turns_on_separate_databases() -> None:
    scenarios = [scenario for scenario in SCENARIOS if scenario.name in ("GET", "create")]
    with folder() as place, against.both(place, ROOT) as services:
        this, other = services[against.THIS], services[against.OTHER]
        service.prepare(this, CLUSTERS)
        assert _total(other) == 0
        service.prepare(other, CLUSTERS)
        filled = _total(other)
        assert _total(this) == filled > CLUSTERS
        rows = against.measure(services, scenarios, rounds=2, seconds=1, started=STARTED)
        assert min(_total(this), _total(other)) > filled
        figures = measured(this, scenarios[:1], clusters=CLUSTERS, rounds=1, seconds=1, started=STARTED)
    head, _, get, *_ = ([cell.strip() for cell in line.split("|")] for line in report.TABLES["bench"](figures))
    shown = dict(zip(head[1:-1], get[1:-1], strict=True))
    assert (shown[""], shown["statements"][:2], shown["HOT updates"]) == ("GET", "1.", "–")
    assert 0 < float(shown["of it"].removesuffix("%")) <= 100
    assert [row[0] for row in rows] == ["GET", "create"]
    assert all(len(row) == len(against.HEAD) for row in rows)
    statements = [float(cell) for row in rows for cell in row[-1].split(" → ")]
    assert all(0.9 < each < 1.5 for each in statements), statements


def test_a_ratio_is_the_median_of_the_ratios_of_each_round() -> None:
    other, this = (
        Figures(SCENARIOS[0], rate=rate, p50=[1], p99=[2], statements=[1], service_cpu=[200], database_cpu=[100])
        for rate in ([1000.0, 500.0, 100.0], [1100.0, 600.0, 90.0])
    )
    this.service_cpu = [150]
    row = dict(zip(against.HEAD[:4], against.row(other, this)[:4], strict=True))
    assert row == {"": "GET", "requests/s": "500 → 600", "ratio": "1.10", "its rounds": "0.90–1.20"}
    assert against.row(other, this)[6:8] == ["200 → 150", "0.75"]


def test_a_checkout_without_the_service_is_refused_with_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=rf"run: make -C {tmp_path} \.venv/\.run"):
        against.interpreter(tmp_path)
