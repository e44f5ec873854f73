"""In random lives of thousands of reports, aggregation and admission agree with a second implementation."""

import random
from typing import Any, Final

import pytest

from hyperfleet.model.kind import AnyAdapter, RequiredAdapters
from hyperfleet.model.status.condition import ConditionStatus, ReportedCondition
from hyperfleet.model.status.report import Report
from tests.model import golden, oracle
from tests.model.golden import Case, Life, at, live

TYPES: Final = ("Available", "Ready", "Failed", "Finalized", "Progressing", "Health")
STATUSES: Final[tuple[ConditionStatus, ...]] = ("True", "True", "True", "False", "Unknown")
ADAPTERS: Final = ("dns", "vm-adapter", "net.v2", "DnsAdapter", "dns-adapter")


def random_report(chance: random.Random, life: Life, now: int) -> Report:
    """Mostly about the current generation and a time near now; often an adapter's success."""
    types = chance.sample(TYPES, k=chance.randint(1, 4)) if chance.random() < 0.7 else ["Available"]
    return Report(
        chance.choice(ADAPTERS),
        max(1, life.generation + chance.choice([-2, -1, 0, 0, 0, 0, 1])),
        at(now + chance.randint(-15, 2)),
        tuple(
            ReportedCondition(
                type, chance.choice(STATUSES), chance.choice([None, "", "Done"]), chance.choice([None, "", "it is"])
            )
            for type in types
        ),
    )


def random_requirement(chance: random.Random) -> RequiredAdapters:
    """Up to three named adapters, or any."""
    return AnyAdapter.ANY if chance.random() < 0.25 else tuple(chance.sample(ADAPTERS[:4], k=chance.randint(0, 3)))


def event(chance: random.Random, life: Life, now: int) -> None:
    """Something other than a report."""
    what = chance.random()
    if what < 0.6:
        life.change(at(now))
    elif what < 0.65:
        life.change(at(now), deleted=True)
    elif what < 0.85:
        life.has_children = not life.has_children
        life.settle()
    else:
        life.required = random_requirement(chance)
        life.settle()


@pytest.mark.parametrize("seed", range(50))
def test_every_step_of_a_random_life_agrees_with_the_oracle(seed: int) -> None:
    chance = random.Random(seed)
    life = Life(required=random_requirement(chance))
    life.create(at(0))
    expected = oracle.status(previous=None, **life.inputs())
    for now in range(1, 200):
        if chance.random() < 0.93:
            received = random_report(chance, life, now)
            is_late = oracle.is_out_of_date(received, life.generation, life.reports.get(received.adapter))
            assert life.receive(received) == ("outdated" if is_late else "stored")
        else:
            event(chance, life, now)
            is_late = False
        if not is_late:
            expected = oracle.status(previous=expected, **life.inputs())
        assert life.status is not None
        assert oracle.plain(life.status) == expected


def test_the_random_lives_reach_every_reason_and_phase() -> None:
    reached = set()
    for seed in range(20):
        chance = random.Random(seed)
        life = Life(required=("dns", "net.v2"))
        life.create(at(0))
        for now in range(1, 200):
            if chance.random() < 0.93:
                life.receive(random_report(chance, life, now))
            else:
                event(chance, life, now)
            assert life.status is not None
            reached |= {life.status.phase, *(condition.reason for condition in life.status.conditions[:2])}
    assert reached >= {
        "NotReady",
        "Ready",
        "Failed",
        "ReconciledAll",
        "ReconciledWaitingForChildren",
        "ReconciledMissingAdapters",
        "AdaptersMissingReports",
        "AllAdaptersReconciled",
        "AdaptersNotAtSameGeneration",
        "AdapterReportedNotAvailable",
    }


# Conditions from mapping rules are not part of aggregation.
CASES = [case for case in golden.cases("aggregation") if "mapped" not in case.body]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_oracle_agrees_with_every_golden_case(case: Case) -> None:
    expected: dict[str, Any] | None = None
    for life, happened, _ in live(case):
        if happened is not None:
            expected = oracle.status(previous=expected, **life.inputs())
            assert life.status is not None
            assert oracle.plain(life.status) == expected
