"""Conditions: the rule of transition times, and their JSON form."""

import msgspec
import pytest

from hyperfleet.model.status.condition import (
    Condition,
    ConditionStatus,
    ReportedCondition,
    TimedCondition,
    transition_time,
)
from tests.model.golden import at

STATUSES: list[ConditionStatus] = ["True", "False", "Unknown"]


def aggregated(status: str = "True", reason: str | None = None) -> Condition:
    return msgspec.convert(
        {
            "type": "Reconciled",
            "status": status,
            "observed_generation": 2,
            "created_time": at(0),
            "last_updated_time": at(9),
            "last_transition_time": at(5),
        }
        | ({} if reason is None else {"reason": reason}),
        Condition,
    )


def test_without_a_previous_condition_the_transition_time_is_now() -> None:
    assert transition_time(None, "True", at(9)) == at(9)


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("before", STATUSES)
def test_the_transition_time_changes_exactly_when_the_status_does(
    before: ConditionStatus, status: ConditionStatus
) -> None:
    previous = TimedCondition("Available", before, at(5))
    assert transition_time(previous, status, at(9)) == (at(5) if before == status else at(9))


@pytest.mark.parametrize(("status", "time"), [("True", 5), ("False", 9)])
def test_an_aggregated_condition_follows_the_same_rule(status: ConditionStatus, time: int) -> None:
    assert transition_time(aggregated("True"), status, at(9)) == at(time)


def test_a_kept_transition_time_may_be_later_than_the_report_that_keeps_it() -> None:
    assert transition_time(TimedCondition("Available", "True", at(9)), "True", at(5)) == at(9)


@pytest.mark.parametrize("reason", [None, "", "Done"])
def test_an_aggregated_condition_round_trips_with_a_reason_an_empty_one_and_none(reason: str | None) -> None:
    condition = aggregated(reason=reason)
    assert msgspec.json.decode(msgspec.json.encode(condition), type=Condition) == condition


def test_an_aggregated_condition_stored_without_reason_and_message_has_none() -> None:
    condition = aggregated()
    assert (condition.reason, condition.message) == (None, None)


def test_a_timed_condition_omits_absent_texts_and_keeps_empty_ones() -> None:
    assert b"reason" not in msgspec.json.encode(TimedCondition("Available", "True", at(5)))
    assert b'"reason":""' in msgspec.json.encode(TimedCondition("Available", "True", at(5), ""))


def test_an_aggregated_status_is_never_unknown() -> None:
    with pytest.raises(msgspec.ValidationError):
        aggregated("Unknown")


def test_a_reported_status_is_one_of_three() -> None:
    for status in STATUSES:
        assert msgspec.convert({"type": "Ready", "status": status}, ReportedCondition).status == status
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"type": "Ready", "status": "true"}, ReportedCondition)
