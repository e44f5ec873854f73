"""The connections and listeners of this process: the HTTP server opens them and gives nobody else a handle of them."""

import contextlib
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path


def own() -> Iterator[socket.socket]:
    """A handle of each TCP socket of this process, closed when the next one is taken; none where the system hides them.

    Shutting a handle down ends the connection, and options that are set on it hold for the socket.
    """
    try:
        entries = list(Path("/proc/self/fd").iterdir())
    except OSError:
        return
    for entry in entries:
        # Others may open and close descriptors meanwhile.
        with contextlib.suppress(OSError):
            descriptor = int(entry.name)
            if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                continue
            with socket.socket(fileno=os.dup(descriptor)) as each:
                if each.family in (socket.AF_INET, socket.AF_INET6):
                    yield each
