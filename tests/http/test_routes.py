"""The route table from outside: the response of each path, its methods, and unknown paths."""

from typing import Any, Final
from uuid import UUID

import httpx2
import pytest

from hyperfleet.http.routes import ROWS, routes
from testbed.fleet import CATALOG

MISSING: Final = "019abcde-0000-7000-8000-000000000001"
CLUSTER: Final = {
    "kind": "Cluster",
    "name": "production-cluster",
    "spec": {"region": "us-east-1", "version": "4.16", "nodes": 5},
    "labels": {"env": "production", "team": "platform"},
}
NODE_POOL: Final = {
    "kind": "NodePool",
    "name": "worker-pool",
    "spec": {"instance_type": "m5.2xlarge", "replicas": 10, "disk_size": 200},
    "labels": {"pool_type": "worker"},
}
REPORT: Final[dict[str, Any]] = {
    "adapter": "dns-adapter",
    "observed_generation": 1,
    "conditions": [
        {
            "adapter": "dns-adapter",
            "type": "Ready",
            "status": "True",
            "observed_generation": 1,
            "reason": "ClusterProvisioned",
            "message": "Cluster successfully provisioned",
            "created_at": "2025-11-17T15:04:05Z",
            "updated_at": "2025-11-17T15:04:05Z",
        }
    ],
}


async def new_cluster(client: httpx2.AsyncClient) -> str:
    created = await client.post("/clusters", json=CLUSTER)
    assert created.status_code == 201
    return str(created.json()["id"])


async def test_the_example_of_the_readme_works_from_create_to_aggregated_status(client: httpx2.AsyncClient) -> None:
    cluster = await new_cluster(client)
    pool = await client.post(f"/clusters/{cluster}/nodepools", json=NODE_POOL)
    assert pool.status_code == 201
    assert pool.headers["Location"] == pool.json()["href"]
    reported = await client.post(f"/clusters/{cluster}/statuses", json=REPORT)
    assert reported.status_code == 201
    assert reported.json()["data"] == {}
    read = (await client.get(f"/clusters/{cluster}")).json()
    assert read["status"]["phase"] == "Ready"
    assert [summary["adapter"] for summary in read["status"]["adapters"]] == ["dns-adapter"]
    statuses = (await client.get(f"/clusters/{cluster}/statuses")).json()
    assert (statuses["kind"], statuses["total"], statuses["items"]) == ("AdapterStatusList", 1, [reported.json()])


async def test_a_child_is_read_listed_and_reported_on_below_its_owner_and_at_the_top_level(
    client: httpx2.AsyncClient,
) -> None:
    cluster = await new_cluster(client)
    pool = (await client.post(f"/clusters/{cluster}/nodepools", json=NODE_POOL)).json()
    for path in (pool["href"], f"/nodepools/{pool['id']}"):
        url = httpx2.URL("http://test" + path) if path.startswith("/api") else path
        read = await client.get(url)
        assert read.status_code == 200
        assert read.json()["id"] == pool["id"]
        put = await client.put(f"{url}/statuses", json=REPORT)
        assert put.status_code == 201
    for path in (f"/clusters/{cluster}/nodepools", "/nodepools"):
        assert [item["id"] for item in (await client.get(path)).json()["items"]] == [pool["id"]]


async def test_the_service_describes_itself(client: httpx2.AsyncClient) -> None:
    answer = await client.get("http://test/api/hyperfleet")
    assert answer.status_code == 200
    assert answer.json().keys() == {"id", "kind", "href", "version", "build_time", "links"}
    assert (answer.json()["id"], answer.json()["kind"]) == ("hyperfleet", "API")
    for same in ("/", "/api/hyperfleet/", "/api/hyperfleet/v1", "/api/hyperfleet/v1/"):
        assert (await client.get(f"http://test{same}")).content == answer.content
    assert (await client.get("/compatibility")).json().keys() == {"api_version", "compatible", "features"}


@pytest.mark.parametrize(
    "path",
    [
        "/nope",
        "/Clusters",
        "/clusters/",
        f"/clusters/{MISSING}/",
        "http://test/api/hyperfleet/v1//clusters",
        f"/clusters//{MISSING}",
        f"/clusters%2F{MISSING}",
        f"/clusters/{MISSING}%2fstatuses",
        f"/clusters/{MISSING}/statuses/",
        f"/clusters/{MISSING}/statuses/x",
        f"/clusters/{MISSING}/clusters",
        f"/nodepools/{MISSING}/nodepools",
        f"/nodepools/{MISSING}/clusters",
        "/clusters%0A",
        "/compatibility%0a",
        "/compatibility/",
        "/clusters%",
        "/clusters/%zz",
        "/clusters/%ff",
        "/resources/",
        "http://test/api/hyperfleet/v2/clusters",
        "http://test/api/hyperfleet//",
        "http://test/api/",
        "http://test/x/api/hyperfleet/v1/clusters",
    ],
)
async def test_an_unknown_path_is_404_ntf_000(client: httpx2.AsyncClient, path: str) -> None:
    for method in ("GET", "POST", "OPTIONS", "FOO"):
        answer = await client.request(method, path)
        assert (answer.status_code, answer.json()["code"]) == (404, "HYPERFLEET-NTF-000")


