"""Reads files that an operator names, up to a size limit: regular files, and pipes such as process substitutions."""

import errno
import os
import select
import stat
import time
from pathlib import Path
from typing import Final

from hyperfleet.settings import SIZE

WAIT_SECONDS: Final = 10.0
"""How long to wait for the writer of a pipe; a pipe without a writer must not block startup forever."""


def content(path: str | Path, largest: int) -> bytes:
    """The content of a file. Raises OSError, also for a file above the limit, and ValueError for a path with a NUL."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            found = _piped(descriptor, largest + 1)
        else:
            with open(descriptor, "rb", closefd=False) as file:
                found = file.read(largest + 1)
    finally:
        os.close(descriptor)
    if len(found) > largest:
        raise OSError(errno.EFBIG, f"the file is larger than {SIZE.write(largest)}")
    return found


def reason(failure: OSError) -> str:
    """Why a file could not be read, without its path."""
    return failure.strerror or str(failure) or "unknown reason"


def _piped(descriptor: int, most: int) -> bytes:
    until = time.monotonic() + WAIT_SECONDS
    ready = select.poll()
    ready.register(descriptor, select.POLLIN)
    parts: list[bytes] = []
    size = 0
    while size < most:
        # A pipe without a writer is not at its end yet: this waits for the first writer.
        if not ready.poll(max(0.0, until - time.monotonic()) * 1000):
            raise OSError(errno.ETIMEDOUT, f"nothing was written to the pipe within {WAIT_SECONDS:g} s")
        part = os.read(descriptor, most - size)
        if not part:
            break
        parts.append(part)
        size += len(part)
    return b"".join(parts)
