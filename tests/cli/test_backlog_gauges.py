"""The gauges of the fleet: waiting resources and their age, read rarely; scrapes work without the database."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from hyperfleet import settings
from hyperfleet.model.catalog import Catalog
from hyperfleet.model.kind import Kind
from hyperfleet.model.resource import Scope
from hyperfleet.model.status.condition import PHASES
from hyperfleet.serving.probing import backlog_gauges
from hyperfleet.serving.probing.backlog_gauges import BacklogGauges
from hyperfleet.store.database import Database, Statement
from hyperfleet.store.upkeep import backlog
from hyperfleet.telemetry import metrics
from testbed.fleet import CLUSTER, NODE_POOL, create, delete, report, send

RULED = replace(CLUSTER, required_adapters=("dns",))
WORLD = Catalog([RULED, NODE_POOL])
SCOPE = Scope(RULED)


def told(gauges: BacklogGauges) -> dict[tuple[str, ...], float]:
    """The samples by name, kind and whether it is a deletion."""
    found = {}
    for family in text_string_to_metric_families(gauges.exposition().decode()):
        for sample in family.samples:
            assert (sample.labels["component"], sample.labels["version"]) == metrics.COMMON_VALUES
            labels = [sample.labels[name] for name in ("resource_type", "is_delete", "phase") if name in sample.labels]
            found[(sample.name, *labels)] = sample.value
    return found


async def scraped(gauges: BacklogGauges) -> dict[tuple[str, ...], float]:
    # Like the listener: in a thread without an event loop.
    return await asyncio.to_thread(told, gauges)


def gauges_of(
    database: settings.Database | None, *, kinds: Sequence[Kind] = WORLD.kinds, threshold: float = 600
) -> BacklogGauges:
    made = BacklogGauges(kinds, threshold=threshold)
    made.database = database
    return made


async def test_waiting_resources_are_counted_by_kind_and_stuck_ones_with_their_age(
    db: Database, database_settings: settings.Database
) -> None:
    ids: dict[str, str] = {}
    for name in ("done", "fresh", "old", "going", "going-long"):
        ids[name] = (await create(db, name, SCOPE))["id"]
    await send(db, ids["done"], report("dns"), SCOPE, catalog=WORLD)
    for name in ("going", "going-long"):
        await delete(db, ids[name], SCOPE, catalog=WORLD)
    age = (
        "UPDATE resources SET conditions = jsonb_set(conditions, '{Reconciled,t}',"
        " to_jsonb(now() - $2 * interval '1 second'))"
    )
    for name, seconds in (("fresh", 500), ("old", 700)):
        await db.fetch(Statement("AGE", f"{age} WHERE name = $1"), name, seconds)
    gone = "UPDATE resources SET deleted_time = now() - $2 * interval '1 second' WHERE name = $1"
    for name, seconds in (("going", 590), ("going-long", 5000)):
        await db.fetch(Statement("GOING", gone), name, seconds)
    found = await scraped(gauges_of(database_settings))
    live, deleted = ("Cluster", "false"), ("Cluster", "true")
    assert found[(backlog_gauges.PENDING, *live)] == 2
    assert found[(backlog_gauges.STUCK, *live)] == 1
    assert 700 <= found[(backlog_gauges.STUCK_SECONDS, *live)] < 760
    assert found[(backlog_gauges.PENDING, *deleted)] == 2
    assert found[(backlog_gauges.STUCK, *deleted)] == 1
    assert 5000 <= found[(backlog_gauges.STUCK_SECONDS, *deleted)] < 5060
    assert found[(backlog_gauges.COLLECTOR_ERRORS,)] == 0


async def test_if_nothing_waits_its_gauges_are_absent(db: Database, database_settings: settings.Database) -> None:
    found = await scraped(gauges_of(database_settings))
    assert {name for name, *_ in found} == {backlog_gauges.COLLECTOR_ERRORS, backlog_gauges.RESOURCES}
    assert set(found.values()) == {0}


def phases(found: dict[tuple[str, ...], float], kind: str) -> tuple[float, ...]:
    return tuple(found[backlog_gauges.RESOURCES, kind, phase] for phase in PHASES)


async def test_resources_are_counted_by_kind_and_phase(db: Database, database_settings: settings.Database) -> None:
    ids = [(await create(db, f"c-{n}", SCOPE))["id"] for n in range(7)]
    for each in ids[:4]:
        await send(db, each, report("dns"), SCOPE, catalog=WORLD)
    await send(db, ids[4], report("dns", Failed="True"), SCOPE, catalog=WORLD)
    await delete(db, ids[0], SCOPE, catalog=WORLD)
    found = await scraped(gauges_of(database_settings))
    assert phases(found, "Cluster") == (3, 3, 1)
    assert phases(found, "NodePool") == (0, 0, 0)
    assert found[backlog_gauges.PENDING, "Cluster", "false"] == 3
    assert found[backlog_gauges.PENDING, "Cluster", "true"] == 1


async def test_without_required_adapters_a_resource_without_reports_is_not_ready(
    db: Database, database_settings: settings.Database
) -> None:
    passive = replace(CLUSTER, required_adapters=())
    world, scope = Catalog([passive, NODE_POOL]), Scope(passive)
    ids = [(await create(db, f"c-{n}", scope))["id"] for n in range(6)]
    for each in ids[:2]:
        await send(db, each, report("dns"), scope, catalog=world)
    await send(db, ids[2], report("dns", Failed="True"), scope, catalog=world)
    await send(db, ids[3], report("dns", Available="False"), scope, catalog=world)
    found = await scraped(gauges_of(database_settings, kinds=world.kinds))
    assert phases(found, "Cluster") == (3, 2, 1)
    assert found[backlog_gauges.PENDING, "Cluster", "false"] == 2


async def test_resources_of_an_unconfigured_kind_are_not_counted(
    db: Database, database_settings: settings.Database
) -> None:
    await create(db, "alpha", SCOPE)
    found = await scraped(gauges_of(database_settings, kinds=[NODE_POOL]))
    assert {kind for name, *labels in found if name == backlog_gauges.RESOURCES for kind in labels[:1]} == {"NodePool"}


async def test_many_scrapes_share_one_reading_in_half_a_minute(
    db: Database, database_settings: settings.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings = 0
    real = backlog.read

    async def counting(*arguments: Any, **named: Any) -> Any:
        nonlocal readings
        readings += 1
        return await real(*arguments, **named)

    monkeypatch.setattr(backlog, "read", counting)
    gauges = gauges_of(database_settings)
    await asyncio.gather(*(scraped(gauges) for _ in range(8)))
    assert readings == 1
    monkeypatch.setattr(backlog_gauges, "SECONDS", 0.0)
    await scraped(gauges)
    assert readings == 2


async def test_a_failed_reading_is_counted_and_the_scrape_continues(database_settings: settings.Database) -> None:
    away = replace(database_settings, host=database_settings.host + "/nobody")
    assert await scraped(gauges_of(away)) == {(backlog_gauges.COLLECTOR_ERRORS,): 1}


async def test_nothing_is_read_before_there_is_a_database() -> None:
    assert await scraped(gauges_of(None)) == {(backlog_gauges.COLLECTOR_ERRORS,): 0}


async def test_indexes_find_the_backlog(db: Database) -> None:
    await create(db, "alpha", SCOPE)
    fill = (
        "INSERT INTO resources"
        " SELECT (jsonb_populate_record(r, jsonb_build_object('id', gen_random_uuid(), 'name', 'filler-' || n,"
        " 'condition_status', jsonb_build_object('Reconciled', 'True')))).*"
        " FROM (SELECT resources AS r FROM resources LIMIT 1) AS one, generate_series(1, 5000) AS n"
    )
    await db.fetch(Statement("FILL", fill))
    await db.fetch(Statement("ANALYZE", "ANALYZE resources"))
    explained = Statement("EXPLAIN", f"EXPLAIN {backlog.GROUPS}")
    plan = "\n".join(row[0] for row in await db.fetch(explained, ["Cluster"], ["NodePool"], 600.0))
    assert "Seq Scan" not in plan
    assert "resources_being_deleted" in plan
