"""A page has a limited number of bytes of resources, whatever is stored, and a walk still sees each resource once."""

import json
from typing import Any
from uuid import UUID

import msgspec
import pytest
from msgspec.structs import replace

from hyperfleet.errors import InvalidInput
from hyperfleet.model.resource import ANY, Scope
from hyperfleet.model.search.order import parse_order
from hyperfleet.model.search.selection import parse_selection
from hyperfleet.store.database import Database, Statement
from hyperfleet.store.lists import pages
from hyperfleet.store.lists.pages import Listing
from hyperfleet.store.lists.sizes import ALWAYS_SERVED
from testbed.fleet import CATALOG, CLUSTER, CLUSTERS, NODE_POOL, below, create, listing, report, send
from tests.services.test_statement_counts import statements

MOST = 100_000
ALL = Scope(ANY, members=CATALOG.kinds)
SEARCH = "labels.of = 'these'"


class Page(msgspec.Struct):
    items: list[msgspec.Raw]
    next_page_token: str = ""
    page: int = 0
    total: int = -1

    @property
    def bytes(self) -> int:
        return sum(len(bytes(item)) for item in self.items)

    @property
    def names(self) -> list[str]:
        return [json.loads(bytes(item))["name"] for item in self.items]


async def page(db: Database, listing: Listing, scope: Scope = CLUSTERS, *, most: int = MOST) -> Page:
    return msgspec.json.decode(await pages.page(db, scope, listing, most=most), type=Page)


async def walk(db: Database, listing: Listing, scope: Scope = CLUSTERS) -> list[Page]:
    found = [await page(db, listing, scope)]
    while found[-1].next_page_token:
        further = replace(listing, page=None, page_token=found[-1].next_page_token)
        found.append(await page(db, further, scope))
    return found


async def sized(db: Database, *sizes: int, scope: Scope = CLUSTERS, **parts: Any) -> list[str]:
    """Resources whose specs have these sizes, the newest first; their names in that order."""
    names = [f"n-{number}" for number in range(len(sizes))]
    for number, size in enumerate(sizes):
        spec = {"blob": "x" * (size - len('{"blob":""}'))}
        await create(db, names[number], scope, at=-number, spec=spec, labels={"of": "these"}, **parts)
    return names


@pytest.mark.parametrize(
    "listing",
    [
        Listing(),
        Listing(size=7),
        Listing(count=False),
        Listing(size=1000, order=parse_order("name", None)),
        listing(search=SEARCH),
        listing(search=SEARCH, order=parse_order("name desc", None), count=False),
        Listing(selection=parse_selection("name,spec")),
        Listing(selection=parse_selection("name,spec.blob,spec.missing,status")),
        Listing(selection=parse_selection("*,status.adapters")),
        Listing(size=5, selection=parse_selection("spec.blob,name"), order=parse_order("asc", None)),
    ],
    ids=lambda listing: "",
)
@pytest.mark.parametrize("place", ["top", "below an owner", "all kinds"])
async def test_pages_end_before_their_byte_limit_and_a_walk_sees_each_resource_once(
    db: Database, listing: Listing, place: str
) -> None:
    scope = CLUSTERS if place == "top" else ALL
    if place == "below an owner":
        scope = below(UUID((await create(db, "owner", labels={}))["id"]))
    names = await sized(db, *[30_000] * 10, scope=CLUSTERS if place == "all kinds" else scope)
    walked = await walk(db, listing, scope)
    assert sorted(name for each in walked for name in each.names) == sorted(names)
    assert [len(each.items) for each in walked] == [3, 3, 3, 1]
    assert all(each.bytes <= MOST for each in walked)


async def test_pages_of_named_resources_end_early_too(db: Database) -> None:
    names = await sized(db, *[30_000] * 5)
    ids = tuple(UUID(json.loads(bytes(item))["id"]) for each in await walk(db, Listing()) for item in each.items)
    assert [each.names for each in await walk(db, listing(ids=ids))] == [names[:3], names[3:]]


async def test_a_resource_larger_than_a_page_is_a_page_by_itself(db: Database) -> None:
    await sized(db, 5_000, 150_000, 5_000, 5_000)
    for asked in (Listing(), Listing(selection=parse_selection("name,spec"))):
        assert [each.names for each in await walk(db, asked)] == [["n-0"], ["n-1"], ["n-2", "n-3"]]


async def test_one_large_resource_among_small_ones_does_not_end_a_page_that_has_room(db: Database) -> None:
    names = await sized(db, *[500] * 9, 60_000, *[500] * 8)
    assert [each.names for each in await walk(db, Listing())] == [names]


async def test_unselected_members_do_not_count(db: Database) -> None:
    names = await sized(db, *[30_000] * 10)
    assert [each.names for each in await walk(db, Listing(selection=parse_selection("name,spec.missing")))] == [names]


