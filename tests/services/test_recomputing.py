"""A change of rules: stored resources are recomputed once, by one process, while others write."""

import asyncio
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from hyperfleet.model import rendering
from hyperfleet.model.catalog import Catalog
from hyperfleet.model.kind import Kind, ReferenceRule
from hyperfleet.model.resource import Scope
from hyperfleet.model.rules.mapping import ConditionRule
from hyperfleet.model.standing import Standing
from hyperfleet.services import assessing, recomputing
from hyperfleet.services.recomputing import MOST_TRIES, ROWS_AT_ONCE
from hyperfleet.store.database import Database, Statement
from hyperfleet.store.upkeep import recomputations
from testbed.fleet import CLUSTER, CLUSTERS, NODE_POOL, below, create, read, report, send

OLD = replace(CLUSTER, required_adapters=("dns",))
NEW = replace(CLUSTER, required_adapters=("dns", "net"))


def scope(kind: Kind) -> Scope:
    return Scope(kind)


async def rules(db: Database) -> set[str]:
    return {row[0] for row in await db.fetch(Statement("RULES", "SELECT DISTINCT rules FROM resources"))}


async def reported(db: Database, name: str) -> dict[str, Any]:
    """A cluster that is reconciled under the old rules."""
    id = (await create(db, name, scope(OLD)))["id"]
    await send(db, id, report("dns", at=1), scope(OLD), catalog=Catalog([OLD]))
    return await read(db, id)


async def test_exactly_the_rows_of_other_rules_are_recomputed(db: Database) -> None:
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


async def test_more_rows_than_one_batch_holds_are_all_recomputed(db: Database) -> None:
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


async def test_references_appear_once_the_kind_declares_them(db: Database) -> None:
    made = await create(db, "alpha")
    assert "references" not in made
    declaring = replace(CLUSTER, references=(ReferenceRule("twin", "Cluster"),))
    assert await recomputing.recompute(db, Catalog([declaring])) == 1
    assert (await read(db, made["id"]))["references"] == {}


async def test_processes_that_start_together_recompute_every_row_once(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recomputing, "PAUSE_SECONDS", 0.05)
    for number in range(30):
        await reported(db, f"cluster-{number}")
    done = await asyncio.wait_for(
        asyncio.gather(*(recomputing.recompute(db, Catalog([NEW])) for _ in range(4))), timeout=60
    )
    assert sum(done) == 30


async def test_reports_that_arrive_meanwhile_are_kept(db: Database) -> None:
    ids = [(await reported(db, f"cluster-{number}"))["id"] for number in range(40)]
    catalog = Catalog([NEW])
    work = asyncio.create_task(recomputing.recompute(db, catalog))
    outcomes = await asyncio.gather(*(send(db, id, report("net", at=2), scope(NEW), catalog=catalog) for id in ids))
    await work
    assert {outcome.result for outcome in outcomes} == {"stored"}
    for id in ids:
        assert (await read(db, id, CLUSTERS))["status"]["phase"] == "Ready"
    assert await rules(db) == {rendering.rules(NEW)}


BROKEN = ConditionRule("Zones", "statuses.exists(s, s.data.zone == 'a')", "true", "'a'", "''")
RULED = replace(OLD, conditions=(BROKEN,))
MARKS = Statement("MARKS", "SELECT resource_id::text, tries, set_aside, reason FROM recomputations ORDER BY 1")
AGE = Statement("AGE", "UPDATE recomputations SET since = since - interval '1 minute'")


async def marks(db: Database) -> list[tuple[str, int, bool, str]]:
    return [tuple(row) for row in await db.fetch(MARKS)]


async def with_zone(db: Database, name: str, data: bytes) -> str:
    id = str((await create(db, name, scope(OLD)))["id"])
    await send(db, id, report("dns", at=1, data=data), scope(OLD), catalog=Catalog([OLD]))
    return id


async def test_a_row_on_which_a_rule_fails_is_set_aside_and_named_and_the_others_are_recomputed(db: Database) -> None:
    good, bad = await with_zone(db, "good", b'{"zone":"a"}'), await with_zone(db, "bad", b"{}")
    with capture_logs() as lines:
        assert await recomputing.recompute(db, Catalog([RULED])) == 2
    assert [(line["id"], line["condition"]) for line in lines if line["log_level"] == "warning"] == [(bad, "Zones")]
    [(id, _, is_aside, reason)] = await marks(db)
    assert (id, is_aside) == (bad, True)
    assert reason.startswith("rule Zones: ")
    assert [each["type"] for each in (await read(db, good))["status"]["conditions"]][-1] == "Zones"
    assert await rules(db) == {rendering.rules(RULED)}
    assert await recomputing.recompute(db, Catalog([RULED])) == 0


class Fault(Exception):
    """A bug that only one row triggers."""


def failing_on(id: str, monkeypatch: pytest.MonkeyPatch, failure: BaseException) -> list[str]:
    """Makes the assessment of one resource fail; returns the ids that were tried, in order."""
    tried: list[str] = []
    whole = assessing.assess

    async def assess(kind: Kind, row: Standing) -> Any:
        tried.append(str(row.id))
        if str(row.id) == id:
            raise failure
        return await whole(kind, row)

    monkeypatch.setattr(assessing, "assess", assess)
    return tried


