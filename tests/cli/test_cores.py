"""Workers by the cores that a container is given, not by those of its machine."""

import os
from pathlib import Path

import pytest

from hyperfleet.cli import cores

ALL = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("max 100000\n", ALL),
        ("50000 100000\n", 1),
        ("100000 100000\n", 1),
        ("100001 100000\n", min(2, ALL)),
        ("6400000 100000\n", min(64, ALL)),
        ("nonsense\n", ALL),
        ("0 100000\n", 1),
    ],
)
def test_the_limit_of_version_2(tmp_path: Path, text: str, expected: int) -> None:
    (tmp_path / "cpu.max").write_text(text)
    assert cores.available(tmp_path) == expected


@pytest.mark.parametrize(("quota", "expected"), [("-1\n", ALL), ("50000\n", 1), ("150000\n", min(2, ALL))])
def test_the_limit_of_version_1(tmp_path: Path, quota: str, expected: int) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(quota)
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert cores.available(tmp_path) == expected


def test_without_control_groups_every_core_counts(tmp_path: Path) -> None:
    assert cores.available(tmp_path) == ALL
