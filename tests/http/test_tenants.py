"""The tenancy of a caller, from headers and claims, and system callers, which see every tenant and change nothing."""

import json
from typing import Any, Final

import pytest

from hyperfleet.http.access.tenants import Dimension, Tenants
from hyperfleet.http.app import application
from hyperfleet.http.middleware import Middleware
from hyperfleet.store.database import Database
from testbed.fleet import CATALOG
from tests.http import asgi
from tests.http.conftest import SETTINGS
from tests.http.issuing import claims, issuer, token

CLUSTERS: Final = "/api/hyperfleet/v1/clusters"
DIMENSIONS: Final = [
    Dimension("project", "x-project", "", is_required=False),
    Dimension("org", "", "org.id", is_required=True),
]
CLAIM_OR_HEADER: Final = Dimension("org", "x-org", "org.id", is_required=True)
Headers = list[tuple[str, str | bytes]]


def app_of(db: Database, *dimensions: Dimension, **headers: str) -> Middleware:
    tenants = Tenants(dimensions or DIMENSIONS, **headers)
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


async def test_claims_and_headers_set_the_tenancy_that_a_caller_sees_and_creates_in(db: Database) -> None:
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
        (of(None), "The claim org.id of the token, which identifies your tenant, is missing."),
        (of(7), "The claim org.id of the token must be a single value"),
        (of(["a"]), "The claim org.id of the token must be a single value"),
        (of(""), "The claim org.id of the token, which identifies your tenant, is missing."),
        (of("a b"), "The claim org.id of the token must be a single value"),
        (of("a" * 129), "The claim org.id of the token must be a single value"),
        (of("a\n"), "The claim org.id of the token must be a single value"),
        (of("red", ("x-project", "a,b")), "The header x-project must be a single value"),
        (of("red", ("x-project", "one"), ("x-project", "one")), "The header x-project must be a single value"),
        (of("red", ("x-project", b"\xff")), "The header x-project must be a single value"),
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


@pytest.mark.parametrize("value", ["a" * 128, "A.z_0-9"])
async def test_a_value_of_128_characters_is_accepted(value: str, db: Database) -> None:
    app = app_of(db)
    assert (await create(app, "mine", of(value))).status == 201
    assert await seen(app, of(value)) == ["mine"]


async def test_open_routes_need_no_tenant(db: Database) -> None:
    app = app_of(db)
    for path in ("/api/hyperfleet", "/api/hyperfleet/v1/compatibility", "/openapi"):
        assert (await asgi.send(app, "GET", path)).status == 200
    assert (await asgi.send(app, "GET", "/nowhere")).status == 404
    assert (await asgi.send(app, "DELETE", CLUSTERS)).status == 405
    assert (await asgi.send(app, "GET", CLUSTERS)).status == 401


async def test_a_system_caller_sees_every_tenant_and_may_only_read_and_report(db: Database) -> None:
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


@pytest.mark.parametrize("value", ["", "  ", None])
async def test_an_empty_optional_dimension_is_absent(value: str | None, db: Database) -> None:
    app = app_of(db)
    empty: Headers = [] if value is None else [("x-project", value)]
    assert (await create(app, "org-wide", of("red", *empty))).status == 201
    assert (await create(app, "of-project", of("red", ("x-project", "one")))).status == 201
    assert await seen(app, of("red", *empty)) == ["of-project", "org-wide"]


@pytest.mark.parametrize("value", ["", "  "])
async def test_an_empty_required_dimension_is_missing(value: str, db: Database) -> None:
    app = app_of(db, Dimension("org", "x-org", "", is_required=True))
    answer = await asgi.send(app, "GET", CLUSTERS, headers=[*of(None), ("x-org", value)])
    assert (answer.status, answer.problem["detail"].endswith("is missing.")) == (403, True)


async def test_a_claim_wins_over_a_header_and_the_header_works_without_it(db: Database) -> None:
    app = app_of(db, CLAIM_OR_HEADER)
    await create(app, "of-red", of("red", ("x-org", "blue")))
    await create(app, "of-blue", of(None, ("x-org", "blue")))
    assert await seen(app, of("red", ("x-org", "blue"))) == ["of-red"]
    assert await seen(app, of("blue")) == ["of-blue"]
    assert await seen(app, of("", ("x-org", "blue"))) == ["of-blue"]
    for bad in (7, ["red"], {"a": 1}, True):
        assert (await asgi.send(app, "GET", CLUSTERS, headers=of(bad, ("x-org", "blue")))).status == 403


