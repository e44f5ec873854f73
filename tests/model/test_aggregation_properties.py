"""Properties of aggregation for all reports: fixed point, no order, no clock, and exactly what may depend on history.

Only three things may depend on the order in which reports of different adapters arrive: the phase's transition time,
the transition time of Reconciled, and LastKnownReconciled except for its creation time.
"""

from datetime import timedelta
from typing import Any, Final

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hyperfleet.model.kind import AnyAdapter, RequiredAdapters
from hyperfleet.model.status.aggregation import aggregate
from hyperfleet.model.status.condition import Condition, ReportedCondition, Status, TimedCondition
from hyperfleet.model.status.report import Report, Summary, deciding_condition, verdict
from tests.model import oracle
from tests.model.golden import Life, at

ADAPTERS: Final = ("dns", "net", "vm-adapter", "aws.v2")
TYPES: Final = ("Available", "Ready", "Failed", "Finalized", "Progressing")

Inputs = dict[str, Any]

# These tests do not measure time, and machines are busy.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

times = st.integers(-5, 30).map(at)
words = st.sampled_from([None, "", "Done"])
named_adapters = st.lists(st.sampled_from(ADAPTERS[:3]), unique=True, max_size=3).map(tuple)
required_adapters: st.SearchStrategy[RequiredAdapters] = st.one_of(named_adapters, st.just(AnyAdapter.ANY))


def statuses_by_type() -> st.SearchStrategy[dict[str, Any]]:
    """A report's conditions: mostly one clear verdict, so that agreement is not rare."""
    anything = st.dictionaries(st.sampled_from(TYPES), st.sampled_from(["True", "False", "Unknown"]), min_size=1)
    return st.one_of(st.just({"Available": "True"}), st.just({"Available": "True"}), anything)


@st.composite
def summaries(draw: st.DrawFn, adapter: str, generation: int) -> Summary:
    said = draw(statuses_by_type())
    return Summary(
        adapter,
        draw(st.integers(max(1, generation - 1), generation)),
        draw(times),
        tuple(TimedCondition(type, status, draw(times), draw(words), draw(words)) for type, status in said.items()),
    )


@st.composite
def inputs(draw: st.DrawFn, *, deleted: bool | None = None) -> Inputs:
    """Every argument of `aggregate` except `previous`."""
    generation = draw(st.integers(1, 4))
    reporting = draw(st.lists(st.sampled_from(ADAPTERS), unique=True))
    return {
        "generation": generation,
        "reference_time": draw(times),
        "deleted": draw(st.booleans()) if deleted is None else deleted,
        "required": draw(required_adapters),
        "reports": [draw(summaries(adapter, generation)) for adapter in reporting],
        "has_children": draw(st.booleans()),
    }


@st.composite
def previous_statuses(draw: st.DrawFn) -> Status | None:
    """None, or a status after two aggregations of inputs unrelated to the next."""
    if draw(st.booleans()):
        return None
    return aggregate(previous=aggregate(previous=None, **draw(inputs())), **draw(inputs()))


def by_type(status: Status) -> dict[str, Condition]:
    return {condition.type: condition for condition in status.conditions}


@given(inputs(), previous_statuses())
@settings(unhurried, max_examples=400)
def test_every_status_agrees_with_the_oracle(given: Inputs, previous: Status | None) -> None:
    before = None if previous is None else oracle.plain(previous)
    assert oracle.plain(aggregate(previous=previous, **given)) == oracle.status(previous=before, **given)


@given(inputs(), previous_statuses())
@unhurried
def test_aggregating_a_status_again_does_not_change_it(given: Inputs, previous: Status | None) -> None:
    status = aggregate(previous=previous, **given)
    assert aggregate(previous=status, **given) == status


@given(inputs(), previous_statuses(), st.randoms(use_true_random=False))
@unhurried
def test_the_order_of_the_list_of_reports_never_matters(given: Inputs, previous: Status | None, chance: Any) -> None:
    status = aggregate(previous=previous, **given)
    chance.shuffle(given["reports"])
    assert aggregate(previous=previous, **given) == status


@given(inputs(), previous_statuses())
@unhurried
def test_a_status_survives_being_stored_as_json(given: Inputs, previous: Status | None) -> None:
    status = aggregate(previous=previous, **given)
    assert msgspec.json.decode(msgspec.json.encode(status), type=Status) == status


