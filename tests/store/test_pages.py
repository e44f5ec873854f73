"""Lists: order, totals, tokens, selections. A page never shows a row twice, and a walk misses no row that stays."""

import asyncio
import json
import random
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from hyperfleet.errors import InvalidInput, NotFound
from hyperfleet.model.resource import Scope
from hyperfleet.model.search.order import parse_order
from hyperfleet.model.search.selection import parse_selection
from hyperfleet.store.database import Database, Statement
from hyperfleet.store.lists import pages
from testbed.fleet import CLUSTERS, NODE_POOL, below, create, listing, report, send


async def page(db: Database, scope: Scope = CLUSTERS, **parameters: Any) -> dict[str, Any]:
    return dict(json.loads(await pages.page(db, scope, listing(**parameters))))


def names(listed: dict[str, Any]) -> list[str]:
    return [item["name"] for item in listed["items"]]


async def walk(db: Database, scope: Scope = CLUSTERS, **parameters: Any) -> list[str]:
    """The names on all pages by token, in order."""
    listed = await page(db, scope, **parameters)
    found = names(listed)
    while "next_page_token" in listed:
        listed = await page(db, scope, **(parameters | {"page": None, "page_token": listed["next_page_token"]}))
        assert "page" not in listed
        assert "total" not in listed
        found += names(listed)
    return found


async def test_an_empty_list_has_no_items_and_a_total_of_zero(db: Database) -> None:
    assert await page(db) == {"kind": "ClusterList", "page": 1, "size": 0, "total": 0, "items": []}


async def test_the_newest_come_first_and_the_total_counts_all(db: Database) -> None:
    for number in range(5):
        await create(db, f"cluster-{number}", at=number)
    listed = await page(db, size=2)
    assert names(listed) == ["cluster-4", "cluster-3"]
    assert (listed["size"], listed["total"], listed["page"]) == (2, 5, 1)
    assert names(await page(db, size=2, page=3)) == ["cluster-0"]
    assert "next_page_token" in listed
    assert "next_page_token" not in await page(db, size=2, page=3)


async def test_a_page_past_the_end_is_empty_and_has_the_total(db: Database) -> None:
    await create(db, "alpha")
    listed = await page(db, page=2**31 - 1, size=1000)
    assert (listed["items"], listed["total"], listed["size"]) == ([], 1, 0)


async def test_a_full_last_page_has_no_token(db: Database) -> None:
    for number in range(4):
        await create(db, f"cluster-{number}")
    assert "next_page_token" not in await page(db, size=4)
    assert "next_page_token" in await page(db, size=3)


async def test_items_equal_a_read_except_for_the_adapters(db: Database) -> None:
    created = await create(db, "alpha", spec={"a": [1, {"b": None}]}, labels={"x": "y"})
    await send(db, created["id"], report(at=1))
    [item] = (await page(db))["items"]
    assert "adapters" not in item["status"]
    [with_adapters] = (await page(db, selection=parse_selection("*,status.adapters")))["items"]
    assert [summary["adapter"] for summary in with_adapters["status"].pop("adapters")] == ["dns-adapter"]
    assert with_adapters == item


async def test_children_are_listed_below_their_owner_and_at_the_top_level(db: Database) -> None:
    first, second = UUID((await create(db, "alpha"))["id"]), UUID((await create(db, "beta"))["id"])
    await create(db, "pool-1", below(first), at=1)
    await create(db, "pool-2", below(second), at=2)
    assert names(await page(db, below(first))) == ["pool-1"]
    assert (await page(db, below(first)))["total"] == 1
    assert names(await page(db, Scope(NODE_POOL))) == ["pool-2", "pool-1"]
    assert (await page(db, Scope(NODE_POOL)))["total"] == 2


async def test_a_list_below_a_missing_owner_reports_the_owner_as_not_found(db: Database) -> None:
    with pytest.raises(NotFound) as refused:
        await page(db, below(uuid4()))
    assert refused.value.row.name == "NTF-002"


async def test_without_a_count_the_total_is_left_out(db: Database) -> None:
    await create(db, "alpha")
    assert "total" not in await page(db, count=False)
    assert (await page(db, count=True, search="name = 'beta'"))["total"] == 0


