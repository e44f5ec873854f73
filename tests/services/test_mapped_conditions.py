"""Conditions from mapping rules, on real rows: in every write of a status, all or nothing, in two statements."""

import asyncio
import json
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from hyperfleet.errors import WrongState
from hyperfleet.model.catalog import BadCatalog, Catalog
from hyperfleet.model.resource import Scope
from hyperfleet.model.rules.mapping import ConditionRule
from hyperfleet.services import confining, recomputing
from hyperfleet.store.database import Database
from testbed import fleet
from testbed.fleet import CLUSTER, NODE_POOL, below, change, create, delete, names, read, report, send
from tests.services.test_statement_counts import statements

ZONE = ConditionRule(
    "ZoneReady",
    when="statuses.exists(s, has(s.data.zone))",
    status="statuses.filter(s, has(s.data.zone))[0].data.ready",
    reason="'Zone' + string(size(statuses))",
    message="toJson(resource.spec) + ' ' + resource.status.phase",
)
RULED = replace(CLUSTER, required_adapters=("dns",), conditions=(ZONE,))
WORLD = Catalog([RULED, NODE_POOL])
SCOPE = Scope(RULED)
READY = b'{"zone":"a","ready":true}'


async def reported(db: Database, id: str, *, at: float, data: bytes = READY, adapter: str = "dns") -> Any:
    return await send(db, id, report(adapter, at=at, data=data), SCOPE, now=at, catalog=WORLD)


def zone(resource: dict[str, Any]) -> dict[str, Any] | None:
    found = [each for each in resource["status"]["conditions"] if each["type"] == "ZoneReady"]
    return found[0] if found else None


async def test_reports_and_changes_compute_the_condition_and_searches_find_it(db: Database) -> None:
    made = await create(db, "alpha", SCOPE, spec={"a": 1})
    id = made["id"]
    assert zone(made) is None
    await reported(db, id, at=5)
    found = await read(db, id, SCOPE)
    condition = zone(found)
    assert condition is not None
    assert (condition["status"], condition["reason"]) == ("True", "Zone1")
    assert condition["message"] == '{"a":1} Ready'
    assert [each["type"] for each in found["status"]["conditions"]][-1] == "ZoneReady"
    assert await names(db, "status.conditions.ZoneReady = 'True'", SCOPE) == ["alpha"]
    assert await names(db, "status.conditions.ZoneReady.reason = 'Zone1'", SCOPE) == ["alpha"]
    changed = await change(db, id, SCOPE, spec={"a": 2}, at=9)
    assert changed == await read(db, id, SCOPE)
    condition = zone(changed)
    assert condition is not None
    assert (condition["message"], condition["observed_generation"]) == ('{"a":2} NotReady', 2)


async def test_rules_see_the_stored_reports_of_every_adapter_with_their_data(db: Database) -> None:
    id = (await create(db, "alpha", SCOPE))["id"]
    await reported(db, id, at=1)
    await reported(db, id, at=2, adapter="other", data=b"{}")
    condition = zone(await read(db, id, SCOPE))
    assert condition is not None
    assert condition["reason"] == "Zone2"


async def test_rules_need_no_further_statement(db: Database) -> None:
    id = (await create(db, "alpha", SCOPE))["id"]
    assert await statements(reported(db, id, at=1)) == 2
    assert await statements(change(db, id, SCOPE, spec={"a": 3}, at=2)) == 2
    assert await statements(create(db, "beta", SCOPE)) == 1


async def test_a_report_on_which_a_rule_fails_is_refused_and_nothing_is_stored(db: Database) -> None:
    id = (await create(db, "alpha", SCOPE))["id"]
    await reported(db, id, at=1)
    before = await read(db, id, SCOPE)
    with capture_logs() as lines, pytest.raises(WrongState) as refused:
        await reported(db, id, at=2, data=b'{"zone":"a"}')
    assert "ZoneReady" in refused.value.detail
    assert 'Key not found in map : "ready"' in refused.value.detail
    assert [line["log_level"] for line in lines] == ["error"]
    assert await read(db, id, SCOPE) == before
    assert (await reported(db, id, at=3)).result == "stored"


async def test_a_failing_rule_does_not_block_a_change_or_deletion(db: Database) -> None:
    fragile = replace(RULED, conditions=(replace(ZONE, message="string(resource.spec.nodes)"),))
    scope, world = Scope(fragile), Catalog([fragile, NODE_POOL])
    id = (await create(db, "alpha", scope, spec={"nodes": 1}))["id"]
    await send(db, id, report("dns", at=1, data=READY), scope, catalog=world)
    with capture_logs() as lines:
        changed = await change(db, id, scope, spec={}, at=2)
        deleted = await delete(db, id, scope, at=3, catalog=world)
    kept = zone(changed)
    assert kept is not None
    assert kept["message"] == "1"
    assert zone(deleted) == kept
    warnings = [line for line in lines if line["log_level"] == "warning"]
    assert [line["condition"] for line in warnings] == ["ZoneReady"] * 2


