"""The table of docs/kinds.md, made from the code; `make docs` writes it anew."""

import re
from typing import Final

from hyperfleet.cli.settings_reference import members
from hyperfleet.settings import Entity

_MARKED: Final = re.compile(r"(<!-- table: members -->\n).*?(<!-- end of table -->)", re.DOTALL)


def written(page: str) -> str:
    """The page with its table made anew."""
    table = "".join(f"{line}\n" for line in ("| member | default | form | |", "|---|---|---|---|", *members(Entity)))
    return _MARKED.sub(lambda found: found[1] + table + found[2], page)
