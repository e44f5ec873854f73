"""The tables of docs/moving.md, made from the code; `make docs` writes them anew."""

import re
from collections.abc import Iterator
from typing import Final

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


_TABLES: Final = {"aliases": _aliases, "retired": _retired}


def written(page: str) -> str:
    """The page with its tables made anew."""
    return _MARKED.sub(lambda found: found[1] + "".join(f"{line}\n" for line in _TABLES[found[2]]()) + found[3], page)
