"""Ports of 127.0.0.1."""

import contextlib
import itertools
import os
import random
import re
import socket
from collections.abc import Iterator
from typing import Final

FIRST: Final = 12_000
EACH: Final = 2_000
WORKERS: Final = 7
"""Each worker of pytest-xdist has its own range of EACH ports, below the kernel's ephemeral ports (32768 and up).

A port that the kernel chose could be taken by a caller, or by another worker, before the service listens on it.
"""


def _candidates() -> Iterator[int]:
    worker = int(re.sub(r"\D", "", os.environ.get("PYTEST_XDIST_WORKER", "")) or WORKERS - 1) % WORKERS
    first, offset = FIRST + worker * EACH, random.randrange(EACH)
    return (first + (offset + number) % EACH for number in itertools.count())


_next: Final = _candidates()


def free_ports(count: int) -> list[int]:
    """Ports that are free now; every call returns different ones."""
    found: list[int] = []
    while len(found) < count:
        port = next(_next)
        with contextlib.suppress(OSError), socket.socket() as tried:
            tried.bind(("127.0.0.1", port))
            found.append(port)
    return found


def listens(port: int, host: str = "127.0.0.1") -> bool:
    """Whether the port accepts connections."""
    try:
        socket.create_connection((host, port), 1).close()
    except OSError:
        return False
    return True
