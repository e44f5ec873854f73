"""Log lines on their way out: collected, and written together ten times a second.

A system call for each request's line is a tenth of what the cheapest request costs. A process that is killed hard loses
the lines of its last moment; one that ends in any other way writes them.
"""

import atexit
import os
import threading
from typing import BinaryIO, Final

INTERVAL: Final = 0.1
"""Seconds that a line waits at most."""

_FULL: Final = 256


class Lines:
    """What structlog calls a logger: it takes a rendered line by the name of its level, all of them alike."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._waiting: list[bytes] = []
        self._writing = threading.Lock()
        self._thread: threading.Thread | None = None
        os.register_at_fork(after_in_child=self._forget)
        atexit.register(self.drain)

    def take(self, line: bytes) -> None:
        """Takes a line, without its end; waits for the stream only when many lines do."""
        self._waiting.append(line + b"\n")
        if self._thread is None:
            self._start()
        if len(self._waiting) >= _FULL:
            self.drain()

    debug = info = warning = error = critical = exception = take

    def drain(self) -> None:
        """Writes every line that waits."""
        with self._writing:
            lines, self._waiting = self._waiting, []
            if lines:
                try:
                    self._stream.write(b"".join(lines))
                    self._stream.flush()
                except (OSError, ValueError):
                    # Whoever read the log is gone; the service goes on.
                    return

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._drain_regularly, name="log", daemon=True)
        self._thread.start()

    def _drain_regularly(self) -> None:
        pause = threading.Event()
        while not pause.wait(INTERVAL):
            self.drain()

    def _forget(self) -> None:
        """In a forked child the lines belong to the parent, and the thread is not there."""
        self._waiting = []
        self._writing = threading.Lock()
        self._thread = None
