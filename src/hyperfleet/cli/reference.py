"""The settings as text: the reference page from the table, and the effective configuration as a commented file.

Both follow from settings.py. After a change there, `make docs` writes the page again; a test compares them.
"""

import json
import re
from collections.abc import Iterator
from itertools import groupby
from typing import Final

from hyperfleet.settings import TEXTS, Loaded, Row, rows, value

_BARE: Final = re.compile(r"[A-Za-z0-9/][A-Za-z0-9_./-]*")
_NOT_TEXT: Final = {"null", "yes", "no", "on", "off", "y", "n"}

_HEAD: Final = """# Settings

This page is generated from `src/hyperfleet/settings.py`; `make docs` writes it.

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
A secret can come from a file: put `_FILE` behind its variable and give the path. Lists stand in the file only.
"""


def settings_page() -> str:
    """The reference page in Markdown."""
    parts = [_HEAD]
    for group, members in groupby(rows(), lambda row: row.path.split(".", 1)[0]):
        parts.append(f"## `{group}`\n\n| setting | default | form | what it does |\n|---|---|---|---|")
        parts += [_line(row) for row in members]
        parts.append("")
    return "\n".join(parts)


def _line(row: Row) -> str:
    default = row.form.write(row.default)
    names = f"`{row.path}`"
    if row.is_scalar:
        names += f"<br>`{row.variable}`<br>`{row.flag}`"
    if row.alias:
        names += f"<br>also `{row.alias}`"
    if row.is_secret:
        names += f"<br>also `{row.variable}_FILE`"
    return f"| {names} | {f'`{default}`' if default else 'unset'} | {row.form.description} | {row.help} |"


def effective(loaded: Loaded) -> Iterator[str]:
    """The lines of a configuration file that says what is in force, each value's source beside it, secrets masked."""
    above: list[str] = []
    for row in rows():
        *groups, name = row.path.split(".")
        for depth, group in enumerate(groups):
            if groups[: depth + 1] != above[: depth + 1]:
                yield f"{'  ' * depth}{group}:"
        above = groups
        setting = f"{'  ' * len(groups)}{name}: {_written(row, loaded)}"
        yield f"{setting:<48}  # {loaded.sources[row.path]}"


def _written(row: Row, loaded: Loaded) -> str:
    held = value(loaded.settings, row.path)
    if row.form is TEXTS:
        return "[" + ", ".join(_quoted(item) for item in held) + "]"
    return _quoted(row.form.write(held))


def _quoted(text: str) -> str:
    """The text as YAML: bare where that is the same to every reader."""
    is_bare = _BARE.fullmatch(text) and text.lower() not in _NOT_TEXT
    return text if is_bare else json.dumps(text, ensure_ascii=False)
