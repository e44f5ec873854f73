"""Reports of adapters: what one says, what is kept of it, and `admit()`, the only place that says which reports count.

The rules are numbered in the docstrings, from the contract's pages on reports and aggregation; the golden cases in
`tests/cases/admission` name the rule that they test, so a rule and its cases change together.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final, Literal, TypeVar

import msgspec

from hyperfleet.model.status.condition import ReportedCondition, TimedCondition, transition_time

Admission = Literal["stored", "outdated"]
Verdict = Literal["succeeds", "fails"]

LONGEST_SUMMARY: Final = 1024
"""Characters of a message in a summary."""

Stated = TypeVar("Stated", ReportedCondition, TimedCondition)


class Report(msgspec.Struct, frozen=True):
    """A report as it arrived, checked at the edge: it cannot be malformed any more.

    `observed_time` is aware UTC cut to microseconds; `data` and `metadata` are JSON objects as bytes, decoded and
    encoded once at the edge; `metadata` is None when none was sent. `is_whole_second`: the time was written without a
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
    """A message as summaries and `<Adapter>Successful` carry it; the report in full has the rest."""
    return message if message is None else message[:LONGEST_SUMMARY]


class Summary(msgspec.Struct, frozen=True):
    """What aggregation and callers see of a stored report: an item of `status.adapters`, in its JSON spelling."""

    adapter: str
    observed_generation: int
    last_report_time: datetime
    conditions: tuple[TimedCondition, ...]


def deciding_condition(conditions: Iterable[Stated]) -> Stated | None:
    """The condition that speaks for a report, None when it has none.

    D1  `Failed` when it is True, whatever else the report says; a `Failed` that is False or Unknown does not decide.
    D2  Else `Available`, whatever its status.
    D3  Without an `Available`, `Ready`.
    D4  No other type ever decides: `Progressing=True` is work, not success, and `Health=False` comes from every
        adapter that skips work.
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
    """What a report's deciding condition says of its adapter; None means no verdict.

    V1  `Failed` fails.
    V2  Any other that is True succeeds; False fails.
    V3  Unknown, or no deciding condition at all, gives no verdict.
    """
    if deciding is None or deciding.status == "Unknown":
        return None
    return "succeeds" if deciding.status == "True" and deciding.type != "Failed" else "fails"


def is_finalized(conditions: Iterable[ReportedCondition | TimedCondition]) -> bool:
    """Whether a report says `Finalized=True`: its adapter has nothing left to remove."""
    return any(condition.type == "Finalized" and condition.status == "True" for condition in conditions)


def admit(report: Report, *, generation: int, previous: Summary | None) -> Admission:
    """Whether a report counts, given the resource's generation and the adapter's stored report (None without one).

    A1  Outdated: it is for a newer generation than the resource has.
    A2  Outdated: it is for an older generation than the stored report.
    A3  Outdated: it is for the same generation as the stored report and its time is older. An equal time is not: the
        later arrival counts. Across generations times are not compared. A time written without a fraction is compared
        with the stored one cut to whole seconds, because its writer does not know better.
    A4  Outdated: its deciding condition is Unknown and the adapter has a stored report, unless it says
        `Finalized=True`. A report without any deciding condition is not Unknown.
    A5  Else it is stored, however old it is.

    Only the adapter's own stored report counts: no other adapter's report, and not whether the resource is being
    deleted. A4 comes before the question whether an identical report is stored already, so an Unknown report sent
    twice is stored once and outdated the second time.
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
    """What is kept of an admitted report, given the adapter's stored one (None without one).

    S1  Adapter, generation and conditions (their order, status, reason, message) are the report's own, a message cut
        at 1,024 characters; `last_report_time` is its `observed_time`.
    S2  A condition's `last_transition_time` is kept while the status of its type is the same as in the stored report.
    S3  When the status differs, or the stored report lacks the type, it is the report's `observed_time`.
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
