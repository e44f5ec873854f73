"""The settings as text: the reference page from the table, and the effective configuration as a commented file.

Both are generated from settings/. After a change there, run `make docs` to update the page; a test compares them.
"""

import json
import re
from collections.abc import Iterator
from itertools import groupby
from typing import Any, Final

from hyperfleet.settings import Loaded, Row, rows, table, value

_BARE: Final = re.compile(r"[A-Za-z0-9/][A-Za-z0-9_./-]*")
_INDENT: Final = "  "
_NOT_TEXT: Final = {"null", "yes", "no", "on", "off", "y", "n"}

_HEAD: Final = """# Settings

This page is generated from `src/hyperfleet/settings/`; `make docs` writes it.

A flag beats an environment variable, which beats the file, which beats the default. An empty value is as unset.
The file is the one that `--config` or `HYPERFLEET_CONFIG` names, else `/etc/hyperfleet/config.yaml`, else
`configs/config.yaml` in the working directory. The path `server.port` is a nested mapping in the file:

```yaml
server:
  port: 8000
```

A name that is not known, in the file, as a flag or as a `HYPERFLEET_…` variable, stops the start, and every mistake is
reported at once. (The variables that Kubernetes sets for a Service named `hyperfleet-…` are left alone.)
`hyperfleet-api config` prints the effective value of each setting and where it comes from.

Durations are written `500ms`, `30s`, `5m`, `1h` or joined, `1m30s`; sizes `65536`, `512KiB`, `1MiB`.
Lists of texts are written with commas between in variables and flags; lists of entries are set in the file only.
A flag that is given twice counts as it is given last.

Every value can come from a file of its own: put `_FILE` behind the variable, or `_file` behind the path, and give the
path of that file, such as `HYPERFLEET_DATABASE_PASSWORD_FILE=/run/secrets/password`, or `password_file:` below
`database:`. The last line break of the file is left out, and an empty file leaves the setting unset.

The names behind "also" are [those of the original HyperFleet API](moving.md). Two names of one setting in the same
place, such as two variables, must not give different values: that stops the start.

The members of a list's entries are written `entities[].kind`; `none` means that nothing holds without one.
"""


def settings_page() -> str:
    """The reference page in Markdown."""
    parts = [_HEAD]
    for group, settings in groupby(rows(), lambda row: row.path.split(".", 1)[0]):
        parts.append(f"## `{group}`\n\n| setting | default | form | what it does |\n|---|---|---|---|")
        for row in settings:
            parts.append(_line(row))
            if row.entry is not None:
                parts += members(row.entry, row.path + "[].")
        parts.append("")
    return "\n".join(parts)


def members(entry: type, prefix: str = "") -> Iterator[str]:
    """The table rows for the members of entries, including those of nested lists."""
    for row in table.rows(entry, prefix):
        default = "required" if row.is_required else row.absent or "none"
        yield f"| `{row.path}` | {default} | {row.form.description} | {row.help} |"
        if row.entry is not None:
            yield from members(row.entry, row.path + "[].")


def _line(row: Row) -> str:
    default = row.form.write(row.default)
    names = f"`{row.path}`"
    if row.is_flat:
        names += f"<br>`{row.variable}`<br>`{row.flag}`"
    if row.aliases:
        names += f"<br>also {', '.join(f'`{alias}`' for alias in row.aliases)}"
    return f"| {names} | {f'`{default}`' if default else 'unset'} | {row.form.description} | {row.help} |"


def effective(loaded: Loaded) -> Iterator[str]:
    """The lines of a configuration file with the effective settings, each with its source, secrets masked."""
    above: list[str] = []
    for row in rows():
        *groups, name = row.path.split(".")
        for depth, group in enumerate(groups):
            if groups[: depth + 1] != above[: depth + 1]:
                yield f"{_INDENT * depth}{group}:"
        above = groups
        yield from _setting(row, value(loaded.settings, row.path), row.path, _INDENT * len(groups) + name, loaded)


def _setting(row: Row, held: Any, path: str, name: str, loaded: Loaded) -> Iterator[str]:
    """The lines of one setting at `path`; `name` is its name with the text before it on the line."""
    is_list_of_entries = row.entry is not None and held
    setting = f"{name}:" if is_list_of_entries else f"{name}: {_written(row, held)}"
    yield f"{setting:<48}  # {loaded.sources.get(path, 'default')}"
    if row.entry is not None:
        depth = len(name) - len(name.lstrip(" -"))
        for position, entry in enumerate(held):
            yield from _entry(row.entry, entry, f"{path}[{position}]", _INDENT + " " * depth, loaded)


def _entry(of: type, entry: Any, path: str, before: str, loaded: Loaded) -> Iterator[str]:
    """The lines of one entry of a list: the members that it sets."""
    above: list[str] = []
    first = before + "- "
    for row in table.rows(of):
        at = f"{path}.{row.path}"
        if at not in loaded.sources and value(entry, row.path) in (None, ()):
            continue
        *groups, name = row.path.split(".")
        for depth, group in enumerate(groups):
            if groups[: depth + 1] != above[: depth + 1]:
                yield f"{first}{_INDENT * depth}{group}:"
                first = before + _INDENT
        above = groups
        yield from _setting(row, value(entry, row.path), at, first + _INDENT * len(groups) + name, loaded)
        first = before + _INDENT


def _written(row: Row, held: Any) -> str:
    if row.form.is_list and held != row.form.word:
        return "[" + ", ".join(_quoted(item) for item in held) + "]"
    return _quoted(held if row.form.is_list else row.form.write(held))


def _quoted(text: str) -> str:
    """The text as YAML: without quotes where every YAML parser reads it as the same text."""
    is_bare = _BARE.fullmatch(text) and text.lower() not in _NOT_TEXT
    return text if is_bare else json.dumps(text, ensure_ascii=False)
