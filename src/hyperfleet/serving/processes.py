"""Child processes of the service's parent: started clean, ended as a group, and reaped when this is process 1."""

import contextlib
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Mapping, Set


class Child:
    """A Python process of its own session that runs `code` and finds an object, pickled, on its standard input.

    Its input stays open for as long as this process lives, so that its end tells the child that this one is gone.
    Ctrl-C in a terminal reaches this process only.
    """

    def __init__(self, code: str, sent: object, environment: Mapping[str, str]) -> None:
        # What was put on the path by hand, as a one-file program does, is handed on; the working directory is not.
        path = os.pathsep.join(entry for entry in sys.path if entry)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", code],
            stdin=subprocess.PIPE,
            env={**environment, "PYTHONPATH": path},
            start_new_session=True,
        )
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(pickle.dumps(sent))
            self._process.stdin.flush()

    @property
    def pid(self) -> int:
        """Its process id, and that of its group."""
        return self._process.pid

    def poll(self) -> int | None:
        """Its exit status, None while it runs."""
        return self._process.poll()

    def terminate(self) -> None:
        """Asks it to end."""
        self._process.terminate()

    def kill(self) -> None:
        """Ends it and every process of its group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()


def reap_strangers(known: Set[int]) -> None:
    """As process 1 of a container: takes note of the ends of processes that were left to it, all but `known`.

    PostgreSQL's own processes come here when their parent is killed, and would stay as zombies.
    """
    if os.getpid() != 1:
        return
    with contextlib.suppress(ChildProcessError):
        while True:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is None or ended.si_pid in known:
                return
            os.waitpid(ended.si_pid, 0)
