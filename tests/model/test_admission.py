"""Which reports count, what is kept of them and which verdict they give: golden cases, some for every rule.

A case of admission has `resource` (its generation), optionally `stored`, the `report` and the `answer`. A case of
summaries has `reports` in sequence and what the last one `keeps`. A case of verdicts has what a report `says`, what
`decides`, and the `verdict`.
"""

import itertools
from datetime import timedelta
from typing import Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperfleet.model.status import report as rules
from hyperfleet.model.status.condition import ReportedCondition
from hyperfleet.model.status.report import Report, Summary, admit, deciding_condition, is_finalized, summarize, verdict
from tests.model import golden, oracle
from tests.model.golden import Case, at

CASES: Final = golden.cases("admission")
ADMISSIONS: Final = [case for case in CASES if "answer" in case.body]
SUMMARIES: Final = [case for case in CASES if "keeps" in case.body]
VERDICTS: Final = [case for case in CASES if "says" in case.body]
RULES: Final = golden.rule_numbers(rules.admit, rules.summarize, rules.deciding_condition, rules.verdict)

statuses = st.sampled_from(["True", "False", "Unknown"])
said = st.dictionaries(st.sampled_from(["Available", "Ready", "Failed", "Finalized", "Health"]), statuses, min_size=1)
reports = st.builds(
    lambda generation, time, said: Report(
        "dns", generation, at(time), tuple(ReportedCondition(type, status) for type, status in said.items())
    ),
    st.integers(1, 4),
    st.integers(0, 5),
    said,
)
roughly_timed = st.builds(
    lambda report, half, rough: msgspec.structs.replace(
        report, observed_time=report.observed_time + timedelta(seconds=0 if rough else half / 2), is_whole_second=rough
    ),
    reports,
    st.integers(0, 1),
    st.booleans(),
)
summaries = st.none() | reports.map(lambda report: summarize(report, None))


@pytest.mark.parametrize("case", ADMISSIONS, ids=lambda case: case.name)
def test_the_response_to_a_report_matches_the_case(case: Case) -> None:
    stored = case.body.get("stored")
    previous = None if stored is None else summarize(golden.report(stored), None)
    generation = int(case.body["resource"].removeprefix("g"))
    assert admit(golden.report(case.body["report"]), generation=generation, previous=previous) == case.body["answer"]


@pytest.mark.parametrize("case", SUMMARIES, ids=lambda case: case.name)
def test_a_summary_keeps_the_members_of_the_case(case: Case) -> None:
    kept: Summary | None = None
    for text in case.body["reports"]:
        kept = summarize(golden.report(text), kept)
    assert kept == golden.summary(case.body["keeps"])


@pytest.mark.parametrize("case", VERDICTS, ids=lambda case: case.name)
def test_a_reports_verdict_matches_the_case_in_any_order_of_its_conditions(case: Case) -> None:
    for conditions in itertools.permutations(condition for condition, _ in golden.conditions(case.body["says"])):
        deciding = deciding_condition(conditions)
        assert ("nothing" if deciding is None else deciding.type) == case.body["decides"]
        assert (verdict(deciding) or "none") == case.body["verdict"]


def test_there_are_at_least_forty_cases_each_of_one_sort() -> None:
    assert len(CASES) == len(ADMISSIONS) + len(SUMMARIES) + len(VERDICTS) >= 40


def test_every_rule_has_at_least_two_cases_and_every_case_names_rules_that_exist() -> None:
    named = [rule for case in CASES for rule in case.rules]
    assert set(named) == RULES
    assert {rule for rule in RULES if named.count(rule) < 2} == set()


@given(roughly_timed, st.integers(1, 4), st.none() | roughly_timed.map(lambda report: summarize(report, None)))
@settings(deadline=None)
def test_admission_agrees_with_the_oracle(report: Report, generation: int, previous: Summary | None) -> None:
    late = oracle.is_out_of_date(report, generation, previous)
    assert admit(report, generation=generation, previous=previous) == ("outdated" if late else "stored")


@given(reports, reports)
@settings(deadline=None)
def test_the_newer_of_two_reports_is_stored_in_either_order(one: Report, other: Report) -> None:
    """If both have a verdict and differ in generation or time, the same report wins in either order."""
    ages = [(report.observed_generation, report.observed_time) for report in (one, other)]
    if ages[0] != ages[1] and all(verdict(deciding_condition(report.conditions)) for report in (one, other)):
        newer = one if ages[0] > ages[1] else other
        for first, second in ((one, other), (other, one)):
            stored = summarize(first, None)
            if admit(second, generation=4, previous=stored) == "stored":
                stored = summarize(second, stored)
            assert (stored.observed_generation, stored.last_report_time) == max(ages)
            assert [(condition.type, condition.status) for condition in stored.conditions] == [
                (condition.type, condition.status) for condition in newer.conditions
            ]


@given(reports, summaries)
@settings(deadline=None)
def test_the_same_report_has_the_same_summary(report: Report, previous: Summary | None) -> None:
    kept = summarize(report, previous)
    assert summarize(report, kept) == kept


@pytest.mark.parametrize(
    ("text", "finalized"),
    [("Finalized=True", True), ("Finalized=False", False), ("Finalized=Unknown", False), ("Available=True", False)],
)
def test_only_finalized_true_counts_as_finalized(text: str, finalized: bool) -> None:
    assert is_finalized([condition for condition, _ in golden.conditions(f"Health=True {text}")]) is finalized
