"""Conditions: the Kubernetes-style statements that a resource's status consists of, and the rule of transition times.

Three shapes of one thing: as an adapter reports it, as its summary keeps it, as aggregation makes it. Field names are
the JSON spelling, so a stored condition decodes directly into its type.
"""

from datetime import datetime
from typing import Final, Literal

import msgspec

ConditionStatus = Literal["True", "False", "Unknown"]


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """One aggregated condition as it is stored and served; its status is True or False, never Unknown.

    Times are aware, in UTC, cut to microseconds. `last_transition_time` is when the status last flipped. `reason` and
    `message` are None, and left out of what is served, when the adapter that they come from gave none.
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
    """What aggregation computes of a resource: phase (one of PHASES), times and conditions."""

    phase: str
    observed_generation: int
    last_transition_time: datetime
    last_updated_time: datetime
    conditions: tuple[Condition, ...]


class ReportedCondition(msgspec.Struct, frozen=True):
    """One condition as an adapter reports it; times and the like that the adapter added are dropped at the edge."""

    type: str
    status: ConditionStatus
    reason: str | None = None
    message: str | None = None


class TimedCondition(msgspec.Struct, frozen=True, omit_defaults=True):
    """One reported condition with the time of its last flip: what the summary of a report keeps of it."""

    type: str
    status: ConditionStatus
    last_transition_time: datetime
    reason: str | None = None
    message: str | None = None


def transition_time(previous: Condition | TimedCondition | None, status: ConditionStatus, time: datetime) -> datetime:
    """When `status` began: the previous condition's own time while the status is the same, else `time`."""
    return previous.last_transition_time if previous is not None and previous.status == status else time
