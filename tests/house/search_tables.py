"""The tables of docs/search.md, made from the code; `python -m tests.house.search_tables` writes them anew."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from hyperfleet.http.reading.queries import LIST_PARAMETERS, Parameter
from hyperfleet.model.search.fields import FIELDS, Fields, Type
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


def _searched(fields: Fields) -> str:
    rows: list[tuple[str, ...]] = [
        (f"`{field.name}`", _TYPES[field.type], field.note) for field in fields.rows if field.searchable
    ]
    return _table(("field", "type", ""), rows)


def _operators() -> str:
    rows: list[tuple[str, ...]] = []
    for type, operators in OPERATORS.items():
        words = [name for operator in operators for name in (operator, *filter(None, [_NEGATED.get(operator)]))]
        rows.append((_TYPES[type], " ".join(f"`{word}`" for word in words)))
    return _table(("type", "operators"), rows)


def _sorted(fields: Fields) -> str:
    return " ".join(f"`{field.name}`" for field in fields.rows if field.sortable) + "\n"


def _selected(fields: Fields) -> str:
    rows: list[tuple[str, ...]] = [(f"`{field.name}`", field.note) for field in fields.rows if field.selectable]
    return _table(("member", ""), rows)


def _parameters(rows: Sequence[Parameter]) -> str:
    named = [(", ".join(f"`{name}`" for name in row.names), row.note) for row in rows]
    return _table(("parameter", ""), [*named])


def _limits() -> str:
    return _table(
        ("what", "at most"),
        [
            ("characters of a search", f"{LONGEST:,}"),
            ("nesting of parentheses and `not`", str(NESTED)),
            ("values of a list", f"{LISTED:,}"),
        ],
    )


TABLES: Final = ("parameters", "searched", "operators", "sorted", "selected", "limits")


def written(page: str, fields: Fields = FIELDS, parameters: Sequence[Parameter] = LIST_PARAMETERS) -> str:
    """The page with each table between its markers as the code has it now."""
    tables = {
        "parameters": _parameters(parameters),
        "searched": _searched(fields),
        "operators": _operators(),
        "sorted": _sorted(fields),
        "selected": _selected(fields),
        "limits": _limits(),
    }
    return _MARKED.sub(lambda match: match[1] + tables[match[2]] + match[4], page)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
