"""Conditions, the Kubernetes-style statements in a resource's status, and the rule for transition times.

A condition has three types: as an adapter reports it, as the report's summary keeps it, and as aggregation computes it.
Field names match the JSON, so a stored condition decodes directly into its type.
"""

from datetime import datetime
from typing import Final, Literal

import msgspec

ConditionStatus = Literal["True", "False", "Unknown"]


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """An aggregated condition as stored and served; its status is True or False, never Unknown.

    Times are timezone-aware UTC, cut to microseconds. `last_transition_time` is when the status last flipped. `reason`
    and `message` are None, and omitted from responses, if the adapter that they come from gave none.
    """

    type: str
    status: Literal["True", "False"]
    reason: str | None = None
    message: str | None = None
    observed_generation: int
    created_time: datetime
    last_updated_time: datetime
    last_transition_time: datetime


PHASES: Final = ("NotReady", "Ready", "Failed")


class Status(msgspec.Struct, frozen=True):
    """The computed status of a resource: phase (one of PHASES), times and conditions."""

    phase: str
    observed_generation: int
    last_transition_time: datetime
    last_updated_time: datetime
    conditions: tuple[Condition, ...]


class ReportedCondition(msgspec.Struct, frozen=True):
    """A condition as an adapter reports it. The edge drops times and other members that the adapter added."""

    type: str
    status: ConditionStatus
    reason: str | None = None
    message: str | None = None


class TimedCondition(msgspec.Struct, frozen=True, omit_defaults=True):
    """A reported condition with the time of its last flip, as the summary of a report keeps it."""

    type: str
    status: ConditionStatus
    last_transition_time: datetime
    reason: str | None = None
    message: str | None = None


def transition_time(previous: Condition | TimedCondition | None, status: ConditionStatus, time: datetime) -> datetime:
    """When `status` began: the previous condition's transition time if it has the same status, else `time`."""
    return previous.last_transition_time if previous is not None and previous.status == status else time
