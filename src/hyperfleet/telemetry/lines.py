"""Buffers log lines and writes them together, ten times a second.

A system call for each line would cost a tenth of the cheapest request. A process that is killed loses the lines of its
last moment; a process that ends in any other way writes them.
"""

import atexit
import os
import threading
from typing import BinaryIO, Final

INTERVAL: Final = 0.1
"""The longest time, in seconds, that a line waits."""

_FULL: Final = 256


class Lines:
    """A logger for structlog: takes a rendered line through a method for each level, all of them the same."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._waiting: list[bytes] = []
        self._writing = threading.Lock()
        self._thread: threading.Thread | None = None
        os.register_at_fork(after_in_child=self._forget)
        atexit.register(self.drain)

    def take(self, line: bytes) -> None:
        """Takes a line without its line break; blocks on the stream only when many lines are buffered."""
        self._waiting.append(line + b"\n")
        if self._thread is None:
            self._start()
        if len(self._waiting) >= _FULL:
            self.drain()

    debug = info = warning = error = critical = exception = take

    def drain(self) -> None:
        """Writes all buffered lines."""
        with self._writing:
            lines, self._waiting = self._waiting, []
            if lines:
                try:
                    self._stream.write(b"".join(lines))
                    self._stream.flush()
                except (OSError, ValueError):
                    # The reader of the log has exited; the service continues.
                    return

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._drain_regularly, name="log", daemon=True)
        self._thread.start()

    def _drain_regularly(self) -> None:
        pause = threading.Event()
        while not pause.wait(INTERVAL):
            self.drain()

    def _forget(self) -> None:
        """In a forked child, the lines belong to the parent, and the thread does not exist."""
        self._waiting = []
        self._writing = threading.Lock()
        self._thread = None
