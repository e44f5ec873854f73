"""Keeps the log of an embedded PostgreSQL: a process of its own that reads what the server says and bounds the file.

It runs by itself, from this file alone and with nothing but the standard library, as long as anybody can write to its
input: the server may outlive the process that started it. PostgreSQL's own collector does not limit the size of what
it keeps. Started by root, it becomes the account that owns the folder before it opens a file.
"""

import contextlib
import os
import signal
import stat
import sys

NAME = "server.log"
EARLIER = "server.log.1"
LARGEST = 10 * 1024 * 1024
"""Bytes of each of the two files."""

_CHUNK = 64 * 1024


class Log:
    """The file in the open folder, and how large it is."""

    def __init__(self, folder: int) -> None:
        self._folder = folder
        self._file = -1
        self._size = 0

    def write(self, text: bytes) -> None:
        """Appends whole lines; the file becomes the earlier one when it would grow too large."""
        if self._file < 0:
            self._start()
        if self._size and self._size + len(text) > LARGEST:
            os.close(self._file)
            self._set_aside()
            self._start()
        # On a full disk the text is lost, and the server goes on.
        with contextlib.suppress(OSError):
            self._size += os.write(self._file, text)

    def _start(self) -> None:
        """Opens the file; what is in its place and cannot be appended to is put aside."""
        self._file, self._size = -1, 0
        with contextlib.suppress(OSError):
            self._open()
            return
        self._set_aside()
        with contextlib.suppress(OSError):
            self._open()

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
        file = os.open(NAME, flags, 0o600, dir_fd=self._folder)
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode):
            os.close(file)
            raise OSError(NAME)
        self._file, self._size = file, found.st_size

    def _set_aside(self) -> None:
        with contextlib.suppress(OSError):
            os.rename(NAME, EARLIER, src_dir_fd=self._folder, dst_dir_fd=self._folder)


def keep(folder: int) -> None:
    """Writes down what comes in until nobody is left to say anything."""
    log = Log(folder)
    rest = b""
    while chunk := os.read(0, _CHUNK):
        lines, newline, rest_of_chunk = (rest + chunk).rpartition(b"\n")
        rest = rest_of_chunk
        if newline:
            log.write(lines + newline)
        elif len(rest) > _CHUNK:
            log.write(rest)
            rest = b""
    if rest:
        log.write(rest)


def main(path: str, uid: str, gid: str) -> None:
    """The process: opens the folder, becomes its owner, and keeps the log."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(int(gid))
        os.setuid(int(uid))
    keep(folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
