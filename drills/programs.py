"""Programs that a drill runs beside the service: with a log of their own, waited for, ended whatever happens."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 20.0


class Missing(SystemExit):
    """A program that the drill needs is not on this machine."""


def found(name: str, package: str, *further: str) -> str:
    """Where a program is; raises Missing, which names its Debian package. `further` are folders off the path."""
    path = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *further]))
    if path is None:
        raise Missing(f"{name} is missing; on Debian and Ubuntu: apt install {package}")
    return path


@contextmanager
def running(command: list[str], log: Path, *, user: str | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """The program while the context lasts, in a group of its own, as that user; what it says goes to the log."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def await_(holds: Callable[[], bool], what: str, seconds: float = START_SECONDS) -> float:
    """Waits until it holds: the seconds that it took; raises RuntimeError when it does not in time."""
    began = time.monotonic()
    while not holds():
        if time.monotonic() > began + seconds:
            raise RuntimeError(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.05)
    return time.monotonic() - began


def listens(port: int, host: str = "127.0.0.1") -> bool:
    """Whether somebody takes connections there."""
    try:
        socket.create_connection((host, port), 1).close()
    except OSError:
        return False
    return True
