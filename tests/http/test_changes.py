"""Change and deletion as callers see them: methods, headers, order of checks, and the paths of all kinds."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from structlog.testing import capture_logs

from hyperfleet.model.catalog import Catalog
from hyperfleet.store.database import Database
from testbed import fleet
from tests.http.conftest import client_of

MERGE = {"Content-Type": "application/merge-patch+json"}
FORCED = {"reason": "the adapter is gone for good"}
WAITING = Catalog([replace(fleet.CLUSTER, required_adapters=("dns",)), fleet.NODE_POOL])


@pytest.fixture
async def waiting(db: Database) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a service whose deleted clusters wait for an adapter."""
    async with client_of(db, catalog=WAITING) as client:
        yield client


async def created(client: httpx2.AsyncClient, name: str = "alpha", path: str = "/clusters") -> dict[str, Any]:
    answer = await client.post(path, json={"name": name, "spec": {"a": 1}, "labels": {"env": "test"}})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def told(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"].removeprefix("HYPERFLEET-")


@pytest.mark.parametrize("root", ["/clusters", "/resources"])
async def test_a_change_returns_the_bytes_of_a_read_with_its_entity_tag(client: httpx2.AsyncClient, root: str) -> None:
    path = f"{root}/{(await created(client))['id']}"
    changed = await client.patch(path, json={"spec": {"b": 2}})
    read = await client.get(path)
    assert changed.status_code == 200
    assert changed.content == read.content
    assert changed.headers["ETag"] == read.headers["ETag"] == f'"{read.json()["resource_version"]}"'
    assert read.json()["spec"] == {"b": 2}
    assert read.json()["generation"] == 2
    merged = await client.patch(path, content=b'{"spec":{"c":3},"labels":{"env":null}}', headers=MERGE)
    assert (merged.json()["spec"], merged.json()["labels"]) == ({"b": 2, "c": 3}, {})


async def test_a_change_that_changes_nothing_keeps_the_entity_tag(client: httpx2.AsyncClient) -> None:
    path = f"/clusters/{(await created(client))['id']}"
    before = await client.get(path)
    same = await client.patch(path, json={"spec": {"a": 1.0}, "labels": {"env": "test"}})
    assert (same.status_code, same.content, same.headers["ETag"]) == (200, before.content, before.headers["ETag"])


async def test_if_match_accepts_version_and_generation_and_a_stale_one_is_412(client: httpx2.AsyncClient) -> None:
    path = f"/clusters/{(await created(client))['id']}"
    first = (await client.get(path)).headers["ETag"]
    second = await client.patch(path, json={"spec": {}}, headers={"If-Match": first})
    assert second.status_code == 200
    for method, sent in (("PATCH", {"spec": {"x": 1}}), ("DELETE", None), ("POST", FORCED)):
        address = path + "/force-delete" if method == "POST" else path
        for tag in (first, '"g1"', '"7"'):
            answer = await client.request(method, address, json=sent, headers={"If-Match": tag})
            assert told(answer) == (412, "CNF-002"), (method, tag)
        malformed = await client.request(method, address, json=sent, headers={"If-Match": "7"})
        assert told(malformed) == (400, "VAL-005"), method
    report = {"adapter": "x", "observed_generation": 2, "conditions": [{"type": "Ready", "status": "True"}]}
    assert (await client.post(path + "/statuses", json=report)).status_code == 201
    # The report created a new version; the desired state is the same.
    stale = await client.patch(path, json={"spec": {"x": 1}}, headers={"If-Match": second.headers["ETag"]})
    assert told(stale) == (412, "CNF-002")
    assert (await client.patch(path, json={"spec": {"x": 1}}, headers={"If-Match": '"g2"'})).status_code == 200
    assert (await client.delete(path, headers={"If-Match": '"g3"'})).status_code == 202


async def test_if_none_match_of_the_version_is_304_without_a_body(client: httpx2.AsyncClient) -> None:
    path = f"/clusters/{(await created(client))['id']}"
    tag = (await client.get(path)).headers["ETag"]
    for method in ("GET", "HEAD"):
        unchanged = await client.request(method, path, headers={"If-None-Match": tag})
        assert (unchanged.status_code, unchanged.content, unchanged.headers["ETag"]) == (304, b"", tag)
    await client.patch(path, json={"spec": {}})
    assert (await client.get(path, headers={"If-None-Match": tag})).status_code == 200


async def test_checks_of_a_write_have_the_order_of_the_contract(client: httpx2.AsyncClient) -> None:
    cluster = await created(client)
    path, missing = f"/clusters/{cluster['id']}", f"/clusters/{uuid4()}"
    text = {"Content-Type": "text/plain"}
    stale = {"If-Match": '"1"'}
    large = b"x" * (1024 * 1024 + 1)
    assert told(await client.patch(path, content=large, headers=text)) == (413, "VAL-005")
    assert told(await client.patch(path, content=b"{", headers=text)) == (415, "VAL-005")
    assert told(await client.patch(missing, content=b"{", headers=stale)) == (400, "VAL-006")
    assert told(await client.patch(missing, json={"name": "x"}, headers=stale)) == (400, "VAL-002")
    assert told(await client.patch(path + "?x=1", json={"spec": {}})) == (400, "VAL-002")
    assert told(await client.patch(missing, json={"spec": {}}, headers=stale)) == (404, "NTF-002")
    assert (await client.delete(path)).status_code == 202
    assert told(await client.get(path)) == (404, "NTF-002")


async def test_precondition_comes_before_state(waiting: httpx2.AsyncClient) -> None:
    path = f"/clusters/{(await created(waiting))['id']}"
    forced = path + "/force-delete"
    assert told(await waiting.post(forced, json=FORCED, headers={"If-Match": '"g9"'})) == (412, "CNF-002")
    assert told(await waiting.post(forced, json=FORCED)) == (409, "CNF-003")
    assert (await waiting.delete(path)).status_code == 202
    assert told(await waiting.patch(path, json={"spec": {}}, headers={"If-Match": '"g1"'})) == (412, "CNF-002")
    assert told(await waiting.patch(path, json={"spec": {}})) == (409, "CNF-003")


async def test_a_deletion_is_visible_while_it_waits_and_the_report_that_completes_it_is_201(
    waiting: httpx2.AsyncClient,
) -> None:
    path = f"/clusters/{(await created(waiting))['id']}"
    first = await waiting.delete(path)
    assert first.status_code == 202
    assert first.json()["deleted_by"] == "system@hyperfleet.local"
    assert first.json()["generation"] == 2
    second = await waiting.delete(path)
    assert (second.status_code, second.content) == (202, first.content)
    assert (await waiting.get(path)).content == first.content
    listed = (await waiting.get("/clusters", params={"search": "deleted_time is not null"})).json()
    assert [item["id"] for item in listed["items"]] == [first.json()["id"]]
    report = {"adapter": "dns", "observed_generation": 2, "conditions": [{"type": "Finalized", "status": "True"}]}
    assert (await waiting.post(path + "/statuses", json=report)).status_code == 201
    assert told(await waiting.get(path)) == (404, "NTF-002")
    assert told(await waiting.get(path + "/statuses")) == (404, "NTF-002")
    assert told(await waiting.delete(path)) == (404, "NTF-002")
    assert (await waiting.get("/clusters")).json()["total"] == 0


@pytest.mark.parametrize("reason", ["x", "x" * 1024])
async def test_force_removes_a_stuck_resource_and_leaves_an_audit_line(
    waiting: httpx2.AsyncClient, reason: str
) -> None:
    cluster = await created(waiting)
    pool = await created(waiting, "pool", f"/clusters/{cluster['id']}/nodepools")
    path = f"/clusters/{cluster['id']}"
    await waiting.delete(path)
    with capture_logs() as lines:
        forced = await waiting.post(path + "/force-delete", json={"reason": reason})
    assert (forced.status_code, forced.content) == (204, b"")
    [line] = [line for line in lines if line.get("audit")]
    assert (line["verb"], line["kind"], line["id"]) == ("force-delete", "Cluster", cluster["id"])
    assert (line["reason"], line["caller"]) == (reason, "system@hyperfleet.local")
    assert (line["removed"], line["removed_ids"]) == ({"Cluster": 1}, [cluster["id"]])
    for gone in (path, f"/nodepools/{pool['id']}"):
        assert (await waiting.get(gone)).status_code == 404


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "x" * 1025}, {"reason": 7}, {"reason": None}, []])
async def test_force_requires_a_reason_that_is_not_blank(waiting: httpx2.AsyncClient, body: Any) -> None:
    cluster = await created(waiting)
    path = f"/clusters/{cluster['id']}"
    await waiting.delete(path)
    refused = await waiting.post(path + "/force-delete", json=body)
    assert refused.status_code == 400
    assert (await waiting.get(path)).status_code == 200


