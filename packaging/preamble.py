"""Runs first in ./hyperfleet-api: rejects a Python that its compiled parts do not support, and cleans up its cache.

Each build unpacks into its own folder. A folder that no process has used for a day is removed when another build
starts. A process holds a lock on its folder while it runs, so folders in use are kept.
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
    """Exits when the compiled parts were built for another version of Python."""
    made_for = {path.suffixes[0].split("-")[1] for path in site_packages.rglob("*.cpython-*.so")}
    here = f"{sys.version_info[0]}{sys.version_info[1]}"
    if made_for and here not in made_for:
        needed = made_for.pop()
        sys.exit(
            f"hyperfleet-api: this file was made for Python {needed[0]}.{needed[1:]}, not for {sys.version_info[0]}."
            f"{sys.version_info[1]}. Run it with python{needed[0]}.{needed[1:]}, or build it again with `make binary`."
        )


def remove_unused(own: Path, now: float) -> None:
    """Removes the folders of other builds beside `own` that no process uses or has used for a day."""
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
    """Marks a folder as in use until this process exits: the descriptor stays open."""
    descriptor = os.open(own / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    os.utime(own / LOCK)


if __name__ == "__main__":
    refuse_other_python()
    # A read-only cache must not stop the program.
    with contextlib.suppress(OSError):
        hold(site_packages.parent)
        remove_unused(site_packages.parent, time.time())
