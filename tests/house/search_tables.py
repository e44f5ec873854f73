"""The tables of docs/search.md, made from the code; `python -m tests.house.search_tables` writes them anew."""

import re
from pathlib import Path
from typing import Final

from hyperfleet.model.search.fields import FIELDS, Type
from hyperfleet.model.search.parser import LISTED, LONGEST, NESTED, OPERATORS

PAGE: Final = Path(__file__).parents[2] / "docs" / "search.md"

_MARKED: Final = re.compile(r"(<!-- table: ([a-z ]+) -->\n)(.*?)(<!-- end of table -->)", re.DOTALL)
_TYPES: Final[dict[Type, str]] = {"text": "text", "integer": "integer", "time": "time", "any": "by value"}
_NEGATED: Final = {
    "in": "not in",
    "like": "not like",
    "ilike": "not ilike",
    "between": "not between",
    "is null": "is not null",
}


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines).replace("|  |", "| |")


def _searched() -> str:
    rows: list[tuple[str, ...]] = [
        (f"`{field.name}`", _TYPES[field.type], field.note) for field in FIELDS.values() if field.searchable
    ]
    return _table(("field", "type", ""), rows)


def _operators() -> str:
    rows: list[tuple[str, ...]] = []
    for type, operators in OPERATORS.items():
        words = [name for operator in operators for name in (operator, *filter(None, [_NEGATED.get(operator)]))]
        rows.append((_TYPES[type], " ".join(f"`{word}`" for word in words)))
    return _table(("type", "operators"), rows)


def _sorted() -> str:
    return " ".join(f"`{field.name}`" for field in FIELDS.values() if field.sortable) + "\n"


def _selected() -> str:
    rows: list[tuple[str, ...]] = [(f"`{field.name}`", field.note) for field in FIELDS.values() if field.selectable]
    return _table(("member", ""), rows)


def _limits() -> str:
    return _table(
        ("what", "at most"),
        [
            ("characters of a search", f"{LONGEST:,}"),
            ("nesting of parentheses and `not`", str(NESTED)),
            ("values of a list", f"{LISTED:,}"),
        ],
    )


TABLES: Final = {
    "searched": _searched,
    "operators": _operators,
    "sorted": _sorted,
    "selected": _selected,
    "limits": _limits,
}


def written(page: str) -> str:
    """The page with each table between its markers as the code has it now."""
    return _MARKED.sub(lambda match: match[1] + TABLES[match[2]]() + match[4], page)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
