"""Writes of desired state: create and change. One function is one use case and one commit."""

import os
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from uuid import UUID

from hyperfleet.errors import AlreadyExists, StaleVersion, WrongState
from hyperfleet.model import standing
from hyperfleet.model.caller import Caller
from hyperfleet.model.resource import Draft, Patch, Precondition, Scope
from hyperfleet.model.standing import Change
from hyperfleet.services import assessing
from hyperfleet.store import resources, standings
from hyperfleet.store.database import Connection, Database, Transaction
from hyperfleet.store.standings import Rendered
from hyperfleet.telemetry import audit, logging, metrics

_log = logging.get("resources")


@dataclass(frozen=True, slots=True)
class Created:
    """A new resource as served, with its version and its address."""

    body: bytes
    resource_version: int
    href: str


async def create(
    db: Database, scope: Scope, draft: Draft, *, caller: Caller, now: datetime, may_read: bool = True
) -> Created:
    """Stores a new resource with a fresh id, in one statement (contract: Create).

    Raises AlreadyExists, NotFound for a missing owner, WrongState when the owner or the target of a reference is being
    deleted, InvalidInput when a target does not exist. `may_read`: the error may name the resource that has the name.
    """
    new = standing.fresh(scope, draft, _new_id(now), by=caller.identity, now=now)
    new = new.having(await assessing.assessed(scope.kind, new.standing))
    # Requests that create the same name wait for each other here; those under one owner wait only when there are many.
    async with db.shares.turn((scope.kind.name, scope.owner_id, scope.tenancy, draft.name), _needed(scope, draft)):
        made = await resources.insert(db, scope, new)
    if made is None:
        place = "" if scope.owner is None else f" in {scope.owner.kind.title} {scope.owner.id}"
        raise AlreadyExists(
            f"There is already {scope.kind.one} named {draft.name!r}{place}.",
            conflict=await resources.find_named(db, scope, draft.name) if may_read else None,
        )
    metrics.count_reconciliation_started(scope.kind.name, is_delete=False)
    _audit("resource created", "create", new, made.resource_version, caller)
    return Created(made.body, made.resource_version, new.href)


async def change(
    db: Database,
    scope: Scope,
    id: UUID,
    patch: Patch,
    *,
    precondition: Precondition | None,
    caller: Caller,
    now: datetime,
) -> Rendered:
    """Changes the desired state and returns the resource after the change (contract: Change, Versions).

    Takes two statements without contention, one when nothing changes. A patch is applied to the state that it
    overwrites: the second of two writers computes again under a lock, so nothing is lost between reading and storing.
    Raises NotFound, StaleVersion, InvalidInput, and WrongState while the resource or a target is being deleted.
    """
    decided = await _decided(db, scope, id, patch, precondition, caller, now)
    if isinstance(decided, Rendered):
        return decided
    async with db.shares.turn(id, _targets(decided)) as waited:
        if waited:
            decided = await _decided(db, scope, id, patch, precondition, caller, now)
            if isinstance(decided, Rendered):
                return decided
        kind = scope.kind_named(decided.standing.kind)
        written = await resources.update(db, scope, kind, decided)
        if written is None:

            async def locked(tx: Transaction) -> tuple[Change | Rendered, Rendered | None]:
                await standings.lock(tx, scope, id)
                decided = await _decided(tx, scope, id, patch, precondition, caller, now)
                if isinstance(decided, Rendered):
                    return decided, decided
                return decided, await resources.update(tx, scope, kind, decided)

            decided, written = await db.in_transaction(locked)
            assert written is not None
            if isinstance(decided, Rendered):
                return decided
    metrics.count_reconciliation_started(kind.name, is_delete=False)
    _audit(
        "resource changed",
        "update",
        decided,
        written.resource_version,
        caller,
        generation=decided.standing.generation,
        changed=decided.difference.paths,
        changes=decided.difference.count,
    )
    return written


async def _decided(
    connection: Connection,
    scope: Scope,
    id: UUID,
    patch: Patch,
    precondition: Precondition | None,
    caller: Caller,
    now: datetime,
) -> Change | Rendered:
    """The change that the patch makes to the current resource; the resource as served when nothing changes."""
    found = await standings.get(connection, scope, id)
    kind = scope.kind_named(found.kind)
    if precondition is not None and not precondition(found.resource_version, found.generation):
        raise StaleVersion(f"The {kind.title} {id} has changed since the version in If-Match.")
    if found.is_deleting:
        raise WrongState(f"The {kind.title} {id} is being deleted and cannot be changed.")
    change = standing.changed(found, kind, await patch(found.desired), by=caller.identity, now=now)
    if change is None:
        return standings.rendered(scope, found, found.resource_version)
    return change.having(await assessing.assessed(kind, change.standing))


def _needed(scope: Scope, draft: Draft) -> Collection[UUID]:
    """The resources that must stay while one is created: its owner and the targets of its references."""
    targets = tuple(chain(*draft.desired.references.values()))
    return (*targets, scope.owner.id) if scope.owner is not None else targets


def _targets(change: Change) -> Collection[UUID]:
    """The resources that must stay while one is changed: the targets of its references, if these change."""
    return tuple(chain(*change.desired.references.values())) if "references" in change.difference.members else ()


def _audit(event: str, verb: str, new: Change, resource_version: int, caller: Caller, **more: object) -> None:
    _log.info(
        event,
        audit=True,
        verb=verb,
        **audit.who(caller),
        **audit.which(new.standing),
        resource_version=str(resource_version),
        **more,
    )


def _new_id(now: datetime) -> UUID:
    """A UUID of version 7 (RFC 9562): 48 bits of milliseconds and 74 random bits, so that new rows lie together."""
    milliseconds = int(now.timestamp() * 1000)
    random = int.from_bytes(os.urandom(10))
    return UUID(int=milliseconds << 80 | 7 << 76 | (random >> 68) << 64 | 2 << 62 | random & (1 << 62) - 1)
