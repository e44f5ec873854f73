"""Concurrent writers: with the right locks nothing is lost, and each lock is shown to be needed.

Every race has two tests: one with the correct result, and one without the deciding lock or check, with a wrong result.
A lock that could be removed without a failing test would not be needed.
"""

import asyncio
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

import pytest

from hyperfleet.errors import HyperFleetError, WrongState
from hyperfleet.model.catalog import Catalog
from hyperfleet.model.kind import Kind, ReferenceRule
from hyperfleet.model.resource import Owner, Scope
from hyperfleet.model.standing import Node
from hyperfleet.store import references, reports, resources, standings, trees
from hyperfleet.store.database import Database, Statement
from hyperfleet.store.shares import Shares, Widths
from testbed import fleet
from testbed.fleet import CLUSTERS, below, change, create, delete, is_there, read, report, send
from tests.services.races import locked, spoil

CLUSTER: Final = replace(fleet.CLUSTER, required_adapters=("dns",), references=(ReferenceRule("twin", "Cluster"),))
POOL: Final = replace(fleet.NODE_POOL, required_adapters=("machines",))
WORLD: Final = Catalog([CLUSTER, POOL])
SCOPE: Final = Scope(CLUSTER)
LOCKED_CHAIN: Final = ("FOR UPDATE OF resources", "")
WIDE: Final = Widths(8, 100, 100, 100, 100, searches=100, stalled_waiters=100)


@pytest.fixture
def db(db: Database) -> Database:
    """The database for callers that meet only there, like callers of separate workers."""
    db.shares = Shares(WIDE, lock_seconds=30)
    return db


async def five_deletes(db: Database) -> list[Any]:
    """Five concurrent DELETEs on a cluster that waits for its adapter: their responses."""
    id = (await create(db, "alpha", SCOPE))["id"]
    async with locked(db, id) as door:
        for number in range(5):
            await door.enters(delete(db, id, SCOPE, at=10 + number, catalog=WORLD))
    return await door.outcomes()


async def test_one_of_five_concurrent_deletes_deletes_and_all_get_the_same_response(db: Database) -> None:
    answers = await five_deletes(db)
    assert all(answer == answers[0] for answer in answers)
    assert answers[0]["generation"] == 2


async def test_without_the_lock_of_the_resource_their_responses_differ(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, trees, "LOCKED_CHAIN", LOCKED_CHAIN)
    spoil(monkeypatch, trees, "LOCKED_CHILDREN", ("FOR UPDATE", ""))
    answers = await five_deletes(db)
    assert len({answer["deleted_time"] for answer in answers}) > 1


async def child_while_its_owner_is_deleted(db: Database) -> tuple[str, Any]:
    """A DELETE that came first, and a create of a child behind it: the owner, and the result of the create."""
    owner = (await create(db, "alpha", SCOPE))["id"]
    async with locked(db, owner) as door:
        await door.enters(delete(db, owner, SCOPE, catalog=WORLD))
        await door.enters(create(db, "pool", below(UUID(owner), POOL)))
    return owner, (await door.outcomes())[1]


LIVE_CHILDREN: Final = Statement("LIVE", "SELECT count(*) FROM resources WHERE owner_id = $1 AND deleted_time IS NULL")


async def live_children(db: Database, owner: str) -> int:
    return int((await db.fetch(LIVE_CHILDREN, UUID(owner)))[0][0])


async def test_a_child_created_while_its_owner_is_deleted_is_refused(db: Database) -> None:
    owner, outcome = await child_while_its_owner_is_deleted(db)
    assert isinstance(outcome, WrongState)
    assert await live_children(db, owner) == 0


async def test_without_the_lock_of_its_owner_the_child_stays_live_under_it(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, resources, "NEW_CHILD", ("FOR KEY SHARE", ""))
    owner, _ = await child_while_its_owner_is_deleted(db)
    assert await live_children(db, owner) == 1


async def report_behind_a_change(db: Database) -> dict[str, Any]:
    """A PATCH and a report that have both read generation 1; the PATCH is stored first."""
    id = (await create(db, "alpha", SCOPE))["id"]
    async with locked(db, id) as door:
        await door.enters(change(db, id, SCOPE, spec={"a": 2}, at=5))
        await door.enters(send(db, id, report("dns", at=3), SCOPE, catalog=WORLD))
    await door.outcomes()
    return await read(db, id, SCOPE)


async def test_a_report_behind_a_change_is_computed_with_the_change(db: Database) -> None:
    found = await report_behind_a_change(db)
    assert (found["spec"], found["generation"]) == ({"a": 2}, 2)
    assert [adapter["adapter"] for adapter in found["status"]["adapters"]] == ["dns"]
    assert found["status"]["phase"] == "NotReady"


