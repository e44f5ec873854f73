"""Waits for conditions that take a moment to become true."""

import time
from collections.abc import Callable
from typing import Final

SECONDS: Final = 120.0
"""The timeout of every wait; only a failing test waits this long."""


def eventually(holds: Callable[[], bool], what: str, seconds: float = SECONDS) -> float:
    """Waits until `holds()` is true, and returns the seconds it took; raises AssertionError on timeout."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() < began + seconds, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.05)
    return time.monotonic() - began
