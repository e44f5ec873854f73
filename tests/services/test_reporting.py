"""Reports: stored, dropped, repeated; and concurrent ones on one resource, none of which may be lost or refused."""

import asyncio
import json
import random
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from structlog.testing import capture_logs

from hyperfleet.errors import NotFound, WrongState
from hyperfleet.model.catalog import Catalog
from hyperfleet.model.kind import AnyAdapter, RequiredAdapters
from hyperfleet.model.resource import Scope
from hyperfleet.model.status import aggregation
from hyperfleet.model.status.condition import ReportedCondition, Status
from hyperfleet.model.status.report import Report, Summary
from hyperfleet.services import reading, reporting
from hyperfleet.store.database import Database, Statement
from hyperfleet.telemetry import metrics
from testbed.fleet import CLUSTER, CLUSTERS, NODE_POOL, after, below, create, read, report, send

STORED = Statement(
    "STORED",
    """
    SELECT generation, updated_time, resource_version, status, condition_status, conditions, phase,
           observed_generation, last_updated_time, last_transition_time
    FROM resources WHERE id = $1
    """,
)


async def reports_on(db: Database, id: str, **page: int) -> dict[str, Any]:
    return dict(json.loads(await reading.reports_on(db, CLUSTERS, UUID(id), **({"page": 1, "size": 100} | page))))


async def test_a_report_is_stored_and_appears_in_the_resource(db: Database) -> None:
    id = (await create(db, "alpha"))["id"]
    outcome = await send(db, id, report("dns-adapter", at=5, Ready="True", reason="Done"), now=6)
    assert outcome.result == "stored"
    assert outcome.body is not None
    stored = json.loads(outcome.body)
    assert stored == {
        "adapter": "dns-adapter",
        "observed_generation": 1,
        "conditions": [
            {
                "adapter": "dns-adapter",
                "type": "Ready",
                "status": "True",
                "reason": "Done",
                "observed_generation": 1,
                "created_at": "2026-11-01T12:00:05.000000Z",
                "updated_at": "2026-11-01T12:00:05.000000Z",
                "last_transition_time": "2026-11-01T12:00:05.000000Z",
            }
        ],
        "data": {},
        "created_time": "2026-11-01T12:00:06.000000Z",
        "last_report_time": "2026-11-01T12:00:05.000000Z",
    }
    resource = await read(db, id)
    assert resource["status"]["phase"] == "Ready"
    assert [summary["adapter"] for summary in resource["status"]["adapters"]] == ["dns-adapter"]
    assert (await reports_on(db, id))["items"] == [stored]


async def test_a_flip_changes_the_transition_time_and_a_repetition_does_not(db: Database) -> None:
    id = (await create(db, "alpha"))["id"]
    await send(db, id, report(at=1, Available="True"))
    await send(db, id, report(at=2, Available="True"))
    await send(db, id, report(at=3, Available="False"))
    [condition] = (await reports_on(db, id))["items"][0]["conditions"]
    assert condition["created_at"] == "2026-11-01T12:00:01.000000Z"
    assert condition["updated_at"] == "2026-11-01T12:00:03.000000Z"
    assert condition["last_transition_time"] == "2026-11-01T12:00:03.000000Z"


async def test_a_repeated_report_writes_nothing(db: Database) -> None:
    id = (await create(db, "alpha"))["id"]
    first = await send(db, id, report(at=1, data=b'{"a":1,"b":true}'), now=1)
    version = (await read(db, id))["resource_version"]
    again = await send(db, id, report(at=1, data=b'{"b":true,"a":1.0}'), now=9)
    assert (again.result, again.body) == ("unchanged", first.body)
    assert (await read(db, id))["resource_version"] == version


@pytest.mark.parametrize("data", [b'{"a":true}', b'{"a":"1"}', b'{"a":2}', b'{"a":1,"b":null}', b"{}"])
async def test_a_report_with_the_same_time_and_different_content_is_stored(db: Database, data: bytes) -> None:
    id = (await create(db, "alpha"))["id"]
    await send(db, id, report(at=1, data=b'{"a":1}'))
    version = (await read(db, id))["resource_version"]
    assert (await send(db, id, report(at=1, data=data))).result == "stored"
    assert (await reports_on(db, id))["items"][0]["data"] == json.loads(data)
    assert int((await read(db, id))["resource_version"]) > int(version)


async def test_an_older_report_changes_nothing(db: Database) -> None:
    id = (await create(db, "alpha"))["id"]
    await send(db, id, report(at=2))
    before = await read(db, id)
    outcome = await send(db, id, report(at=1, Available="False"))
    assert (outcome.result, outcome.body) == ("outdated", None)
    assert await read(db, id) == before