async def test_a_search_cannot_leave_its_scope(db: Database) -> None:
    first, second = UUID((await create(db, "alpha"))["id"]), UUID((await create(db, "beta"))["id"])
    await create(db, "pool-1", below(first))
    await create(db, "pool-2", below(second))
    assert names(await page(db, below(first), search="name = 'pool-1' or name != 'pool-1'")) == ["pool-1"]
    assert names(await page(db, below(first), search="kind = 'Cluster' or owner_id != ''")) == ["pool-1"]


async def test_ids_select_rows_and_are_counted(db: Database) -> None:
    ids = [UUID((await create(db, f"cluster-{number}"))["id"]) for number in range(4)]
    listed = await page(db, ids=(ids[0], ids[2], uuid4()))
    assert sorted(names(listed)) == ["cluster-0", "cluster-2"]
    assert listed["total"] == 2


ORDERS = [
    "name",
    "name desc",
    "created_time",
    "generation desc,name",
    "deleted_time desc,name",
    "deleted_time,id desc",
    "id desc",
    "updated_by,created_time desc",
]


@pytest.mark.parametrize("order", ORDERS)
async def test_pages_by_number_and_by_token_agree_and_do_not_overlap(db: Database, order: str) -> None:
    for number in range(11):
        await create(db, f"cluster-{number:02}", at=number % 3)
    await db.fetch(
        Statement("MARK", "UPDATE resources SET deleted_time = updated_time, generation = 2 WHERE name > 'cluster-06'")
    )
    keys = parse_order(order, None)
    by_token = await walk(db, size=3, order=keys)
    by_number = [name for number in range(1, 5) for name in names(await page(db, size=3, page=number, order=keys))]
    assert by_token == by_number
    assert sorted(by_token) == [f"cluster-{number:02}" for number in range(11)]


async def test_missing_values_come_last_in_both_directions(db: Database) -> None:
    for name in ("alpha", "beta", "gamma"):
        await create(db, name)
    await db.fetch(Statement("MARK", "UPDATE resources SET deleted_time = now() WHERE name = 'beta'"))
    for order in ("deleted_time,name", "deleted_time desc,name"):
        assert names(await page(db, order=parse_order(order, None))) == ["beta", "alpha", "gamma"]


