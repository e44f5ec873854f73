"""What the chart makes for Prometheus' operator and the Gateway API, held against their own schemas."""

import copy
import json
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from tests.chart.manifests import Manifest, rendered
from tests.chart.values import MATRIX
from typespec import generate

FOLDER: Final = Path(__file__).parent / "operator"
GROUPS: Final = ("monitoring.coreos.com/v1", "gateway.networking.k8s.io/v1")


def said(manifests: list[Manifest]) -> list[str | None]:
    """What the schema of each has against it, None for nothing."""
    try:
        engine = generate.node()
        generate.packages(engine, FOLDER)
    except generate.NoNode as missing:
        pytest.skip(f"the operator's schemas are not there: {missing}")
    done = subprocess.run(
        [engine.program, FOLDER / "check.mjs"],
        input=json.dumps(manifests),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))


def made() -> list[Manifest]:
    """Every object of these groups that any set of values makes."""
    return [each for values in MATRIX.values() for each in rendered(values) if each["apiVersion"] in GROUPS]


def test_the_operator_takes_what_the_chart_makes() -> None:
    manifests = made()
    assert {each["kind"] for each in manifests} == {"ServiceMonitor", "PrometheusRule", "HTTPRoute"}
    assert said(manifests) == [None] * len(manifests)


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("ServiceMonitor", ("spec", "endpoints", 0, "interval"), "30"),
        ("ServiceMonitor", ("spec", "endpoints", 0, "port"), 8080),
        ("ServiceMonitor", ("spec", "endpoints", 0, "scheme"), 1),
        ("ServiceMonitor", ("spec", "selector"), "api"),
        ("PrometheusRule", ("spec", "groups", 0, "rules", 0, "for"), "5 minutes"),
        ("PrometheusRule", ("spec", "groups", 0, "rules", 0, "labels"), ["warning"]),
        ("HTTPRoute", ("spec", "rules", 0, "backendRefs", 0, "port"), "api"),
        ("HTTPRoute", ("spec", "parentRefs", 0, "name"), 1),
    ],
)
def test_the_schemas_find_what_is_wrong(kind: str, path: tuple[Any, ...], value: Any) -> None:
    wrong = copy.deepcopy(next(each for each in made() if each["kind"] == kind))
    place = wrong
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    [found] = said([wrong])
    assert found is not None
    assert str(path[-1]) in found
