"""Create: what is stored, what is refused, and what happens to concurrent creates of the same name."""

import asyncio
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from hyperfleet.errors import AlreadyExists, Conflict, NotFound, WrongState
from hyperfleet.model.caller import SYSTEM
from hyperfleet.model.kind import Kind, ReferenceRule
from hyperfleet.model.resource import Scope
from hyperfleet.postgres import embedded, server_logs
from hyperfleet.services import writing
from hyperfleet.store.database import Database, Statement
from testbed import waiting
from testbed.fleet import CLUSTER, CLUSTERS, NOON, below, create, draft, read

REFERRING = Kind("Addon", "addons", "addon", references=(ReferenceRule("cluster", "Cluster"),))
MARK_DELETED = Statement("MARK", "UPDATE resources SET deleted_time = now() WHERE id = $1")
LOCK = Statement("LOCK", "SELECT FROM resources WHERE id = $1 FOR UPDATE")
REMOVE = Statement("REMOVE", "DELETE FROM resources WHERE id = $1")
COUNT = Statement("COUNT", "SELECT count(*) FROM resources WHERE owner_id = $1")


async def test_the_response_to_a_create_equals_the_read_that_follows(db: Database) -> None:
    created = await create(db, "alpha", spec={"region": "eu", "big": 10**40, "one": 1.0}, labels={"b": "2", "a": "1"})
    assert created == await read(db, created["id"])
    assert created["spec"] == {"region": "eu", "big": 10**40, "one": 1.0}
    assert list(created["labels"]) == ["b", "a"]


async def test_a_new_resource_is_not_ready_and_has_no_observed_generation(db: Database) -> None:
    status = (await create(db, "alpha", Scope(replace(CLUSTER, required_adapters=())), at=3))["status"]
    assert status == {
        "phase": "NotReady",
        "observed_generation": 0,
        "last_transition_time": "2026-11-01T12:00:03.000000Z",
        "last_updated_time": "2026-11-01T12:00:03.000000Z",
        "conditions": [],
        "adapters": [],
    }


async def test_a_child_names_its_owner_and_its_path_is_below_the_owner(db: Database) -> None:
    owner = await create(db, "alpha")
    child = await create(db, "pool", below(UUID(owner["id"])))
    assert child["owner_references"] == {"kind": "Cluster", "id": owner["id"], "href": owner["href"]}
    assert child["href"] == f"{owner['href']}/nodepools/{child['id']}"
    assert child == await read(db, child["id"], below(UUID(owner["id"])))


async def test_exactly_one_of_fifty_creates_with_one_name_succeeds(db: Database) -> None:
    results = await asyncio.gather(*(create(db, "alpha") for _ in range(50)), return_exceptions=True)
    assert sum(isinstance(result, dict) for result in results) == 1
    assert sum(isinstance(result, AlreadyExists) for result in results) == 49


async def test_exactly_one_of_fifty_children_with_one_name_under_one_owner_succeeds(db: Database) -> None:
    owner = UUID((await create(db, "alpha"))["id"])
    results = await asyncio.gather(*(create(db, "pool", below(owner)) for _ in range(50)), return_exceptions=True)
    assert sum(isinstance(result, dict) for result in results) == 1
    assert sum(isinstance(result, AlreadyExists) for result in results) == 49


@pytest.mark.parametrize("where", ["at the top", "under an owner", "referring", "referring, under an owner"])
async def test_a_name_conflict_leaves_nothing_in_the_servers_log(
    db: Database, postgres: embedded.Server, where: str
) -> None:
    log = postgres.data_dir / server_logs.NAME
    target = UUID((await create(db, "target"))["id"])
    scopes = {"at the top": CLUSTERS, "under an owner": below(target)}
    scopes |= {"referring": Scope(REFERRING), "referring, under an owner": below(target, REFERRING)}
    references = {"cluster": (target,)} if where.startswith("referring") else None
    made = await create(db, "alpha", scopes[where], references=references)
    before = log.stat().st_size
    for _ in range(20):
        with pytest.raises(AlreadyExists) as taken:
            await create(db, "alpha", scopes[where], references=references)
        assert taken.value.extensions == (Conflict(made["kind"], made["id"], made["href"]),)
    await db.fetch(Statement("SAY", "DO $$ BEGIN RAISE LOG 'all tried'; END $$"))
    waiting.eventually(lambda: b"all tried" in log.read_bytes()[before:], "the log has the last word")
    assert b"resources_live" not in log.read_bytes()[before:]


