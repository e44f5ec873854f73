"""The alerts as Prometheus' own tool reads them: their syntax, what they select, and when they fire."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.chart.manifests import CHART, NAMESPACE, RELEASE, one, rendered

PROMTOOL: Final = shutil.which("promtool")
TESTS: Final = Path(__file__).parent / "alerts.test.yaml"
SELECTOR: Final = f'namespace="{NAMESPACE}",job="{RELEASE}"'
ENABLED: Final = {"monitoring": {"prometheusRule": {"enabled": True}}}


def plain() -> dict[str, Any]:
    """The file, for whoever does without the chart."""
    return dict(yaml.safe_load((CHART / "files" / "alerts.yaml").read_text()))


def rules(alerts: dict[str, Any]) -> list[dict[str, Any]]:
    return [rule for group in alerts["groups"] for rule in group["rules"]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the alerts of the chart and what is to be tested of them."""
    (tmp_path / "alerts.yaml").write_text(yaml.safe_dump(one(rendered(ENABLED), "PrometheusRule")["spec"]))
    shutil.copy(CHART / "files" / "alerts.yaml", tmp_path / "plain.yaml")
    shutil.copy(TESTS, tmp_path)
    return tmp_path


@pytest.mark.skipif(PROMTOOL is None, reason="needs the program promtool")
@pytest.mark.parametrize(
    "words",
    [("check", "rules", "alerts.yaml"), ("check", "rules", "plain.yaml"), ("test", "rules", "alerts.test.yaml")],
)
def test_prometheus_takes_the_alerts_and_they_fire_when_they_must(words: tuple[str, ...], folder: Path) -> None:
    done = subprocess.run([str(PROMTOOL), *words], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested_firing_and_silent() -> None:
    names = {rule["alert"] for rule in rules(plain())}
    cases = [case for test in yaml.safe_load(TESTS.read_text())["tests"] for case in test["alert_rule_test"]]
    for fires in (True, False):
        assert {case["alertname"] for case in cases if bool(case["exp_alerts"]) is fires} == names


@pytest.mark.parametrize(
    ("values", "selector"),
    [
        ({}, SELECTOR),
        ({"namespace": "fleet", "job": "monitoring/api"}, 'namespace="fleet",job="monitoring/api"'),
    ],
)
def test_every_metric_of_every_alert_is_selected_by_namespace_and_job(values: dict[str, str], selector: str) -> None:
    made = one(rendered({"monitoring": {"prometheusRule": {"enabled": True, **values}}}), "PrometheusRule")["spec"]
    assert len(rules(made)) == len(rules(plain()))
    for rule in rules(made):
        metrics = re.findall(r"\b(?:up|hyperfleet_\w+)\b(.{0,3})", rule["expr"])
        assert metrics
        assert len(metrics) == rule["expr"].count("{" + selector), rule["alert"]
        assert all(after.startswith("{") for after in metrics)
    for rule in rules(plain()):
        assert re.findall(r"\{(?!job=\"hyperfleet-api\")", rule["expr"]) == []


def test_every_alert_links_to_its_entry_of_the_runbook() -> None:
    entries = re.findall(r"^### (\w+)$", (CHART.parent / "docs" / "runbook.md").read_text(), re.MULTILINE)
    own = {"monitoring": {"prometheusRule": {"enabled": True, "runbookUrl": "https://wiki.example.com/hyperfleet"}}}
    default = "https://github.com/openshift-hyperfleet/hyperfleet-api/blob/main/docs/runbook.md"
    for values, page in ((ENABLED, default), (own, "https://wiki.example.com/hyperfleet")):
        for rule in rules(one(rendered(values), "PrometheusRule")["spec"]):
            assert rule["alert"] in entries
            assert rule["annotations"]["runbook_url"] == f"{page}#{rule['alert'].lower()}"
