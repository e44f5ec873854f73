"""Whose tenant a caller is, from headers and claims, and system callers, who see every tenant and change nothing."""

import json
from typing import Any, Final

import pytest

from hyperfleet.http.app import application
from hyperfleet.http.middleware import Middleware
from hyperfleet.http.tenants import Dimension, Tenants
from hyperfleet.store.database import Database
from tests.fleet import CATALOG
from tests.http import asgi
from tests.http.conftest import SETTINGS
from tests.http.issuing import issuer, token

CLUSTERS: Final = "/api/hyperfleet/v1/clusters"
DIMENSIONS: Final = [
    Dimension("project", "x-project", "", is_required=False),
    Dimension("org", "", "org.id", is_required=True),
]
Headers = list[tuple[str, str | bytes]]


def app_of(db: Database, *dimensions: Dimension, system_header: str = "") -> Middleware:
    tenants = Tenants(dimensions or DIMENSIONS, system_header=system_header)
    return application(db, CATALOG, SETTINGS, issuers=[issuer()], tenants=tenants)


def of(org: Any = "red", *headers: tuple[str, str | bytes]) -> Headers:
    return [("authorization", b"Bearer " + token("ES256-one", org={"id": org})), *headers]


async def create(app: Middleware, name: str, headers: Headers) -> asgi.Response:
    body = json.dumps({"name": name, "spec": {}}).encode()
    return await asgi.send(app, "POST", CLUSTERS, pieces=[body], headers=headers)


async def seen(app: Middleware, headers: Headers) -> list[str]:
    answer = await asgi.send(app, "GET", CLUSTERS + "?order=name", headers=headers)
    assert answer.status == 200, answer.body
    assert answer.problem["total"] == answer.problem["size"]
    return [item["name"] for item in answer.problem["items"]]


async def test_claims_and_headers_say_what_a_caller_sees_and_what_it_creates_is_of(db: Database) -> None:
    app = app_of(db)
    assert (await create(app, "org-wide", of("red"))).status == 201
    assert (await create(app, "of-project", of("red", ("x-project", "one")))).status == 201
    assert await seen(app, of("red")) == ["of-project", "org-wide"]
    assert await seen(app, of("red", ("x-project", "one"))) == ["of-project"]
    assert await seen(app, of("red", ("x-project", "two"))) == []
    assert await seen(app, of("blue")) == []


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        (of(None), "The claim org.id of the token, which says whose tenant you are, is missing."),
        (of(7), "The claim org.id of the token must be one value"),
        (of(["a"]), "The claim org.id of the token must be one value"),
        (of(""), "The claim org.id of the token must be one value"),
        (of("a b"), "The claim org.id of the token must be one value"),
        (of("a" * 64), "The claim org.id of the token must be one value"),
        (of("a\n"), "The claim org.id of the token must be one value"),
        (of("red", ("x-project", "")), "The header x-project must be one value"),
        (of("red", ("x-project", "a,b")), "The header x-project must be one value"),
        (of("red", ("x-project", "one"), ("x-project", "one")), "The header x-project must be one value"),
        (of("red", ("x-project", b"\xff")), "The header x-project must be one value"),
    ],
)
async def test_a_caller_of_no_tenant_is_refused_before_anything_else(
    headers: Headers, words: str, db: Database
) -> None:
    for method, path in (
        ("GET", CLUSTERS),
        ("POST", CLUSTERS),
        ("GET", CLUSTERS + "/no-id"),
        ("POST", "/api/hyperfleet/v1/nodepools"),
    ):
        answer = await asgi.send(app_of(db), method, path, pieces=[], headers=headers)
        assert (answer.status, answer.problem["code"]) == (403, "HYPERFLEET-AUZ-001")
        assert answer.problem["detail"].startswith(words)


@pytest.mark.parametrize("value", ["a" * 63, "A.z_0-9"])
async def test_a_value_of_63_characters_is_taken(value: str, db: Database) -> None:
    app = app_of(db)
    assert (await create(app, "mine", of(value))).status == 201
    assert await seen(app, of(value)) == ["mine"]


async def test_what_is_open_needs_no_tenant(db: Database) -> None:
    app = app_of(db)
    for path in ("/api/hyperfleet", "/api/hyperfleet/v1/compatibility", "/openapi"):
        assert (await asgi.send(app, "GET", path)).status == 200
    assert (await asgi.send(app, "GET", "/nowhere")).status == 404
    assert (await asgi.send(app, "DELETE", CLUSTERS)).status == 405
    assert (await asgi.send(app, "GET", CLUSTERS)).status == 401


async def test_a_system_caller_sees_every_tenant_reports_and_does_nothing_else(db: Database) -> None:
    app = app_of(db, system_header="x-system")
    made = [await create(app, f"cluster-{org}", of(org)) for org in ("red", "blue")]
    id = made[0].problem["id"]
    system = of(None, ("x-system", "true"))
    assert await seen(app, system) == ["cluster-blue", "cluster-red"]
    report = {"adapter": "dns", "observed_generation": 1, "conditions": [{"type": "Ready", "status": "True"}]}
    for method in ("POST", "PUT"):
        sent = await asgi.send(
            app, method, f"{CLUSTERS}/{id}/statuses", pieces=[json.dumps(report).encode()], headers=system
        )
        assert sent.status == 201
    assert (await asgi.send(app, "GET", f"{CLUSTERS}/{id}/statuses", headers=system)).status == 200
    for method, path in (
        ("POST", CLUSTERS),
        ("PATCH", f"{CLUSTERS}/{id}"),
        ("DELETE", f"{CLUSTERS}/{id}"),
        ("POST", f"{CLUSTERS}/{id}/force-delete"),
    ):
        refused = await asgi.send(app, method, path, pieces=[], headers=system)
        assert (refused.status, refused.problem["code"]) == (403, "HYPERFLEET-AUZ-001")
        assert refused.problem["detail"] == "System callers may only read and report."


@pytest.mark.parametrize("value", ["false", "True", "1", "", "true,true"])
async def test_only_the_word_true_marks_a_system_caller(value: str, db: Database) -> None:
    app = app_of(db, system_header="x-system")
    await create(app, "secret", of("red"))
    assert await seen(app, of("blue", ("x-system", value))) == []
    assert await seen(app, of("blue", ("x-system", "true"), ("x-system", "true"))) == []


async def test_without_a_system_header_nobody_is_a_system_caller(db: Database) -> None:
    app = app_of(db)
    await create(app, "secret", of("red"))
    for name in ("x-system", "system", "true"):
        assert await seen(app, of("blue", (name, "true"))) == []
