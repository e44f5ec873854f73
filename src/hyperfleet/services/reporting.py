"""An adapter reports: the report is admitted, the resource's status computed anew, both stored in one transaction.

However many adapters report on one resource at once, each gets its answer: whoever comes second is computed again
behind a lock, never refused.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

import msgspec

from hyperfleet.errors import WrongState
from hyperfleet.model import aggregation, rendering
from hyperfleet.model import report as reports_rules
from hyperfleet.model.kind import ADAPTERS_PER_RESOURCE, Kind
from hyperfleet.model.report import Report, Summary
from hyperfleet.model.resource import Caller, Scope, Status
from hyperfleet.store import reports
from hyperfleet.store.database import Database, Transaction
from hyperfleet.store.reports import Change, Reported
from hyperfleet.telemetry import logging, metrics

Result = Literal["stored", "unchanged", "outdated"]

CLOCK_SKEW: Final = timedelta(minutes=30)

_log = logging.get("reports")
_status = msgspec.json.Decoder(Status)
_summaries = msgspec.json.Decoder(tuple[Summary, ...])
_stored = msgspec.json.Decoder(rendering.StoredReport)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a report; `body` is the stored report as served, None when it was out of date."""

    result: Result
    body: bytes | None


async def report(db: Database, scope: Scope, id: UUID, received: Report, *, caller: Caller, now: datetime) -> Outcome:
    """Stores a report, or says that it is out of date, or the very one that is stored already (contract: Reports).

    Two statements without contention, one when nothing is to be stored. Raises NotFound, and WrongState when the
    resource has reports of a hundred other adapters.
    """
    found = await reports.get_resource(db, scope, id, adapter=received.adapter)
    outcome = _decided(scope.kind, found, received, now)
    version: int | None = None
    if isinstance(outcome, Change):
        version = await reports.write(db, id, outcome, resource_version=found.resource_version)
        if version is None:
            outcome, version = await _second(db, scope, id, received, now)
    result = _finished(outcome)
    metrics.count_report(scope.kind.name, received.adapter, result.result)
    if now - received.observed_time > CLOCK_SKEW:
        _tell_skew(scope.kind, id, received, now)
    if version is not None:
        _log.info(
            "report stored",
            audit=True,
            verb="report",
            caller=caller.identity,
            kind=scope.kind.name,
            id=str(id),
            adapter=received.adapter,
            resource_version=str(version),
        )
    return result


async def _second(
    db: Database, scope: Scope, id: UUID, received: Report, now: datetime
) -> tuple[Change | Outcome, int | None]:
    """The report after a lost race: the resource is locked, read, decided and written in one transaction."""

    async def locked(tx: Transaction) -> tuple[Change | Outcome, int | None]:
        await reports.lock_resource(tx, scope, id)
        found = await reports.get_resource(tx, scope, id, adapter=received.adapter)
        outcome = _decided(scope.kind, found, received, now)
        if isinstance(outcome, Outcome):
            return outcome, None
        return outcome, await reports.write(tx, id, outcome, resource_version=found.resource_version)

    return await db.in_transaction(locked)


def _finished(outcome: Change | Outcome) -> Outcome:
    return Outcome("stored", outcome.rendered) if isinstance(outcome, Change) else outcome


def _decided(kind: Kind, found: Reported, received: Report, now: datetime) -> Change | Outcome:
    """What the report changes, given the resource as it is; or why it changes nothing."""
    summaries = _summaries.decode(found.summaries)
    previous = next((kept for kept in summaries if kept.adapter == received.adapter), None)
    if reports_rules.admit(received, generation=found.generation, previous=previous) == "outdated":
        return Outcome("outdated", None)
    stored = None if found.rendered is None else _stored.decode(found.rendered)
    if stored is None and len(summaries) >= ADAPTERS_PER_RESOURCE:
        raise WrongState(f"The {kind.title} has reports of {ADAPTERS_PER_RESOURCE} adapters, which is the limit.")
    kept = reports_rules.summarize(received, previous)
    rendered = rendering.report(received, kept, stored, now=now)
    if (
        found.rendered is not None
        and previous is not None
        and previous.last_report_time == received.observed_time
        and rendering.same(rendered, found.rendered)
    ):
        return Outcome("unchanged", found.rendered)
    others = [summary for summary in summaries if summary.adapter != received.adapter]
    status = aggregation.aggregate(
        generation=found.generation,
        reference_time=found.updated_time,
        deleted=found.is_deleting,
        previous=_status.decode(found.status),
        required=kind.required_adapters,
        reports=[*others, kept],
        has_children=found.has_children,
    )
    return Change(
        report=received,
        created_time=stored.created_time if stored else now,
        rendered=rendered,
        summary=kept,
        status=status,
        rules=rendering.rules(kind),
    )


def _tell_skew(kind: Kind, id: UUID, received: Report, now: datetime) -> None:
    behind = (now - received.observed_time).total_seconds()
    metrics.observe_clock_skew(received.adapter, behind)
    _log.warning(
        "report is old on arrival",
        kind=kind.name,
        id=str(id),
        adapter=received.adapter,
        seconds=round(behind, 3),
        hint="compare the adapter's clock with the service's",
    )
