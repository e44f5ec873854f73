"""Mapped conditions: what a kind's rules in CEL make of its reports and the resource (contract: Aggregation, 4)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConditionRule:
    """One mapped condition as it is declared: its type, and CEL texts.

    The condition is there while `when` is true; `status` gives True or False, `reason` and `message` texts.
    """

    type: str
    when: str
    status: str
    reason: str
    message: str
