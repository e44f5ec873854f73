"""The data directory of an embedded PostgreSQL: private to one account, and set up completely or not at all.

A directory with any other content is rejected before anything in it is changed.
"""

import os
import pwd
import subprocess
import tempfile
from hashlib import blake2b
from pathlib import Path
from typing import Final

from hyperfleet.errors import Unavailable
from hyperfleet.postgres import programs, server_logs
from hyperfleet.postgres.account_folders import Folder, hand_over, opened
from hyperfleet.postgres.roles import SUPERUSER

_VERSION: Final = "PG_VERSION"
_NEW: Final = ".new"
_COMPLETE: Final = "complete"
_LOGS: Final = {server_logs.NAME, server_logs.EARLIER}
_LONGEST_SOCKET_DIRECTORY: Final = 80


def default() -> Path:
    """Below the user's data home; for root below /var/lib, because PostgreSQL's account cannot enter root's home."""
    if os.geteuid() == 0:
        return Path("/var/lib/hyperfleet/postgresql")
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(home) / "hyperfleet" / "postgresql"


def make(directory: Path, account: pwd.struct_passwd | None) -> None:
    """Creates the directory, private to the account; raises Unavailable, without a change, if it has other files."""
    try:
        if account is not None:
            programs.make_open(directory.parent)
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        with opened(directory) as folder:
            entries = folder.names()
            if not entries & {_VERSION, _NEW} and entries - _LOGS:
                raise Unavailable(f"The data directory {directory} contains other files; choose an empty directory.")
            hand_over(folder, account)
    except OSError as failure:
        raise Unavailable(
            f"The data directory {directory} cannot be used ({failure.strerror}); choose another one with "
            "database.embedded.data_dir."
        ) from failure
    if account is not None and not programs.is_open(directory.parent):
        raise Unavailable(
            f"The data directory {directory} is below a folder that only root can enter; choose another "
            "one with database.embedded.data_dir."
        )


def initialise(data_dir: Path, binaries: Path, account: pwd.struct_passwd | None) -> None:
    """Sets up a data directory unless it is complete: in a folder inside it, whose content is moved up at the end.

    PostgreSQL writes its version file first, so a killed set-up would look like a database. Here the version file is
    moved last, and the next start repeats or finishes a set-up that was cut short.
    """
    with opened(data_dir) as folder:
        if folder.has(_VERSION):
            return
        if not _is_complete(folder):
            if folder.names() - _LOGS - {_NEW}:
                raise Unavailable(f"The data directory {data_dir} contains other files; choose an empty directory.")
            folder.remove(_NEW)
            _initdb(data_dir / _NEW, binaries, account)
            with folder.below(_NEW) as new:
                new.write(_COMPLETE, "")
        with folder.below(_NEW) as new:
            for entry in sorted(new.names() - {_COMPLETE}, key=_VERSION.__eq__):
                new.move(entry, folder)
        folder.remove(_NEW)


def _is_complete(folder: Folder) -> bool:
    if not folder.has(_NEW):
        return False
    try:
        with folder.below(_NEW) as new:
            return new.has(_COMPLETE)
    except OSError:
        return False


def _initdb(directory: Path, binaries: Path, account: pwd.struct_passwd | None) -> None:
    command = [str(binaries / "initdb"), "-D", str(directory), f"--username={SUPERUSER}", "--auth-local=trust"]
    command += ["--auth-host=reject", "--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    command += ["--locale=C", "--no-instructions"]
    done = subprocess.run(command, env=programs.ENVIRONMENT, cwd="/", capture_output=True, **programs.identity(account))
    if done.returncode != 0:
        words = " ".join((done.stderr or done.stdout).decode(errors="replace").split())
        raise Unavailable(f"The embedded PostgreSQL could not be set up in {directory.parent}: {words}")


def socket_directory(data_dir: Path, account: pwd.struct_passwd | None) -> Path:
    """The data directory if its path is short enough for a socket, otherwise a short one private to the account."""
    if len(str(data_dir)) <= _LONGEST_SOCKET_DIRECTORY:
        return data_dir
    digest = blake2b(str(data_dir).encode(), digest_size=8).hexdigest()
    short = Path(os.path.realpath(tempfile.gettempdir())) / f"hyperfleet-{os.geteuid()}-{digest}"
    short.mkdir(mode=0o700, exist_ok=True)
    try:
        with opened(short) as folder:
            hand_over(folder, account)
    except OSError as failure:
        raise Unavailable(f"The socket directory {short} is owned by another user; remove it.") from failure
    return short
