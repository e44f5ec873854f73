"""PATCH: what changes, what counts as a change, versions; and concurrent writers, neither of whom loses a change."""

import asyncio
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from hyperfleet.errors import NotFound, StaleVersion, WrongState
from hyperfleet.model.caller import SYSTEM
from hyperfleet.model.catalog import Catalog
from hyperfleet.model.resource import Desired
from hyperfleet.services import writing
from hyperfleet.store.database import Database
from testbed.fleet import CLUSTER, CLUSTERS, NODE_POOL, after, below, change, create, delete, names, read, report, send


async def test_a_change_raises_generation_and_version_and_returns_what_a_read_returns(db: Database) -> None:
    made = await create(db, "alpha", spec={"a": 1}, labels={"x": "1"})
    await send(db, made["id"], report("dns-adapter", at=1))
    changed = await change(db, made["id"], spec={"a": 2}, at=5)
    assert changed["spec"] == {"a": 2}
    assert changed["labels"] == {"x": "1"}
    assert changed["generation"] == 2
    assert int(changed["resource_version"]) > int(made["resource_version"])
    assert changed["updated_time"] == "2026-11-01T12:00:05.000000Z"
    assert changed["created_time"] == made["created_time"]
    assert list(changed) == list(made)
    assert changed == await read(db, made["id"])


async def test_the_status_is_recomputed_in_the_same_write(db: Database) -> None:
    id = (await create(db, "alpha"))["id"]
    await send(db, id, report(at=1))
    assert (await read(db, id))["status"]["phase"] == "Ready"
    changed = await change(db, id, labels={"x": "2"}, at=5)
    assert changed["status"]["phase"] == "NotReady"
    reconciled = changed["status"]["conditions"][0]
    assert (reconciled["type"], reconciled["status"], reconciled["observed_generation"]) == ("Reconciled", "False", 2)
    assert reconciled["last_transition_time"] == "2026-11-01T12:00:05.000000Z"
    assert [adapter["adapter"] for adapter in changed["status"]["adapters"]] == ["dns-adapter"]
    await send(db, id, report(at=6, generation=2))
    assert (await read(db, id))["status"]["phase"] == "Ready"


@pytest.mark.parametrize(
    ("old", "new", "is_change"),
    [
        ({"a": 1, "b": [True]}, {"b": [True], "a": 1}, False),
        ({"a": 1}, {"a": 1.0}, False),
        ({"a": 1}, {"a": True}, True),
        ({"a": 0}, {"a": False}, True),
        ({"a": None}, {}, True),
        ({"a": ""}, {"a": None}, True),
        ({"a": [1, 2]}, {"a": [2, 1]}, True),
        ({"a": 2**53}, {"a": 2**53 + 1}, True),
        ({"a": 10**30}, {"a": 10**30}, False),
    ],
    ids=repr,
)
async def test_the_same_value_is_not_a_change_but_another_type_is(
    db: Database, old: dict[str, Any], new: dict[str, Any], is_change: bool
) -> None:
    made = await create(db, "alpha", spec=old)
    changed = await change(db, made["id"], spec=new, at=5)
    assert (changed["generation"] == 2) is is_change
    assert (changed == made) is not is_change
    assert changed == await read(db, made["id"])


async def test_labels_in_another_order_are_not_a_change(db: Database) -> None:
    made = await create(db, "alpha", labels={"a": "1", "b": "2"})
    assert await change(db, made["id"], labels={"b": "2", "a": "1"}, at=5) == made


async def test_labels_are_found_by_their_new_value_only(db: Database) -> None:
    id = (await create(db, "alpha", labels={"env": "old"}))["id"]
    await change(db, id, labels={"env": "new"})
    assert await names(db, "labels.env = 'new'") == ["alpha"]
    assert await names(db, "labels.env = 'old'") == []


async def test_updated_time_never_goes_back(db: Database) -> None:
    id = (await create(db, "alpha", at=10))["id"]
    changed = await change(db, id, spec={"a": 1}, at=3)
    assert changed["updated_time"] == "2026-11-01T12:00:10.000000Z"


