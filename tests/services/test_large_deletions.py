"""A deletion that takes longer than its request may: the caller is told, and nothing of it is done."""

import asyncio
from dataclasses import replace
from uuid import UUID

import pytest

from hyperfleet.errors import DeadlineExceeded
from hyperfleet.model.catalog import Catalog
from hyperfleet.model.resource import Scope
from hyperfleet.store.database import DEADLINE, Database, Statement
from tests.fleet import CLUSTER, NODE_POOL, below, create, delete

WAITING = replace(CLUSTER, required_adapters=("dns",))
POOL = replace(NODE_POOL, required_adapters=("machines",))
WORLD = Catalog([WAITING, POOL])
EVERYTHING = Statement("EVERYTHING", "SELECT id, resource_version, deleted_time FROM resources ORDER BY id")


@pytest.mark.parametrize("seconds", [0.002, 0.02, 0.05])
async def test_a_tree_that_takes_longer_than_the_deadline_is_left_as_it_was(db: Database, seconds: float) -> None:
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
