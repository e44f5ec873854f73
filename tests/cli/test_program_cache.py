"""The one-file program's cache: folders of unused builds are removed, others stay."""

import fcntl
import os
import runpy
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Protocol, cast

FILE = Path(__file__).parents[2] / "packaging" / "preamble.py"
HOLDER = "import runpy, sys, pathlib; runpy.run_path(sys.argv[1])['hold'](pathlib.Path(sys.argv[2])); input()"


class Preamble(Protocol):
    UNUSED_SECONDS: int
    LOCK: str

    def remove_unused(self, own: Path, now: float) -> None: ...


preamble = cast(Preamble, SimpleNamespace(**runpy.run_path(str(FILE))))
DAY = preamble.UNUSED_SECONDS


def build(cache: Path, id: str, *, age: float) -> Path:
    """The folder of a build that was last started this many seconds ago."""
    folder = cache / f"hyperfleet-api_{id}"
    (folder / "site-packages").mkdir(parents=True)
    (folder / preamble.LOCK).touch()
    os.utime(folder / preamble.LOCK, (time.time() - age, time.time() - age))
    return folder


def test_only_builds_unused_for_a_day_are_removed(tmp_path: Path) -> None:
    own = build(tmp_path, "own", age=3 * DAY)
    recent, old = build(tmp_path, "recent", age=DAY - 60), build(tmp_path, "old", age=DAY + 60)
    stranger = tmp_path / "other-program_1"
    stranger.mkdir()
    preamble.remove_unused(own, time.time())
    assert (own.exists(), recent.exists(), old.exists(), stranger.exists()) == (True, True, False, True)


def test_a_build_in_use_stays_until_its_process_ends(tmp_path: Path) -> None:
    own, used = build(tmp_path, "own", age=0), build(tmp_path, "used", age=0)
    with subprocess.Popen([sys.executable, "-c", HOLDER, FILE, used], stdin=subprocess.PIPE) as process:
        until = time.monotonic() + 30
        while not _is_held(used):
            assert time.monotonic() < until
            time.sleep(0.05)
        os.utime(used / preamble.LOCK, (1, 1))
        preamble.remove_unused(own, time.time())
        assert used.exists()
        process.communicate(b"\n", timeout=30)
    preamble.remove_unused(own, time.time())
    assert not used.exists()


def _is_held(folder: Path) -> bool:
    descriptor = os.open(folder / preamble.LOCK, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
