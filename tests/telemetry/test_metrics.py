"""Metrics: every row of the table is served, under the field's conventions, with a bounded number of series."""

import re

import pytest

from hyperfleet.telemetry import metrics
from hyperfleet.telemetry.metrics import INSTRUMENTS, Instrument


def exposed() -> str:
    return metrics.exposition().decode()


@pytest.mark.parametrize("row", INSTRUMENTS, ids=lambda row: row.name)
def test_every_instrument_is_served_with_its_type_and_help(row: Instrument) -> None:
    assert f"# TYPE {row.name} {row.type}\n" in exposed()
    assert row.help.endswith(".")


@pytest.mark.parametrize("row", INSTRUMENTS, ids=lambda row: row.name)
def test_names_follow_the_conventions(row: Instrument) -> None:
    assert re.fullmatch(r"hyperfleet_(api|db)_[a-z_]+", row.name)
    assert row.name.endswith("_total") == (row.type == "counter")
    assert row.type != "histogram" or row.name.endswith("_seconds")


def test_series_carry_the_common_labels() -> None:
    metrics.observe_request("GET", "/common", 200, 0.2)
    [line] = re.findall(r"^hyperfleet_api_requests_total\{.*/common.*$", exposed(), re.MULTILINE)
    assert 'component="api"' in line
    assert 'version="' in line


def test_a_duration_falls_into_the_buckets_from_its_own_on() -> None:
    metrics.observe_request("GET", "/bucket", 200, 0.025)
    found = re.findall(r'seconds_bucket\{.*le="([^"]+)".*/bucket.*\} ([\d.]+)', exposed())
    assert {bound for bound, count in found if float(count) == 1} >= {"0.025", "10.0", "+Inf"}
    assert {bound for bound, count in found if float(count) == 0} == {"0.005", "0.01"}


def test_adapters_beyond_a_hundred_are_counted_as_one() -> None:
    for number in range(150):
        metrics.count_report("Cluster", f"many-{number}", "stored")
    adapters = set(re.findall(r'hyperfleet_api_reports_total\{.*adapter="([^"]+)"', exposed()))
    assert len(adapters - {metrics.OTHER}) <= metrics.ADAPTERS_TOLD_APART
    assert metrics.OTHER in adapters


def test_refused_reports_use_up_no_name() -> None:
    metrics.count_report("Cluster", "never-stored", "invalid")
    assert "never-stored" not in exposed()


def test_requests_in_flight_come_back_to_nothing() -> None:
    def now() -> float:
        [value] = re.findall(r"^hyperfleet_api_requests_in_flight\{.*\} ([\d.e+-]+)$", exposed(), re.MULTILINE)
        return float(value)

    metrics.request_started()
    before = now()
    metrics.request_finished()
    assert now() == before - 1