async def test_resources_of_all_kinds_are_listed_and_distinguished_by_kind(client: httpx2.AsyncClient) -> None:
    cluster = await created(client)
    pool = await created(client, "pool", f"/clusters/{cluster['id']}/nodepools")
    everything = (await client.get("/resources")).json()
    assert (everything["kind"], everything["total"]) == ("ResourceList", 2)
    assert [item["id"] for item in everything["items"]] == [pool["id"], cluster["id"]]
    pools = (await client.get("/resources", params={"kind": "NodePool"})).json()
    assert [item["id"] for item in pools["items"]] == [pool["id"]]
    refused = await client.get("/resources", params={"kind": "Nodepool"})
    assert told(refused) == (400, "VAL-002")
    assert "NodePool" in refused.text
    for search, found in (("kind = 'Cluster'", 1), ("labels.env = 'test'", 2), ("owner_kind is not null", 1)):
        assert (await client.get("/resources", params={"search": search})).json()["total"] == found


async def test_resources_are_created_by_kind_and_only_those_without_an_owner(client: httpx2.AsyncClient) -> None:
    made = await client.post("/resources", json={"kind": "Cluster", "name": "alpha", "spec": {}})
    assert made.status_code == 201
    assert made.headers["Location"] == made.json()["href"] == f"/api/hyperfleet/v1/clusters/{made.json()['id']}"
    child = await client.post("/resources", json={"kind": "NodePool", "name": "pool", "spec": {}})
    assert told(child) == (422, "VAL-005")
    assert "/clusters/{cluster_id}/nodepools" in child.json()["detail"]
    assert told(await client.post("/resources", json={"name": "beta", "spec": {}})) == (400, "VAL-001")
    assert told(await client.post("/resources", json={"kind": "X", "name": "beta", "spec": {}})) == (400, "VAL-002")