@pytest.mark.parametrize(
    ("claimed", "header", "is_system"),
    [
        (True, None, True),
        ("true", None, True),
        (False, None, False),
        ("false", "true", False),
        (False, "true", False),
        ("True", "true", False),
        (1, "true", False),
        ([True], "true", False),
        ("", "true", False),
        (None, "true", True),
        (None, "false", False),
        (None, None, False),
    ],
)
async def test_a_claim_marks_system_callers_and_wins_over_the_header(
    claimed: Any, header: str | None, is_system: bool, db: Database
) -> None:
    app = app_of(db, system_header="x-system", system_claim="/fleet.example.com/system")
    await create(app, "secret", of("red"))
    whole = claims(org={"id": "blue"}) | {"fleet.example.com": {"system": claimed}}
    bearing = token("ES256-one", payload=json.dumps(whole).encode())
    headers: Headers = [("authorization", b"Bearer " + bearing)]
    headers += [("x-system", header)] if header is not None else []
    for _ in range(2):
        assert await seen(app, headers) == (["secret"] if is_system else [])


async def test_one_header_carries_all_dimensions(db: Database) -> None:
    dimensions = [Dimension("org", "", "", is_required=True), Dimension("project", "", "", is_required=False)]
    app = app_of(db, *dimensions, header="x-tenant")
    assert (await create(app, "org-wide", of(None, ("x-tenant", '{"org":"red"}')))).status == 201
    both = of(None, ("x-tenant", '{"project": "one", "org": "red"}'))
    assert (await create(app, "of-project", both)).status == 201
    assert await seen(app, both) == ["of-project"]
    for empty in ('""', "null"):
        header = f'{{"org":"red","project":{empty}}}'
        assert await seen(app, of(None, ("x-tenant", header))) == ["of-project", "org-wide"]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "The member org of the header x-tenant, which identifies your tenant, is missing."),
        ([""], "is missing."),
        (["{}"], "is missing."),
        (['{"org":""}'], "is missing."),
        (['{"org":null}'], "is missing."),
        (['{"org":7}'], "must be a single value"),
        (['{"org":["red"]}'], "must be a single value"),
        (['{"org":"a b"}'], "must be a single value"),
        (['{"org":"%s"}' % ("a" * 129)], "must be a single value"),
        (['{"org":"red","team":"x"}'], "has an unknown dimension; the dimensions are org"),
        (['"red"'], "must be one JSON object"),
        (["org=red"], "must be one JSON object"),
        (['{"org":"red"}', '{"org":"red"}'], "must be one JSON object"),
        (['{"org":"red","org":"blue"}'], "must be one JSON object that has each of your tenant's dimensions once"),
        (['{"org":"red","\\u006frg":"red"}'], "must be one JSON object that has each of your tenant's dimensions once"),
        (['{"org":' + "9" * 5_000 + "}"], "must be one JSON object"),
        ([b"\xff"], "must be one JSON object"),
        (["[" * 20_000], "must be one JSON object"),
    ],
)
async def test_an_invalid_header_of_all_dimensions_is_refused(
    lines: list[str | bytes], words: str, db: Database
) -> None:
    app = app_of(db, Dimension("org", "", "", is_required=True), header="x-tenant")
    answer = await asgi.send(app, "GET", CLUSTERS, headers=of(None, *(("x-tenant", line) for line in lines)))
    assert (answer.status, answer.problem["code"]) == (403, "HYPERFLEET-AUZ-001")
    assert words in answer.problem["detail"]


async def test_a_header_of_one_dimension_wins_over_the_header_of_all(db: Database) -> None:
    app = app_of(db, CLAIM_OR_HEADER, header="x-tenant")
    all_of_them = ("x-tenant", '{"org":"green"}')
    for name, headers in (
        ("of-red", of("red", ("x-org", "blue"), all_of_them)),
        ("of-blue", of(None, ("x-org", "blue"), all_of_them)),
        ("of-green", of(None, all_of_them)),
    ):
        assert (await create(app, name, headers)).status == 201
        assert await seen(app, of(name.removeprefix("of-"))) == [name]


REPORT: Final = b'{"adapter":"dns","observed_generation":1,"conditions":[{"type":"Ready","status":"True"}]}'


