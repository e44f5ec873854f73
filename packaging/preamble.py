"""Runs first in ./hyperfleet-api: refuses a Python that its compiled parts were not made for, and tidies its cache.

Each build unpacks into a folder of its own. One that no process has run from for a day is removed at the next start of
another; a lock that is held for as long as a process runs tells which are in use.
"""

import contextlib
import fcntl
import os
import shutil
import sys
import time
from pathlib import Path

UNUSED_SECONDS = 86_400
LOCK = ".in-use"

site_packages = Path(__file__).parents[1]


def refuse_other_python() -> None:
    """Ends the program when this is not the Python that the compiled parts were made for."""
    made_for = {path.suffixes[0].split("-")[1] for path in site_packages.rglob("*.cpython-*.so")}
    here = f"{sys.version_info[0]}{sys.version_info[1]}"
    if made_for and here not in made_for:
        needed = made_for.pop()
        sys.exit(
            f"hyperfleet-api: this file was made for Python {needed[0]}.{needed[1:]}, not for {sys.version_info[0]}."
            f"{sys.version_info[1]}. Run it with python{needed[0]}.{needed[1:]}, or build it again with `make binary`."
        )


def remove_unused(own: Path, now: float) -> None:
    """Removes the folders of other builds beside `own` that no process runs from, nor has for a day."""
    program = own.name.partition("_")[0]
    for lock in own.parent.glob(f"{program}_*/{LOCK}"):
        if lock.parent == own or now - lock.stat().st_mtime < UNUSED_SECONDS:
            continue
        descriptor = os.open(lock, os.O_RDWR)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.parent, ignore_errors=True)
        except BlockingIOError:
            continue
        finally:
            os.close(descriptor)


def hold(own: Path) -> None:
    """Marks a folder as in use until this process ends: the descriptor stays open."""
    descriptor = os.open(own / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    os.utime(own / LOCK)


if __name__ == "__main__":
    refuse_other_python()
    # A read-only cache must not stop the program.
    with contextlib.suppress(OSError):
        hold(site_packages.parent)
        remove_unused(site_packages.parent, time.time())
