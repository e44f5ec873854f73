"""The user's password file of PostgreSQL, `~/.pgpass`: what makes `psql -h localhost -U hyperfleet hyperfleet` work.

One entry is ours, below a comment with the data directory that it belongs to. It comes first, because the first entry
that fits counts, and goes when the server is stopped. Every other line stays as it is.
"""

import contextlib
import os
import secrets
from pathlib import Path
from typing import Final

_MARK: Final = "# hyperfleet-api db start, "


def path() -> Path:
    """Where the programs of PostgreSQL look for passwords."""
    return Path(os.environ.get("PGPASSFILE") or Path.home() / ".pgpass")


def remember(data_dir: Path, port: int, database: str, role: str, password: str) -> bool:
    """Puts the entry of this server into the file; False when that cannot be written, which leaves it as it is."""
    entry = f"localhost:{port}:{database}:{role}:{password}"
    try:
        _rewrite([_MARK + str(data_dir), entry, *_others(data_dir)])
    except (OSError, RuntimeError):
        return False
    return True


def forget(data_dir: Path) -> None:
    """Removes the entry of this server, where there is one."""
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
    """Every line but the comment of this data directory and the entry below it."""
    kept: list[str] = []
    is_ours = False
    for line in _lines():
        if not is_ours and line != _MARK + str(data_dir):
            kept.append(line)
        is_ours = line == _MARK + str(data_dir)
    return kept


def _rewrite(lines: list[str]) -> None:
    # Through a link, as people keep such files elsewhere; a new file replaces the old one in one step.
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
