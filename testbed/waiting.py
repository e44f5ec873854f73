"""Waiting for what takes a moment."""

import time
from collections.abc import Callable
from typing import Final

SECONDS: Final = 120.0
"""How long anything may take before it is given up; only a failure waits so long."""


def eventually(holds: Callable[[], bool], what: str, seconds: float = SECONDS) -> float:
    """Waits until it holds: the seconds that it took; raises AssertionError when it does not in time."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() < began + seconds, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.05)
    return time.monotonic() - began
