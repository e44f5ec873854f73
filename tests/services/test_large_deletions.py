"""A deletion that exceeds the deadline of its request: the caller gets an error, and nothing is deleted."""

import asyncio
from dataclasses import replace
from uuid import UUID

import pytest

from hyperfleet.errors import DeadlineExceeded
from hyperfleet.model.catalog import Catalog
from hyperfleet.model.resource import Scope
from hyperfleet.store import standings
from hyperfleet.store.database import DEADLINE, Database, Statement
from testbed.fleet import CLUSTER, NODE_POOL, below, create, delete

WAITING = replace(CLUSTER, required_adapters=("dns",))
POOL = replace(NODE_POOL, required_adapters=("machines",))
WORLD = Catalog([WAITING, POOL])
EVERYTHING = Statement("EVERYTHING", "SELECT id, resource_version, deleted_time FROM resources ORDER BY id")


@pytest.mark.parametrize("seconds", [0.002, 0.01])
async def test_a_tree_that_takes_longer_than_the_deadline_is_left_unchanged(db: Database, seconds: float) -> None:
    owner = (await create(db, "alpha", Scope(WAITING)))["id"]
    for number in range(200):
        await create(db, f"pool-{number}", below(UUID(owner), POOL))
    before = await db.fetch(EVERYTHING)
    deadline = DEADLINE.set(asyncio.get_running_loop().time() + seconds)
    try:
        with pytest.raises(DeadlineExceeded):
            await delete(db, owner, Scope(WAITING), catalog=WORLD)
    finally:
        DEADLINE.reset(deadline)
    assert await db.fetch(EVERYTHING) == before
    marked = await delete(db, owner, Scope(WAITING), catalog=WORLD)
    assert marked["generation"] == 2


async def test_an_index_finds_that_a_resource_owns_nothing_even_if_one_owner_has_most_rows(
    db: Database,
) -> None:
    owner = UUID((await create(db, "alpha"))["id"])
    pool = UUID((await create(db, "pool", below(owner)))["id"])
    fill = (
        "INSERT INTO resources"
        " SELECT (jsonb_populate_record(r, jsonb_build_object('id', gen_random_uuid(), 'name', 'filler-' || n))).*"
        " FROM (SELECT resources AS r FROM resources WHERE id = $1) AS one, generate_series(1, 3000) AS n"
    )
    await db.fetch(Statement("FILL", fill), pool)
    await db.fetch(Statement("ANALYZE", "ANALYZE resources"))
    explained = Statement("EXPLAIN", f"EXPLAIN {standings.STANDINGS.text}")
    plan = "\n".join(row[0] for row in await db.fetch(explained, ids=[pool], with_rules=[], with_envelope=True))
    assert "Seq Scan on resources child" not in plan
    assert "resources_newest_of_owner" in plan
