"""The dashboard's JSON: panels that an operator can read, variables in every query, every metric somewhere."""

import json
import re
from typing import Any, Final

import pytest

from tests.chart.manifests import CHART, one, rendered
from tests.house.pages import INSTRUMENTS

DASHBOARD: Final[dict[str, Any]] = json.loads((CHART / "files" / "dashboard.json").read_text())
PANELS: Final = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
VARIABLES: Final = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
# Where the same number means good or bad.
JUDGED: Final = {"Instances up", "Stuck", "Oldest stuck", "Errors", "Latency, p99"}


@pytest.fixture(params=PANELS, ids=[f"{panel['title']}-{panel['type']}".replace(" ", "-") for panel in PANELS])
def panel(request: pytest.FixtureRequest) -> dict[str, Any]:
    return dict(request.param)


def test_a_panel_says_what_it_shows_in_which_unit_and_which_line_is_what(panel: dict[str, Any]) -> None:
    assert panel["description"].endswith(".")
    defaults = panel["fieldConfig"]["defaults"]
    assert defaults["unit"] in {"s", "short", "none", "reqps", "ops", "bytes", "percentunit"}
    assert (defaults["unit"] == "s") == any(
        word in target["expr"] for target in panel["targets"] for word in ("_seconds_bucket", "_seconds{")
    )
    assert panel["targets"]
    for target in panel["targets"]:
        assert target["legendFormat"] or panel["type"] == "table"
        grouped = {name for found in re.findall(r"by \(([^)]*)\)", target["expr"]) for name in found.split(", ")}
        named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
        assert named <= grouped, "the legend names a label that the query drops"


def test_every_query_is_narrowed_by_the_variables(panel: dict[str, Any]) -> None:
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    for target in panel["targets"]:
        selectors = re.findall(r"\b(?:up|hyperfleet_\w+)(\{[^}]*\})?", target["expr"])
        assert selectors
        for selector in selectors:
            assert selector.startswith('{namespace=~"$namespace",job=~"$job",instance=~"$instance"')
        for name in re.findall(r"hyperfleet_\w+(?=\{[^}]*\$kind)", target["expr"]):
            row = next(row for row in INSTRUMENTS if row.name == name)
            assert "resource_type" in row.labels


def test_the_first_row_is_numbers_with_colours_that_judge() -> None:
    first = [panel for panel in PANELS if panel["gridPos"]["y"] == 0]
    assert [panel["type"] for panel in first] == ["stat"] * 8
    assert sum(panel["gridPos"]["w"] for panel in first) == 24
    for panel in first:
        steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        assert steps[0]["value"] is None
        assert (len(steps) > 1) == (panel["title"] in JUDGED), panel["title"]


def test_no_panel_covers_another_and_none_leaves_the_grid() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_every_metric_is_somewhere() -> None:
    shown = {
        name
        for panel in PANELS
        for target in panel["targets"]
        for name in re.findall(r"hyperfleet_\w+", target["expr"])
    }
    names = {row.name for row in INSTRUMENTS}
    assert names - {re.sub(r"_(bucket|count|sum)$", "", name) for name in shown} == set()


def test_links_lead_to_entries_of_the_runbook() -> None:
    entries = re.findall(r"^### (\w+)$", (CHART.parent / "docs" / "runbook.md").read_text(), re.MULTILINE)
    linked = {link["url"].partition("#")[2] for panel in PANELS for link in panel["links"]}
    assert linked == {entry.lower() for entry in entries if entry.startswith("HyperFleet")}


def test_what_can_be_chosen_comes_from_the_metrics() -> None:
    assert list(VARIABLES) == ["datasource", "namespace", "job", "instance", "kind"]
    assert VARIABLES["datasource"]["query"] == "prometheus"
    for name in ("namespace", "job", "instance", "kind"):
        variable = VARIABLES[name]
        assert (variable["includeAll"], variable["allValue"]) == (True, ".*")
        assert re.match(r"label_values\(hyperfleet_\w+[,{]", variable["query"]["query"])


def test_the_chart_ships_it_as_it_is() -> None:
    manifests = rendered({"monitoring": {"dashboard": {"enabled": True}}})
    made = one(manifests, "ConfigMap", "hyperfleet-api-dashboard")
    assert made["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(made["data"]["hyperfleet-api.json"]) == DASHBOARD
