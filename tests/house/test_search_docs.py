"""The guide to searching says what the code does: its tables are the code's rows, its examples are searches."""

import re

import pytest

from hyperfleet.errors import BadSearch
from hyperfleet.model.kind import BUILT_IN
from hyperfleet.model.search.order import parse_order
from hyperfleet.model.search.parser import parse
from hyperfleet.model.search.selection import parse_selection
from hyperfleet.model.search.vocabulary import vocabulary
from tests.house import search_tables

PAGE = search_tables.PAGE.read_text()
BLOCK = re.compile(r"```(search|order|fields|refused)\n(.*?)```", re.DOTALL)
EXAMPLES = [(kind, line) for kind, lines in BLOCK.findall(PAGE) for line in lines.splitlines()]


def test_the_tables_of_the_guide_are_those_of_the_code() -> None:
    assert search_tables.written(PAGE) == PAGE, "run: python -m tests.house.search_tables"
    assert all(PAGE.count(f"<!-- table: {name} -->") == 1 for name in search_tables.TABLES)


@pytest.mark.parametrize(("kind", "example"), EXAMPLES)
def test_an_example_of_the_guide_is_accepted_or_refused_as_it_says(kind: str, example: str) -> None:
    if kind == "search":
        assert parse(example)
    elif kind == "refused":
        with pytest.raises(BadSearch, match="the nearest is"):
            parse(example, vocabulary(BUILT_IN, every=BUILT_IN))
    elif kind == "order":
        assert parse_order(example, None)
    else:
        assert parse_selection(example)


def test_the_guide_has_examples_of_everything() -> None:
    assert {kind for kind, _ in EXAMPLES} == {"search", "order", "fields", "refused"}
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
