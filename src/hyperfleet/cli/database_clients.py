"""`db shell`, `db dump` and `db restore`: PostgreSQL's own programs on the configured or the embedded database.

The command returns the program's exit status and forwards signals to it. A server that was started for the program
stops after the program has ended.
"""

import asyncio
import contextlib
import os
import secrets
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO, Final

from hyperfleet import settings
from hyperfleet.assembly import databases
from hyperfleet.errors import Unavailable
from hyperfleet.postgres import client_programs
from hyperfleet.store import migrations
from hyperfleet.store.upkeep import dumps

_CHUNK: Final = 1 << 20
_HEAD_LINES: Final = 64

# pg_restore always writes this line; servers before PostgreSQL 17 reject it.
_NOT_IN_OLDER_SERVERS: Final = b"SET transaction_timeout = 0;\n"


def shell(configured: settings.Database, arguments: tuple[str, ...]) -> int:
    """Runs psql; returns its exit status."""
    with databases.available(configured) as connection:
        way = client_programs.environment(connection)
        with _running([client_programs.program("psql", way), *arguments], way) as psql:
            return _status(psql)


def dump(configured: settings.Database, file: Path) -> int:
    """Writes a consistent snapshot of the database to a file; returns pg_dump's exit status.

    On failure the file keeps its previous content. Only its owner may read it. Raises Unavailable if the path is not
    that of a regular file.
    """
    # The dump replaces whatever is at the path, so a device or a pipe would be lost, and a link would stop being a
    # link.
    if file.exists() and not file.is_file():
        raise Unavailable(f"{file} exists and is not a regular file; name another file for the dump.")
    file = Path(os.path.realpath(file))
    if not file.parent.is_dir():
        raise Unavailable(f"Folder {file.parent} does not exist; create it, or write the dump elsewhere.")
    with databases.available(configured) as connection, _new_file(file) as new:
        way = client_programs.environment(connection)
        command = [client_programs.program("pg_dump", way), "--format=custom", f"--file={new}"]
        with _running(command, way) as pg_dump:
            status = _status(pg_dump)
        if status == 0:
            new.replace(file)
        return status


def restore(configured: settings.Database, file: Path, *, replace: bool) -> int:
    """Restores a dump completely or not at all; returns the exit status of the program that failed, otherwise 0.

    Raises Unavailable when other sessions use the database, or when it is not empty and `replace` is false.
    """
    if not file.is_file():
        raise Unavailable(f"Dump {file} does not exist.")
    with databases.available(configured) as connection, databases.plain_failures(connection):
        asyncio.run(databases.schema(connection))
        tables, sessions = asyncio.run(dumps.content(connection))
        where = databases.described(connection)
        if sessions:
            raise Unavailable(f"{sessions} other sessions are using {where}; stop the services on it first.")
        if tables and not replace:
            raise Unavailable(
                f"{where[0].upper()}{where[1:]} is not empty; use --replace to delete its contents first."
            )
        status = _restored(client_programs.environment(connection), file, replace=replace)
        if status == 0 and asyncio.run(migrations.state(connection)) == "older":
            print("Restored. The schema is older than this version: run hyperfleet-api migrate.")
        elif status == 0:
            print("Restored.")
        return status


def _restored(way: Mapping[str, str], file: Path, *, replace: bool) -> int:
    script = [client_programs.program("pg_restore", way), "--no-owner", "--no-privileges", "--file=-", str(file)]
    session = [client_programs.program("psql", way), "-Xq", "-v", "ON_ERROR_STOP=1", "-o", os.devnull]
    with (
        _running(session, way, stdin=subprocess.PIPE) as psql,
        _running(script, way, stdout=subprocess.PIPE) as pg_restore,
    ):
        assert psql.stdin is not None
        assert pg_restore.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            psql.stdin.write(dumps.opening(replace=replace).encode())
            _copy(pg_restore.stdout, psql.stdin)
            # Without its closing statements psql's session is rolled back.
            if pg_restore.wait() == 0:
                psql.stdin.write(dumps.closing().encode())
        with contextlib.suppress(BrokenPipeError):
            psql.stdin.close()
        pg_restore.stdout.close()
        said = _status(psql)
        return said or _status(pg_restore)


def _copy(script: IO[bytes], session: IO[bytes]) -> None:
    for _ in range(_HEAD_LINES):
        line = script.readline()
        if line != _NOT_IN_OLDER_SERVERS:
            session.write(line)
    while chunk := script.read(_CHUNK):
        session.write(chunk)


@contextmanager
def _new_file(file: Path) -> Iterator[Path]:
    """A new empty, private file beside `file`; removed at the end of the context unless it was moved."""
    new = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
    try:
        os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        yield new
    except OSError as failure:
        raise Unavailable(f"The dump {file} cannot be written: {failure.strerror}.") from failure
    finally:
        new.unlink(missing_ok=True)


@contextmanager
def _running(
    command: list[str], way: Mapping[str, str], *, stdin: int | None = None, stdout: int | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    """Runs the program and forwards termination signals to it. Ctrl-C is left to the program: psql cancels a query."""
    process: subprocess.Popen[bytes] | None = None
    early: list[int] = []

    def pass_on(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            return
        if process is None:
            early.append(number)
        else:
            process.send_signal(number)

    # Set before the program starts: a signal that ended only this process would leave the program running.
    previous = {
        number: signal.signal(number, pass_on)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
        if signal.getsignal(number) != signal.SIG_IGN
    }
    try:
        try:
            process = subprocess.Popen(command, env=way, stdin=stdin, stdout=stdout)
        except OSError as failure:
            raise Unavailable(f"{command[0]} cannot be started: {failure.strerror}.") from failure
        with process:
            for number in early:
                process.send_signal(number)
            yield process
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _status(process: "subprocess.Popen[bytes]") -> int:
    """The program's exit status as a shell reports it: 128 plus the number of the signal that ended the program."""
    status = process.wait()
    return status if status >= 0 else 128 - status
