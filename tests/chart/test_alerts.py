"""The alerts as Prometheus' own tool reads them: their syntax, and when they fire."""

import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest
import yaml

from tests.chart.manifests import CHART

PROMTOOL: Final = shutil.which("promtool")
TESTS: Final = Path(__file__).parent / "alerts.test.yaml"
# Latencies are interpolated between buckets; promtool checks their syntax only.
UNTESTED: Final = {"HyperFleetLatency", "HyperFleetPoolWait"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(CHART / "files" / "alerts.yaml", tmp_path)
    shutil.copy(TESTS, tmp_path)
    return tmp_path


@pytest.mark.skipif(PROMTOOL is None, reason="needs the program promtool")
@pytest.mark.parametrize("words", [("check", "rules", "alerts.yaml"), ("test", "rules", "alerts.test.yaml")])
def test_prometheus_takes_the_alerts_and_they_fire_when_they_must(words: tuple[str, ...], folder: Path) -> None:
    done = subprocess.run([str(PROMTOOL), *words], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested_firing_and_silent() -> None:
    alerts = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())
    names = {rule["alert"] for group in alerts["groups"] for rule in group["rules"]}
    cases = [case for test in yaml.safe_load(TESTS.read_text())["tests"] for case in test["alert_rule_test"]]
    for fires in (True, False):
        assert {case["alertname"] for case in cases if bool(case["exp_alerts"]) is fires} == names - UNTESTED
