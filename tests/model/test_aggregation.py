"""Golden cases of aggregation, some for every numbered rule."""

import itertools
from typing import Final

import pytest

from hyperfleet.model.rules import mapping
from hyperfleet.model.status import aggregation
from tests.model import golden
from tests.model.golden import Case, differences, live

CASES: Final = golden.cases("aggregation")
RULES: Final = golden.rule_numbers(
    aggregation.aggregate,
    aggregation._reconciled,
    aggregation._last_known_reconciled,
    aggregation._successful,
    mapping,
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_step_of_a_case_matches(case: Case) -> None:
    seen = 0
    for life, _, expected in live(case):
        if expected:
            assert life.status is not None
            assert differences(life.status, expected) == []
            seen += 1
    assert seen > 0


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_status_in_a_case_is_a_fixed_point_in_any_order_of_reports(case: Case) -> None:
    for life, event, _ in live(case):
        if event is not None and life.status is not None:
            for reports in itertools.permutations(life.reports.values()):
                assert life.assessed(reports) == life.status


def test_there_are_at_least_eighty_cases() -> None:
    assert len(CASES) >= 80


def test_every_rule_has_at_least_two_cases_and_every_case_names_rules_that_exist() -> None:
    named = [rule for case in CASES for rule in case.rules]
    assert set(named) == RULES
    assert {rule for rule in RULES if named.count(rule) < 2} == set()
