"""Tenants on one database: what a caller sees, and that no other tenant's data is read, changed, counted or named."""

import json
import random
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from hyperfleet.errors import AlreadyExists, InvalidInput, NotFound, WrongState
from hyperfleet.model.caller import Tenancy
from hyperfleet.model.catalog import Catalog
from hyperfleet.model.kind import Kind, ReferenceRule
from hyperfleet.model.resource import ANY, Scope
from hyperfleet.model.search.order import parse_order
from hyperfleet.model.search.selection import parse_selection
from hyperfleet.services import reading
from hyperfleet.store.clauses.filters import Parameters
from hyperfleet.store.clauses.projections import WHOLE
from hyperfleet.store.database import Database, Statement
from hyperfleet.store.lists import orders, pages
from hyperfleet.store.lists.pages import Listing
from testbed.fleet import (
    CATALOG,
    CLUSTER,
    NODE_POOL,
    below,
    change,
    create,
    delete,
    force_delete,
    listing,
    read,
    report,
    send,
)
from tests.services.test_statement_counts import so_far

RED: Tenancy = (("org", "red"),)
RED_ONE: Tenancy = (("org", "red"), ("project", "one"))
RED_TWO: Tenancy = (("org", "red"), ("project", "two"))
BLUE: Tenancy = (("org", "blue"),)
ALL: Tenancy = ()
FLEET = {"nobody": ALL, "red": RED, "one": RED_ONE, "two": RED_TWO, "blue": BLUE}
SEEN = {
    ALL: {"nobody", "red", "one", "two", "blue"},
    RED: {"red", "one", "two"},
    RED_ONE: {"one"},
    RED_TWO: {"two"},
    BLUE: {"blue"},
    (("project", "one"),): {"one"},
    (("org", "green"),): set(),
}
REFERRING = replace(CLUSTER, references=(ReferenceRule("twin", "Cluster"),))
WAITING = replace(REFERRING, required_adapters=("dns",))


def clusters(tenancy: Tenancy, kind: Any = CLUSTER) -> Scope:
    return Scope(kind, tenancy=tenancy)


async def filled(db: Database) -> dict[str, str]:
    """A cluster of each tenancy, with a node pool; ids by name."""
    ids = {}
    for name, tenancy in FLEET.items():
        ids[name] = (await create(db, name, clusters(tenancy), labels={"tenant": name}))["id"]
        pools = replace(below(UUID(ids[name])), tenancy=tenancy)
        ids[f"{name}-pool"] = (await create(db, f"{name}-pool", pools))["id"]
    return ids


async def listed(db: Database, scope: Scope, **parameters: Any) -> dict[str, Any]:
    return dict(json.loads(await reading.resources(db, scope, listing(**parameters))))


async def test_a_caller_sees_resources_that_have_all_its_dimensions(db: Database) -> None:
    ids = await filled(db)
    for tenancy, seen in SEEN.items():
        for name in FLEET:
            if name in seen:
                assert (await read(db, ids[name], clusters(tenancy)))["name"] == name
            else:
                with pytest.raises(NotFound):
                    await read(db, ids[name], clusters(tenancy))
        everything = Scope(ANY, members=CATALOG.kinds, tenancy=tenancy)
        for scope, extra in ((clusters(tenancy), ""), (Scope(NODE_POOL, tenancy=tenancy), "-pool")):
            page = await listed(db, scope)
            assert {item["name"] for item in page["items"]} == {name + extra for name in seen}
            assert page["total"] == len(seen)
        page = await listed(db, everything)
        assert page["total"] == len(page["items"]) == 2 * len(seen)


@pytest.mark.parametrize(
    "parameters",
    [
        {"search": "labels.tenant != 'nothing'"},
        {"search": "name = 'red' or name != 'red'"},
        {"search": "spec.a is null"},
        {"search": "status.conditions.ReadySuccessful is null"},
        {"order": parse_order("name", None)},
        {"order": parse_order("deleted_time desc,name desc", None)},
        {"selection": parse_selection("name,status.adapters")},
        {"search": "created_time > 2020-01-01", "count": False},
    ],
    ids=str,
)
async def test_every_page_of_every_list_stays_within_the_tenancy(db: Database, parameters: dict[str, Any]) -> None:
    ids = await filled(db)
    for tenancy, seen in SEEN.items():
        scope = clusters(tenancy)
        found: list[str] = []
        total = None
        token = None
        while True:
            where: dict[str, Any] = {"page_token": token, "page": None} if token else {}
            page = await listed(db, scope, size=1, **(parameters | where))
            total = page.get("total", total)
            found += [item["name"] for item in page["items"]]
            token = page.get("next_page_token")
            if token is None:
                break
        assert sorted(found) == sorted(seen)
        assert total is None or total == len(seen)
        numbered = [await listed(db, scope, size=1, page=number + 1, **parameters) for number in range(len(seen))]
        assert [item["name"] for page in numbered for item in page["items"]] == found
        chosen = await listed(db, scope, ids=tuple(UUID(ids[name]) for name in FLEET))
        assert {item["name"] for item in chosen["items"]} == seen
        assert chosen["total"] == len(seen)


