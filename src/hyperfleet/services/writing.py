"""Desired state is written: create and change. One function is one use case and one commit."""

import os
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import msgspec

from hyperfleet.errors import AlreadyExists, StaleVersion, WrongState
from hyperfleet.model import rendering
from hyperfleet.model.assessment import Evidence, evidence
from hyperfleet.model.caller import Caller
from hyperfleet.model.difference import difference
from hyperfleet.model.kind import Kind
from hyperfleet.model.resource import Desired, Draft, Patch, Precondition, Scope
from hyperfleet.model.status.condition import Status
from hyperfleet.model.status.report import Summary
from hyperfleet.services import assessing
from hyperfleet.store import creations, resources
from hyperfleet.store.database import Database, Transaction
from hyperfleet.store.resources import Change, Changeable, Rendered
from hyperfleet.telemetry import audit, logging, metrics

_log = logging.get("resources")
_status = msgspec.json.Decoder(Status)
_summaries = msgspec.json.Decoder(tuple[Summary, ...])


@dataclass(frozen=True, slots=True)
class Created:
    """A new resource: as served, with its version, and its address."""

    body: bytes
    resource_version: int
    href: str


async def create(
    db: Database, scope: Scope, draft: Draft, *, caller: Caller, now: datetime, may_read: bool = True
) -> Created:
    """Stores a new resource with a fresh id, in one statement (contract: Create).

    Raises AlreadyExists, NotFound for the owner, WrongState when the owner or a target of a reference is being deleted,
    InvalidInput when a target does not exist. `may_read`: the caller may hear which resource has the name already.
    """
    id = _new_id(now)
    href = rendering.href(scope.kind, id, scope.owner)
    envelope = rendering.envelope(
        draft, kind=scope.kind, id=id, href=href, owner=scope.owner, created_time=now, created_by=caller.identity
    )
    status = await assessing.status(
        scope.kind,
        id,
        generation=1,
        reference_time=now,
        deleted=False,
        previous=None,
        reports=(),
        has_children=False,
        evidence=Evidence(envelope.unaddressed) if scope.kind.conditions else None,
    )
    new = creations.NewResource(
        id=id,
        href=href,
        draft=draft,
        envelope=envelope,
        status=status,
        rules=rendering.rules(scope.kind),
        created_time=now,
        created_by=caller.identity,
    )
    # Creators of one name wait for each other here, those in one owner only when there are many.
    async with db.shares.turn((scope.kind.name, scope.owner_id, scope.tenancy, draft.name), _needed(scope, draft)):
        made = await creations.insert(db, scope, new)
    if made is None:
        place = "" if scope.owner is None else f" in {scope.owner.kind.title} {scope.owner.id}"
        raise AlreadyExists(
            f"There is {scope.kind.one} named {draft.name!r}{place} already.",
            conflict=await creations.find_named(db, scope, draft.name) if may_read else None,
        )
    metrics.count_reconciliation_started(scope.kind.name, is_delete=False)
    owner = (None, None) if scope.owner is None else (scope.owner.kind.name, scope.owner.id)
    which = audit.which(scope.kind.name, id, draft.name, *owner)
    _audit("resource created", "create", which, made.resource_version, caller)
    return Created(made.body, made.resource_version, href)


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
    """Changes the desired state, and gives the resource as it is then (contract: Change, Versions).

    Two statements without contention, one when nothing changes. A patch is applied to the state that it is written
    over: whoever comes second is computed again behind a lock, so nothing is lost between reading and storing.
    Raises NotFound, StaleVersion, WrongState while the resource or a target is being deleted, InvalidInput.
    """
    found = await resources.get_changeable(db, scope, id)
    kind = scope.kind_named(found.kind)

    async def decided(found: Changeable) -> Change | None:
        return await _decided(kind, id, found, patch, precondition, caller, now)

    wanted = await decided(found)
    if wanted is None:
        return _rendered(scope, found)
    async with db.shares.turn(id, _targets(wanted.desired) if wanted.references_change else ()) as waited:
        if waited:
            found = await resources.get_changeable(db, scope, id)
            wanted = await decided(found)
            if wanted is None:
                return _rendered(scope, found)
        written = await resources.update(db, id, wanted, resource_version=found.resource_version)
        if written is None:

            async def locked(tx: Transaction) -> tuple[Changeable, Change | None, tuple[bytes, int] | None]:
                await resources.lock(tx, scope, id)
                found = await resources.get_changeable(tx, scope, id)
                wanted = await decided(found)
                if wanted is None:
                    return found, None, None
                return found, wanted, await resources.update(tx, id, wanted, resource_version=found.resource_version)

            found, wanted, written = await db.in_transaction(locked)
            if wanted is None:
                return _rendered(scope, found)
            assert written is not None
    envelope, resource_version = written
    _tell_change(id, found, wanted, resource_version, caller)
    now_stored = replace(
        found, envelope=envelope, resource_version=resource_version, status=rendering.status(wanted.status)
    )
    return _rendered(scope, now_stored)


