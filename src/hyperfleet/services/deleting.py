"""Deletion: asked for, completed, forced. `remove()` is the only remover; a report that completes one calls it.

Everything happens in one transaction behind the locks of `store/trees.py`, so a tree is marked or gone as a whole or
not at all, and whoever looks at "has it children left" looks behind the same lock as whoever takes the last one away.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from hyperfleet.errors import StaleVersion, WrongState
from hyperfleet.model import rendering
from hyperfleet.model.assessment import evidence
from hyperfleet.model.caller import Caller
from hyperfleet.model.catalog import Catalog
from hyperfleet.model.kind import AnyAdapter, Kind
from hyperfleet.model.resource import Precondition, Scope
from hyperfleet.model.status import deletion
from hyperfleet.model.status.condition import Status
from hyperfleet.model.status.report import Summary
from hyperfleet.services import assessing
from hyperfleet.store import resources, trees
from hyperfleet.store.database import Database, Transaction
from hyperfleet.store.resources import Rendered
from hyperfleet.store.trees import Mark, Node, Standing
from hyperfleet.telemetry import audit, logging, metrics

MARKED_AT_ONCE: Final = 500
"""Resources that one statement marks: enough that its round trip does not count, few enough to hold in memory."""

_log = logging.get("resources")
_status = msgspec.json.Decoder(Status)
_summaries = msgspec.json.Decoder(tuple[Summary, ...])


@dataclass(frozen=True, slots=True)
class _Deletion:
    """What a request for deletion did: the resource as it was marked, what is marked since then, and what is gone."""

    rendered: Rendered
    marked: Sequence[Node] = ()
    removed: Sequence[Node] = ()


async def request(
    db: Database,
    catalog: Catalog,
    scope: Scope,
    id: UUID,
    *,
    precondition: Precondition | None,
    caller: Caller,
    now: datetime,
) -> Rendered:
    """Marks a resource and everything it owns as being deleted, and gives it as it was marked (contract: Delete).

    What waits for nothing is gone in the same transaction. On a resource that is being deleted nothing changes, unless
    a change of the configuration left nobody to await: then it is completed.
    Raises NotFound, StaleVersion, WrongState for children that are to be deleted first, or references from outside.
    """

    async def work(tx: Transaction) -> _Deletion:
        *_, root = await trees.lock_chain(tx, scope, id)
        _require(scope, root, precondition)
        if root.deleted_time is not None:
            return await _again(tx, catalog, scope, root)
        nodes = [root, *await trees.lock_descendants(tx, id)]
        _require_no_restricted(catalog, root, nodes)
        ids = [node.id for node in nodes]
        await _require_no_source_outside(tx, scope, ids)
        marked = [node for node in nodes if node.deleted_time is None]
        waiting = await _waiting(tx, catalog, nodes)
        gone = _gone(nodes, waiting, await trees.references_within(tx, ids))
        # What goes within this transaction need not be marked, but for the resource that the answer shows.
        staying = [node for node in marked if node is root or node.id not in gone]
        owners = {node.owner_id for node in nodes if node.id not in gone}
        await _mark(tx, catalog, staying, owners, by=caller.identity, now=now)
        removed = [node for node in nodes if node.id in gone]
        if id in gone:
            rendered = await resources.get_rendered(tx, scope, id)
            await remove(tx, catalog, removed)
        else:
            await remove(tx, catalog, removed)
            rendered = await resources.get_rendered(tx, scope, id)
        return _Deletion(rendered, marked, removed)

    async with db.shares.turn(id):
        done = await db.in_transaction(work, deletes=True)
    for node in done.marked:
        metrics.count_reconciliation_started(node.kind, is_delete=True)
    if done.marked:
        _audit(
            "deletion requested",
            "delete",
            done.marked[0],
            caller,
            resource_version=str(done.rendered.resource_version),
            marked=_counted(done.marked),
            removed=_counted(done.removed),
        )
    elif done.removed:
        _audit("deletion completed", "delete", done.removed[0], caller, removed=_counted(done.removed))
    return done.rendered


async def force(
    db: Database,
    catalog: Catalog,
    scope: Scope,
    id: UUID,
    *,
    reason: str,
    precondition: Precondition | None,
    caller: Caller,
) -> None:
    """Removes a resource that is being deleted, and everything it owns, whatever is still awaited (contract: Delete).

    Raises NotFound, StaleVersion, WrongState when it is not being deleted or is referenced from outside.
    """

    async def work(tx: Transaction) -> list[Node]:
        *_, root = await trees.lock_chain(tx, scope, id)
        _require(scope, root, precondition)
        kind = scope.kind_named(root.kind)
        if root.deleted_time is None:
            raise WrongState(f"The {kind.title} {id} is not being deleted; DELETE it first.")
        nodes = [root, *await trees.lock_descendants(tx, id)]
        await _require_no_source_outside(tx, scope, [node.id for node in nodes])
        await remove(tx, catalog, nodes)
        return nodes

    async with db.shares.turn(id):
        removed = await db.in_transaction(work, deletes=True)
    _audit(
        "resource removed by force",
        "force-delete",
        removed[0],
        caller,
        resource_version=str(removed[0].resource_version),
        reason=reason,
        removed=_counted(removed),
        removed_ids=[str(node.id) for node in removed[:MARKED_AT_ONCE]],
    )


async def remove(tx: Transaction, catalog: Catalog, nodes: Sequence[Node]) -> None:
    """Removes these locked resources, then whatever waited for nothing else: their owners, what they referenced, up.

    An owner that is being deleted is written also when it stays, so that what others computed from its children starts
    over (storage: Removing a child). The tree's root must be locked.
    """
    while nodes:
        ids = [node.id for node in nodes]
        examined = set(await trees.targets_being_deleted(tx, ids))
        examined |= {node.owner_id for node in nodes if node.owner_id is not None}
        await trees.remove(tx, ids)
        nodes = await _examine(tx, catalog, examined.difference(ids))


async def _examine(tx: Transaction, catalog: Catalog, ids: Iterable[UUID]) -> list[Node]:
    """Of these resources, the ones that are gone; the others that are being deleted are computed again."""
    locked = {node.id: node for node in await trees.lock(tx, sorted(ids)) if node.deleted_time is not None}
    gone: list[Node] = []
    for found in await trees.standing(tx, catalog, list(locked)) if locked else ():
        kind = catalog.by_name.get(found.kind)
        if kind is None:
            continue
        reports = _summaries.decode(found.summaries)
        if deletion.is_gone(
            kind.required_adapters,
            generation=found.generation,
            reports=reports,
            has_children=found.has_children,
            is_referenced=found.is_referenced,
        ):
            gone.append(locked[found.id])
            continue
        status = await assessing.status(
            kind,
            found.id,
            generation=found.generation,
            reference_time=found.updated_time,
            deleted=True,
            previous=_status.decode(found.status),
            reports=reports,
            has_children=found.has_children,
            evidence=evidence(found.envelope, found.reports),
        )
        await trees.rewrite(tx, found.id, status, rules=rendering.rules(kind))
    return gone


async def _mark(
    tx: Transaction,
    catalog: Catalog,
    nodes: Sequence[Node],
    left_owners: Collection[UUID | None],
    *,
    by: str,
    now: datetime,
) -> None:
    """Marks resources; those in `left_owners` still have children when the transaction ends."""
    for start in range(0, len(nodes), MARKED_AT_ONCE):
        found = await trees.standing(tx, catalog, [node.id for node in nodes[start : start + MARKED_AT_ONCE]])
        marks = [await _marked(catalog.by_name[one.kind], one, one.id in left_owners, by, now) for one in found]
        await trees.mark(tx, marks, by=by)


async def _marked(kind: Kind, found: Standing, has_children: bool, by: str, now: datetime) -> Mark:
    time = max(now, found.updated_time)
    generation = found.generation + 1
    envelope = rendering.marked_deleted(found.envelope, generation=generation, time=time, by=by)
    status = await assessing.status(
        kind,
        found.id,
        generation=generation,
        reference_time=time,
        deleted=True,
        previous=_status.decode(found.status),
        reports=_summaries.decode(found.summaries),
        has_children=has_children,
        evidence=evidence(envelope, found.reports),
    )
    return Mark(found.id, generation, time, envelope, status, rendering.rules(kind))


async def _again(tx: Transaction, catalog: Catalog, scope: Scope, root: Node) -> _Deletion:
    """A deletion that was asked for before: completed, with what it still owns, when no adapter is awaited any more."""
    rendered = await resources.get_rendered(tx, scope, root.id)
    if root.id in await _waiting(tx, catalog, [root]):
        return _Deletion(rendered)
    nodes = [root, *await trees.lock_descendants(tx, root.id)]
    ids = [node.id for node in nodes]
    waiting = await _waiting(tx, catalog, nodes)
    waiting |= await trees.referenced_from_outside(tx, ids)
    gone = _gone(nodes, waiting, await trees.references_within(tx, ids))
    removed = [node for node in nodes if node.id in gone]
    await remove(tx, catalog, removed)
    return _Deletion(rendered, (), removed)


async def _waiting(tx: Transaction, catalog: Catalog, nodes: Sequence[Node]) -> set[UUID]:
    """Which of these locked resources wait for an adapter, once they are all marked as being deleted.

    A resource that is marked now has a new generation, which no report can be for yet, so it waits for every adapter
    that is asked; reports are read for one that is being deleted already.
    """
    waiting: set[UUID] = set()
    marked: list[UUID] = []
    looked_into: list[Node] = []
    for node in nodes:
        kind = catalog.by_name.get(node.kind)
        if kind is None:
            waiting.add(node.id)
        elif node.deleted_time is not None:
            looked_into.append(node)
        elif isinstance(kind.required_adapters, AnyAdapter):
            marked.append(node.id)
        elif kind.required_adapters:
            waiting.add(node.id)
    waiting |= await trees.reported_on(tx, marked) if marked else set()
    for start in range(0, len(looked_into), MARKED_AT_ONCE):
        some = looked_into[start : start + MARKED_AT_ONCE]
        reports = await trees.summaries(tx, [node.id for node in some])
        waiting |= {
            node.id
            for node in some
            if deletion.awaited(
                catalog.by_name[node.kind].required_adapters,
                generation=node.generation,
                reports=_summaries.decode(reports[node.id]),
            )
        }
    return waiting


def _gone(nodes: Sequence[Node], waiting: Collection[UUID], references: Iterable[tuple[UUID, UUID]]) -> set[UUID]:
    """What of a tree waits for nothing once it is marked: no adapter, nothing it owns, nothing that references it.

    Resources that reference each other go together.
    """
    targets: dict[UUID, list[UUID]] = {}
    for source, target in references:
        targets.setdefault(source, []).append(target)
    owners = {node.id: node.owner_id for node in nodes}
    gone = {node.id for node in nodes if node.id not in waiting}
    staying = [node.id for node in nodes if node.id not in gone]
    while staying:
        id = staying.pop()
        for kept in (owners[id], *targets.get(id, ())):
            if kept in gone:
                gone.remove(kept)
                staying.append(kept)
    return gone


def _require(scope: Scope, root: Node, precondition: Precondition | None) -> None:
    if precondition is not None and not precondition(root.resource_version, root.generation):
        kind = scope.kind_named(root.kind)
        raise StaleVersion(f"The {kind.title} {root.id} has changed since the version that If-Match names.")


def _require_no_restricted(catalog: Catalog, root: Node, nodes: Sequence[Node]) -> None:
    """Raises for resources that must be deleted by themselves before what owns them."""
    first = next(
        (node for node in nodes if node is not root and node.deleted_time is None and _stays(catalog, node)), None
    )
    if first is None:
        return
    count = sum(1 for node in nodes if node is not root and node.deleted_time is None and _stays(catalog, node))
    more = f" and {count - 1} more" if count > 1 else ""
    raise WrongState(
        f"The {first.kind} {first.name} ({first.id}){more} below it must be deleted first; nothing has been deleted."
    )


def _stays(catalog: Catalog, node: Node) -> bool:
    # Of a kind that is no longer configured nobody says that it may go with its owner.
    kind = catalog.by_name.get(node.kind)
    return kind is None or kind.on_parent_delete == "restrict"


async def _require_no_source_outside(tx: Transaction, scope: Scope, ids: Sequence[UUID]) -> None:
    """Raises, naming those that the caller may see, when resources outside a tree reference one of it."""
    sources = await trees.sources_outside(tx, scope, ids)
    if sources:
        seen = [f"{one.kind} {one.name} ({one.href}, as {one.ref_type})" for one in sources if one.is_seen]
        named = ", ".join(seen) or "resources that you may not see"
        raise WrongState(f"It is still referenced, at least by {named}; remove these references first.")


def _counted(nodes: Iterable[Node]) -> dict[str, int]:
    return dict(Counter(node.kind for node in nodes))


def _audit(event: str, verb: str, root: Node, caller: Caller, **more: object) -> None:
    which = audit.which(root.kind, root.id, root.name, root.owner_kind, root.owner_id)
    _log.info(event, audit=True, verb=verb, **audit.who(caller), **which, **more)
