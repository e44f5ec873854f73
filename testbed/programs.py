"""Runs the program's commands as an operator would, and other programs beside it."""

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
    """This process's environment without HyperFleet's settings, plus `variables`."""
    ours = ("HYPERFLEET_", "OPENAPI_SCHEMA_PATH")
    inherited = {name: text for name, text in os.environ.items() if not name.startswith(ours)}
    return {**inherited, **variables}


def run(
    *words: str,
    variables: Mapping[str, str] = NOTHING,
    folder: Path | None = None,
    program: tuple[str, ...] = PROGRAM,
) -> subprocess.CompletedProcess[str]:
    """Runs one command to its end in `folder`, which has no configuration unless the test put one there."""
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
    """Like `run`, but in this process, which saves the imports; for commands that neither log nor start processes."""
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
    """The command line that runs a PostgreSQL client (`psql`, `pgbench`, …) against this server."""
    binary = programs.binaries(programs.account_for()) / program
    return [str(binary), "-h", str(server.socket_dir), "-p", str(server.port), "-U", role, *arguments]


def tool(server: embedded.Server, *words: str) -> None:
    """Runs a PostgreSQL client against this server; raises AssertionError with its error output."""
    done = subprocess.run(client_command(server, *words), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


class Missing(SystemExit):
    """A required program is not installed."""


def found(name: str, package: str, *further: str) -> str:
    """The path of a program; raises Missing with its Debian package. `further` are folders to search after PATH."""
    path = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *further]))
    if path is None:
        raise Missing(f"{name} is missing; on Debian and Ubuntu: apt install {package}")
    return path


@contextmanager
def running(command: list[str], log: Path, *, user: str | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a program while the context lasts, in its own process group, as `user`; its output goes to `log`."""
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
