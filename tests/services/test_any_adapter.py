"""Kinds with `required_adapters: any`, such as clusters and node pools: found from creation on, deleted with care."""

import json
from uuid import UUID

from hyperfleet.model.catalog import Catalog
from hyperfleet.model.kind import Kind
from hyperfleet.model.resource import Scope
from hyperfleet.store.database import Database
from testbed import fleet
from testbed.fleet import CLUSTERS, NODE_POOL, below, change, create, delete, is_there, names, read, report, send

MOON = Kind("Moon", "moons", "moon")
PATIENT = Catalog([*fleet.CATALOG.kinds, MOON])
POOLS = Scope(NODE_POOL)


async def test_adapters_that_look_for_work_find_a_new_cluster(db: Database) -> None:
    made = await create(db, "alpha")
    reconciled, last_known = made["status"]["conditions"]
    assert (reconciled["status"], reconciled["reason"], reconciled["message"]) == (
        "False",
        "ReconciledMissingAdapters",
        "No adapter has reported yet",
    )
    assert (last_known["status"], last_known["reason"]) == ("False", "AdaptersMissingReports")
    assert (reconciled["observed_generation"], last_known["observed_generation"]) == (1, 1)
    assert await names(db, "status.conditions.Reconciled = 'False'") == ["alpha"]
    assert await names(db, "status.conditions.Reconciled != 'True'") == ["alpha"]
    assert made == await read(db, made["id"])


async def test_a_cluster_leaves_that_list_when_all_reports_succeed_and_returns_after_a_change(
    db: Database,
) -> None:
    id = (await create(db, "alpha"))["id"]
    await send(db, id, report("dns", at=1))
    assert await names(db, "status.conditions.Reconciled = 'False'") == []
    await send(db, id, report("vm", at=2, Available="False"))
    assert await names(db, "status.conditions.Reconciled = 'False'") == ["alpha"]
    await send(db, id, report("vm", at=3))
    assert await names(db, "status.conditions.Reconciled = 'True'") == ["alpha"]
    await change(db, id, spec={"nodes": 4}, at=4)
    assert await names(db, "status.conditions.Reconciled = 'False'") == ["alpha"]


async def test_a_kind_without_required_adapters_has_no_conditions_before_a_report(db: Database) -> None:
    moon = await create(db, "io", Scope(MOON))
    assert moon["status"]["conditions"] == []


async def test_a_cluster_without_reports_is_removed_at_once(db: Database) -> None:
    id = (await create(db, "alpha"))["id"]
    await delete(db, id)
    assert not await is_there(db, id)


async def test_a_cluster_with_a_report_waits_for_that_adapter_to_finalize(db: Database) -> None:
    id = (await create(db, "alpha"))["id"]
    await send(db, id, report("dns", at=1))
    await send(db, id, report("vm", at=1))
    marked = await delete(db, id, at=2)
    assert marked["status"]["conditions"][0]["message"] == (
        "Required adapters not reporting Finalized=True: [dns, vm]. Currently reporting: [dns, vm]"
    )
    assert await names(db, "status.conditions.Reconciled = 'False'") == ["alpha"]
    await send(db, id, report("dns", at=3, generation=2, Finalized="True"))
    assert await is_there(db, id)
    # Finalized at an older generation, so it does not count.
    await send(db, id, report("vm", at=3, generation=1, Finalized="True"))
    assert await is_there(db, id)
    outcome = await send(db, id, report("vm", at=4, generation=2, Finalized="True"))
    assert outcome.result == "stored"
    assert not await is_there(db, id)


async def test_an_adapter_that_first_reports_during_the_deletion_is_awaited_too(db: Database) -> None:
    id = (await create(db, "alpha"))["id"]
    await send(db, id, report("dns", at=1))
    await delete(db, id, at=2)
    await send(db, id, report("vm", at=3, generation=2, Available="False"))
    await send(db, id, report("dns", at=4, generation=2, Finalized="True"))
    assert await is_there(db, id)
    await send(db, id, report("vm", at=5, generation=2, Finalized="True"))
    assert not await is_there(db, id)


async def test_each_resource_of_a_tree_waits_for_the_adapters_that_reported_on_it(db: Database) -> None:
    id = (await create(db, "alpha"))["id"]
    reported = (await create(db, "reported", below(UUID(id))))["id"]
    silent = (await create(db, "silent", below(UUID(id))))["id"]
    await send(db, reported, report("machines", at=1), POOLS)
    marked = await delete(db, id, at=2)
    assert not await is_there(db, silent)
    assert await is_there(db, reported)
    assert marked["status"]["conditions"][0]["reason"] == "ReconciledWaitingForChildren"
    await send(db, reported, report("machines", at=3, generation=2, Finalized="True"), POOLS)
    assert not await is_there(db, reported)
    assert not await is_there(db, id)


async def test_the_response_to_a_deletion_shows_the_marked_cluster(db: Database) -> None:
    id = (await create(db, "alpha"))["id"]
    await send(db, id, report("dns", at=1))
    marked = await delete(db, id, at=2)
    assert (marked["generation"], "deleted_time" in marked) == (2, True)
    assert marked == await read(db, id, CLUSTERS)
    again = await delete(db, id, at=3)
    assert json.dumps(again) == json.dumps(marked)