async def test_a_first_page_that_ends_early_has_its_number_and_the_total(db: Database) -> None:
    await sized(db, *[30_000] * 5)
    first = await page(db, Listing())
    assert (first.page, first.total, len(first.items)) == (1, 5, 3)


async def test_a_numbered_page_that_is_too_large_is_refused_with_the_size_that_fits(db: Database) -> None:
    await sized(db, *[3_500] * 60)
    for search in (None, SEARCH):
        asked = listing(search=search, size=60, ends_early=False)
        with pytest.raises(InvalidInput) as refused:
            await page(db, asked)
        [error] = refused.value.errors
        assert (error.code, error.field, error.value) == ("VAL-004", "pageSize", "60")
        largest = int(str(error.constraint).removeprefix("at most "))
        assert largest > ALWAYS_SERVED
        assert f"at most {largest}" in error.message
        assert "`fields`" in error.message
        assert "`next_page_token`" in error.message
        fits = await page(db, replace(asked, size=largest))
        assert len(fits.items) == largest
        assert MOST - 5_000 < fits.bytes <= MOST
        with pytest.raises(InvalidInput):
            await page(db, replace(asked, size=largest + 1))


async def test_twenty_are_always_served_by_number_and_twenty_one_are_not(db: Database) -> None:
    await sized(db, *[30_000] * 25)
    served = await page(db, Listing(size=ALWAYS_SERVED, ends_early=False))
    assert len(served.items) == ALWAYS_SERVED
    assert len((await page(db, Listing(size=ALWAYS_SERVED, page=2, ends_early=False))).items) == 5
    with pytest.raises(InvalidInput) as refused:
        await page(db, Listing(size=ALWAYS_SERVED + 1, ends_early=False))
    assert refused.value.errors[0].constraint == f"at most {ALWAYS_SERVED}"
    assert len((await page(db, Listing(size=21, page=2, ends_early=False), most=150_000)).items) == 4
    assert len((await page(db, Listing(size=21, ends_early=False, selection=parse_selection("name")))).items) == 21


async def test_statuses_count_at_their_served_size_however_well_they_compress(db: Database) -> None:
    id = (await create(db, "n-0"))["id"]
    for number in range(12):
        await send(db, id, report(f"adapter-{number}", reason="a" * 1000))
    copies = (
        "INSERT INTO resources SELECT (jsonb_populate_record(resources, jsonb_build_object('id', gen_random_uuid(),"
        " 'name', 'n-' || n))).* FROM resources, generate_series(1, 9) AS n"
    )
    await db.fetch(Statement("COPIES", copies))
    [row] = await db.fetch(Statement("SIZE", "SELECT max(pg_column_size(status)) AS packed FROM resources"))
    assert row["packed"] < 2_000, "the case is one of a status that is stored compressed"
    for selection in (None, parse_selection("name,status"), parse_selection("name,status.conditions")):
        walked = await walk(db, Listing(size=10, selection=selection))
        assert sum(len(each.items) for each in walked) == 10
        assert len(walked) > 1
        assert all(each.bytes <= MOST for each in walked)


async def test_summaries_of_adapters_count_if_they_are_selected(db: Database) -> None:
    for name in range(5):
        id = (await create(db, f"n-{name}"))["id"]
        for number in range(12):
            await send(db, id, report(f"adapter-{number}", reason="a" * 1000, Available="True", Health="True"))
    plain = await walk(db, Listing())
    walked = await walk(db, Listing(selection=parse_selection("*,status.adapters")))
    assert [len(each.items) for each in plain] == [5]
    assert [len(each.items) for each in walked] == [2, 2, 1]
    assert all(each.bytes <= MOST for each in walked)


async def test_lists_known_to_have_large_resources_take_one_statement(db: Database) -> None:
    await sized(db, *[30_000] * 10)
    assert await statements(page(db, Listing(size=8))) == 2
    assert await statements(page(db, Listing(size=8))) == 1
    assert await statements(walk(db, Listing(size=8))) == 4
    await db.fetch(Statement("SMALL", "DELETE FROM resources"))
    await sized(db, *[500] * 10)
    assert await statements(page(db, Listing(size=8))) == 1
    assert await statements(page(db, Listing(size=8))) == 1


async def test_an_empty_list_and_an_owner_without_children_have_no_bytes(db: Database) -> None:
    assert (await page(db, Listing(), most=1)).items == []
    owner = UUID((await create(db, "owner"))["id"])
    assert (await page(db, Listing(), below(owner, NODE_POOL), most=1)).items == []
    assert (await page(db, Listing(), Scope(CLUSTER), most=1)).names == ["owner"]
