"""An adapter reports: the report is admitted, the resource's status is computed, and one transaction stores both.

Concurrent reports on one resource are never refused: the second is computed again under a lock. If a deletion awaits
only this report, the resource is removed in the same transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final
from uuid import UUID

from hyperfleet.errors import WrongState
from hyperfleet.model.caller import Caller
from hyperfleet.model.catalog import Catalog
from hyperfleet.model.kind import Kind
from hyperfleet.model.reception import Reception, Result, reception
from hyperfleet.model.resource import Scope
from hyperfleet.model.rules.mapping import Failure
from hyperfleet.model.spelling import did_you_mean, nearest_name
from hyperfleet.model.standing import Node
from hyperfleet.model.status.report import Report
from hyperfleet.services import assessing, deleting
from hyperfleet.store import reports, standings, trees
from hyperfleet.store.database import Connection, Database, Transaction
from hyperfleet.telemetry import audit, logging, metrics

CLOCK_SKEW: Final = timedelta(minutes=30)

NAMES_REMEMBERED: Final = 1000
"""How many unrequired adapters are remembered as logged: callers choose the names, so the number is bounded."""

_log = logging.get("reports")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a report; `body` is the stored report as served, None when the report was outdated.

    `warning` is for an adapter that the kind does not require, although it names others.
    """

    result: Result
    body: bytes | None
    warning: str | None = None


async def report(
    db: Database, catalog: Catalog, scope: Scope, id: UUID, received: Report, *, caller: Caller, now: datetime
) -> Outcome:
    """Stores a report, or finds it outdated or identical to the stored one (contract: Reports).

    Takes two statements without contention, one when there is nothing to store; one transaction when it completes a
    deletion. Raises NotFound, and WrongState when the resource has reports of a hundred other adapters.
    """
    decided = await _decided(db, scope, id, received, now)
    version: int | None = None
    if decided.stored is not None or decided.completes:
        async with db.shares.turn(id) as waited:
            if waited:
                decided = await _decided(db, scope, id, received, now)
            if decided.stored is not None and not decided.completes:
                written = await reports.write(db, decided)
                if written is None:
                    decided, version = await _behind_a_lock(db, catalog, scope, id, received, now, tree=False)
                else:
                    version = written.resource_version
            if decided.completes:
                decided, version = await _behind_a_lock(db, catalog, scope, id, received, now, tree=True)
    standing = decided.standing
    kind = scope.kind_named(standing.kind)
    metrics.count_report(kind.name, received.adapter, decided.result)
    if now - received.observed_time > CLOCK_SKEW:
        _tell_skew(kind, id, received, now)
    if decided.stored is not None or decided.completes:
        _log.info(
            "deletion completed" if decided.completes else "report stored",
            audit=True,
            verb="report",
            **audit.who(caller),
            **audit.which(standing),
            adapter=received.adapter,
            **({} if decided.completes else {"resource_version": str(version)}),
        )
    if decided.body is None:
        return Outcome(decided.result, None)
    warning = _warning(kind.name, kind.plural, kind.named_adapters, received.adapter)
    return Outcome(decided.result, decided.body, warning)


@lru_cache(maxsize=NAMES_REMEMBERED)
def _warning(kind: str, plural: str, named: tuple[str, ...], adapter: str) -> str | None:
    """The warning for an adapter whose reports have no effect, because its kind names others; logged once per name."""
    if not named or adapter in named:
        return None
    nearest = nearest_name(adapter, named)
    warning = f"{adapter} is not a required adapter of {plural}; its reports have no effect{did_you_mean(nearest)}"
    _log.warning("reports from an adapter that is not required", kind=kind, adapter=adapter, nearest=nearest)
    return warning


async def _behind_a_lock(
    db: Database, catalog: Catalog, scope: Scope, id: UUID, received: Report, now: datetime, *, tree: bool
) -> tuple[Reception, int | None]:
    """Decides the report again: the resource is locked, read, decided and written in one transaction.

    A resource may be removed only after its owners are locked, so with `tree` False a completed deletion is decided but
    not carried out.
    """

    async def locked(tx: Transaction) -> tuple[Reception, int | None]:
        node: Node | None = None
        if tree:
            *_, node = await trees.lock_chain(tx, scope, id)
        else:
            await standings.lock(tx, scope, id)
        decided = await _decided(tx, scope, id, received, now)
        if decided.completes:
            if node is not None:
                await deleting.remove(tx, catalog, [node])
        elif decided.stored is not None:
            written = await reports.write(tx, decided)
            assert written is not None
            return decided, written.resource_version
        return decided, None

    return await db.in_transaction(locked, deletes=tree)


async def _decided(connection: Connection, scope: Scope, id: UUID, received: Report, now: datetime) -> Reception:
    """The reception of the report, given the current resource, with the status that the resource has afterwards."""
    found = await reports.get_resource(connection, scope, id, adapter=received.adapter)
    kind = scope.kind_named(found.standing.kind)
    decided = reception(kind, found.standing, found.last, received, now=now)
    if decided.stored is None or decided.completes:
        return decided
    standing, failures = await assessing.assess(kind, decided.standing)
    if failures:
        raise _refused(kind, failures)
    return decided.having(standing)


def _refused(kind: Kind, failures: Sequence[Failure]) -> WrongState:
    """The error for a report on which rules failed. It logs the failures, since the report or a rule may be wrong."""
    for failure in failures:
        _log.error(
            "a mapping rule could not be evaluated", kind=kind.name, condition=failure.type, reason=failure.reason
        )
    first = failures[0]
    return WrongState(
        f"The mapping rule for condition {first.type} of {kind.plural} failed on this report, so "
        f"nothing was stored: {first.reason}. Change the report, or ask the service's operator to "
        "change the rule."
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
