"""The number of statements of each use case without contention, counted where every statement passes."""

from collections.abc import Awaitable
from uuid import UUID

import pytest

from hyperfleet.model.search.selection import parse_selection
from hyperfleet.services import reading
from hyperfleet.store.database import Database
from hyperfleet.store.lists import pages
from hyperfleet.store.lists.pages import Listing
from hyperfleet.telemetry import metrics
from testbed.fleet import CLUSTERS, below, change, create, delete, listing, read, report, send


def so_far() -> float:
    """Statements that this process has sent."""
    return sum(
        sample.value
        for family in metrics.REGISTRY.collect()
        for sample in family.samples
        if sample.name == "hyperfleet_db_query_duration_seconds_count"
    )


async def statements(work: Awaitable[object]) -> float:
    before = so_far()
    await work
    return so_far() - before


async def test_a_create_is_one_statement_even_under_an_owner(db: Database) -> None:
    assert await statements(create(db, "alpha")) == 1
    owner = UUID((await create(db, "beta"))["id"])
    assert await statements(create(db, "pool", below(owner))) == 1


async def test_a_read_is_one_statement_whatever_is_selected(db: Database) -> None:
    id = (await create(db, "alpha"))["id"]
    await send(db, id, report())
    assert await statements(read(db, id)) == 1
    selected = parse_selection("name,spec.region,status.adapters")
    assert await statements(reading.resource(db, CLUSTERS, UUID(id), selected)) == 1
    assert await statements(reading.reports_on(db, CLUSTERS, UUID(id), page=1, size=10)) == 1


@pytest.mark.parametrize(
    "listing",
    [
        Listing(),
        Listing(page=3, size=1),
        Listing(count=False),
        listing(search="labels.a = 'b' and not status.phase = 'Ready'"),
        Listing(selection=parse_selection("*,status.adapters")),
    ],
    ids=["plain", "past the end", "without a total", "search", "with adapters"],
)
async def test_a_list_is_one_statement(db: Database, listing: Listing) -> None:
    owner = UUID((await create(db, "alpha"))["id"])
    await create(db, "pool", below(owner))
    assert await statements(pages.page(db, CLUSTERS, listing)) == 1
    assert await statements(pages.page(db, below(owner), listing)) == 1


async def test_a_report_is_two_statements_and_one_when_nothing_is_stored(db: Database) -> None:
    id = (await create(db, "alpha"))["id"]
    assert await statements(send(db, id, report(at=2))) == 2
    assert await statements(send(db, id, report(at=3, Available="False"))) == 2
    assert await statements(send(db, id, report(at=3, Available="False"))) == 1
    assert await statements(send(db, id, report(at=1))) == 1


async def test_a_change_is_two_statements_and_one_when_nothing_is_stored(db: Database) -> None:
    id = (await create(db, "alpha", spec={"a": 1}))["id"]
    await send(db, id, report())
    assert await statements(change(db, id, spec={"a": 2})) == 2
    assert await statements(change(db, id, labels={"a": "b"}, precondition=lambda _, generation: generation == 2)) == 2
    assert await statements(change(db, id, spec={"a": 2})) == 1


async def test_a_deletion_takes_as_many_statements_for_a_hundred_children_as_for_one(db: Database) -> None:
    counts = set()
    for name, children in (("few", 1), ("many", 100)):
        owner = (await create(db, name))["id"]
        for number in range(children):
            await create(db, f"pool-{number}", below(UUID(owner)))
        counts.add(await statements(delete(db, owner)))
    assert len(counts) == 1
    assert counts.pop() < 16