@pytest.mark.parametrize(
    "id", [MISSING, "x", MISSING.upper(), f"%7B{MISSING}%7D", MISSING.replace("-", ""), "%00", "..%00"]
)
async def test_a_missing_resource_and_an_invalid_id_are_404_with_the_code_of_their_kind(
    client: httpx2.AsyncClient, id: str
) -> None:
    cluster = await new_cluster(client)
    for path, code in {
        f"/clusters/{id}": "NTF-002",
        f"/clusters/{id}/statuses": "NTF-002",
        f"/clusters/{id}/nodepools": "NTF-002",
        f"/nodepools/{id}": "NTF-003",
        f"/clusters/{cluster}/nodepools/{id}": "NTF-003",
        f"/clusters/{cluster}/nodepools/{id}/statuses": "NTF-003",
    }.items():
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, f"HYPERFLEET-{code}"), path
    for path, body in {f"/clusters/{id}/nodepools": NODE_POOL, f"/clusters/{id}/statuses": REPORT}.items():
        answer = await client.post(path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (404, "HYPERFLEET-NTF-002"), path


async def test_a_letter_may_be_percent_encoded(client: httpx2.AsyncClient) -> None:
    cluster = await new_cluster(client)
    assert (await client.get(f"http://test/%61pi/hyperfleet/v1/%63lusters/{cluster}")).status_code == 200


async def test_every_path_lists_all_its_methods_and_refuses_the_others(client: httpx2.AsyncClient) -> None:
    for row in ROWS:
        for route in routes(row, CATALOG):
            path = "http://test" + route.template.replace("/-", f"/{MISSING}")
            options = await client.options(path)
            assert (options.status_code, options.content) == (204, b"")
            allowed = set(options.headers["Allow"].split(", "))
            assert allowed == {*row.methods, "OPTIONS"} | ({"HEAD"} if "GET" in row.methods else set())
            for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "FOO"} - allowed:
                refused = await client.request(method, path)
                assert refused.status_code == 405
                assert method == "HEAD" or refused.json()["code"] == "HYPERFLEET-VAL-005"
                assert set(refused.headers["Allow"].split(", ")) == allowed


async def test_head_responds_like_get_without_a_body(client: httpx2.AsyncClient) -> None:
    cluster = await new_cluster(client)
    for path in ("/clusters", f"/clusters/{cluster}", f"/clusters/{MISSING}", "/compatibility", "/nope"):
        get, head = await client.get(path), await client.head(path)
        assert head.status_code == get.status_code
        assert head.content == b""
        for name in ("content-type", "content-length", "vary", "content-encoding"):
            assert head.headers.get(name) == get.headers.get(name)


async def test_a_child_cannot_be_created_at_the_top_level_and_the_right_path_is_named(
    client: httpx2.AsyncClient,
) -> None:
    for sent in ({"json": NODE_POOL}, {"content": b"no json"}, {"content": b"x" * (2 << 20)}):
        answer = await client.post("/nodepools", **sent)
        assert (answer.status_code, answer.json()["code"]) == (422, "HYPERFLEET-VAL-005")
        assert "/api/hyperfleet/v1/clusters/{cluster_id}/nodepools" in answer.json()["detail"]


async def test_checks_have_the_order_of_the_contract(client: httpx2.AsyncClient) -> None:
    text, large = {"Content-Type": "text/plain"}, b"x" * ((1 << 20) + 1)
    path = f"/clusters/{MISSING}/statuses"
    steps = [
        (await client.request("FOO", "/nope", content=large, headers=text), 404, "NTF-000"),
        (await client.request("FOO", path, content=large, headers=text), 405, "VAL-005"),
        (await client.post(path, content=large, headers=text), 413, "VAL-005"),
        (await client.post(path, content=b"{", headers=text), 415, "VAL-005"),
        (await client.post(path, content=b"{"), 400, "VAL-006"),
        (await client.post(path + "?a=1", json=REPORT), 400, "VAL-002"),
        (await client.post(path, json=REPORT), 404, "NTF-002"),
    ]
    assert [(answer.status_code, answer.json()["code"]) for answer, _, _ in steps] == [
        (status, f"HYPERFLEET-{code}") for _, status, code in steps
    ]


async def test_ids_are_version_7_uuids(client: httpx2.AsyncClient) -> None:
    assert UUID(await new_cluster(client)).version == 7


@pytest.mark.parametrize(("text", "shown"), [("fl-001", "fl-001"), ("Fleet'1", "NAME"), ("a" * 200, "NAME")])
async def test_a_name_in_place_of_an_id_gets_the_search_by_name(
    client: httpx2.AsyncClient, text: str, shown: str
) -> None:
    await new_cluster(client)
    answer = await client.get(f"/clusters/{text}")
    assert (answer.status_code, answer.json()["code"]) == (404, "HYPERFLEET-NTF-002")
    assert f"GET /api/hyperfleet/v1/clusters?search=name='{shown}'" in answer.json()["detail"]
    assert "ids are UUIDs" in answer.json()["detail"]
    found = await client.get("/clusters?search=name='fl-001'")
    assert (found.status_code, found.json()["total"]) == (200, 0)
