"""A temporary directory, removed when the process ends; after a hard kill, the next start removes it.

Containers keep temporary files across restarts, so a service that is killed repeatedly would fill the disk.
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
"""Younger directories are left alone: their process may not have locked them yet."""


@contextmanager
def directory(prefix: str) -> Iterator[Path]:
    """A new directory, locked within the context; unlocked directories with this prefix are removed first.

    The process holds the lock, and the kernel releases it however the process ends.
    """
    _remove_left_over(prefix)
    with tempfile.TemporaryDirectory(prefix=prefix) as name, _opened(Path(name)) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield Path(name)


def _remove_left_over(prefix: str) -> None:
    for path in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        # Ignores directories of other users, and directories that disappear meanwhile.
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
