"""Reports of adapters, their summaries and verdicts, and `admit()`, which alone decides which reports are stored.

The docstrings number the rules, which come from the contract's pages on reports and aggregation. The golden cases in
`tests/cases/admission` name the rule that they test: change a rule and its cases together.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final, Literal, TypeVar

import msgspec

from hyperfleet.model.status.condition import ReportedCondition, TimedCondition, transition_time

Admission = Literal["stored", "outdated"]
Verdict = Literal["succeeds", "fails"]

LONGEST_SUMMARY: Final = 1024
"""The most characters of a message in a summary."""

Stated = TypeVar("Stated", ReportedCondition, TimedCondition)


class Report(msgspec.Struct, frozen=True):
    """A report as received. It is well-formed, because the edge has checked it.

    `observed_time` is timezone-aware UTC, cut to microseconds. `data` and `metadata` are JSON objects as bytes, decoded
    and encoded once at the edge; `metadata` is None if none was sent. `is_whole_second`: the time was sent without a
    fraction.
    """

    adapter: str
    observed_generation: int
    observed_time: datetime
    conditions: tuple[ReportedCondition, ...]
    data: bytes = b"{}"
    metadata: bytes | None = None
    is_whole_second: bool = False


def shortened(message: str | None) -> str | None:
    """A message, cut for summaries and `<Adapter>Successful`; the full report has all of it."""
    return message if message is None else message[:LONGEST_SUMMARY]


class Summary(msgspec.Struct, frozen=True):
    """The part of a stored report that aggregation and callers see: an item of `status.adapters`, named as in JSON."""

    adapter: str
    observed_generation: int
    last_report_time: datetime
    conditions: tuple[TimedCondition, ...]


def deciding_condition(conditions: Iterable[Stated]) -> Stated | None:
    """The condition that gives a report's verdict, None if it has none.

    D1  `Failed` if it is True, whatever else the report says. A `Failed` that is False or Unknown does not decide.
    D2  Else `Available`, whatever its status.
    D3  Without an `Available`, `Ready`.
    D4  No other type decides: `Progressing=True` means work, not success, and every adapter that skips work reports
        `Health=False`.
    """
    available: Stated | None = None
    ready: Stated | None = None
    for condition in conditions:
        type = condition.type
        if type == "Available":
            available = condition
        elif type == "Ready":
            ready = condition
        elif type == "Failed" and condition.status == "True":
            return condition
    return ready if available is None else available


def verdict(deciding: ReportedCondition | TimedCondition | None) -> Verdict | None:
    """The verdict of a report's deciding condition on its adapter; None means no verdict.

    V1  `Failed` is a failure.
    V2  Any other type is a success if it is True, and a failure if it is False.
    V3  Unknown, or no deciding condition at all, gives no verdict.
    """
    if deciding is None or deciding.status == "Unknown":
        return None
    return "succeeds" if deciding.status == "True" and deciding.type != "Failed" else "fails"


def is_finalized(conditions: Iterable[ReportedCondition | TimedCondition]) -> bool:
    """Whether a report says `Finalized=True`: its adapter has nothing left to remove."""
    return any(condition.type == "Finalized" and condition.status == "True" for condition in conditions)


def admit(report: Report, *, generation: int, previous: Summary | None) -> Admission:
    """Whether to store a report, given the resource's generation and the adapter's stored report (None without one).

    A1  Outdated: the report is for a newer generation than the resource has.
    A2  Outdated: the report is for an older generation than the stored one.
    A3  Outdated: the report is for the same generation as the stored one, and its time is earlier. An equal time is not
        outdated: the later arrival wins. Times are not compared across generations. A time sent without a fraction is
        compared with the stored time cut to whole seconds, because its adapter reports no fractions.
    A4  Outdated: the deciding condition is Unknown and the adapter has a stored report, unless the new report says
        `Finalized=True`. A report without a deciding condition is not Unknown.
    A5  Any other report is stored, however old it is.

    Only the adapter's own stored report matters: other adapters' reports do not, and neither does a deletion. A4 comes
    before the check for an identical stored report, so an Unknown report that is sent twice is stored the first time
    and outdated the second time.
    """
    if report.observed_generation > generation:
        return "outdated"
    if previous is None:
        return "stored"
    if report.observed_generation < previous.observed_generation:
        return "outdated"
    stored = previous.last_report_time
    if report.is_whole_second:
        stored = stored.replace(microsecond=0)
    if report.observed_generation == previous.observed_generation and report.observed_time < stored:
        return "outdated"
    deciding = deciding_condition(report.conditions)
    if deciding is not None and deciding.status == "Unknown" and not is_finalized(report.conditions):
        return "outdated"
    return "stored"


def summarize(report: Report, previous: Summary | None) -> Summary:
    """The summary of an admitted report, given the adapter's stored one (None without one).

    S1  Adapter, generation and conditions (their order, status, reason, message) come from the report; a message is cut
        at 1,024 characters. `last_report_time` is the report's `observed_time`.
    S2  A condition keeps its `last_transition_time` if the stored report has its type with the same status.
    S3  If the status differs, or the stored report lacks the type, it is the report's `observed_time`.
    """
    before = {condition.type: condition for condition in previous.conditions} if previous is not None else {}
    time = report.observed_time
    return Summary(
        report.adapter,
        report.observed_generation,
        time,
        tuple(
            TimedCondition(
                condition.type,
                condition.status,
                transition_time(before.get(condition.type), condition.status, time),
                condition.reason,
                shortened(condition.message),
            )
            for condition in report.conditions
        ),
    )