async def test_the_holder_of_a_name_is_hidden_from_callers_who_may_not_read_it(db: Database) -> None:
    await create(db, "alpha")
    with pytest.raises(AlreadyExists) as taken:
        await writing.create(db, CLUSTERS, draft("alpha"), caller=SYSTEM, now=NOON, may_read=False)
    assert taken.value.extensions == ()


async def test_a_name_conflict_under_an_owner_being_deleted_reports_the_owner(db: Database) -> None:
    owner = UUID((await create(db, "alpha"))["id"])
    await create(db, "pool", below(owner))
    await db.fetch(MARK_DELETED, owner)
    with pytest.raises(WrongState, match="is being deleted"):
        await create(db, "pool", below(owner))


async def test_children_of_different_owners_may_share_a_name(db: Database) -> None:
    first, second = UUID((await create(db, "alpha"))["id"]), UUID((await create(db, "beta"))["id"])
    assert (await create(db, "pool", below(first)))["id"] != (await create(db, "pool", below(second)))["id"]


async def test_the_name_of_a_resource_being_deleted_is_free(db: Database) -> None:
    going = await create(db, "alpha")
    await db.fetch(MARK_DELETED, UUID(going["id"]))
    assert (await create(db, "alpha"))["id"] != going["id"]


async def test_nothing_is_created_under_an_owner_being_deleted(db: Database) -> None:
    owner = UUID((await create(db, "alpha"))["id"])
    await db.fetch(MARK_DELETED, owner)
    with pytest.raises(WrongState) as refused:
        await create(db, "pool", below(owner))
    assert refused.value.row.name == "CNF-003"


async def test_nothing_is_created_under_a_missing_owner(db: Database) -> None:
    with pytest.raises(NotFound) as refused:
        await create(db, "pool", below(uuid4()))
    assert refused.value.row.name == "NTF-002"


async def test_an_owner_of_another_kind_is_refused(db: Database) -> None:
    owner = UUID((await create(db, "alpha"))["id"])
    pool = UUID((await create(db, "pool", below(owner)))["id"])
    with pytest.raises(NotFound):
        await create(db, "inner", below(pool))


@pytest.mark.parametrize("removal", [MARK_DELETED, REMOVE], ids=["marked", "removed"])
async def test_a_create_that_races_with_its_owners_removal_waits_and_then_stores_nothing(
    db: Database, removal: Statement
) -> None:
    owner = UUID((await create(db, "alpha"))["id"])
    locked, waiting = asyncio.Event(), asyncio.Event()

    async def end(tx: object) -> None:
        await tx.fetch(LOCK, owner)  # type: ignore[attr-defined]
        locked.set()
        await waiting.wait()
        await tx.fetch(removal, owner)  # type: ignore[attr-defined]

    ending = asyncio.create_task(db.in_transaction(end))
    await locked.wait()
    creates = [asyncio.create_task(create(db, f"pool-{number}", below(owner))) for number in range(5)]
    await asyncio.sleep(0.1)
    assert not any(task.done() for task in creates)
    waiting.set()
    await ending
    results = await asyncio.gather(*creates, return_exceptions=True)
    expected = WrongState if removal is MARK_DELETED else NotFound
    assert [type(result) for result in results] == [expected] * 5
    row = await db.fetch_row(COUNT, owner)
    assert row is not None
    assert row[0] == 0


async def test_a_kind_that_requires_adapters_has_its_conditions_from_creation(db: Database) -> None:
    demanding = Scope(replace(CLUSTER, required_adapters=("dns-adapter", "validator")))
    status = (await create(db, "alpha", demanding))["status"]
    assert [(condition["type"], condition["status"]) for condition in status["conditions"]] == [
        ("Reconciled", "False"),
        ("LastKnownReconciled", "False"),
    ]
    assert "[dns-adapter, validator]" in status["conditions"][0]["message"]


async def test_only_the_service_sets_the_tenancy_of_a_resource(db: Database) -> None:
    created = await create(db, "alpha")
    row = await db.fetch_row(
        Statement("ROW", "SELECT tenancy, created_by FROM resources WHERE id = $1"), UUID(created["id"])
    )
    assert row is not None
    assert (row["tenancy"], row["created_by"]) == (b"{}", "system@hyperfleet.local")
