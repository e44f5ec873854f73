"""The guide to searching says what the code does: its tables are the code's rows, its examples are searches."""

import re

import pytest

from hyperfleet.model.fields import parse_order, parse_selection
from hyperfleet.model.search import parse
from tests.house import search_tables

PAGE = search_tables.PAGE.read_text()
BLOCK = re.compile(r"```(search|order|fields)\n(.*?)```", re.DOTALL)
EXAMPLES = [(kind, line) for kind, lines in BLOCK.findall(PAGE) for line in lines.splitlines()]


def test_the_tables_of_the_guide_are_those_of_the_code() -> None:
    assert search_tables.written(PAGE) == PAGE, "run: python -m tests.house.search_tables"
    assert all(PAGE.count(f"<!-- table: {name} -->") == 1 for name in search_tables.TABLES)


@pytest.mark.parametrize(("kind", "example"), EXAMPLES)
def test_an_example_of_the_guide_is_accepted(kind: str, example: str) -> None:
    if kind == "search":
        assert parse(example)
    elif kind == "order":
        assert parse_order(example, None)
    else:
        assert parse_selection(example)


def test_the_guide_has_examples_of_everything() -> None:
    assert {kind for kind, _ in EXAMPLES} == {"search", "order", "fields"}
    said = " ".join(line for kind, line in EXAMPLES if kind == "search")
    for operator in (
        "=",
        "!=",
        "<",
        ">=",
        " in ",
        "not in",
        "like",
        "ilike",
        "between",
        "is null",
        "is not null",
        " and ",
        " or ",
    ):
        assert operator in said