async def test_totals_and_pages_agree_with_a_plain_filter_in_a_random_fleet(db: Database) -> None:
    chance = random.Random(7)
    tenancies = [tuple(sorted({("org", chance.choice("ab")), ("team", chance.choice("xyz"))})) for _ in range(60)]
    for number, tenancy in enumerate(tenancies):
        await create(db, f"cluster-{number}", clusters(tenancy[: chance.choice((1, 2))]), at=number)
    rows = await db.fetch(Statement("ALL", "SELECT name, tenancy FROM resources ORDER BY created_time DESC, id DESC"))
    stored = [(row["name"], set(json.loads(row["tenancy"]).items())) for row in rows]
    for caller in {*tenancies, (("org", "a"),), (("team", "z"),)}:
        visible = [name for name, tenancy in stored if tenancy >= set(caller)]
        first = await listed(db, clusters(caller), size=3)
        assert first["total"] == len(visible)
        assert [item["name"] for item in first["items"]] == visible[:3]
        second = await listed(db, clusters(caller), size=3, page=2)
        assert [item["name"] for item in second["items"]] == visible[3:6]


async def test_another_tenants_resources_cannot_be_changed_deleted_or_reported_on(db: Database) -> None:
    id = (await create(db, "red", clusters(RED, WAITING)))["id"]
    catalog = Catalog([WAITING, NODE_POOL])
    other = clusters(BLUE, WAITING)
    before = await read(db, id)
    for attempt in (
        lambda: change(db, id, other, spec={"a": 1}),
        lambda: delete(db, id, other, catalog=catalog),
        lambda: force_delete(db, id, other, catalog=catalog),
        lambda: send(db, id, report("dns"), other, catalog=catalog),
        lambda: reading.reports_on(db, other, UUID(id), page=1, size=10),
        lambda: create(db, "pool", replace(below(UUID(id)), tenancy=BLUE)),
        lambda: listed(db, replace(below(UUID(id)), tenancy=BLUE)),
    ):
        with pytest.raises(NotFound) as foreign:
            await attempt()
        assert id in foreign.value.detail
    assert await read(db, id) == before
    assert (await listed(db, below(UUID(id))))["total"] == 0


async def test_another_tenants_id_gets_the_same_message_as_a_missing_one(db: Database) -> None:
    id = (await create(db, "red", clusters(RED)))["id"]
    missing = str(uuid4())
    details = []
    for asked in (id, missing):
        with pytest.raises(NotFound) as refused:
            await read(db, asked, clusters(BLUE))
        details.append((refused.value.detail.replace(asked, "-"), refused.value.row.full_name))
    assert details[0] == details[1]


async def test_names_are_unique_for_each_exact_set_of_dimensions(db: Database) -> None:
    for tenancy in FLEET.values():
        await create(db, "same", clusters(tenancy))
        with pytest.raises(AlreadyExists):
            await create(db, "same", clusters(tenancy))


async def test_children_have_their_owners_tenancy_whoever_creates_them(db: Database) -> None:
    owner = UUID((await create(db, "one", clusters(RED_ONE)))["id"])
    pool = (await create(db, "pool", replace(below(owner), tenancy=RED)))["id"]
    referring = replace(NODE_POOL, references=(ReferenceRule("twin", "Cluster"),))
    other = await create(db, "other", replace(below(owner, referring), tenancy=RED), references={"twin": (owner,)})
    for id in (pool, other["id"]):
        assert (await read(db, id, Scope(NODE_POOL, tenancy=RED_ONE)))["id"] == id
        with pytest.raises(NotFound):
            await read(db, id, Scope(NODE_POOL, tenancy=RED_TWO))


