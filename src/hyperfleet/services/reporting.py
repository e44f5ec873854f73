"""An adapter reports: the report is admitted, the resource's status computed anew, both stored in one transaction.

However many adapters report on one resource at once, each gets its answer: whoever comes second is computed again
behind a lock, never refused. A report that a deletion waited for last removes the resource in that transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final, Literal
from uuid import UUID

import msgspec

from hyperfleet.errors import WrongState
from hyperfleet.model import rendering
from hyperfleet.model.assessment import evidence, replaced
from hyperfleet.model.caller import Caller
from hyperfleet.model.catalog import Catalog
from hyperfleet.model.kind import ADAPTERS_PER_RESOURCE, Kind
from hyperfleet.model.resource import Scope
from hyperfleet.model.rules.mapping import Failure
from hyperfleet.model.spelling import nearest_name
from hyperfleet.model.status import deletion
from hyperfleet.model.status import report as reports_rules
from hyperfleet.model.status.condition import Status
from hyperfleet.model.status.report import Report, Summary
from hyperfleet.services import assessing, deleting
from hyperfleet.store import reports, resources, trees
from hyperfleet.store.database import Database, Transaction
from hyperfleet.store.reports import Change, Reported
from hyperfleet.store.trees import Node
from hyperfleet.telemetry import audit, logging, metrics

Result = Literal["stored", "unchanged", "outdated"]

CLOCK_SKEW: Final = timedelta(minutes=30)

NAMES_REMEMBERED: Final = 1000
"""Adapters that are not required and were logged: callers choose names, so how many is bounded."""

_log = logging.get("reports")
_status = msgspec.json.Decoder(Status)
_summaries = msgspec.json.Decoder(tuple[Summary, ...])
_stored = msgspec.json.Decoder(rendering.StoredReport)


@dataclass(frozen=True, slots=True)
class _Completion:
    """A report after which nothing is awaited of a resource that is being deleted, and what becomes of the report."""

    outcome: "Outcome"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a report; `body` is the stored report as served, None when it was out of date.

    `warning` is for an adapter that the kind does not require, though it names others.
    """

    result: Result
    body: bytes | None
    warning: str | None = None


async def report(
    db: Database, catalog: Catalog, scope: Scope, id: UUID, received: Report, *, caller: Caller, now: datetime
) -> Outcome:
    """Stores a report, or says that it is out of date, or the very one that is stored already (contract: Reports).

    Two statements without contention, one when nothing is to be stored; one transaction when it completes a deletion.
    Raises NotFound, and WrongState when the resource has reports of a hundred other adapters.
    """
    found = await reports.get_resource(db, scope, id, adapter=received.adapter)
    kind = scope.kind_named(found.kind)
    decided = await _decided(kind, found, received, now)
    version: int | None = None
    if not isinstance(decided, Outcome):
        async with db.shares.turn(id) as waited:
            if waited:
                found = await reports.get_resource(db, scope, id, adapter=received.adapter)
                decided = await _decided(kind, found, received, now)
            if isinstance(decided, Change):
                version = await reports.write(db, id, decided, resource_version=found.resource_version)
                if version is None:
                    decided, version = await _behind_a_lock(db, catalog, scope, id, received, now, tree=False)
            if isinstance(decided, _Completion):
                decided, version = await _behind_a_lock(db, catalog, scope, id, received, now, tree=True)
    is_removed = isinstance(decided, _Completion)
    outcome = _outcome(decided)
    if outcome.body is not None:
        outcome = replace(outcome, warning=_warning(kind.name, kind.plural, kind.named_adapters, received.adapter))
    metrics.count_report(kind.name, received.adapter, outcome.result)
    if now - received.observed_time > CLOCK_SKEW:
        _tell_skew(kind, id, received, now)
    if outcome.result == "stored" or is_removed:
        _log.info(
            "deletion completed" if is_removed else "report stored",
            audit=True,
            verb="report",
            **audit.who(caller),
            **audit.which(kind.name, id, found.name, found.owner_kind, found.owner_id),
            adapter=received.adapter,
            **({} if is_removed else {"resource_version": str(version)}),
        )
    return outcome


