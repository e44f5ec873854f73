"""Finds this process's TCP sockets, because the HTTP server that opens them does not expose them."""

import contextlib
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path


def own() -> Iterator[socket.socket]:
    """A duplicate of each TCP socket of this process, closed when the next is taken; none on systems without /proc.

    Shutting a duplicate down ends the connection, and options set on it apply to the original socket.
    """
    try:
        entries = list(Path("/proc/self/fd").iterdir())
    except OSError:
        return
    for entry in entries:
        # Other threads may open and close descriptors meanwhile.
        with contextlib.suppress(OSError):
            descriptor = int(entry.name)
            if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                continue
            with socket.socket(fileno=os.dup(descriptor)) as each:
                if each.family in (socket.AF_INET, socket.AF_INET6):
                    yield each
