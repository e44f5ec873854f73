"""Child processes of the service's parent: each in its own session, killed as a group, orphans reaped as process 1."""

import contextlib
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Mapping, Set


class Child:
    """A Python process in its own session; it runs `code` and reads one pickled object from standard input.

    Standard input stays open while this process lives; its end signals to the child that the parent has exited. Ctrl-C
    in a terminal reaches this process only.
    """

    def __init__(self, code: str, sent: object, environment: Mapping[str, str]) -> None:
        # Passes on paths that were added by hand, as in the one-file program, but not the working directory.
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
        """The process id, which is also the id of its process group."""
        return self._process.pid

    def poll(self) -> int | None:
        """The exit status; None while the process runs."""
        return self._process.poll()

    def terminate(self) -> None:
        """Sends SIGTERM."""
        self._process.terminate()

    def kill(self) -> None:
        """Kills the process and the rest of its group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()


def reap_strangers(known: Set[int]) -> None:
    """As process 1 of a container: reaps the orphans that it inherited, but not the children in `known`.

    PostgreSQL's own processes become orphans when their parent is killed, and would remain as zombies.
    """
    if os.getpid() != 1:
        return
    with contextlib.suppress(ChildProcessError):
        while True:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is None or ended.si_pid in known:
                return
            os.waitpid(ended.si_pid, 0)
