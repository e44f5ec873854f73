"""Deletion: requested, completed, forced. Only `remove()` removes rows; a report that completes a deletion calls it.

Everything happens in one transaction under the locks of `store/trees.py`, so a tree is marked or removed as a whole or
not at all. The check for remaining children holds the same lock as the removal of the last child.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from hyperfleet.errors import StaleVersion, WrongState
from hyperfleet.model import standing
from hyperfleet.model.caller import Caller
from hyperfleet.model.catalog import Catalog
from hyperfleet.model.kind import AnyAdapter
from hyperfleet.model.resource import Precondition, Scope
from hyperfleet.model.standing import Change, Node
from hyperfleet.services import assessing
from hyperfleet.store import resources, standings, trees
from hyperfleet.store.database import Database, Transaction
from hyperfleet.store.standings import Rendered
from hyperfleet.telemetry import audit, logging, metrics

MARKED_AT_ONCE: Final = 500
"""How many resources one statement marks: enough to make its round trip negligible, few enough to hold in memory."""

_log = logging.get("resources")


@dataclass(frozen=True, slots=True)
class _Deletion:
    """The effect of a request for deletion: the resource as marked, all marked resources, and all removed ones."""

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
    """Marks a resource and all its descendants as being deleted; returns it as marked (contract: Delete).

    Resources that wait for nothing are removed in the same transaction. A repeated request changes nothing, unless a
    change of the configuration left no adapter to await: then it completes the deletion.
    Raises NotFound, StaleVersion, and WrongState for children that must be deleted first or references from outside.
    """

    async def work(tx: Transaction) -> _Deletion:
        *_, root = await trees.lock_chain(tx, scope, id)
        _require(scope, root, precondition)
        if root.is_deleting:
            return await _again(tx, catalog, scope, root)
        nodes = [root, *await trees.lock_descendants(tx, id)]
        _require_no_restricted(catalog, root, nodes)
        ids = [node.id for node in nodes]
        await _require_no_source_outside(tx, scope, ids)
        marked = [node for node in nodes if not node.is_deleting]
        waiting = await _waiting(tx, catalog, nodes)
        gone = _gone(nodes, waiting, await trees.references_within(tx, ids))
        # Resources that this transaction removes need no mark, except the one in the response.
        staying = [node for node in marked if node is root or node.id not in gone]
        owners = {node.owner_id for node in nodes if node.id not in gone}
        rendered = await _mark(tx, catalog, scope, staying, owners, by=caller.identity, now=now)
        removed = [node for node in nodes if node.id in gone]
        await remove(tx, catalog, removed)
        if removed and id not in gone:
            # Removing its descendants gave it a new version.
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
    """Removes a resource that is being deleted and all its descendants, whatever they await (contract: Delete).

    Raises NotFound, StaleVersion, WrongState when it is not being deleted or is referenced from outside.
    """

    async def work(tx: Transaction) -> list[Node]:
        *_, root = await trees.lock_chain(tx, scope, id)
        _require(scope, root, precondition)
        kind = scope.kind_named(root.kind)
        if not root.is_deleting:
            raise WrongState(f"The {kind.title} {id} is not being deleted; send DELETE first.")
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
    """Removes these locked resources, then their owners and targets that waited for nothing else, and so on upwards.

    An owner that is being deleted is written even if it stays, so that writes computed from its former children start
    over (storage: Removing a child). The tree's root must be locked.
    """
    while nodes:
        ids = [node.id for node in nodes]
        examined = set(await trees.targets_being_deleted(tx, ids))
        examined |= {node.owner_id for node in nodes if node.owner_id is not None}
        await trees.remove(tx, ids)
        nodes = await _examine(tx, catalog, examined.difference(ids))


async def _examine(tx: Transaction, catalog: Catalog, ids: Iterable[UUID]) -> list[Node]:
    """Returns which of these resources are gone; recomputes the others that are being deleted."""
    locked = {node.id: node for node in await trees.lock(tx, sorted(ids)) if node.is_deleting}
    if not locked:
        return []
    gone: list[Node] = []
    for found in await standings.of(tx, list(locked), with_rules=catalog.names_with_rules):
        kind = catalog.by_name.get(found.kind)
        if kind is None:
            continue
        if found.is_gone(kind):
            gone.append(locked[found.id])
        else:
            await trees.rewrite(tx, await assessing.assessed(kind, found))
    return gone


async def _mark(
    tx: Transaction,
    catalog: Catalog,
    scope: Scope,
    nodes: Sequence[Node],
    left_owners: Collection[UUID | None],
    *,
    by: str,
    now: datetime,
) -> Rendered:
    """Marks resources and returns the first as served; those in `left_owners` still have children afterwards."""
    shown: Rendered | None = None
    for start in range(0, len(nodes), MARKED_AT_ONCE):
        ids = [node.id for node in nodes[start : start + MARKED_AT_ONCE]]
        changes: list[Change] = []
        for found in await standings.of(tx, ids, with_rules=catalog.names_with_rules, with_envelope=True):
            marked = standing.marked(found, by=by, now=now, has_children=found.id in left_owners)
            changes.append(Change(await assessing.assessed(catalog.by_name[found.kind], marked), by))
        versions = await trees.mark(tx, changes)
        if shown is None:
            first = next(change.standing for change in changes if change.standing.id == nodes[0].id)
            shown = standings.rendered(scope, first, versions[first.id])
    assert shown is not None
    return shown


async def _again(tx: Transaction, catalog: Catalog, scope: Scope, root: Node) -> _Deletion:
    """A repeated deletion: completed, with the remaining descendants, when no adapter is awaited any more."""
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

    A resource that is marked now has a new generation, which no report can be for yet, so it waits for all its
    adapters. For a resource that is being deleted already, reports are read.
    """
    waiting: set[UUID] = set()
    marked: list[UUID] = []
    looked_into: list[Node] = []
    for node in nodes:
        kind = catalog.by_name.get(node.kind)
        if kind is None:
            waiting.add(node.id)
        elif node.is_deleting:
            looked_into.append(node)
        elif isinstance(kind.required_adapters, AnyAdapter):
            marked.append(node.id)
        elif kind.required_adapters:
            waiting.add(node.id)
    waiting |= await trees.reported_on(tx, marked) if marked else set()
    for start in range(0, len(looked_into), MARKED_AT_ONCE):
        some = looked_into[start : start + MARKED_AT_ONCE]
        for found in await standings.of(tx, [node.id for node in some]):
            if found.awaited(catalog.by_name[found.kind]):
                waiting.add(found.id)
    return waiting


