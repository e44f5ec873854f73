"""A row is all that a metric needs: more are served, start at zero where they should, and are documented."""

import re
from typing import Final

from prometheus_client import CollectorRegistry

from hyperfleet.serving.probing.backlog_gauges import READINGS, BacklogGauges, Reading
from hyperfleet.telemetry import metrics
from hyperfleet.telemetry.metrics import INSTRUMENTS, Instrument, Instruments
from tests.house import pages

ADDED: Final = (
    Instrument(
        "hyperfleet_api_moves_total",
        "counter",
        "Moves.",
        ("result", "way"),
        values=(("done", "failed"), ("up", "down")),
    ),
    Instrument("hyperfleet_api_moves_waiting", "gauge", "Moves that wait.", values=()),
    Instrument("hyperfleet_api_move_duration_seconds", "histogram", "Time of a move.", ("way",), (0.5, 1.0)),
)
FLEET: Final = Instrument("hyperfleet_api_resources_moving", "gauge", "Resources that move.", ("resource_type",))


COMMON: Final = r'(component|version)="[^"]*",?'


def series(exposed: str) -> dict[str, float]:
    """The value of each series, by its name and its own labels."""
    found = re.findall(r"^(\w+)\{(.*)\} ([\d.e+-]+)$", exposed, re.MULTILINE)
    named = {f"{name} {re.sub(COMMON, '', labels).strip(',')}".strip(): value for name, labels, value in found}
    return {name: float(value) for name, value in named.items() if "_created" not in name}


def test_an_instrument_is_served_and_counts_by_its_labels() -> None:
    registry = CollectorRegistry()
    instruments = Instruments((*INSTRUMENTS, *ADDED), registry)
    instruments.child("hyperfleet_api_moves_total", "done", "up").inc(2)
    instruments.child("hyperfleet_api_move_duration_seconds", "up").observe(0.7)
    exposed = metrics.exposition(registry).decode()
    for row in ADDED:
        assert f"# HELP {row.name} {row.help}\n# TYPE {row.name} {row.type}\n" in exposed
    found = series(exposed)
    assert found['hyperfleet_api_moves_total result="done",way="up"'] == 2
    buckets = [found[f'hyperfleet_api_move_duration_seconds_bucket le="{bound}",way="up"'] for bound in ("0.5", "1.0")]
    assert buckets == [0, 1]


def test_series_whose_labels_are_known_start_at_zero_and_no_others() -> None:
    registry = CollectorRegistry()
    Instruments((*INSTRUMENTS, *ADDED), registry).start_at_zero()
    found = series(metrics.exposition(registry).decode())
    moves = {name: value for name, value in found.items() if "_move" in name}
    assert moves == {
        **{
            f'hyperfleet_api_moves_total result="{result}",way="{way}"': 0
            for result in ("done", "failed")
            for way in ("up", "down")
        },
        "hyperfleet_api_moves_waiting": 0,
    }


def test_a_metric_of_the_whole_fleet_is_served_with_what_its_row_reads() -> None:
    moving = Reading(FLEET, lambda seen: [(("Cluster",), 3 + seen.errors)])
    absent = Reading(Instrument("hyperfleet_api_nothing", "gauge", "Nothing."), lambda _: [])
    gauges = BacklogGauges((), threshold=600, readings=(*READINGS, moving, absent))
    exposed = gauges.exposition().decode()
    assert series(exposed)['hyperfleet_api_resources_moving resource_type="Cluster"'] == 3
    assert "hyperfleet_api_nothing" not in exposed


def test_the_page_of_metrics_has_them() -> None:
    page = pages.metrics_page((*pages.INSTRUMENTS, *ADDED, FLEET))
    assert "| `hyperfleet_api_moves_total` | counter | `result`, `way` | Moves. |\n" in page
    assert page.endswith("| `hyperfleet_api_resources_moving` | gauge | `resource_type` | Resources that move. |\n")