@given(inputs(), previous_statuses(), st.integers(-(10**9), 10**9).map(lambda seconds: timedelta(seconds=seconds)))
@unhurried
def test_shifting_all_times_shifts_the_status_so_no_clock_is_read(
    given: Inputs, previous: Status | None, distance: timedelta
) -> None:
    status = aggregate(previous=previous, **given)
    assert aggregate(previous=moved(previous, distance), **moved(given, distance)) == moved(status, distance)


def moved(thing: Any, distance: timedelta) -> Any:
    """The same value with every time in it shifted."""
    if hasattr(thing, "tzinfo"):
        return thing + distance
    if isinstance(thing, msgspec.Struct):
        return type(thing)(**{name: moved(getattr(thing, name), distance) for name in thing.__struct_fields__})
    if isinstance(thing, dict):
        return {name: moved(value, distance) for name, value in thing.items()}
    return type(thing)(moved(item, distance) for item in thing) if isinstance(thing, list | tuple) else thing


@given(inputs(), previous_statuses())
@unhurried
def test_reports_of_adapters_that_are_not_required_change_nothing(given: Inputs, previous: Status | None) -> None:
    if isinstance(given["required"], tuple) and given["required"]:
        counted = [report for report in given["reports"] if report.adapter in given["required"]]
        assert aggregate(previous=previous, **given) == aggregate(previous=previous, **given | {"reports": counted})


@given(inputs(deleted=False), previous_statuses())
@unhurried
def test_a_live_resource_is_ready_exactly_when_it_is_reconciled_and_then_everything_else_agrees(
    given: Inputs, previous: Status | None
) -> None:
    status = aggregate(previous=previous, **given)
    found = by_type(status)
    reconciled = found.get("Reconciled")
    assert (status.phase == "Ready") == (reconciled is not None and reconciled.status == "True")
    if status.phase == "Ready":
        assert status.observed_generation == given["generation"]
        assert {condition.status for condition in status.conditions} == {"True"}
        assert {condition.observed_generation for condition in status.conditions} == {given["generation"]}


@given(inputs(deleted=True), previous_statuses())
@unhurried
def test_a_resource_being_deleted_is_neither_ready_nor_reconciled(given: Inputs, previous: Status | None) -> None:
    status = aggregate(previous=previous, **given)
    assert status.phase != "Ready"
    assert all(condition.status == "False" for condition in status.conditions if condition.type == "Reconciled")


@given(inputs(), previous_statuses())
@unhurried
def test_types_are_unique_aggregates_come_first_and_no_observed_generation_is_ahead(
    given: Inputs, previous: Status | None
) -> None:
    status = aggregate(previous=previous, **given)
    types = [condition.type for condition in status.conditions]
    assert len(types) == len(set(types))
    assert types[:2] == (["Reconciled", "LastKnownReconciled"] if given["required"] or given["reports"] else [])
    assert status.observed_generation <= given["generation"]


@given(inputs(), previous_statuses())
@unhurried
def test_an_unflipped_condition_keeps_its_transition_time_and_every_condition_its_creation_time(
    given: Inputs, previous: Status | None
) -> None:
    status = aggregate(previous=previous, **given)
    before = by_type(previous) if previous is not None else {}
    for type, condition in by_type(status).items():
        if type in before:
            assert condition.created_time == before[type].created_time
            if condition.status == before[type].status:
                assert condition.last_transition_time == before[type].last_transition_time
        else:
            assert condition.created_time == given["reference_time"]
            assert condition.last_transition_time == condition.last_updated_time


@given(inputs(), previous_statuses(), previous_statuses())
@unhurried
def test_history_decides_only_the_status_of_last_known_reconciled(
    given: Inputs, one: Status | None, other: Status | None
) -> None:
    first, second = aggregate(previous=one, **given), aggregate(previous=other, **given)
    assert [past_free(condition) for condition in first.conditions] == [
        past_free(condition) for condition in second.conditions
    ]
    assert (first.phase, first.observed_generation, first.last_updated_time) == (
        second.phase,
        second.observed_generation,
        second.last_updated_time,
    )