async def test_ten_concurrent_adapters_leave_conditions_computed_from_all_reports(db: Database) -> None:
    id = (await create(db, "alpha", SCOPE))["id"]
    sent = [reported(db, id, at=1 + number, adapter=f"a{number}") for number in range(9)]
    outcomes = await asyncio.gather(*sent, reported(db, id, at=20))
    assert {outcome.result for outcome in outcomes} == {"stored"}
    condition = zone(await read(db, id, SCOPE))
    assert condition is not None
    assert condition["reason"] == "Zone10"


async def test_changed_rules_are_applied_to_stored_resources(db: Database) -> None:
    id = (await create(db, "alpha", SCOPE))["id"]
    await reported(db, id, at=1)
    other = replace(RULED, conditions=(replace(ZONE, reason="'Other'"),))
    assert await recomputing.recompute(db, WORLD) == 0
    assert await recomputing.recompute(db, Catalog([other, NODE_POOL])) == 1
    condition = zone(await read(db, id, SCOPE))
    assert condition is not None
    assert condition["reason"] == "Other"
    assert await recomputing.recompute(db, Catalog([CLUSTER, NODE_POOL])) == 1
    assert zone(await read(db, id, SCOPE)) is None


async def test_marked_children_and_remaining_owners_are_computed_by_their_own_rules(db: Database) -> None:
    counted = ConditionRule("Going", "has(resource.deleted_time)", "true", "'Deleting'", "string(resource.generation)")
    owner_kind = replace(RULED, conditions=(counted,))
    pool_kind = replace(NODE_POOL, required_adapters=("x",), conditions=(counted,))
    world = Catalog([owner_kind, pool_kind])
    owner = (await create(db, "alpha", Scope(owner_kind)))["id"]
    pool = (await create(db, "pool", below(UUID(owner), pool_kind)))["id"]
    await fleet.delete(db, owner, Scope(owner_kind), catalog=world, at=5)
    for id, kind in ((owner, owner_kind), (pool, pool_kind)):
        types = {each["type"]: each["message"] for each in (await read(db, id, Scope(kind)))["status"]["conditions"]}
        assert types["Going"] == "2"
    await send(db, pool, report("x", generation=2, Finalized="True"), Scope(pool_kind), catalog=world)
    types = {each["type"]: each for each in (await read(db, owner, Scope(owner_kind)))["status"]["conditions"]}
    assert types["Going"]["status"] == "True"


def test_rules_that_do_not_compile_are_reported_with_all_other_mistakes() -> None:
    broken = replace(RULED, conditions=(replace(ZONE, when="1 +", status="'x' + 1"), replace(ZONE, type="Reconciled")))
    with pytest.raises(BadCatalog) as refused:
        Catalog([broken, NODE_POOL])
    told = "\n".join(refused.value.mistakes)
    for words in (
        "invalid when expression: at line 1, column 4",
        "invalid output.status expression",
        "Reconciled is reserved",
    ):
        assert words in told


COSTLY = ConditionRule(
    "ZonesKnown",
    when="resource.spec.zones.all(z, statuses.exists(s, !toJson(s.data).contains(z)))",
    status="true",
    reason="'Known'",
    message="''",
)


async def test_a_report_on_which_a_rule_takes_too_much_is_refused_with_the_rules_name(db: Database) -> None:
    kind = replace(RULED, conditions=(ZONE, COSTLY))
    catalog, scope = Catalog([kind, NODE_POOL]), Scope(kind)
    data = json.dumps({"zone": "a", "ready": True, "rows": ["v" * 40] * 5000}).encode()
    id = (await create(db, "alpha", scope, spec={"zones": ["first"]}))["id"]
    await send(db, id, report("dns", at=1, data=data), scope, now=1, catalog=catalog)
    before = await read(db, id, scope)
    assert [each["type"] for each in before["status"]["conditions"]][-2:] == ["ZoneReady", "ZonesKnown"]
    # A change is not refused: the rule's condition stays as it was.
    with capture_logs() as lines:
        changed = await change(db, id, scope, spec={"zones": [f"zone-{number}" for number in range(1000)]}, at=2)
    old, new = ({each["type"]: each for each in one["status"]["conditions"]} for one in (before, changed))
    assert new["ZonesKnown"] == old["ZonesKnown"]
    assert new["ZoneReady"]["observed_generation"] == 2
    told = [line for line in lines if line["event"].startswith("a mapping rule could not be evaluated")]
    assert [(line["condition"], line["id"]) for line in told] == [("ZonesKnown", id)]
    with pytest.raises(WrongState, match=r"condition ZonesKnown of clusters .* takes more than") as refused:
        await send(db, id, report("dns", at=3, data=data), scope, now=3, catalog=catalog)
    assert refused.value.row.name == "CNF-003"
    assert await read(db, id, scope) == changed
    confining.stop()