def _gone(nodes: Sequence[Node], waiting: Collection[UUID], references: Iterable[tuple[UUID, UUID]]) -> set[UUID]:
    """The resources of a tree that wait for nothing once marked: no adapter, no children, no references to them.

    Resources that reference each other are removed together.
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
        raise StaleVersion(f"The {kind.title} {root.id} has changed since the version in If-Match.")


def _require_no_restricted(catalog: Catalog, root: Node, nodes: Sequence[Node]) -> None:
    """Raises WrongState for descendants that must be deleted before their owner."""
    first = next((node for node in nodes if node is not root and not node.is_deleting and _stays(catalog, node)), None)
    if first is None:
        return
    count = sum(1 for node in nodes if node is not root and not node.is_deleting and _stays(catalog, node))
    more = f" and {count - 1} more" if count > 1 else ""
    raise WrongState(
        f"The owned {first.kind} {first.name} ({first.id}){more} must be deleted first; nothing was deleted."
    )


def _stays(catalog: Catalog, node: Node) -> bool:
    # A kind that is no longer configured has no policy that allows its deletion with the owner.
    kind = catalog.by_name.get(node.kind)
    return kind is None or kind.on_parent_delete == "restrict"


async def _require_no_source_outside(tx: Transaction, scope: Scope, ids: Sequence[UUID]) -> None:
    """Raises WrongState, naming the visible ones, when resources outside a tree reference a member of it."""
    sources = await trees.sources_outside(tx, scope, ids)
    if sources:
        seen = [f"{one.kind} {one.name} ({one.href}, as {one.ref_type})" for one in sources if one.is_seen]
        named = ", ".join(seen) or "resources that you cannot see"
        raise WrongState(f"The resource is still referenced by {named}; remove these references first.")


def _counted(nodes: Iterable[Node]) -> dict[str, int]:
    return dict(Counter(node.kind for node in nodes))


def _audit(event: str, verb: str, root: Node, caller: Caller, **more: object) -> None:
    _log.info(event, audit=True, verb=verb, **audit.who(caller), **audit.which(root), **more)