def past_free(condition: Condition) -> object:
    """The parts of a condition that no previous status decides."""
    if condition.type == "LastKnownReconciled":
        return condition.type
    return msgspec.structs.replace(condition, created_time=at(0), last_transition_time=at(0))


@given(inputs(), previous_statuses(), previous_statuses())
@unhurried
def test_last_known_reconciled_uses_history_only_if_all_have_a_verdict_but_not_success_at_one_generation(
    given: Inputs, one: Status | None, other: Status | None
) -> None:
    named = given["required"] if isinstance(given["required"], tuple) else ()
    counted = named or [report.adapter for report in given["reports"]]
    reports = [report for report in given["reports"] if report.adapter in counted]
    verdicts = [verdict(deciding_condition(report.conditions)) for report in reports]
    silent = len(reports) < len(counted) or None in verdicts
    agreed = set(verdicts) == {"succeeds"} and len({report.observed_generation for report in reports}) == 1
    if counted and (silent or agreed):
        known = [by_type(aggregate(previous=past, **given))["LastKnownReconciled"] for past in (one, other)]
        assert known[0].status == known[1].status == ("False" if silent else "True")


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[Life, list[Report], list[Report]]:
    """A resource, and reports of several adapters in two orders that keep each adapter's own order."""
    life = Life(required=draw(required_adapters), generation=draw(st.integers(1, 3)), deleted=draw(st.booleans()))
    sent: list[Report] = []
    for adapter in ADAPTERS:
        for said in draw(st.lists(statuses_by_type(), max_size=3)):
            conditions = tuple(ReportedCondition(type, status) for type, status in said.items())
            sent.append(Report(adapter, draw(st.integers(1, 4)), draw(times), conditions))
    queues = {adapter: [report for report in sent if report.adapter == adapter] for adapter in ADAPTERS}
    order = draw(st.permutations([report.adapter for report in sent]))
    return life, sent, [queues[adapter].pop(0) for adapter in order]


def after(life: Life, sent: list[Report]) -> Life:
    """The same resource after these reports, in sequence."""
    lived = Life(life.required, life.generation, life.reference_time, life.deleted)
    lived.settle()
    for received in sent:
        lived.receive(received)
    return lived


@given(arrivals())
@settings(unhurried, max_examples=200)
def test_everything_without_history_is_independent_of_the_order_of_adapters(
    arrivals: tuple[Life, list[Report], list[Report]],
) -> None:
    life, sent, shuffled = arrivals
    one, other = after(life, sent), after(life, shuffled)
    assert one.reports == other.reports
    assert order_free(one.settle()) == order_free(other.settle())


def order_free(status: Status) -> object:
    """The parts of a status that no order of arrival decides: all but three transition times and sticky values."""
    conditions: list[object] = []
    for condition in status.conditions:
        if condition.type == "LastKnownReconciled":
            conditions.append((condition.type, condition.created_time))
        elif condition.type == "Reconciled":
            conditions.append(msgspec.structs.replace(condition, last_transition_time=at(0)))
        else:
            conditions.append(condition)
    return status.phase, status.observed_generation, status.last_updated_time, conditions


@given(st.permutations(ADAPTERS), st.permutations(ADAPTERS), st.lists(times, min_size=4, max_size=4), st.integers(1, 3))
@unhurried
def test_if_every_required_adapter_reports_success_once_the_status_is_independent_of_order(
    one: list[str], other: list[str], reported: list[Any], generation: int
) -> None:
    success = (ReportedCondition("Available", "True"),)
    sent = {
        adapter: Report(adapter, generation, time, success) for adapter, time in zip(ADAPTERS, reported, strict=True)
    }
    life = Life(required=ADAPTERS, generation=generation)
    status = after(life, [sent[adapter] for adapter in one]).status
    assert status == after(life, [sent[adapter] for adapter in other]).status
    assert status is not None
    assert status.phase == "Ready"


@given(arrivals())
@unhurried
def test_resending_an_adapters_last_report_changes_nothing(
    arrivals: tuple[Life, list[Report], list[Report]],
) -> None:
    life, sent, _ = arrivals
    lived = after(life, [])
    for received in sent:
        if lived.receive(received) == "stored":
            reports, status = dict(lived.reports), lived.status
            lived.receive(received)
            assert (lived.reports, lived.status) == (reports, status)