async def test_a_report_on_a_missing_resource_is_not_found(db: Database) -> None:
    with pytest.raises(NotFound) as refused:
        await send(db, str(uuid4()), report())
    assert refused.value.row.name == "NTF-002"
    with pytest.raises(NotFound):
        await reading.reports_on(db, CLUSTERS, uuid4(), page=1, size=10)


async def test_a_resource_of_another_kind_or_owner_is_not_found(db: Database) -> None:
    owner = (await create(db, "alpha"))["id"]
    other = (await create(db, "beta"))["id"]
    pool = (await create(db, "pool", below(UUID(owner))))["id"]
    for scope in (CLUSTERS, below(UUID(other))):
        with pytest.raises(NotFound):
            await send(db, pool, report(), scope)
        with pytest.raises(NotFound):
            await read(db, pool, scope)
    assert (await send(db, pool, report(), Scope(NODE_POOL))).result == "stored"


async def test_the_hundred_and_first_adapter_is_refused_and_the_hundredth_is_not(db: Database) -> None:
    id = (await create(db, "alpha"))["id"]
    for number in range(100):
        assert (await send(db, id, report(f"adapter-{number}"))).result == "stored"
    with pytest.raises(WrongState):
        await send(db, id, report("adapter-100"))
    assert (await send(db, id, report("adapter-7", at=1))).result == "stored"
    assert (await reports_on(db, id, size=10, page=10))["size"] == 10
    assert (await reports_on(db, id, size=10, page=11))["total"] == 100


async def test_ten_concurrent_adapters_on_one_resource_all_get_a_response_and_nothing_is_lost(db: Database) -> None:
    id = (await create(db, "alpha"))["id"]
    for round in range(10):
        reports = [report(f"adapter-{number}", at=round, data=b'{"n":%d}' % round) for number in range(10)]
        outcomes = await asyncio.gather(*(send(db, id, received) for received in reports))
        assert {outcome.result for outcome in outcomes} == {"stored"}
    resource = await read(db, id)
    assert len(resource["status"]["adapters"]) == 10
    assert {item["data"]["n"] for item in (await reports_on(db, id))["items"]} == {9}
    await assert_recomputed(db, id)


async def assert_recomputed(db: Database, id: str) -> None:
    """The stored status equals what the pure function computes from the stored reports, in all of its columns."""
    row = await db.fetch_row(STORED, UUID(id))
    assert row is not None
    stored = msgspec.json.decode(row["status"], type=Status)
    adapters = json.dumps((await read(db, id))["status"]["adapters"])
    recomputed = aggregation.aggregate(
        generation=row["generation"],
        reference_time=row["updated_time"],
        deleted=False,
        previous=stored,
        required=CLUSTER.required_adapters,
        reports=msgspec.json.decode(adapters, type=tuple[Summary, ...]),
        has_children=False,
    )
    assert recomputed == stored
    assert row["phase"] == stored.phase
    assert row["observed_generation"] == stored.observed_generation
    assert row["last_updated_time"] == stored.last_updated_time
    assert row["last_transition_time"] == stored.last_transition_time
    assert json.loads(row["condition_status"]) == {item.type: item.status for item in stored.conditions}
    assert set(json.loads(row["conditions"])) == {item.type for item in stored.conditions}


async def test_stored_and_recomputed_status_agree_in_a_random_life_of_reports(db: Database) -> None:
    chance = random.Random(20261101)
    created = [await create(db, f"cluster-{number}") for number in range(4)]
    versions = {resource["id"]: int(resource["resource_version"]) for resource in created}
    ids = list(versions)
    for step in range(2000):
        id = chance.choice(ids)
        conditions: dict[str, Any] = {
            type: chance.choice(["True", "False", "Unknown"])
            for type in chance.sample(["Available", "Ready", "Failed", "Health", "Progressing"], k=3)
        }
        received = report(
            f"adapter-{chance.randrange(5)}",
            at=step + chance.randrange(-20, 20),
            generation=chance.choice([1, 1, 1, 1, 2]),
            reason=chance.choice([None, "", "Because"]),
            **conditions,
        )
        outcome = await send(db, id, received, now=step)
        row = await db.fetch_row(STORED, UUID(id))
        assert row is not None
        assert (row["resource_version"] > versions[id]) == (outcome.result == "stored")
        versions[id] = row["resource_version"]
        await assert_recomputed(db, id)


async def test_a_report_is_stored_completely_or_not_at_all(db: Database) -> None:
    id = (await create(db, "alpha"))["id"]
    before, counted = await read(db, id), stored_reports()
    refuse = Statement("REFUSE", "ALTER TABLE adapter_statuses ADD CONSTRAINT refuse CHECK (adapter <> 'bad')")
    await db.fetch(refuse)
    try:
        with pytest.raises(Exception, match="error"):
            await send(db, id, report("bad"))
    finally:
        await db.fetch(Statement("ALLOW", "ALTER TABLE adapter_statuses DROP CONSTRAINT refuse"))
    assert await read(db, id) == before
    assert stored_reports() == counted
    await send(db, id, report("good"))
    assert stored_reports() == counted + 1


