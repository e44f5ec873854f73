"""The reception of a report: whether it is outdated, unchanged or to be stored, and the resource after it."""

from datetime import datetime
from typing import Final, Literal

import msgspec

from hyperfleet.errors import WrongState
from hyperfleet.model import rendering
from hyperfleet.model.kind import ADAPTERS_PER_RESOURCE, Kind
from hyperfleet.model.standing import Standing
from hyperfleet.model.status.report import Report, Summary, admit, summarize

Result = Literal["stored", "unchanged", "outdated"]

_decode: Final = msgspec.json.Decoder(rendering.StoredReport).decode


class Stored(msgspec.Struct, frozen=True):
    """A report to store, the time of its adapter's first report, and its summary."""

    report: Report
    created_time: datetime
    summary: Summary


class Reception(msgspec.Struct, frozen=True):
    """The outcome of a report. `standing` is the resource after it; `completes`: the resource's deletion is complete.

    `body` is the stored report as served, None if the report is outdated. `stored` is None if nothing is to be stored.
    """

    result: Result
    standing: Standing
    completes: bool
    body: bytes | None = None
    stored: Stored | None = None

    def having(self, standing: Standing) -> "Reception":
        """A copy with another standing."""
        return msgspec.structs.replace(self, standing=standing)


def reception(kind: Kind, standing: Standing, last: bytes | None, report: Report, *, now: datetime) -> Reception:
    """The outcome of a report; `last` is the adapter's stored report, as served.

    Any report may complete a deletion, even an outdated one: a change of the configuration may have left no adapter to
    await. Raises WrongState if the resource already has reports from as many other adapters as it may have.
    """
    previous = next((kept for kept in standing.summaries if kept.adapter == report.adapter), None)
    if admit(report, generation=standing.generation, previous=previous) == "outdated":
        return Reception("outdated", standing, standing.is_gone(kind))
    before = None if last is None else _decode(last)
    if before is None and len(standing.summaries) >= ADAPTERS_PER_RESOURCE:
        raise WrongState(f"The {kind.title} already has reports from {ADAPTERS_PER_RESOURCE} adapters, the limit.")
    summary = summarize(report, previous)
    body = rendering.report(report, summary, before, now=now)
    if (
        last is not None
        and previous is not None
        and previous.last_report_time == report.observed_time
        and rendering.same(body, last)
    ):
        return Reception("unchanged", standing, standing.is_gone(kind), last)
    reported = standing.reported(summary, body)
    created = now if before is None else before.created_time
    return Reception("stored", reported, reported.is_gone(kind), body, Stored(report, created, summary))
