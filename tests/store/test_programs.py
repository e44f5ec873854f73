"""Copies of PostgreSQL's programs: unused copies are removed, whichever version made them."""

import fcntl
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from hyperfleet.postgres import programs


@pytest.fixture(autouse=True)
def copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(programs, "_COPIES", tmp_path)
    return tmp_path


def copy(copies: Path, name: str, seconds: float) -> Path:
    """A copy of the given age."""
    path = copies / name
    path.mkdir()
    shutil.copy("/bin/sleep", path / "postgres")
    then = time.time() - seconds
    os.utime(path, (then, then))
    return path


OLD, YOUNG = programs.YOUNG_SECONDS + 5, programs.YOUNG_SECONDS - 30


@pytest.mark.parametrize(
    ("name", "seconds", "stays"),
    [
        ("postgresql-binaries-a", OLD, False),
        ("postgresql-binaries-a", YOUNG, True),
        (".postgresql-binaries-cut", OLD, False),
        ("postgresql", OLD, True),
    ],
)
def test_unused_copies_are_removed(copies: Path, name: str, seconds: float, stays: bool) -> None:
    path = copy(copies, name, seconds)
    programs.remove_unused_copies()
    assert path.exists() is stays
    assert [entry.name for entry in copies.iterdir()] == ([name] if stays else [])


def test_a_copy_whose_lock_a_server_inherited_stays(copies: Path) -> None:
    path = copy(copies, "postgresql-binaries-a", OLD)
    descriptor = os.open(path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    with subprocess.Popen(["sleep", "60"], pass_fds=[descriptor]) as server:
        os.close(descriptor)
        programs.remove_unused_copies()
        assert path.exists()
        server.kill()
    programs.remove_unused_copies()
    assert not path.exists()


@pytest.mark.skipif(not Path("/proc/self/exe").exists(), reason="the system does not say what runs")
def test_a_copy_used_by_a_version_without_locks_stays(copies: Path) -> None:
    path = copy(copies, "postgresql-binaries-a", OLD)
    with subprocess.Popen([path / "postgres", "60"]) as server:
        programs.remove_unused_copies()
        assert path.exists()
        server.kill()
    programs.remove_unused_copies()
    assert not path.exists()
