"""Golden cases of search without a database: what is refused and where, and what plain Python finds."""

import pytest

from hyperfleet.errors import BadSearch
from hyperfleet.model.search.parser import parse
from tests import searches
from tests.search_texts import text

FLEET = searches.fleet()
CASES = searches.cases()


def named(cases: list[searches.Case]) -> list[object]:
    return [pytest.param(case, id=f"{case.behaviour}: {case.search[:60]!a}") for case in cases]


@pytest.mark.parametrize("case", named([case for case in CASES if case.refused is not None]))
def test_an_invalid_search_is_refused_at_the_error(case: searches.Case) -> None:
    with pytest.raises(BadSearch) as refused:
        parse(case.search)
    assert refused.value.position == case.refused, refused.value.detail
    assert f"position {case.refused}:" in refused.value.detail
    assert case.says in refused.value.detail
    assert refused.value.detail.isprintable()
    assert refused.value.row.name == "VAL-007"
    assert refused.value.status == 400


@pytest.mark.parametrize("case", named([case for case in CASES if case.finds is not None]))
def test_a_search_finds_the_rows_of_its_case(case: searches.Case) -> None:
    tree = parse(case.search)
    assert frozenset(resource["name"] for resource in FLEET if searches.is_true(tree, resource)) == case.finds
    assert repr(parse(text(tree))) == repr(tree)


def test_there_are_many_golden_cases() -> None:
    assert len(CASES) >= 200
    assert len(FLEET) == 25