@pytest.mark.parametrize("token", ["x", "", "W10", "bnVsbA", "WyJhIl0", "é", "AAAA" * 5000, "WyIiLG51bGwsbnVsbF0"])
async def test_anything_but_a_page_token_is_refused(db: Database, token: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        await page(db, page=None, page_token=token)
    assert refused.value.errors[0].field == "page_token"


@pytest.mark.parametrize(
    ("order", "changed"),
    [
        ("generation", [None, None]),
        ("generation", ["99999999999", None]),
        ("generation", ["-99999999999", None]),
        ("generation", ["1e5", None]),
        ("name", [None, None]),
        ("name", ["a\0b", None]),
        ("created_time", ["yesterday", None]),
        ("created_time desc,name", ["2026-01-01T00:00:00.000000Z", None, None]),
        ("id", ["no id"]),
        ("deleted_time", ["x", None]),
    ],
)
async def test_a_token_with_other_sort_keys_than_its_order_is_refused(
    db: Database, order: str, changed: list[str | None]
) -> None:
    for name in ("alpha", "beta"):
        await create(db, name)
    keys = parse_order(order, None)
    token = (await page(db, size=1, order=keys))["next_page_token"]
    digest, *_, last = json.loads(urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    forged = [digest, *(changed if order == "id" else [*changed[:-1], last])]
    with pytest.raises(InvalidInput) as refused:
        await page(db, page=None, page_token=urlsafe_b64encode(json.dumps(forged).encode()).decode(), order=keys)
    assert refused.value.errors[0].field == "page_token"


async def test_a_token_belongs_to_its_search_its_order_and_its_path(db: Database) -> None:
    owner = UUID((await create(db, "alpha"))["id"])
    await create(db, "beta")
    await create(db, "pool-1", below(owner))
    await create(db, "pool-2", below(owner))
    token = (await page(db, size=1))["next_page_token"]
    follow: dict[str, Any] = {"page": None, "page_token": token, "size": 1}
    assert len(names(await page(db, **follow))) == 1
    for other in ({"search": "name != 'x'"}, {"order": parse_order("name", None)}, {"ids": (owner,)}):
        with pytest.raises(InvalidInput):
            await page(db, **(follow | other))
    for scope in (below(owner), Scope(NODE_POOL)):
        with pytest.raises(InvalidInput):
            await page(db, scope, **follow)


@hypothesis_settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(size=st.integers(1, 7), seed=st.integers(0, 10**6), order=st.sampled_from(["name", "name desc", "created_time"]))
async def test_a_walk_covers_every_row_exactly_once_while_rows_are_added(
    db: Database, size: int, seed: int, order: str
) -> None:
    chance = random.Random(seed)
    await db.fetch(Statement("EMPTY", "TRUNCATE resources, adapter_statuses, resource_counts, resource_references"))
    stay = {f"stay-{number}" for number in range(12)}
    for name in sorted(stay, key=lambda _: chance.random()):
        await create(db, name, at=chance.randrange(5))
    found: list[str] = []
    token: str | None = None
    for step in range(60):
        position: dict[str, Any] = {"page": None, "page_token": token} if token else {}
        listed = await page(db, size=size, order=parse_order(order, None), **position)
        found += names(listed)
        token = listed.get("next_page_token")
        if token is None:
            break
        await create(db, f"{chance.choice('az')}-{step}", at=chance.randrange(10))
    assert token is None
    assert len(found) == len(set(found))
    assert stay <= set(found)


async def test_a_selection_returns_only_its_members_and_always_the_id(db: Database) -> None:
    created = await create(db, "alpha", spec={"region": "eu", "nodes": {"min": 1}}, labels={"a.b/c": "d", "env": "x"})
    selected = "name,status.phase,spec.nodes.min,spec.missing,labels.a.b/c,created_time,resource_version"
    [item] = (await page(db, selection=parse_selection(selected)))["items"]
    assert item == {
        "id": created["id"],
        "name": "alpha",
        "status": {"phase": "NotReady"},
        "spec": {"nodes": {"min": 1}},
        "labels": {"a.b/c": "d"},
        "created_time": created["created_time"],
        "resource_version": created["resource_version"],
    }


async def test_every_member_can_be_selected_and_is_spelled_as_in_the_full_resource(db: Database) -> None:
    owner = UUID((await create(db, "alpha"))["id"])
    whole = await create(db, "pool", below(owner), spec={"list": [{"0": 1}]}, labels={"k": "v"})
    for member, value in whole.items():
        [item] = (await page(db, below(owner), selection=parse_selection(member)))["items"]
        assert item == {"id": whole["id"], member: value} or (
            member == "status" and item["status"] == {k: v for k, v in value.items() if k != "adapters"}
        )
    for path in ("owner_references.kind", "owner_references.id", "owner_references.href"):
        [item] = (await page(db, below(owner), selection=parse_selection(path)))["items"]
        assert item["owner_references"] == {path.split(".")[1]: whole["owner_references"][path.split(".")[1]]}


async def test_a_selection_that_contains_another_wins_and_a_number_is_not_an_index(db: Database) -> None:
    await create(db, "alpha", spec={"list": ["x"], "a": {"b": 1}})
    [item] = (await page(db, selection=parse_selection("spec.a.b,spec,spec.list.0")))["items"]
    assert item["spec"] == {"list": ["x"], "a": {"b": 1}}
    [item] = (await page(db, selection=parse_selection("spec.list.0")))["items"]
    assert "spec" not in item


async def test_totals_stay_exact_during_concurrent_creates(db: Database) -> None:
    await asyncio.gather(*(create(db, f"cluster-{number}") for number in range(60)))
    assert (await page(db, size=1))["total"] == 60
    await db.fetch(Statement("REMOVE", "DELETE FROM resources WHERE name < 'cluster-3'"))
    assert (await page(db, size=1))["total"] == len((await page(db, size=1000))["items"])


async def test_the_default_count_is_exact_for_numbers_and_none_for_tokens(db: Database) -> None:
    await create(db, "alpha")
    await create(db, "beta")
    first = await page(db, size=1)
    follow: dict[str, Any] = {"page": None, "page_token": first["next_page_token"], "size": 1}
    assert "total" not in await page(db, **follow)
    assert (await page(db, **follow, count=True))["total"] == 2
