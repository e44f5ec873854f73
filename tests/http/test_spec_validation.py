"""Specs against a provider's schema, through the application and into a real database."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from hyperfleet.assembly import yaml_documents
from hyperfleet.http.app import application
from hyperfleet.model.catalog import Catalog
from hyperfleet.model.kind import BUILT_IN
from hyperfleet.model.schemas.spec_schema import SpecSchema
from hyperfleet.store.database import Database, Statement
from tests.http.conftest import SETTINGS
from tests.schemas import Case, cases, document, path_of

GCP = yaml_documents.read(path_of("gcp"))
CASES = cases("gcp")
RESOURCES = Statement("RESOURCES", "SELECT count(*) FROM resources")


def client_with(db: Database, document: dict[str, Any]) -> httpx2.AsyncClient:
    kinds = [
        replace(kind, spec_schema=SpecSchema(document, kind.spec_schema_name))
        if kind.spec_schema_name in document["components"]["schemas"]
        else kind
        for kind in BUILT_IN
    ]
    app = application(db, Catalog(kinds), SETTINGS)
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://test/api/hyperfleet/v1")


@pytest.fixture
async def client(db: Database) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_with(db, GCP) as client:
        yield client


async def create(client: httpx2.AsyncClient, case: Case) -> httpx2.Response:
    path = "/clusters"
    if case.kind == "NodePool":
        spec = next(each.spec for each in CASES if each.kind == "Cluster")
        owner = await client.post("/clusters", json={"name": "owner", "spec": spec})
        path += f"/{owner.json()['id']}/nodepools"
    return await client.post(path, json={"name": "name", "spec": case.spec})


@pytest.mark.parametrize("case", [case for case in CASES if not case.faults], ids=lambda case: case.name)
async def test_a_valid_spec_is_stored_as_sent(client: httpx2.AsyncClient, case: Case) -> None:
    answer = await create(client, case)
    assert answer.status_code == 201
    assert json.dumps(answer.json()["spec"]) == json.dumps(case.spec)


@pytest.mark.parametrize("case", [case for case in CASES if case.faults], ids=lambda case: case.name)
async def test_an_invalid_spec_gets_every_path_and_nothing_is_stored(
    client: httpx2.AsyncClient, db: Database, case: Case
) -> None:
    answer = await create(client, case)
    problem = answer.json()
    assert answer.status_code == 400
    assert problem["code"] == "HYPERFLEET-VAL-000"
    assert [error["message"] for error in problem["errors"]] == list(case.faults)
    assert all(error["message"].startswith(f"`{error['field']}` ") for error in problem["errors"])
    (count,) = await db.fetch(RESOURCES)
    assert count[0] == (1 if case.kind == "NodePool" else 0)


async def test_errors_in_a_spec_are_reported_beside_those_of_other_members(client: httpx2.AsyncClient) -> None:
    body = {"name": "N", "spec": {"platform": {"type": "gcp"}}, "labels": {"a": 5}, "nmae": 1}
    problem = (await client.post("/clusters", json=body)).json()
    assert [error["field"] for error in problem["errors"]] == [
        "nmae",
        "name",
        "spec.release",
        "spec.networking",
        "spec.platform.projectId",
        "spec.platform.region",
        "labels.a",
    ]
    assert problem["code"] == "HYPERFLEET-VAL-000"
    assert problem["detail"] == "7 fields are invalid; see errors."


async def test_a_single_error_is_in_the_detail_too(client: httpx2.AsyncClient) -> None:
    spec = next(each.spec for each in CASES) | {"dns": {"baseDomain": 5}}
    problem = (await client.post("/clusters", json={"name": "name", "spec": spec})).json()
    assert problem["code"] == "HYPERFLEET-VAL-000"
    assert problem["detail"] == "`spec.dns.baseDomain` must be a string"
    assert problem["errors"] == [
        {
            "field": "spec.dns.baseDomain",
            "message": "`spec.dns.baseDomain` must be a string",
            "constraint": "a string",
            "value": 5,
        }
    ]


@pytest.mark.parametrize(("body", "code"), [({"name": "name"}, "VAL-001"), ({"name": "name", "spec": []}, "VAL-003")])
async def test_a_spec_that_is_missing_or_not_an_object_gets_the_usual_error(
    client: httpx2.AsyncClient, body: dict[str, Any], code: str
) -> None:
    problem = (await client.post("/clusters", json=body)).json()
    assert problem["code"] == f"HYPERFLEET-{code}"


async def test_a_kind_without_a_schema_accepts_any_object(db: Database) -> None:
    async with client_with(db, document(ClusterSpec={"type": "object", "required": ["a"]})) as client:
        cluster = await client.post("/clusters", json={"name": "name", "spec": {"a": 1}})
        pool = await client.post(
            f"/clusters/{cluster.json()['id']}/nodepools", json={"name": "pool", "spec": {"any": [1]}}
        )
        assert (cluster.status_code, pool.status_code) == (201, 201)
        assert (await client.post("/clusters", json={"name": "other", "spec": {}})).status_code == 400


async def test_a_hundred_of_very_many_errors_are_reported(db: Database) -> None:
    schema = {"properties": {"a": {"type": "array", "items": {"type": "string"}}}}
    async with client_with(db, document(ClusterSpec=schema)) as client:
        answer = await client.post("/clusters", json={"name": "name", "spec": {"a": [0] * 400_000}})
    problem = answer.json()
    assert answer.status_code == 400
    assert len(problem["errors"]) == 100
    assert problem["detail"] == "At least 100 fields are invalid; see errors."
    assert len(answer.content) < 20_000


async def test_long_values_and_names_are_cut(db: Database) -> None:
    schema = {"properties": {"a": {"type": "integer"}}, "additionalProperties": False}
    async with client_with(db, document(ClusterSpec=schema)) as client:
        answer = await client.post("/clusters", json={"name": "name", "spec": {"a": "x" * 300_000, "y" * 300_000: 1}})
    assert answer.status_code == 400
    assert [error["field"][:7] for error in answer.json()["errors"]] == ["spec.a", "spec.yy"]
    assert len(answer.content) < 5_000


async def test_whole_numbers_are_compared_and_stored_exactly(db: Database) -> None:
    schema = {"properties": {"a": {"type": "integer", "maximum": 2**53 + 1}, "b": {"type": "integer"}}}
    async with client_with(db, document(ClusterSpec=schema)) as client:
        good = await client.post("/clusters", json={"name": "good", "spec": {"a": 2**53 + 1, "b": 10**900}})
        bad = await client.post("/clusters", json={"name": "bad-one", "spec": {"a": 2**53 + 2}})
    assert good.status_code == 201
    assert f'"spec":{{"a":{2**53 + 1},"b":1{"0" * 900}}}' in good.text
    assert bad.json()["errors"][0]["message"] == f"`spec.a` must be at most {2**53 + 1}"


async def test_a_spec_nested_as_deep_as_bodies_may_be_is_checked_completely(db: Database) -> None:
    schema = {"type": "object", "additionalProperties": {"$ref": "#/components/schemas/ClusterSpec"}}
    async with client_with(db, document(ClusterSpec=schema)) as client:
        good: Any = {}
        bad: Any = 1
        for _ in range(98):
            good, bad = {"x": good}, {"x": bad}
        assert (await client.post("/clusters", json={"name": "good", "spec": good})).status_code == 201
        answer = await client.post("/clusters", json={"name": "bad-one", "spec": bad})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["message"].endswith("must be an object")
