"""A change of the rules: what is stored is computed again, once, by one process, while others write."""

import asyncio
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from hyperfleet.model import rendering
from hyperfleet.model.catalog import Catalog
from hyperfleet.model.kind import Kind, ReferenceRule
from hyperfleet.model.resource import Scope
from hyperfleet.services import recomputing
from hyperfleet.services.recomputing import ROWS_AT_ONCE
from hyperfleet.store.database import Database, Statement
from tests.fleet import CLUSTER, CLUSTERS, NODE_POOL, below, create, read, report, send

OLD = replace(CLUSTER, required_adapters=("dns",))
NEW = replace(CLUSTER, required_adapters=("dns", "net"))


def scope(kind: Kind) -> Scope:
    return Scope(kind)


async def rules(db: Database) -> set[str]:
    return {row[0] for row in await db.fetch(Statement("RULES", "SELECT DISTINCT rules FROM resources"))}


async def reported(db: Database, name: str) -> dict[str, Any]:
    """A cluster that is reconciled by the old rules."""
    id = (await create(db, name, scope(OLD)))["id"]
    await send(db, id, report("dns", at=1), scope(OLD), catalog=Catalog([OLD]))
    return await read(db, id)


async def test_rows_of_other_rules_are_computed_again_and_only_those(db: Database) -> None:
    old = await reported(db, "old")
    assert old["status"]["phase"] == "Ready"
    new = await create(db, "new", scope(NEW))
    assert await recomputing.recompute(db, Catalog([NEW])) == 1
    again = await read(db, old["id"])
    assert again["status"]["phase"] == "NotReady"
    assert again["status"]["conditions"][0]["message"] == (
        "Required adapters not reporting Available=True: [net]. Currently reporting: [dns]"
    )
    assert int(again["resource_version"]) > int(old["resource_version"])
    assert (again["generation"], again["updated_time"]) == (old["generation"], old["updated_time"])
    assert await read(db, new["id"]) == new
    assert await rules(db) == {rendering.rules(NEW)}
    assert await recomputing.recompute(db, Catalog([NEW])) == 0


async def test_more_rows_than_one_turn_takes_are_all_computed(db: Database) -> None:
    for number in range(ROWS_AT_ONCE + 1):
        await create(db, f"cluster-{number}", scope(OLD))
    assert await recomputing.recompute(db, Catalog([NEW])) == ROWS_AT_ONCE + 1
    assert await rules(db) == {rendering.rules(NEW)}


async def test_kinds_that_are_not_configured_are_left_alone(db: Database) -> None:
    owner = (await create(db, "alpha"))["id"]
    pool = await create(db, "pool", below(UUID(owner)))
    changed = replace(NODE_POOL, required_adapters=("x",))
    assert await recomputing.recompute(db, Catalog([replace(CLUSTER)])) == 0
    assert await read(db, pool["id"], Scope(NODE_POOL)) == pool
    assert await recomputing.recompute(db, Catalog([CLUSTER, changed])) == 1


async def test_references_appear_when_the_kind_declares_them_by_now(db: Database) -> None:
    made = await create(db, "alpha")
    assert "references" not in made
    declaring = replace(CLUSTER, references=(ReferenceRule("twin", "Cluster"),))
    assert await recomputing.recompute(db, Catalog([declaring])) == 1
    assert (await read(db, made["id"]))["references"] == {}


async def test_processes_that_start_at_once_compute_every_row_once(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recomputing, "PAUSE_SECONDS", 0.05)
    for number in range(30):
        await reported(db, f"cluster-{number}")
    done = await asyncio.wait_for(
        asyncio.gather(*(recomputing.recompute(db, Catalog([NEW])) for _ in range(4))), timeout=60
    )
    assert sum(done) == 30


async def test_reports_that_come_meanwhile_are_kept(db: Database) -> None:
    ids = [(await reported(db, f"cluster-{number}"))["id"] for number in range(40)]
    catalog = Catalog([NEW])
    work = asyncio.create_task(recomputing.recompute(db, catalog))
    outcomes = await asyncio.gather(*(send(db, id, report("net", at=2), scope(NEW), catalog=catalog) for id in ids))
    await work
    assert {outcome.result for outcome in outcomes} == {"stored"}
    for id in ids:
        assert (await read(db, id, CLUSTERS))["status"]["phase"] == "Ready"
    assert await rules(db) == {rendering.rules(NEW)}
