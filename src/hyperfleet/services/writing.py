"""Desired state is written: create. One function is one use case and one commit."""

import os
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from hyperfleet.model import aggregation, rendering
from hyperfleet.model.resource import Caller, Draft, Scope
from hyperfleet.store import resources
from hyperfleet.store.database import Database
from hyperfleet.telemetry import logging, metrics

_log = logging.get("resources")


@dataclass(frozen=True, slots=True)
class Created:
    """A new resource: as served, and its address."""

    body: bytes
    href: str


async def create(db: Database, scope: Scope, draft: Draft, *, caller: Caller, now: datetime) -> Created:
    """Stores a new resource with a fresh id, in one statement (contract: Create).

    Raises AlreadyExists, NotFound for the owner, WrongState when the owner is being deleted.
    """
    id = _new_id(now)
    href = rendering.href(scope.kind, id, scope.owner)
    status = aggregation.aggregate(
        generation=1,
        reference_time=now,
        deleted=False,
        previous=None,
        required=scope.kind.required_adapters,
        reports=(),
        has_children=False,
    )
    new = resources.NewResource(
        id=id,
        href=href,
        draft=draft,
        status=status,
        rules=rendering.rules(scope.kind),
        created_time=now,
        created_by=caller.identity,
    )
    body, resource_version = await resources.insert(db, scope, new)
    metrics.count_reconciliation_started(scope.kind.name, is_delete=False)
    _log.info(
        "resource created",
        audit=True,
        verb="create",
        caller=caller.identity,
        kind=scope.kind.name,
        id=str(id),
        name=draft.name,
        resource_version=str(resource_version),
    )
    return Created(body, href)


def _new_id(now: datetime) -> UUID:
    """A UUID of version 7 (RFC 9562): 48 bits of milliseconds, 74 random ones, so that new rows lie together."""
    milliseconds = int(now.timestamp() * 1000)
    random = int.from_bytes(os.urandom(10))
    return UUID(int=milliseconds << 80 | 7 << 76 | (random >> 68) << 64 | 2 << 62 | random & (1 << 62) - 1)