def stored_reports() -> float:
    """The number of stored reports in the metrics."""
    return sum(
        sample.value
        for family in metrics.REGISTRY.collect()
        for sample in family.samples
        if sample.name == "hyperfleet_api_reports_total" and sample.labels["result"] == "stored"
    )


async def test_reports_that_flip_no_condition_touch_no_index(db: Database) -> None:
    updates = Statement(
        "UPDATES",
        "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'resources'"
        " AND pg_stat_force_next_flush() IS NOT NULL",
    )

    async def counted() -> tuple[int, int]:
        # Each backend publishes its counts separately, when it is next idle.
        for _ in range(16):
            await db.fetch(Statement("FLUSH", "SELECT pg_stat_force_next_flush()"))
        await asyncio.sleep(0.1)
        row = await db.fetch_row(updates)
        assert row is not None
        return row[0], row[1]

    id = (await create(db, "alpha"))["id"]
    await send(db, id, report(at=0))
    shares = []
    for start in (1, 41, 81):
        before = await counted()
        for number in range(start, start + 40):
            await send(db, id, report(at=number))
        after_all = await counted()
        assert after_all[0] - before[0] == 40
        shares.append(after_all[1] - before[1])
    # An automatic ANALYZE delays the pruning of a page while its snapshot lasts, but not three times in a row.
    assert max(shares) >= 36


async def test_a_long_message_is_complete_in_the_report_and_cut_at_1024_characters_elsewhere(db: Database) -> None:
    id = (await create(db, "alpha"))["id"]
    long = "x" * 1024 + "y" * 31744
    said = (ReportedCondition("Available", "True", "Done", long), ReportedCondition("Applied", "True", "Done", long))
    outcome = await send(db, id, Report("dns-adapter", 1, after(1), said))
    assert outcome.body is not None
    assert [each["message"] for each in json.loads(outcome.body)["conditions"]] == [long, long]
    assert [each["message"] for each in (await reports_on(db, id))["items"][0]["conditions"]] == [long, long]
    status = (await read(db, id))["status"]
    assert [each["message"] for each in status["adapters"][0]["conditions"]] == ["x" * 1024] * 2
    assert status["conditions"][2]["message"] == "x" * 1024
    assert (await send(db, id, Report("dns-adapter", 1, after(1), said))).result == "unchanged"
    longer = (msgspec.structs.replace(said[0], message=long + "z"), said[1])
    assert (await send(db, id, Report("dns-adapter", 1, after(1), longer))).result == "stored"


async def test_a_report_of_whole_seconds_is_not_lost_after_one_with_a_fraction(db: Database) -> None:
    id = (await create(db, "alpha"))["id"]
    await send(db, id, report(at=5.9))
    late = msgspec.structs.replace(report(at=5, Available="False"), is_whole_second=True)
    assert (await send(db, id, late)).result == "stored"
    assert (await reports_on(db, id))["items"][0]["last_report_time"] == "2026-11-01T12:00:05.000000Z"
    assert (await send(db, id, report(at=4.9))).result == "outdated"


@pytest.mark.parametrize(
    ("required", "adapter", "warning"),
    [
        (
            ("dns-adapter", "vm"),
            "dns-adaptr",
            "dns-adaptr is not a required adapter of clusters; its reports have no effect; did you mean dns-adapter?",
        ),
        (("vm",), "billing", "billing is not a required adapter of clusters; its reports have no effect."),
        (("dns-adapter", "vm"), "dns-adapter", None),
        ((), "dns-adaptr", None),
        (AnyAdapter.ANY, "dns-adaptr", None),
    ],
    ids=["mistyped", "of another", "required", "where nobody is required", "where any will do"],
)
async def test_an_adapter_that_is_not_required_while_others_are_gets_a_warning(
    db: Database, required: RequiredAdapters, adapter: str, warning: str | None
) -> None:
    reporting._warning.cache_clear()
    kind = replace(CLUSTER, required_adapters=required)
    catalog, scope = Catalog([kind]), Scope(kind)
    with capture_logs() as lines:
        for name in ("alpha", "beta"):
            id = (await create(db, name, scope))["id"]
            sent = report(adapter, at=1)
            for result in ("stored", "unchanged"):
                outcome = await send(db, id, sent, scope, now=1, catalog=catalog)
                assert (outcome.result, outcome.warning) == (result, warning)
            outdated = await send(db, id, report(adapter, at=0), scope, now=1, catalog=catalog)
            assert (outdated.result, outdated.warning) == ("outdated", None)
    logged = [line for line in lines if line["event"] == "reports from an adapter that is not required"]
    assert [line["adapter"] for line in logged] == ([] if warning is None else [adapter])
