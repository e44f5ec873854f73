"""Runs the program as an operator does: its own process, its own environment, words in, exit status and texts out."""

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = (sys.executable, "-m", "hyperfleet")


def environment(**settings: str) -> dict[str, str]:
    """This environment without settings of its own, with these."""
    inherited = {name: text for name, text in os.environ.items() if not name.startswith("HYPERFLEET_")}
    return inherited | settings


def run(
    *words: str, folder: Path | None = None, program: tuple[str, ...] = PROGRAM, **settings: str
) -> subprocess.CompletedProcess[str]:
    """One command to its end, in `folder`, which has no configuration of its own unless the test put it there."""
    return subprocess.run(
        [*program, *words],
        env=environment(**settings),
        cwd=folder or "/",
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
        check=False,
    )
