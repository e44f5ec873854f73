"""Workers that die: one is replaced, several in a row make the instance unready and wait longer each time."""

from pathlib import Path

import pytest

from hyperfleet.serving import deaths
from hyperfleet.serving.deaths import MOST, WINDOW_SECONDS, Deaths
from hyperfleet.serving.probing.probes import Readiness


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(deaths, "monotonic", lambda: now[0])
    return now


def test_without_deaths_the_service_is_ready(tmp_path: Path) -> None:
    assert (Deaths(tmp_path).recent(), Deaths(tmp_path).reason(), Deaths(tmp_path).pause()) == (0, None, 0.0)


def test_several_deaths_within_a_minute_make_the_service_unready_until_they_expire(
    tmp_path: Path, clock: list[float]
) -> None:
    # One process writes, another one reads.
    for count in range(1, MOST + 2):
        Deaths(tmp_path).add()
        assert (Deaths(tmp_path).reason() is None) is (count <= MOST)
    assert Deaths(tmp_path).reason() == "Workers died 3 times within 60 s; see the log for the reasons."
    clock[0] += WINDOW_SECONDS
    assert Deaths(tmp_path).recent() == MOST + 1
    clock[0] += 0.001
    assert Deaths(tmp_path).reason() is None


def test_a_replacement_waits_longer_each_time_but_never_long(tmp_path: Path, clock: list[float]) -> None:
    pauses = []
    for _ in range(8):
        Deaths(tmp_path).add()
        pauses.append(Deaths(tmp_path).pause())
    assert pauses == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    clock[0] += WINDOW_SECONDS + 1
    Deaths(tmp_path).add()
    assert Deaths(tmp_path).pause() == 0.0


def test_a_truncated_record_is_skipped(tmp_path: Path) -> None:
    Deaths(tmp_path).add()
    with (tmp_path / "deaths").open("ab") as file:
        file.write(b"\0\0\0")
    assert Deaths(tmp_path).recent() == 1


def test_readiness_says_why(tmp_path: Path) -> None:
    readiness = Readiness(timeout=1.0)
    readiness.stage = None
    readiness._database_failure = lambda: None  # type: ignore[method-assign]
    assert readiness.reasons() == []
    readiness.deaths = Deaths(tmp_path)
    for _ in range(MOST + 1):
        readiness.deaths.add()
    assert readiness.reasons() == ["Workers died 3 times within 60 s; see the log for the reasons."]