async def test_a_row_that_raises_is_set_aside_once_and_the_others_are_recomputed(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [(await reported(db, f"cluster-{number}"))["id"] for number in range(5)]
    tried = failing_on(ids[2], monkeypatch, Fault("odd"))
    with capture_logs() as lines:
        assert await recomputing.recompute(db, Catalog([NEW])) == 4
    told = [line for line in lines if line["event"].startswith("a resource is set aside")]
    assert [(line["id"], line["kind"], line["reason"]) for line in told] == [(ids[2], "Cluster", "Fault: odd")]
    assert await marks(db) == [(ids[2], 1, True, "Fault: odd")]
    tried.clear()
    assert await recomputing.recompute(db, Catalog([NEW])) == 0
    assert tried == []
    # With other rules it is tried again.
    newer = replace(CLUSTER, required_adapters=("dns", "net", "vm"))
    monkeypatch.undo()
    assert await recomputing.recompute(db, Catalog([newer])) == 5
    assert await marks(db) == []


class Killed(BaseException):
    """The death of a process, as far as a test can simulate it: no code runs after it."""


async def test_a_row_that_kills_processes_is_tried_alone_and_set_aside(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [(await reported(db, f"cluster-{number}"))["id"] for number in range(5)]
    poison = ids[3]
    failing_on(poison, monkeypatch, Killed())
    deaths = 0
    while True:
        try:
            await recomputing.recompute(db, Catalog([NEW]))
            break
        except Killed:
            deaths += 1
            assert deaths < 20
            # So much later that the marks must be from a process that died.
            await db.fetch(AGE)
    # Once with the others, then alone.
    assert deaths == MOST_TRIES
    assert [(id, is_aside, reason) for id, _, is_aside, reason in await marks(db)] == [
        (poison, True, "the process that recomputed it exited")
    ]
    for id in ids:
        phase = (await read(db, id))["status"]["phase"]
        assert phase == ("Ready" if id == poison else "NotReady")
    assert await recomputing.recompute(db, Catalog([NEW])) == 0


async def test_a_process_waits_while_another_recomputes_marked_rows(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recomputing, "PAUSE_SECONDS", 0.05)
    id = (await reported(db, "alpha"))["id"]
    await db.fetch(Statement("MARK", "INSERT INTO recomputations (resource_id, rules) VALUES ($1, 'x')"), UUID(id))
    work = asyncio.create_task(recomputing.recompute(db, Catalog([NEW])))
    await asyncio.sleep(0.3)
    assert not work.done()
    await db.fetch(AGE)
    assert await asyncio.wait_for(work, 10) == 1


async def test_a_row_written_meanwhile_is_no_longer_marked(db: Database) -> None:
    id = (await reported(db, "alpha"))["id"]
    await db.fetch(
        Statement("MARK", "INSERT INTO recomputations (resource_id, rules) VALUES ($1, $2)"),
        UUID(id),
        rendering.rules(NEW),
    )
    await send(db, id, report("net", at=2), scope(NEW), catalog=Catalog([NEW]))
    await db.fetch(AGE)
    assert await recomputing.recompute(db, Catalog([NEW])) == 0
    assert await marks(db) == []


async def test_the_mark_of_a_removed_resource_is_removed(db: Database) -> None:
    await db.fetch(
        Statement("MARK", "INSERT INTO recomputations (resource_id, rules, set_aside) VALUES ($1, 'x', true)"),
        UUID(int=7),
    )
    assert await recomputing.recompute(db, Catalog([NEW])) == 0
    assert await marks(db) == []


async def test_a_stop_in_the_middle_leaves_no_marks(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    await reported(db, "alpha")
    entered = asyncio.Event()

    async def assess(_kind: Kind, _row: Standing) -> Any:
        entered.set()
        await asyncio.sleep(60)

    monkeypatch.setattr(assessing, "assess", assess)
    work = asyncio.create_task(recomputing.recompute(db, Catalog([NEW])))
    await asyncio.wait_for(entered.wait(), 10)
    assert len(await marks(db)) == 1
    work.cancel()
    await asyncio.wait([work])
    assert await marks(db) == []


async def test_a_service_looks_for_rows_every_five_minutes(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    assert recomputing.REPEAT_SECONDS == 300
    monkeypatch.setattr(recomputing, "REPEAT_SECONDS", 0.05)
    work = asyncio.create_task(recomputing.keep_trying(db, Catalog([NEW])))
    await asyncio.sleep(0.2)
    id = (await reported(db, "late"))["id"]
    for _ in range(200):
        if await rules(db) == {rendering.rules(NEW)}:
            break
        await asyncio.sleep(0.05)
    work.cancel()
    assert (await read(db, id))["status"]["phase"] == "NotReady"


async def test_an_index_finds_the_rows_of_other_rules(db: Database) -> None:
    await create(db, "alpha", scope(NEW))
    await db.fetch(Statement("ANALYZE", "ANALYZE resources"))
    await db.fetch(Statement("NO_SCAN", "SET enable_seqscan = off"))
    plan = "\n".join(
        row[0]
        for row in await db.fetch(
            Statement("PLAN", f"EXPLAIN {recomputations.MARKED.text}"),
            kinds=["Cluster"],
            rules=[rendering.rules(NEW)],
            most=100,
        )
    )
    await db.fetch(Statement("SCAN", "RESET enable_seqscan"))
    assert plan.count("resources_rules") == 2
    assert "(rules < now.rules)" in plan
    assert "(rules > now.rules)" in plan
