"""Lists whose resources are too large for one page."""

from uuid import UUID

import httpx2
import pytest

from hyperfleet.store.database import Database
from testbed.fleet import CLUSTERS, below, create
from tests.http.conftest import client_of, impatient


@pytest.mark.parametrize("path", ["/clusters", "/clusters/{owner}/nodepools", "/resources"])
async def test_pollers_page_through_large_resources_and_numbered_pages_are_told_what_fits(
    db: Database, path: str
) -> None:
    owner = (await create(db, "owner"))["id"]
    scope = below(UUID(owner)) if "owner" in path else CLUSTERS
    for number in range(45):
        await create(db, f"n-{number}", scope, at=number, spec={"blob": "x" * 3_000})
    path = path.format(owner=owner)
    async with client_of(db, impatient(max_page_bytes=100_000)) as client:
        refused = await client.get(path, params={"page": 1, "pageSize": 45})
        assert refused.status_code == 400
        problem = refused.json()
        assert problem["code"] == "HYPERFLEET-VAL-004"
        [error] = problem["errors"]
        assert error["field"] == "pageSize"
        largest = int(error["constraint"].removeprefix("at most "))
        assert 20 < largest < 45
        assert (await client.get(path, params={"page": 1, "pageSize": largest})).status_code == 200
        assert (await client.get(path, params={"page": 1, "pageSize": largest, "count": "none"})).status_code == 200
        assert (await client.get(path, params={"page": 1, "pageSize": 45, "fields": "name"})).json()["size"] == 45
        assert len(await walked(client, path)) == 45 + (path != f"/clusters/{owner}/nodepools")


async def walked(client: httpx2.AsyncClient, path: str) -> set[str]:
    """The names of a walk that requests more than fits into a page."""
    names: list[str] = []
    token: str | None = ""
    while token is not None:
        answer = await client.get(path, params={"pageSize": 1000} | ({"page_token": token} if token else {}))
        assert answer.status_code == 200
        assert len(answer.content) < 102_000
        listed = answer.json()
        assert ("page" in listed) == (not token)
        names += [item["name"] for item in listed["items"]]
        token = listed.get("next_page_token")
    assert len(set(names)) == len(names)
    return set(names)
