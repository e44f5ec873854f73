"""The tables of docs/callers.md, made from the code; `make docs` writes them anew."""

import re
from collections.abc import Iterator
from typing import Final

from hyperfleet.cli.settings_reference import members
from hyperfleet.http.routes import ROWS
from hyperfleet.model.rendering import API_ROOT
from hyperfleet.model.rules.permission import DEFAULT, VERBS
from hyperfleet.settings import Dimension, Issuer, Rule

_MARKED: Final = re.compile(r"(<!-- table: ([a-z ]+) -->\n).*?(<!-- end of table -->)", re.DOTALL)
_MEMBERS: Final = ("| member | default | form | |", "|---|---|---|---|")


def _verbs() -> Iterator[str]:
    yield from ("| verb | requests |", "|---|---|")
    for verb in VERBS:
        requests = [
            f"`{method} {row.path.removeprefix(API_ROOT)}`"
            for row in ROWS
            for method, use in row.methods.items()
            if use.verb == verb
        ]
        yield f"| `{verb}` | {', '.join(requests)} |"


def _default_rules() -> Iterator[str]:
    yield from ("| name | verbs | kinds | when |", "|---|---|---|---|")
    for rule in DEFAULT:
        verbs, kinds = (", ".join(f"`{name}`" for name in names) for names in (rule.verbs, rule.kinds))
        yield f"| {rule.name} | {verbs} | {kinds} | `{rule.when}` |"


def _table(name: str) -> Iterator[str]:
    entries = {"issuers": Issuer, "rules": Rule, "dimensions": Dimension}
    if name in entries:
        yield from _MEMBERS
        yield from members(entries[name])
    else:
        yield from {"verbs": _verbs, "default rules": _default_rules}[name]()


def written(page: str) -> str:
    """The page with its tables made anew."""
    return _MARKED.sub(lambda found: found[1] + "".join(f"{line}\n" for line in _table(found[2])) + found[3], page)
