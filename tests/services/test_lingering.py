"""Nothing is removed without a caller: a deletion that awaits nobody after a change of configuration stays."""

from dataclasses import replace
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from hyperfleet.model.catalog import Catalog
from hyperfleet.model.kind import ReferenceRule
from hyperfleet.model.resource import Scope
from hyperfleet.model.status.report import Report
from hyperfleet.services import lingering, recomputing
from hyperfleet.store.database import Database
from testbed import fleet
from testbed.fleet import CLUSTER, NODE_POOL, below, create, delete, is_there, read, report, send

OLD = replace(CLUSTER, required_adapters=("dns", "vm"))
POOL = replace(NODE_POOL, required_adapters=("machines",))
BEFORE = Catalog([OLD, POOL])
NEW = replace(CLUSTER, required_adapters=("dns",))
AFTER = Catalog([NEW, replace(NODE_POOL, required_adapters=())])


async def lingering_cluster(db: Database, name: str = "alpha") -> str:
    """A cluster that dns has finalized and vm has not, before the configuration drops vm."""
    id = str((await create(db, name, Scope(OLD)))["id"])
    await send(db, id, report("dns", at=1), Scope(OLD), catalog=BEFORE)
    await delete(db, id, Scope(OLD), at=2, catalog=BEFORE)
    await send(db, id, report("dns", at=3, generation=2, Finalized="True"), Scope(OLD), catalog=BEFORE)
    assert await recomputing.recompute(db, AFTER) == 1
    return id


async def test_recomputation_removes_nothing(db: Database) -> None:
    id = await lingering_cluster(db)
    kept = await read(db, id, Scope(NEW))
    assert kept["status"]["conditions"][0]["message"] == (
        "Required adapters not reporting Finalized=True: []. Currently reporting: []"
    )
    assert await lingering.find(db, AFTER) == {UUID(id): "Cluster"}
    assert await lingering.find(db, BEFORE) == {}


async def test_a_second_delete_completes_a_lingering_deletion(db: Database) -> None:
    id = await lingering_cluster(db)
    answer = await delete(db, id, Scope(NEW), at=9, catalog=AFTER)
    assert (answer["generation"], answer["id"]) == (2, id)
    assert not await is_there(db, id)


async def test_a_second_delete_does_not_complete_one_that_still_awaits_an_adapter(db: Database) -> None:
    id = await lingering_cluster(db)
    await delete(db, id, Scope(OLD), at=9, catalog=BEFORE)
    assert await is_there(db, id)


@pytest.mark.parametrize(
    ("received", "result"),
    [
        (report("dns", at=3, generation=2, Finalized="True"), "unchanged"),
        (report("dns", at=4, generation=2, Finalized="True"), "stored"),
        (report("dns", at=4, generation=1, Finalized="True"), "outdated"),
        (report("other", at=4, generation=2), "stored"),
    ],
    ids=["the same", "a newer one", "one out of date", "of another adapter"],
)
async def test_any_report_completes_a_lingering_deletion_with_the_usual_response(
    db: Database, received: Report, result: str
) -> None:
    id = await lingering_cluster(db)
    outcome = await send(db, id, received, Scope(NEW), catalog=AFTER)
    assert outcome.result == result
    assert not await is_there(db, id)


async def test_force_delete_removes_a_lingering_resource_too(db: Database) -> None:
    id = await lingering_cluster(db)
    await fleet.force_delete(db, id, Scope(NEW), catalog=AFTER)
    assert not await is_there(db, id)


async def test_a_second_delete_of_the_owner_removes_lingering_children(db: Database) -> None:
    catalog = Catalog([replace(CLUSTER, required_adapters=()), POOL])
    id = (await create(db, "alpha"))["id"]
    pool = (await create(db, "pool", below(UUID(id), POOL)))["id"]
    await delete(db, id, at=1, catalog=catalog)
    after = Catalog([catalog.kinds[0], replace(NODE_POOL, required_adapters=())])
    await recomputing.recompute(db, after)
    assert await is_there(db, pool)
    assert await lingering.find(db, after) == {UUID(pool): "NodePool"}
    await delete(db, id, at=2, catalog=after)
    assert not await is_there(db, pool)
    assert not await is_there(db, id)


async def test_a_first_delete_of_the_owner_removes_a_lingering_child(db: Database) -> None:
    id = (await create(db, "alpha"))["id"]
    pool = (await create(db, "pool", below(UUID(id), POOL)))["id"]
    await delete(db, pool, Scope(POOL), at=1, catalog=Catalog([CLUSTER, POOL]))
    assert await is_there(db, pool)
    await delete(db, id, at=2, catalog=Catalog([CLUSTER, replace(NODE_POOL, required_adapters=())]))
    assert not await is_there(db, pool)
    assert not await is_there(db, id)


async def test_a_second_delete_keeps_a_resource_that_others_still_reference(db: Database) -> None:
    referring = replace(NODE_POOL, required_adapters=("machines",), references=(ReferenceRule("twin", "NodePool"),))
    catalog = Catalog([CLUSTER, referring])
    id = (await create(db, "alpha"))["id"]
    target = (await create(db, "target", below(UUID(id), referring)))["id"]
    source = (await create(db, "source", below(UUID(id), referring), references={"twin": (UUID(target),)}))["id"]
    await send(db, target, report("machines", at=1), Scope(referring), catalog=catalog)
    await send(db, source, report("machines", at=1), Scope(referring), catalog=catalog)
    await delete(db, id, at=2, catalog=catalog)
    finalized = report("machines", at=3, generation=2, Finalized="True")
    await send(db, target, finalized, Scope(referring), catalog=catalog)
    await delete(db, target, Scope(referring), at=4, catalog=catalog)
    assert await is_there(db, target)
    await send(db, source, finalized, Scope(referring), catalog=catalog)
    assert not await is_there(db, id)


async def test_the_log_has_the_number_and_names_of_lingering_resources_if_there_are_any(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [await lingering_cluster(db, name) for name in ("alpha", "beta", "gamma")]
    monkeypatch.setattr(lingering, "ROWS_AT_ONCE", 2)
    with capture_logs() as lines:
        await lingering.tell(db, BEFORE)
        assert lines == []
        await lingering.tell(db, AFTER)
    (line,) = lines
    assert line["event"] == "resources are being deleted although no adapter is awaited any more"
    assert (line["log_level"], line["resources"], line["kinds"]) == ("warning", 3, {"Cluster": 3})
    assert line["ids"] == sorted(ids)
