"""Deaths of worker processes: how many there were of late, known to the parent's probes and to the workers themselves.

One worker that died is replaced, and callers need not go elsewhere. When several die in a row the instance is not
ready, and each further replacement waits longer before it serves.
"""

import os
import struct
from pathlib import Path
from time import monotonic
from typing import Final

WINDOW_SECONDS: Final = 60.0
MOST: Final = 2
"""Deaths within the window of a service that is ready."""

LONGEST_PAUSE: Final = 8.0
_FIRST_PAUSE: Final = 0.5
_TIME: Final = struct.Struct("=d")
_FILE: Final = "deaths"


class Deaths:
    """Times of deaths in a file of the service's own directory, on the clock that all its processes share."""

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
                # More of them than a window can hold need not be read.
                file.seek(max(0, size - 1000 * _TIME.size) // _TIME.size * _TIME.size)
                content = file.read()
        except FileNotFoundError:
            return 0
        since = monotonic() - WINDOW_SECONDS
        whole = len(content) // _TIME.size * _TIME.size
        return sum(time >= since for (time,) in _TIME.iter_unpack(content[:whole]))

    def reason(self) -> str | None:
        """Why the service is not ready; None when it is."""
        count = self.recent()
        if count <= MOST:
            return None
        return f"Workers died {count} times within {WINDOW_SECONDS:.0f} s; see the log for the reasons."

    def pause(self) -> float:
        """Seconds that a replacement waits before it serves: none at first, then longer each time."""
        count = self.recent()
        return 0.0 if count < MOST else min(_FIRST_PAUSE * 2 ** min(count - MOST, 10), LONGEST_PAUSE)