def _tell_change(id: UUID, found: Changeable, change: Change, resource_version: int, caller: Caller) -> None:
    """Counts a stored change and writes its audit line."""
    metrics.count_reconciliation_started(found.kind, is_delete=False)
    changed = difference(rendering.desired(found.envelope), change.desired)
    _audit(
        "resource changed",
        "update",
        audit.which(found.kind, id, found.name, found.owner_kind, found.owner_id),
        resource_version,
        caller,
        generation=change.generation,
        changed=changed.paths,
        changes=changed.count,
    )


def _needed(scope: Scope, draft: Draft) -> Collection[UUID]:
    """What must stay while a resource is created: its owner, and what it references."""
    targets = _targets(draft.desired) if draft.desired.references else ()
    return (*targets, scope.owner.id) if scope.owner is not None else targets


def _targets(desired: Desired) -> tuple[UUID, ...]:
    return tuple(id for ids in desired.references.values() for id in ids)


async def _decided(
    kind: Kind,
    id: UUID,
    found: Changeable,
    patch: Patch,
    precondition: Precondition | None,
    caller: Caller,
    now: datetime,
) -> Change | None:
    """What the patch makes of the resource as it is; None when it has that value already."""
    if precondition is not None and not precondition(found.resource_version, found.generation):
        raise StaleVersion(f"The {kind.title} {id} has changed since the version that If-Match names.")
    if found.is_deleting:
        raise WrongState(f"The {kind.title} {id} is being deleted; it cannot be changed any more.")
    old = rendering.desired(found.envelope)
    new = _kept_where_equal(old, await patch(old))
    if new == old:
        return None
    # A clock that was put back must not make the time go back, nor may two hosts' clocks that differ.
    time = max(now, found.updated_time)
    generation = found.generation + 1
    envelope = rendering.changed(
        found.envelope, kind=kind, generation=generation, time=time, by=caller.identity, old=old, new=new
    )
    return Change(
        kind=kind,
        generation=generation,
        updated_time=time,
        updated_by=caller.identity,
        desired=new,
        references_change=new.references is not old.references,
        envelope=envelope,
        status=await assessing.status(
            kind,
            id,
            generation=generation,
            reference_time=time,
            deleted=False,
            previous=_status.decode(found.status),
            reports=_summaries.decode(b"[%b]" % (found.summaries or b"")),
            has_children=False,
            evidence=evidence(envelope.unaddressed, found.reports),
        ),
        rules=rendering.rules(kind),
    )


def _kept_where_equal(old: Desired, new: Desired) -> Desired:
    """The new state with the old one's own members where they have the same value, key order aside.

    The order of references of one type is part of their value, since it is served.
    """
    return Desired(
        old.spec if rendering.same(old.spec, new.spec) else new.spec,
        old.labels if old.labels == new.labels else new.labels,
        old.references if old.references == new.references else new.references,
    )


def _rendered(scope: Scope, found: Changeable) -> Rendered:
    envelope = rendering.with_tenancy(found.envelope, found.tenancy) if scope.shows_tenancy else found.envelope
    body = rendering.resource(envelope, found.resource_version, found.status, found.summaries or b"")
    return Rendered(body, found.resource_version)


def _audit(
    event: str, verb: str, which: dict[str, object], resource_version: int, caller: Caller, **more: object
) -> None:
    _log.info(
        event, audit=True, verb=verb, **audit.who(caller), **which, resource_version=str(resource_version), **more
    )


def _new_id(now: datetime) -> UUID:
    """A UUID of version 7 (RFC 9562): 48 bits of milliseconds, 74 random ones, so that new rows lie together."""
    milliseconds = int(now.timestamp() * 1000)
    random = int.from_bytes(os.urandom(10))
    return UUID(int=milliseconds << 80 | 7 << 76 | (random >> 68) << 64 | 2 << 62 | random & (1 << 62) - 1)
