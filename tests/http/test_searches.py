"""Lists that may read every row: they have a share of connections and a deadline, and other requests do not wait."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from time import monotonic

import httpx2
import pytest

from hyperfleet import settings
from hyperfleet.http.reading import queries
from hyperfleet.store.database import Database
from testbed.fleet import create, read
from testbed.sessions import pool, session
from tests.http.conftest import SETTINGS, client_of

SEARCH = "/clusters?search=name%20%3D%20%27nobody%27&fields=*,status.adapters"
LOCK = "LOCK TABLE adapter_statuses IN ACCESS EXCLUSIVE MODE"


@pytest.fixture
async def busy(database_settings: settings.Database, db: Database) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a service on which searches with adapters never end: at most 16 requests in flight, 4 connections."""
    server = settings.Server(max_in_flight=16, timeouts=settings.Timeouts(search=2.0))
    configured = replace(
        SETTINGS, server=server, database=replace(database_settings, pool=settings.Pool(max_connections=4))
    )
    async with (
        session(database_settings, "stranger") as stranger,
        pool(configured.database, limits=server) as here,
        client_of(here, configured) as client,
    ):
        await stranger.execute("BEGIN")
        await stranger.execute(LOCK)
        yield client
        await stranger.execute("ROLLBACK")


async def test_a_search_that_takes_too_long_is_504_with_advice_on_what_is_faster(busy: httpx2.AsyncClient) -> None:
    answer = await busy.get(SEARCH)
    assert (answer.status_code, answer.json()["code"]) == (504, "HYPERFLEET-SVC-002")
    assert answer.headers["retry-after"]
    for word in ("labels.<key>", "status.conditions.<Type>", "owner_id", "ref_type", "count=none", "page_token"):
        assert word in answer.json()["detail"]


async def test_other_requests_are_served_at_once_beside_many_searches(busy: httpx2.AsyncClient, db: Database) -> None:
    id = (await create(db, "alpha"))["id"]
    searches = [asyncio.create_task(busy.get(SEARCH)) for _ in range(40)]
    await asyncio.sleep(0.1)
    began = monotonic()
    for number in range(5):
        read_one = await busy.get(f"/clusters/{id}?fields=name")
        listed = await busy.get("/clusters?order=created_time&fields=name")
        made = await busy.post("/clusters", json={"name": f"new-{number}", "spec": {}})
        assert (read_one.status_code, listed.status_code, made.status_code) == (200, 200, 201)
    took = monotonic() - began
    statuses = Counter([(await one).status_code for one in searches])
    # Searches may be half of the requests in flight: others are refused before they wait.
    assert statuses == {504: 8, 503: 32}
    assert took < 1.5, took


@pytest.mark.parametrize(
    ("query", "is_search"),
    [
        (b"", False),
        (b"order=created_time", False),
        (b"order=created_time%20desc", False),
        (b"orderBy=created_time&order=asc", False),
        (b"order=created_time,name", False),
        (b"page=9&pageSize=1000", False),
        (b"order=name", True),
        (b"order=id", True),
        (b"order=updated_time,created_time", True),
        (b"search=status.conditions.Reconciled%20%3D%20%27False%27", True),
        (b"search=name%20%3D%20%27a%27&order=created_time", True),
    ],
)
def test_lists_with_a_search_or_another_order_count_as_searches(query: bytes, is_search: bool) -> None:
    assert queries.listing(query).is_search is is_search


async def test_a_search_that_ends_in_time_is_returned(db: Database) -> None:
    id = (await create(db, "alpha"))["id"]
    async with client_of(db) as client:
        answer = await client.get("/clusters?search=name%20%3D%20%27alpha%27&order=name")
    assert answer.status_code == 200
    found = await read(db, id)
    del found["status"]["adapters"]
    assert answer.json()["items"] == [found]