async def test_without_the_version_check_the_report_undoes_the_changes_status(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(
        monkeypatch,
        reports,
        "WRITTEN_REPORT",
        ("AND resource_version = :resource_version", "AND :resource_version::bigint IS NOT NULL"),
    )
    found = await report_behind_a_change(db)
    # Ready at a generation that no adapter has seen.
    assert (found["generation"], found["status"]["phase"]) == (2, "Ready")


async def two_merges(db: Database) -> dict[str, Any]:
    """Two changes of different members that both read the same state."""
    id = (await create(db, "alpha", labels={"a": "0", "b": "0"}))["id"]

    def merged(name: str) -> Any:
        from hyperfleet.model.caller import SYSTEM
        from hyperfleet.model.resource import Desired
        from hyperfleet.services import writing

        async def patch(old: Desired) -> Desired:
            return Desired(old.spec, {**old.labels, name: "1"}, old.references)

        return writing.change(db, CLUSTERS, UUID(id), patch, precondition=None, caller=SYSTEM, now=fleet.after(1))

    async with locked(db, id) as door:
        for name in ("a", "b"):
            await door.enters(merged(name))
    await door.outcomes()
    return await read(db, id)


async def test_two_merges_of_different_members_both_survive(db: Database) -> None:
    found = await two_merges(db)
    assert (found["labels"], found["generation"]) == ({"a": "1", "b": "1"}, 3)


async def test_without_the_version_check_the_second_merge_erases_the_first(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(
        monkeypatch,
        resources,
        "CHANGED_RESOURCE",
        ("AND resource_version = :resource_version", "AND :resource_version::bigint IS NOT NULL"),
    )
    found = await two_merges(db)
    assert (found["labels"], found["generation"]) == ({"a": "0", "b": "1"}, 2)


async def ten_reports(db: Database) -> list[str]:
    """Ten adapters that all read the resource without a report: the adapters whose conditions it has in the end."""
    id = (await create(db, "alpha"))["id"]
    async with locked(db, id) as door:
        # The pool has eight connections: the door and the query for waiting sessions take two.
        for number in range(6):
            await door.enters(send(db, id, report(f"a{number}", at=number)))
        late = [asyncio.create_task(send(db, id, report(f"a{number}", at=number))) for number in range(6, 10)]
    outcomes = [*await door.outcomes(), *await asyncio.gather(*late)]
    assert {outcome.result for outcome in outcomes} == {"stored"}
    conditions = (await read(db, id))["status"]["conditions"]
    return [each["type"] for each in conditions if each["type"].endswith("Successful")]


async def test_every_report_of_ten_concurrent_adapters_counts(db: Database) -> None:
    assert await ten_reports(db) == [f"A{number}Successful" for number in range(10)]


async def test_without_the_version_check_some_are_computed_without_the_others(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(
        monkeypatch,
        reports,
        "WRITTEN_REPORT",
        ("AND resource_version = :resource_version", "AND :resource_version::bigint IS NOT NULL"),
    )
    assert len(await ten_reports(db)) < 10


async def last_child_and_last_report(db: Database, *, child_first: bool) -> str:
    """The last Finalized of an owner and of its last child, each computed without the other; returns the owner."""
    owner = (await create(db, "alpha", SCOPE))["id"]
    pool = (await create(db, "pool", below(UUID(owner), POOL)))["id"]
    await delete(db, owner, SCOPE, catalog=WORLD)
    of_owner = send(db, owner, report("dns", generation=2, Finalized="True"), SCOPE, catalog=WORLD)
    of_child = send(db, pool, report("machines", generation=2, Finalized="True"), Scope(POOL), catalog=WORLD)
    async with locked(db, owner) as door:
        for work in (of_child, of_owner) if child_first else (of_owner, of_child):
            await door.enters(work)
    assert [outcome.result for outcome in await door.outcomes()] == ["stored", "stored"]
    assert not await is_there(db, pool)
    return str(owner)


@pytest.mark.parametrize("child_first", [True, False])
async def test_an_owner_is_removed_whether_its_own_or_its_childs_last_report_comes_first(
    db: Database, child_first: bool
) -> None:
    assert not await is_there(db, await last_child_and_last_report(db, child_first=child_first))


async def test_without_the_write_of_the_owner_when_a_child_is_removed_the_owner_stays_forever(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, trees, "RECOMPUTED", ("nextval('resource_versions')", "resource_version"))
    assert await is_there(db, await last_child_and_last_report(db, child_first=True))


async def reference_while_its_target_is_deleted(db: Database) -> tuple[str, Any]:
    """A DELETE that came first, and behind it a create that references the target: the target, and the create."""
    target = (await create(db, "target", SCOPE))["id"]
    async with locked(db, target) as door:
        await door.enters(delete(db, target, SCOPE, catalog=WORLD))
        await door.enters(create(db, "source", SCOPE, references={"twin": (UUID(target),)}))
    return target, (await door.outcomes())[1]


REFERENCED: Final = Statement(
    "REFERENCED",
    "SELECT count(*) FROM resource_references JOIN resources ON id = target_id WHERE deleted_time IS NOT NULL",
)


async def test_a_reference_to_a_resource_deleted_at_that_moment_is_refused(db: Database) -> None:
    _, outcome = await reference_while_its_target_is_deleted(db)
    assert isinstance(outcome, WrongState)
    assert (await db.fetch(REFERENCED))[0][0] == 0


async def test_without_the_lock_of_the_target_it_is_referenced_while_it_is_deleted(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, resources, "NEW_REFERRING", ("ORDER BY id FOR KEY SHARE", "ORDER BY id"))
    await reference_while_its_target_is_deleted(db)
    assert (await db.fetch(REFERENCED))[0][0] == 1
    assert references.UNFIT


async def test_a_deletion_behind_a_new_reference_sees_the_reference(db: Database) -> None:
    target = (await create(db, "target", SCOPE))["id"]
    source = create(db, "source", SCOPE, references={"twin": (UUID(target),)})
    async with locked(db, target) as door:
        await door.enters(source)
        await door.enters(delete(db, target, SCOPE, catalog=WORLD))
    created, refused = await door.outcomes()
    assert isinstance(refused, WrongState)
    assert created["id"] in refused.detail
    assert "deleted_time" not in await read(db, target, SCOPE)


# `Branch` sorts before `Tree`, and its ids are created later: neither names nor ids are in lock order.
TREE: Final = Kind("Tree", "trees", "tree", required_adapters=("x",))
BRANCH: Final = Kind("Branch", "branches", "branch", "Tree", "cascade", required_adapters=("x",))
LEAF: Final = Kind("ALeaf", "aleaves", "leaf", "Branch", "cascade", required_adapters=("x",))
FOREST: Final = Catalog([LEAF, BRANCH, TREE])


async def deletions_at_every_level(db: Database) -> list[Any]:
    """DELETE of a root while a DELETE of its leaf holds the leaf and continues to the root, or waits for it."""
    root = (await create(db, "root", Scope(TREE)))["id"]
    branch = (await create(db, "branch", Scope(BRANCH, Owner(TREE, UUID(root)))))["id"]
    leaf = (await create(db, "leaf", Scope(LEAF, Owner(BRANCH, UUID(branch)))))["id"]
    async with locked(db, branch) as door:
        await door.enters(delete(db, leaf, Scope(LEAF), catalog=FOREST))
        await door.enters(delete(db, root, Scope(TREE), catalog=FOREST))
    return await door.outcomes()


DEADLOCKS: Final = Statement("DEADLOCKS", "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
FLUSHED: Final = Statement("FLUSHED", "SELECT pg_stat_force_next_flush()")


async def deadlocks(db: Database) -> int:
    await db.fetch(FLUSHED)
    return int((await db.fetch(DEADLOCKS))[0][0])


async def test_deletions_at_every_level_of_a_tree_never_deadlock(db: Database) -> None:
    before = await deadlocks(db)
    outcomes = await deletions_at_every_level(db)
    assert not any(isinstance(outcome, Exception) for outcome in outcomes)
    assert await deadlocks(db) == before


async def test_with_locks_taken_from_the_leaf_up_they_deadlock(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil(monkeypatch, trees, "LOCKED_CHAIN", ("ORDER BY height DESC", "ORDER BY height"))
    monkeypatch.setattr(trees, "lock_chain", _upside_down)
    before = await deadlocks(db)
    await deletions_at_every_level(db)
    for _ in range(100):
        if await deadlocks(db) > before:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("no deadlock was seen")


async def _upside_down(tx: Any, scope: Scope, id: UUID) -> list[Node]:
    rows = await tx.fetch(trees.LOCKED_CHAIN, **standings.one(scope, id))
    return [Node(*row) for row in reversed(rows)]


async def test_random_writers_on_one_tree_never_deadlock_and_leave_no_orphan(db: Database) -> None:
    before = await deadlocks(db)
    for number in range(12):
        root = (await create(db, f"root-{number}", Scope(TREE)))["id"]
        branches = [
            (await create(db, f"branch-{each}", Scope(BRANCH, Owner(TREE, UUID(root)))))["id"] for each in range(3)
        ]

        async def attempt(work: Any) -> None:
            try:
                await work
            except HyperFleetError:
                return

        work: list[Any] = [delete(db, root, Scope(TREE), catalog=FOREST)]
        for branch in branches:
            scope = Scope(LEAF, Owner(BRANCH, UUID(branch)))
            work += [create(db, f"leaf-{each}", scope) for each in range(2)]
            work.append(delete(db, branch, Scope(BRANCH), catalog=FOREST))
            finalized = report("x", generation=2, Finalized="True")
            work.append(send(db, branch, finalized, Scope(BRANCH), catalog=FOREST))
        await asyncio.gather(*map(attempt, work))
        orphans = Statement(
            "ORPHANS",
            "SELECT count(*) FROM resources AS child JOIN resources AS owner ON owner.id = child.owner_id"
            " WHERE child.deleted_time IS NULL AND owner.deleted_time IS NOT NULL",
        )
        assert (await db.fetch(orphans))[0][0] == 0
    assert await deadlocks(db) == before