async def test_every_response_with_a_resource_shows_its_tenancy(db: Database) -> None:
    app = app_of(db, system_header="x-system")
    project = of("red", ("x-project", "one"))
    whole = {"org": "red", "project": "one"}
    made = await create(app, "mine", project)
    path = f"{CLUSTERS}/{made.problem['id']}"
    assert made.problem["tenancy"] == whole
    # A child has its owner's tenancy, whatever its creator's dimensions.
    body = b'{"name":"pool","spec":{},"tenancy":{"org":"blue"}}'
    child = await asgi.send(app, "POST", f"{path}/nodepools", pieces=[body], headers=of("red"))
    assert (child.status, child.problem["tenancy"]) == (201, whole)
    assert (await asgi.send(app, "POST", f"{path}/statuses", pieces=[REPORT], headers=project)).status == 201
    for headers in (project, of("red"), of(None, ("x-system", "true"))):
        for address, place in (
            (path, []),
            (f"{path}/nodepools/{child.problem['id']}", []),
            (CLUSTERS, ["items", 0]),
            (f"{path}/nodepools", ["items", 0]),
            (f"{CLUSTERS}?fields=*,status.adapters", ["items", 0]),
            (f"{CLUSTERS}?page_token=", ["items", 0]),
            (f"{CLUSTERS}?search=name%20like%20'm%25'", ["items", 0]),
            (f"{CLUSTERS}?fields=name,tenancy", ["items", 0]),
            (f"{path}?fields=tenancy", []),
            ("/api/hyperfleet/v1/resources", ["items", 1]),
        ):
            found: Any = (await asgi.send(app, "GET", address, headers=headers)).problem
            for step in place:
                found = found[step]
            assert found["tenancy"] == whole, address
    assert (await asgi.send(app, "GET", f"{path}?fields=tenancy", headers=project)).problem.keys() == {"id", "tenancy"}
    for method, sent in (("PATCH", b'{"labels":{"a":"b"}}'), ("PATCH", b'{"labels":{"a":"b"}}'), ("DELETE", b"")):
        changed = await asgi.send(app, method, path, pieces=[sent], headers=project)
        assert changed.problem["tenancy"] == whole
        if method == "PATCH":
            again = await asgi.send(app, "GET", path, headers=project)
            assert again.body == changed.body


async def test_the_response_to_a_create_has_the_bytes_of_a_read(db: Database) -> None:
    # The database orders members by length; responses have one order.
    dimensions = [
        Dimension("organization", "x-org", "", is_required=True),
        Dimension("zone", "x-zone", "", is_required=True),
    ]
    app = app_of(db, *dimensions)
    headers = of(None, ("x-org", "red"), ("x-zone", "a"))
    made = await create(app, "mine", headers)
    path = f"{CLUSTERS}/{made.problem['id']}"
    assert (await asgi.send(app, "GET", path, headers=headers)).body == made.body
    assert b'"tenancy":{"organization":"red","zone":"a"}' in made.body
    body = b'{"name":"pool","spec":{}}'
    child = await asgi.send(app, "POST", f"{path}/nodepools", pieces=[body], headers=headers)
    again = await asgi.send(app, "GET", f"{path}/nodepools/{child.problem['id']}", headers=headers)
    assert again.body == child.body


async def test_a_caller_cannot_set_the_tenancy_of_a_resource(db: Database) -> None:
    app = app_of(db)
    body = b'{"name":"mine","spec":{},"tenancy":{"org":"blue"}}'
    made = await asgi.send(app, "POST", CLUSTERS, pieces=[body], headers=of("red"))
    assert (made.status, made.problem["tenancy"]) == (201, {"org": "red"})
    assert await seen(app, of("blue")) == []


async def test_tenancy_is_shown_while_tenants_are_enabled_and_kept_while_they_are_not(db: Database) -> None:
    told_apart = app_of(db, system_header="x-system")
    without = application(db, CATALOG, SETTINGS)
    made = await create(told_apart, "of-red", of("red"))
    path = f"{CLUSTERS}/{made.problem['id']}"
    nobodys = await asgi.send(without, "POST", CLUSTERS, pieces=[b'{"name":"of-nobody","spec":{}}'])
    assert "tenancy" not in nobodys.problem
    for address in (path, CLUSTERS, f"{path}?fields=name,tenancy", f"{CLUSTERS}?fields=name,tenancy"):
        assert b"tenancy" not in (await asgi.send(without, "GET", address)).body
    changed = await asgi.send(without, "PATCH", path, pieces=[b'{"labels":{"a":"b"}}'])
    assert (changed.status, "tenancy" in changed.problem) == (200, False)
    again = await asgi.send(told_apart, "GET", path, headers=of("red"))
    assert (again.problem["tenancy"], again.problem["labels"]) == ({"org": "red"}, {"a": "b"})
    system = of(None, ("x-system", "true"))
    listed = await asgi.send(told_apart, "GET", f"{CLUSTERS}?order=name", headers=system)
    assert [item["tenancy"] for item in listed.problem["items"]] == [{}, {"org": "red"}]