async def test_every_verb_works_at_the_path_of_all_kinds(waiting: httpx2.AsyncClient) -> None:
    cluster = await created(waiting)
    path = f"/resources/{cluster['id']}"
    report = {"adapter": "dns", "observed_generation": 1, "conditions": [{"type": "Ready", "status": "True"}]}
    assert (await waiting.post(path + "/statuses", json=report)).status_code == 201
    assert (await waiting.put(path + "/statuses", json=report)).status_code == 201
    assert (await waiting.get(path + "/statuses")).json()["total"] == 1
    assert (await waiting.get(path)).json()["status"]["phase"] == "Ready"
    assert (await waiting.patch(path, json={"labels": {}})).json()["generation"] == 2
    assert (await waiting.delete(path)).status_code == 202
    assert (await waiting.post(path + "/force-delete", json=FORCED)).status_code == 204
    assert told(await waiting.get(path)) == (404, "NTF-001")


async def test_an_adapter_that_is_not_required_gets_a_warning_in_the_response(waiting: httpx2.AsyncClient) -> None:
    path = f"/clusters/{(await created(waiting))['id']}/statuses"
    report = {"observed_generation": 1, "conditions": [{"type": "Available", "status": "True"}]}
    mistyped = await waiting.post(path, json=report | {"adapter": "dn"})
    assert mistyped.status_code == 201
    assert mistyped.headers["Warning"] == (
        '299 - "dn is not a required adapter of clusters; its reports have no effect; did you mean dns?"'
    )
    assert "Warning" not in (await waiting.post(path, json=report | {"adapter": "dns"})).headers
