"""The program as an operator runs it, words in, exit status and texts out; and the programs of others beside it."""

import contextlib
import io
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final
from unittest.mock import patch

from hyperfleet.cli import commands
from hyperfleet.postgres import embedded, programs, roles

NOTHING: Final = MappingProxyType[str, str]({})
PROGRAM: Final = (sys.executable, "-m", "hyperfleet")
STOP_SECONDS: Final = 20.0


def environment(variables: Mapping[str, str] = NOTHING) -> dict[str, str]:
    """This environment without settings of its own, with these variables."""
    ours = ("HYPERFLEET_", "OPENAPI_SCHEMA_PATH")
    inherited = {name: text for name, text in os.environ.items() if not name.startswith(ours)}
    return {**inherited, **variables}


def run(
    *words: str,
    variables: Mapping[str, str] = NOTHING,
    folder: Path | None = None,
    program: tuple[str, ...] = PROGRAM,
) -> subprocess.CompletedProcess[str]:
    """One command to its end, in `folder`, which has no configuration of its own unless the test put it there."""
    return subprocess.run(
        [*program, *words],
        env=environment(variables),
        cwd=folder or "/",
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def called(
    *words: str, variables: Mapping[str, str] = NOTHING, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """The same within this process, for a command that neither logs nor starts anything: it saves the imports."""
    output, errors = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    with (
        patch.dict(os.environ, environment(variables), clear=True),
        contextlib.chdir(folder or "/"),
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(errors),
    ):
        status = commands.run(words)
    output.seek(0)
    return subprocess.CompletedProcess(words, status, output.read(), errors.getvalue())


def client_command(server: embedded.Server, program: str, *arguments: str, role: str = roles.USER) -> list[str]:
    """The command line of a client program of PostgreSQL (`psql`, `pgbench` …) for this server."""
    binary = programs.binaries(programs.account_for()) / program
    return [str(binary), "-h", str(server.socket_dir), "-p", str(server.port), "-U", role, *arguments]


def tool(server: embedded.Server, *words: str) -> None:
    """Runs one of PostgreSQL's own programs on the server; fails with what it says."""
    done = subprocess.run(client_command(server, *words), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


class Missing(SystemExit):
    """A program that is needed is not on this machine."""


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
