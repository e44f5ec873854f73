"""The tables of docs/moving.md, made from the code; `make docs` writes them anew."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import yaml

from hyperfleet.settings import rows
from hyperfleet.settings.aliases import RETIRED

_MARKED: Final = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def _aliases() -> Iterator[str]:
    yield "| the original's name | setting here |"
    yield "|---|---|"
    for row in rows():
        if row.aliases:
            yield f"| {', '.join(f'`{alias}`' for alias in row.aliases)} | `{row.path}` |"


def _retired() -> Iterator[str]:
    yield "| in the file | instead |"
    yield "|---|---|"
    for each in RETIRED:
        names = ", ".join(f"`{name}`" for name in (each.path, *each.aliases))
        yield f"| {names} | {each.instead[0].upper()}{each.instead[1:]} |"


def _values() -> Iterator[str]:
    yield "| value | instead |"
    yield "|---|---|"
    for path, instead in yaml.safe_load(_VALUES.read_text(encoding="utf-8")).items():
        yield f"| `{path}` | {instead[0].upper()}{instead[1:]}. |"


_VALUES: Final = Path(__file__).parents[2] / "charts" / "files" / "original-values.yaml"
_TABLES: Final = {"aliases": _aliases, "retired": _retired, "values": _values}


def written(page: str) -> str:
    """The page with its tables made anew."""
    return _MARKED.sub(lambda found: found[1] + "".join(f"{line}\n" for line in _TABLES[found[2]]()) + found[3], page)
