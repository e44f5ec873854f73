"""The user's PostgreSQL password file, `~/.pgpass`, so that `psql -h localhost -U hyperfleet hyperfleet` works.

Our entry follows a comment with its data directory. It comes first, because the first matching entry counts, and is
removed when the server is stopped. All other lines stay unchanged.
"""

import contextlib
import os
import secrets
from pathlib import Path
from typing import Final

_MARK: Final = "# hyperfleet-api db start, "


def path() -> Path:
    """The password file that PostgreSQL's programs read."""
    return Path(os.environ.get("PGPASSFILE") or Path.home() / ".pgpass")


def remember(data_dir: Path, port: int, database: str, role: str, password: str) -> bool:
    """Adds the entry of this server to the file; False, without a change, if the file cannot be written."""
    entry = f"localhost:{port}:{database}:{role}:{password}"
    try:
        _rewrite([_MARK + str(data_dir), entry, *_others(data_dir)])
    except (OSError, RuntimeError):
        return False
    return True


def forget(data_dir: Path) -> None:
    """Removes the entry of this server, if there is one."""
    with contextlib.suppress(OSError, RuntimeError):
        others = _others(data_dir)
        if others != _lines():
            _rewrite(others)


def _lines() -> list[str]:
    try:
        return path().read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except FileNotFoundError:
        return []


def _others(data_dir: Path) -> list[str]:
    """All lines except the comment of this data directory and the entry below it."""
    kept: list[str] = []
    is_ours = False
    for line in _lines():
        if not is_ours and line != _MARK + str(data_dir):
            kept.append(line)
        is_ours = line == _MARK + str(data_dir)
    return kept


def _rewrite(lines: list[str]) -> None:
    # Follows a link, since some users keep the file elsewhere. The new file replaces the old one atomically.
    place = Path(os.path.realpath(path()))
    new = place.with_name(f"{place.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(
            os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", errors="surrogateescape"
        ) as file:
            file.writelines(line + "\n" for line in lines)
        new.replace(place)
    except OSError:
        new.unlink(missing_ok=True)
        raise
