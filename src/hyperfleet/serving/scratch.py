"""A temporary directory that is gone after its process, or after the next start when that was killed hard.

Containers keep theirs across restarts, so a service that is killed again and again would fill it.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

YOUNG_SECONDS: Final = 60.0
"""One so young is left alone: its process may not have locked it yet."""


@contextmanager
def directory(prefix: str) -> Iterator[Path]:
    """A new directory, locked while the context lasts; unlocked directories with this prefix are removed.

    The process holds the lock: the kernel releases it however the process ends.
    """
    _remove_left_over(prefix)
    with tempfile.TemporaryDirectory(prefix=prefix) as name, _opened(Path(name)) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield Path(name)


def _remove_left_over(prefix: str) -> None:
    for path in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        # What is another user's, or disappears at this moment, is ignored.
        with contextlib.suppress(OSError), _opened(path) as descriptor:
            found = os.fstat(descriptor)
            if found.st_uid == os.geteuid() and time.time() - found.st_mtime > YOUNG_SECONDS:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