@lru_cache(maxsize=NAMES_REMEMBERED)
def _warning(kind: str, plural: str, named: tuple[str, ...], adapter: str) -> str | None:
    """What to tell an adapter whose reports change nothing, because its kind names others; logged once a name."""
    if not named or adapter in named:
        return None
    nearest = nearest_name(adapter, named)
    guess = f"; did you mean {nearest}?" if nearest is not None else "."
    warning = f"{adapter} is not a required adapter of {plural}, so its reports change nothing{guess}"
    _log.warning("reports come from an adapter that is not required", kind=kind, adapter=adapter, nearest=nearest)
    return warning


_Decided = Change | Outcome | _Completion


def _outcome(decided: _Decided) -> Outcome:
    match decided:
        case Outcome():
            return decided
        case _Completion(outcome):
            return outcome
        case Change():
            return Outcome("stored", decided.rendered)


async def _behind_a_lock(
    db: Database, catalog: Catalog, scope: Scope, id: UUID, received: Report, now: datetime, *, tree: bool
) -> tuple[_Decided, int | None]:
    """The report once more: the resource is locked, read, decided and written in one transaction.

    A resource may be removed only with its owners locked before it, so with `tree` False a completion is decided but
    not carried out.
    """

    async def locked(tx: Transaction) -> tuple[_Decided, int | None]:
        node: Node | None = None
        if tree:
            *_, node = await trees.lock_chain(tx, scope, id)
        else:
            await resources.lock(tx, scope, id)
        found = await reports.get_resource(tx, scope, id, adapter=received.adapter)
        decided = await _decided(scope.kind_named(found.kind), found, received, now)
        if isinstance(decided, Change):
            return decided, await reports.write(tx, id, decided, resource_version=found.resource_version)
        if isinstance(decided, _Completion) and node is not None:
            await deleting.remove(tx, catalog, [node])
        return decided, None

    return await db.in_transaction(locked, deletes=tree)


async def _decided(kind: Kind, found: Reported, received: Report, now: datetime) -> _Decided:
    """What the report changes, given the resource as it is; or why it changes nothing."""
    summaries = _summaries.decode(found.summaries)
    previous = next((kept for kept in summaries if kept.adapter == received.adapter), None)
    if reports_rules.admit(received, generation=found.generation, previous=previous) == "outdated":
        return _not_stored(kind, found, summaries, Outcome("outdated", None))
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
        return _not_stored(kind, found, summaries, Outcome("unchanged", found.rendered))
    standing = [*(summary for summary in summaries if summary.adapter != received.adapter), kept]
    if _completes(kind, found, standing):
        return _Completion(Outcome("stored", rendered))
    found_out = await assessing.assess(
        kind,
        generation=found.generation,
        reference_time=found.updated_time,
        deleted=found.is_deleting,
        previous=_status.decode(found.status),
        reports=standing,
        has_children=found.has_children,
        evidence=replaced(evidence(found.envelope, found.reports), received.adapter, rendered),
    )
    if found_out.failures:
        raise _refused(kind, found_out.failures)
    return Change(
        report=received,
        created_time=stored.created_time if stored else now,
        rendered=rendered,
        summary=kept,
        status=found_out.status,
        rules=rendering.rules(kind),
    )


def _not_stored(kind: Kind, found: Reported, summaries: Sequence[Summary], outcome: Outcome) -> Outcome | _Completion:
    # After a change of the configuration a deletion may await nobody any more; any report completes it.
    return _Completion(outcome) if _completes(kind, found, summaries) else outcome


def _completes(kind: Kind, found: Reported, summaries: Sequence[Summary]) -> bool:
    return found.is_deleting and deletion.is_gone(
        kind.required_adapters,
        generation=found.generation,
        reports=summaries,
        has_children=found.has_children,
        is_referenced=found.is_referenced,
    )


def _refused(kind: Kind, failures: Sequence[Failure]) -> WrongState:
    """The refusal of a report that rules of the kind cannot be evaluated with; whose fault that is, people must see."""
    for failure in failures:
        _log.error("a rule could not be evaluated", kind=kind.name, condition=failure.type, reason=failure.reason)
    first = failures[0]
    return WrongState(
        f"The rule for the condition {first.type} of {kind.plural} cannot be evaluated with this report, so nothing was"
        f" stored: {first.reason}. The rule must be changed in the service's configuration, or what is reported."
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
