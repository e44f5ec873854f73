"""What a report makes of a resource as it is: dropped, stored already, or stored, and what the resource is then."""

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
    """A report to store: itself, when its adapter first reported, and what is kept of it."""

    report: Report
    created_time: datetime
    summary: Summary


class Reception(msgspec.Struct, frozen=True):
    """What becomes of a report. `standing` is the resource with it, `completes`: nothing is awaited of it any more.

    `body` is the stored report as served, None when it is outdated; `stored` is None when there is nothing to store.
    """

    result: Result
    standing: Standing
    completes: bool
    body: bytes | None = None
    stored: Stored | None = None

    def having(self, standing: Standing) -> "Reception":
        """The same with another standing."""
        return msgspec.structs.replace(self, standing=standing)


def reception(kind: Kind, standing: Standing, last: bytes | None, report: Report, *, now: datetime) -> Reception:
    """What becomes of a report; `last` is the adapter's stored one, as served.

    Any report may complete a deletion, because a change of the configuration may have left nobody to await. Raises
    WrongState when the resource has reports of as many other adapters as it may have.
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
