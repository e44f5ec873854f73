"""Audit lines: who did what to which resource, and which members changed, without values."""

from dataclasses import replace
from typing import Any
from uuid import UUID

from structlog.testing import capture_logs
from structlog.typing import EventDict

from hyperfleet.model.catalog import Catalog
from hyperfleet.model.resource import Scope
from hyperfleet.store.database import Database
from testbed import fleet
from testbed.fleet import CLUSTER, NODE_POOL, below, change, create, delete, force_delete, report, send

POOL = replace(NODE_POOL, required_adapters=("machines",))
WAITING = Catalog([replace(CLUSTER, required_adapters=("dns",)), POOL])
CLUSTERS = Scope(WAITING.kinds[0])


def audited(lines: list[EventDict]) -> dict[str, Any]:
    (line,) = [line for line in lines if line.get("audit")]
    return dict(line)


async def test_a_creation_names_the_resource_and_its_owner(db: Database) -> None:
    with capture_logs() as lines:
        cluster = (await create(db, "alpha"))["id"]
    line = audited(lines)
    assert (line["verb"], line["kind"], line["id"], line["name"]) == ("create", "Cluster", cluster, "alpha")
    assert "owner" not in line
    with capture_logs() as lines:
        await create(db, "workers", below(UUID(cluster)))
    line = audited(lines)
    assert (line["name"], line["owner"]) == ("workers", {"kind": "Cluster", "id": cluster})


async def test_a_change_names_the_resource_its_owner_and_the_paths_that_changed(db: Database) -> None:
    cluster = (await create(db, "alpha"))["id"]
    pool = (await create(db, "workers", below(UUID(cluster)), spec={"a": 1, "password": "old"}))["id"]
    with capture_logs() as lines:
        await change(db, pool, Scope(NODE_POOL), spec={"a": 1, "password": "hunter2"}, labels={"env": "test"}, at=1)
    line = audited(lines)
    assert (line["verb"], line["name"], line["owner"]) == ("update", "workers", {"kind": "Cluster", "id": cluster})
    assert (line["changed"], line["changes"]) == (("/spec/password", "/labels/env"), 2)
    assert "hunter2" not in repr(line)
    assert "old" not in repr(line)


async def test_a_change_without_effect_leaves_no_line(db: Database) -> None:
    cluster = (await create(db, "alpha", spec={"a": 1}))["id"]
    with capture_logs() as lines:
        await change(db, cluster, spec={"a": 1.0}, at=1)
    assert [line for line in lines if line.get("audit")] == []


async def test_deletions_and_reports_name_the_resource_and_its_owner(db: Database) -> None:
    cluster = (await create(db, "alpha", CLUSTERS))["id"]
    owner = {"kind": "Cluster", "id": cluster}
    scope = Scope(POOL)
    for ending in ("forced", "reported"):
        pool = (await create(db, ending, below(UUID(cluster), POOL)))["id"]
        with capture_logs() as lines:
            await delete(db, pool, scope, at=1, catalog=WAITING)
        line = audited(lines)
        assert (line["event"], line["name"], line["owner"]) == ("deletion requested", ending, owner)
        with capture_logs() as lines:
            if ending == "forced":
                await force_delete(db, pool, scope, catalog=WAITING)
            else:
                finalized = report("machines", at=2, generation=2, Finalized="True")
                await send(db, pool, finalized, scope, catalog=WAITING)
        line = audited(lines)
        assert (line["id"], line["name"], line["owner"]) == (pool, ending, owner)
    with capture_logs() as lines:
        await send(db, cluster, report("dns", at=1), CLUSTERS, catalog=WAITING)
    line = audited(lines)
    assert (line["event"], line["name"], line["adapter"]) == ("report stored", "alpha", "dns")
    assert fleet.CLUSTER.name == line["kind"]
