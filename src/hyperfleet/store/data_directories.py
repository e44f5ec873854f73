"""The directory of an embedded PostgreSQL: private, the account's own, set up whole or not at all.

One that holds anything else is refused before it is touched.
"""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from hashlib import blake2b
from pathlib import Path
from typing import Final

from hyperfleet.errors import Unavailable
from hyperfleet.store import programs

USER: Final = "hyperfleet"
"""The role that owns the database."""

_COMPLETE: Final = "complete"
_LOG: Final = "server.log"
_LARGE_LOG: Final = 10 * 1024 * 1024
_LONGEST_SOCKET_DIRECTORY: Final = 80


def default() -> Path:
    """Under the user's data home; for root under /var/lib, because root's home is closed to the account that serves."""
    if os.geteuid() == 0:
        return Path("/var/lib/hyperfleet/postgresql")
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(home) / "hyperfleet" / "postgresql"


def log(data_dir: Path) -> Path:
    """Where the server writes what it has to say; a large one is put aside in place of the one before."""
    path = data_dir / _LOG
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > _LARGE_LOG:
            path.replace(f"{path}.1")
    return path


def make(directory: Path, account: pwd.struct_passwd | None) -> None:
    """The directory, private and the account's own; one that holds anything but a database is not touched."""
    try:
        if account is not None:
            programs.make_open(directory.parent)
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        entries = {entry.name for entry in directory.iterdir()}
        if not entries & {"PG_VERSION", ".new"} and entries - {_LOG}:
            raise Unavailable(f"The data directory {directory} holds something else; name an empty one.")
        directory.chmod(0o700)
    except OSError as failure:
        raise Unavailable(
            f"The data directory {directory} cannot be used ({failure.strerror});"
            " name another one with database.embedded.data_dir."
        ) from failure
    if account is not None:
        os.chown(directory, account.pw_uid, account.pw_gid)
        if not programs.is_open(directory.parent):
            raise Unavailable(
                f"The data directory {directory} lies below a folder that only root may enter;"
                " name another one with database.embedded.data_dir."
            )


def initialise(data_dir: Path, binaries: Path, account: pwd.struct_passwd | None) -> None:
    """Sets a data directory up, unless it is: in a folder inside it whose content moves up when it is complete.

    PostgreSQL writes its version first of all, so a set-up that was killed would look like a database. Here the version
    moves last, and whatever was cut short is begun or gone on with by the next start.
    """
    if (data_dir / "PG_VERSION").exists():
        return
    new = data_dir / ".new"
    if not (new / _COMPLETE).exists():
        if any(entry not in (new, data_dir / _LOG) for entry in data_dir.iterdir()):
            raise Unavailable(f"The data directory {data_dir} holds something else; name an empty one.")
        shutil.rmtree(new, ignore_errors=True)
        command = [str(binaries / "initdb"), "-D", str(new), f"--username={USER}", "--auth-local=trust"]
        command += ["--auth-host=trust", "--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        command += ["--locale=C", "--no-instructions"]
        done = subprocess.run(
            command, env=programs.ENVIRONMENT, cwd="/", capture_output=True, **programs.identity(account)
        )
        if done.returncode != 0:
            words = " ".join((done.stderr or done.stdout).decode(errors="replace").split())
            raise Unavailable(f"The embedded PostgreSQL could not be set up in {data_dir}: {words}")
        (new / _COMPLETE).touch()
    for entry in sorted(new.iterdir(), key=lambda entry: entry.name == "PG_VERSION"):
        if entry.name != _COMPLETE:
            entry.rename(data_dir / entry.name)
    shutil.rmtree(new)


def socket_directory(data_dir: Path, account: pwd.struct_passwd | None) -> Path:
    """Beside the data when the path is short enough for a socket, else a short one that only the account may enter."""
    if len(str(data_dir)) <= _LONGEST_SOCKET_DIRECTORY:
        return data_dir
    digest = blake2b(str(data_dir).encode(), digest_size=8).hexdigest()
    short = Path(tempfile.gettempdir()) / f"hyperfleet-{os.geteuid()}-{digest}"
    short.mkdir(mode=0o700, exist_ok=True)
    if short.is_symlink() or short.stat().st_uid not in {os.geteuid(), account.pw_uid if account else os.geteuid()}:
        raise Unavailable(f"The socket directory {short} belongs to somebody else; remove it.")
    if account is not None:
        os.chown(short, account.pw_uid, account.pw_gid)
    return short
