"""Recent deaths of worker processes, counted in a file that the parent's probes and the workers share.

A single dead worker is replaced, and the instance stays ready. When several die in a row, the instance becomes unready,
and each further replacement waits longer before it serves.
"""

import os
import struct
from pathlib import Path
from time import monotonic
from typing import Final

WINDOW_SECONDS: Final = 60.0
MOST: Final = 2
"""The number of deaths within the window up to which the service stays ready."""

LONGEST_PAUSE: Final = 8.0
_FIRST_PAUSE: Final = 0.5
_TIME: Final = struct.Struct("=d")
_FILE: Final = "deaths"


class Deaths:
    """The times of deaths, in a file in the service's own directory, on the clock that all its processes share."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / _FILE

    def add(self) -> None:
        """Records that a worker has just died."""
        with self._file.open("ab", buffering=0) as file:
            file.write(_TIME.pack(monotonic()))

    def recent(self) -> int:
        """Deaths within the window."""
        try:
            with self._file.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                # The last thousand are enough: a window cannot hold more.
                file.seek(max(0, size - 1000 * _TIME.size) // _TIME.size * _TIME.size)
                content = file.read()
        except FileNotFoundError:
            return 0
        since = monotonic() - WINDOW_SECONDS
        whole = len(content) // _TIME.size * _TIME.size
        return sum(time >= since for (time,) in _TIME.iter_unpack(content[:whole]))

    def reason(self) -> str | None:
        """Why the service is not ready; None if it is ready."""
        count = self.recent()
        if count <= MOST:
            return None
        return f"Workers died {count} times within {WINDOW_SECONDS:.0f} s; see the log for the reasons."

    def pause(self) -> float:
        """How long, in seconds, a replacement waits before it serves: 0 at first, then longer each time."""
        count = self.recent()
        return 0.0 if count < MOST else min(_FIRST_PAUSE * 2 ** min(count - MOST, 10), LONGEST_PAUSE)
