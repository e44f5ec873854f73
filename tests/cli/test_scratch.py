"""Temporary directories: each lasts as long as its process, and directories of killed processes are removed."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from hyperfleet.serving import scratch

PREFIX = "scratch-"


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def aged(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def left(temporary: Path, name: str, seconds: float) -> Path:
    """A non-empty, unlocked directory of the given age."""
    path = temporary / name
    path.mkdir()
    (path / "counter.db").touch()
    aged(path, seconds)
    return path


def test_the_processs_own_directory_exists_only_within_the_context(temporary: Path) -> None:
    with scratch.directory(PREFIX) as own:
        (own / "counter.db").touch()
        assert own.parent == temporary
        assert own.stat().st_mode & 0o777 == 0o700
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "seconds", "stays"),
    [
        ("scratch-old", scratch.YOUNG_SECONDS + 5, False),
        ("scratch-young", scratch.YOUNG_SECONDS - 30, True),
        ("another-old", scratch.YOUNG_SECONDS + 5, True),
    ],
)
def test_directories_left_behind_are_removed(temporary: Path, name: str, seconds: float, stays: bool) -> None:
    path = left(temporary, name, seconds)
    with scratch.directory(PREFIX):
        assert path.exists() is stays


def test_files_and_links_are_not_touched(temporary: Path) -> None:
    elsewhere = left(temporary, "elsewhere", scratch.YOUNG_SECONDS + 5)
    (temporary / "scratch-link").symlink_to(elsewhere)
    (temporary / "scratch-file").touch()
    aged(temporary / "scratch-file", scratch.YOUNG_SECONDS + 5)
    with scratch.directory(PREFIX):
        assert (elsewhere / "counter.db").exists()
        assert (temporary / "scratch-file").exists()


def test_a_running_process_keeps_its_directory_and_a_killed_one_does_not(temporary: Path) -> None:
    code = (
        "from hyperfleet.serving import scratch\n"
        f"with scratch.directory({PREFIX!r}) as own:\n"
        "    print(own, flush=True)\n"
        "    input()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
    ) as other:
        assert other.stdout is not None
        theirs = Path(other.stdout.readline().strip())
        aged(theirs, scratch.YOUNG_SECONDS + 5)
        with scratch.directory(PREFIX):
            assert theirs.is_dir()
        other.send_signal(signal.SIGKILL)
        other.wait()
    aged(theirs, scratch.YOUNG_SECONDS + 5)
    with scratch.directory(PREFIX):
        assert not theirs.exists()