async def test_a_resource_that_is_being_deleted_cannot_be_changed(db: Database) -> None:
    id = (await create(db, "alpha"))["id"]
    await delete(db, id, catalog=Catalog([replace(CLUSTER, required_adapters=("dns-adapter",)), NODE_POOL]))
    with pytest.raises(WrongState, match="being deleted"):
        await change(db, id, spec={"a": 1})


async def test_a_missing_resource_cannot_be_changed(db: Database) -> None:
    owner = (await create(db, "alpha"))["id"]
    pool = (await create(db, "pool", below(UUID(owner))))["id"]
    other = (await create(db, "beta"))["id"]
    for id, scope in ((str(uuid4()), CLUSTERS), (pool, CLUSTERS), (pool, below(UUID(other)))):
        with pytest.raises(NotFound):
            await change(db, id, scope, spec={"a": 1})
    assert (await change(db, pool, below(UUID(owner)), spec={"a": 1}))["generation"] == 2


async def test_a_stale_version_is_refused_and_nothing_is_stored(db: Database) -> None:
    made = await create(db, "alpha")
    with pytest.raises(StaleVersion):
        await change(
            db, made["id"], spec={"a": 1}, precondition=lambda version, _: version != int(made["resource_version"])
        )
    assert await read(db, made["id"]) == made
    changed = await change(db, made["id"], spec={"a": 1}, precondition=lambda _, generation: generation == 1)
    assert changed["generation"] == 2


async def test_a_precondition_is_checked_even_if_nothing_would_change(db: Database) -> None:
    made = await create(db, "alpha", spec={"a": 1})
    with pytest.raises(StaleVersion):
        await change(db, made["id"], spec={"a": 1}, precondition=lambda *_: False)


def merging(key: str, value: int) -> Any:
    """A patch that sets one member of the spec and keeps the others."""

    async def patch(old: Desired) -> Desired:
        spec = msgspec.json.decode(old.spec) | {key: value}
        return Desired(msgspec.json.encode(spec), old.labels, old.references)

    return patch


async def test_concurrent_merges_of_different_members_all_survive(db: Database) -> None:
    id = UUID((await create(db, "alpha"))["id"])
    for round in range(10):
        await asyncio.gather(
            *(
                writing.change(
                    db, CLUSTERS, id, merging(f"k{number}", round), precondition=None, caller=SYSTEM, now=after(round)
                )
                for number in range(8)
            )
        )
    resource = await read(db, str(id))
    assert resource["spec"] == {f"k{number}": 9 for number in range(8)}
    assert resource["generation"] == 1 + 8 * 10


async def test_exactly_one_of_many_writers_with_one_version_succeeds(db: Database) -> None:
    made = await create(db, "alpha")
    version = int(made["resource_version"])
    results = await asyncio.gather(
        *(
            change(db, made["id"], spec={"n": number}, precondition=lambda now, _: now == version)
            for number in range(8)
        ),
        return_exceptions=True,
    )
    winners = [result for result in results if isinstance(result, dict)]
    assert len(winners) == 1
    assert all(isinstance(result, StaleVersion) for result in results if result not in winners)
    assert await read(db, made["id"]) == winners[0]


async def test_concurrent_changes_and_reports_leave_a_status_computed_from_both(db: Database) -> None:
    id = (await create(db, "alpha"))["id"]
    for round in range(1, 21):
        await asyncio.gather(
            change(db, id, spec={"n": round}, at=round),
            *(send(db, id, report(f"adapter-{number}", at=round, generation=round)) for number in range(4)),
        )
        resource = await read(db, id)
        assert resource["generation"] == round + 1
        reconciled = resource["status"]["conditions"][0] if resource["status"]["conditions"] else None
        assert reconciled is None or (reconciled["status"], reconciled["observed_generation"]) == ("False", round + 1)
        assert resource["status"]["phase"] == "NotReady"


async def test_every_stored_change_gives_a_higher_version(db: Database) -> None:
    made = await create(db, "alpha")
    versions = [int(made["resource_version"])]
    for step in range(1, 6):
        versions.append(int((await change(db, made["id"], spec={"n": step}))["resource_version"]))
        await send(db, made["id"], report(at=step, generation=step + 1))
        versions.append(int((await read(db, made["id"]))["resource_version"]))
    assert versions == sorted(set(versions))
