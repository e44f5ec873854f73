"""The number of workers follows the cores of the container, not those of its machine."""

import os
from pathlib import Path

import pytest

from hyperfleet.serving import cores

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
def test_the_limit_of_control_groups_version_2(tmp_path: Path, text: str, expected: int) -> None:
    (tmp_path / "cpu.max").write_text(text)
    assert cores.available(tmp_path) == expected


@pytest.mark.parametrize(("quota", "expected"), [("-1\n", ALL), ("50000\n", 1), ("150000\n", min(2, ALL))])
def test_the_limit_of_control_groups_version_1(tmp_path: Path, quota: str, expected: int) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(quota)
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert cores.available(tmp_path) == expected


def test_without_control_groups_every_core_counts(tmp_path: Path) -> None:
    assert cores.available(tmp_path) == ALL


MEBIBYTE = 1 << 20


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("memory.max", "max\n", None),
        ("memory.max", f"{768 * MEBIBYTE}\n", 768 * MEBIBYTE),
        ("memory.max", "nonsense\n", None),
        ("memory/memory.limit_in_bytes", "9223372036854771712\n", None),
        ("memory/memory.limit_in_bytes", f"{768 * MEBIBYTE}\n", 768 * MEBIBYTE),
    ],
)
def test_the_memory_limit_of_both_versions_of_control_groups(
    tmp_path: Path, name: str, text: str, expected: int | None
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)
    assert cores.memory(tmp_path) == expected


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("max", 8),
        (str(100 * MEBIBYTE), 1),
        (str(768 * MEBIBYTE), 1),
        (str(1000 * MEBIBYTE - 1), 1),
        (str(1000 * MEBIBYTE), 2),
        (str(1400 * MEBIBYTE - 1), 2),
        (str(1400 * MEBIBYTE), 3),
        (str(64 * 1024 * MEBIBYTE), 8),
    ],
)
def test_workers_fit_into_cores_and_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, expected: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    (tmp_path / "memory.max").write_text(f"{limit}\n")
    assert cores.workers(tmp_path) == expected