async def test_everyone_who_sees_a_source_must_see_its_target(db: Database) -> None:
    ids = {name: UUID(id) for name, id in (await filled(db)).items()}

    async def refers(name: str, tenancy: Tenancy, target: str) -> str:
        made = await create(db, name, clusters(tenancy, REFERRING), references={"twin": (ids[target],)})
        return str(made["id"])

    await refers("within", RED, "one")
    await refers("same", RED_ONE, "one")
    for tenancy, target in ((RED_ONE, "two"), (RED_ONE, "red"), (RED, "blue"), (RED, "nobody")):
        with pytest.raises(InvalidInput) as refused:
            await refers("refused", tenancy, target)
        assert refused.value.errors[0].message == f"Cluster {ids[target]} does not exist"
    changed = await create(db, "changed", clusters(RED_ONE, REFERRING))
    # The caller sees the target, but others who see the source would not.
    with pytest.raises(InvalidInput):
        await change(db, changed["id"], clusters(RED, REFERRING), references={"twin": (ids["two"],)})
    await change(db, changed["id"], clusters(RED, REFERRING), references={"twin": (ids["one"],)})
    found = await listed(db, clusters(RED_ONE, REFERRING), reference=("twin", ids["one"]))
    assert {item["name"] for item in found["items"]} == {"same", "changed"}
    assert found["total"] == 2


async def test_blocking_resources_are_named_only_to_callers_who_see_them(db: Database) -> None:
    target = (await create(db, "one", clusters(RED_ONE, REFERRING)))["id"]
    await create(db, "secret", clusters(RED, REFERRING), references={"twin": (UUID(target),)})
    catalog = Catalog([REFERRING, NODE_POOL])
    with pytest.raises(WrongState) as told:
        await delete(db, target, clusters(RED, REFERRING), catalog=catalog)
    assert "secret" in told.value.detail
    with pytest.raises(WrongState) as hidden:
        await delete(db, target, clusters(RED_ONE, REFERRING), catalog=catalog)
    assert "secret" not in hidden.value.detail
    assert "resources that you cannot see" in hidden.value.detail


async def test_a_page_token_belongs_to_one_tenancy(db: Database) -> None:
    await filled(db)
    token = (await listed(db, clusters(RED), size=1))["next_page_token"]
    assert (await listed(db, clusters(RED), size=1, page=None, page_token=token))["size"] == 1
    for tenancy in (BLUE, RED_ONE, ALL):
        with pytest.raises(InvalidInput):
            await listed(db, clusters(tenancy), size=1, page=None, page_token=token)


@pytest.mark.parametrize("more", [{}, {"search": "name like '%t%'"}, {"search": "status.phase = 'NotReady'"}])
@pytest.mark.parametrize("members", [(), CATALOG.kinds], ids=["one kind", "all kinds"])
async def test_a_list_within_one_tenancy_takes_one_statement_and_several_cost_one_lookup(
    db: Database, more: dict[str, Any], members: tuple[Kind, ...]
) -> None:
    # Uses a new organization: what the service has learned about another one stays cached.
    org = ("org", f"violet-{uuid4().hex[:8]}")
    scope = Scope(ANY if members else CLUSTER, members=members, tenancy=(org,))
    await filled(db)
    await create(db, "first", clusters((org,)))

    async def names() -> set[str]:
        page = await listed(db, scope, **more)
        assert page["total"] == page["size"]
        return {item["name"] for item in page["items"]}

    for _ in range(2):
        before = so_far()
        assert await names() == {"first"}
        assert so_far() - before == 1
    await create(db, "next", clusters((org, ("project", "one"))))
    for count in (2, 1, 1):
        before = so_far()
        assert await names() == {"first", "next"}
        assert so_far() - before == count
    first = await listed(db, scope, size=1, **more)
    rest = await listed(db, scope, size=1, page=None, page_token=first["next_page_token"], **more)
    assert {item["name"] for item in (*first["items"], *rest["items"])} == {"first", "next"}


@pytest.mark.parametrize("exactly", [True, False])
async def test_an_index_finds_the_pages_of_a_tenant(db: Database, exactly: bool) -> None:
    for number in range(3):
        await create(db, f"red-{number}", clusters(RED))
    fill = (
        "INSERT INTO resources SELECT (jsonb_populate_record(r, jsonb_build_object('id', gen_random_uuid(), 'name',"
        " 'filler-' || n, 'tenancy', jsonb_build_object('org', 'o' || n % 100)))).*"
        " FROM (SELECT resources AS r FROM resources LIMIT 1) AS one, generate_series(1, 3000) AS n"
    )
    await db.fetch(Statement("FILL", fill))
    await db.fetch(Statement("ANALYZE", "ANALYZE resources"))
    order, given = orders.completed(orders.NEWEST_FIRST), Parameters()
    listing = Listing(size=20)
    asked = pages.statement(clusters(RED), listing, order, given, projected=WHOLE, bound="", exactly=exactly).text
    plan = "\n".join(row[0] for row in await db.fetch(Statement("EXPLAIN", f"EXPLAIN {asked}"), *given.values))
    assert "resources_newest_of_tenancy" in plan
    assert (await listed(db, clusters(RED)))["total"] == 3
