"""Keeps the log of an embedded PostgreSQL: a separate process reads the server's output and limits the file's size.

The process runs this file alone, with only the standard library, until all writers of its input have exited: the server
may outlive the process that started it. PostgreSQL's own collector does not limit the total size of its files. When
root starts the process, it switches to the folder's owner before it opens a file.
"""

import contextlib
import os
import signal
import stat
import sys

NAME = "server.log"
EARLIER = "server.log.1"
LARGEST = 10 * 1024 * 1024
"""The largest size of each of the two files, in bytes."""

_CHUNK = 64 * 1024


class Log:
    """The log file in the open folder, and its size."""

    def __init__(self, folder: int) -> None:
        self._folder = folder
        self._file = -1
        self._size = 0

    def write(self, text: bytes) -> None:
        """Appends whole lines; a file that would grow too large becomes the earlier one first."""
        if self._file < 0:
            self._start()
        if self._size and self._size + len(text) > LARGEST:
            os.close(self._file)
            self._set_aside()
            self._start()
        # On a full disk the text is lost, and the server keeps running.
        with contextlib.suppress(OSError):
            self._size += os.write(self._file, text)

    def _start(self) -> None:
        """Opens the file; moves aside an entry of this name that cannot be appended to."""
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
    """Copies standard input to the log until its last writer exits."""
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
    """The process: opens the folder, switches to its owner, and keeps the log."""
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
