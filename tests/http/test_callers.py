"""Who the caller is: decided from the headers before the body is read, on every route except the open ones."""

import base64
import gzip
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import pytest

from hyperfleet import settings
from hyperfleet.http.access.issuer_keys import IssuerKeys
from hyperfleet.http.access.verifier import Issuer
from hyperfleet.http.app import application
from hyperfleet.http.middleware import Middleware
from hyperfleet.http.routes import ROWS, routes
from hyperfleet.store.database import Database
from hyperfleet.telemetry import logging
from testbed.fleet import CATALOG
from tests.http import asgi
from tests.http.conftest import SETTINGS, client_of
from tests.http.issuing import EMAIL, ISSUER, OTHER_ISSUER, Request, issuer, local_issuer, token

API: Final = "/api/hyperfleet/v1"
CLUSTERS: Final = f"{API}/clusters"
NO_ID: Final = f"{CLUSTERS}/no-id"
OPEN: Final = {
    "/",
    "/api/hyperfleet",
    "/api/hyperfleet/",
    API,
    f"{API}/",
    f"{API}/compatibility",
    "/openapi",
    "/openapi.yaml",
    "/openapi-ui",
    f"{API}/openapi",
    f"{API}/openapi.html",
    "/favicon.ico",
    "/openapi-ui/entrance.css",
    *(
        f"{root}/openapi-ui/{name}"
        for root in ("", API)
        for name in ("swagger-ui-bundle.js", "swagger-ui.css", "start.js", "icon.svg")
    ),
}
CLUSTER: Final = b'{"kind":"Cluster","name":"mine","spec":{}}'


def app_of(*issuers: Issuer, db: Database | None = None) -> Middleware:
    return application(db or Database(SETTINGS.database), CATALOG, SETTINGS, issuers=issuers)


def bearing(value: bytes | None = None) -> tuple[str, bytes]:
    return ("authorization", b"Bearer " + (value or token("ES256-one")))


EVERY: Final = sorted(
    {
        (
            method,
            route.template.replace("-/", "no-id/")
            if "/-/" in route.template
            else route.template.replace("/-", "/no-id"),
        )
        for row in ROWS
        for route in routes(row, CATALOG)
        for method in route.methods
    }
)


def test_only_the_document_and_the_services_description_are_open() -> None:
    assert {route.template for row in ROWS if row.is_open for route in routes(row, CATALOG)} == OPEN


@pytest.mark.parametrize(("method", "path"), EVERY, ids=lambda value: value)
async def test_a_route_needs_a_token_unless_it_is_open(method: str, path: str) -> None:
    answer = await asgi.send(app_of(issuer()), method, path, pieces=())
    if path in OPEN:
        assert answer.status == 200
    else:
        assert (answer.status, answer.problem["code"]) == (401, "HYPERFLEET-AUT-001")


@pytest.mark.parametrize(("method", "path"), EVERY, ids=lambda value: value)
async def test_an_open_route_does_not_look_at_tokens(method: str, path: str) -> None:
    if path in OPEN:
        answer = await asgi.send(app_of(issuer()), method, path, headers=[bearing(b"rubbish")])
        assert answer.status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", f"{API}/unknown", 404),
        ("PUT", CLUSTERS, 405),
        ("OPTIONS", CLUSTERS, 204),
        ("GET", CLUSTERS, 401),
        ("HEAD", CLUSTERS, 401),
        ("POST", f"{API}/nodepools", 401),
        ("GET", f"{CLUSTERS}?no=such&parameter", 401),
    ],
)
async def test_a_path_and_its_methods_are_checked_before_a_token_is_required(
    method: str, path: str, status: int
) -> None:
    answer = await asgi.send(app_of(issuer()), method, path, headers=[("accept", "text/html")])
    assert answer.status == status


async def test_no_body_is_read_before_the_caller_is_known() -> None:
    # Without pieces the body never arrives: code that waits for it hangs.
    for headers in ([], [bearing(b"rubbish")], [("content-length", "2000000")], [("content-type", "text/plain")]):
        answer = await asgi.send(app_of(issuer()), "POST", CLUSTERS, pieces=(), headers=headers)
        assert answer.status == 401


async def test_a_token_names_the_creator_and_without_tokens_it_is_the_system(db: Database) -> None:
    with_tokens = app_of(issuer(), db=db)
    created = await asgi.send(with_tokens, "POST", CLUSTERS, pieces=[CLUSTER], headers=[bearing()])
    assert (created.status, json.loads(created.body)["created_by"]) == (201, EMAIL)
    other = CLUSTER.replace(b"mine", b"theirs")
    created = await asgi.send(app_of(db=db), "POST", CLUSTERS, pieces=[other], headers=[bearing(b"rubbish")])
    assert (created.status, json.loads(created.body)["created_by"]) == (201, "system@hyperfleet.local")


async def status_and_identity(
    app: Middleware, db: Database, headers: Sequence[tuple[str, str | bytes]]
) -> tuple[int, str]:
    """The response to a create with these headers, and the creator that it names."""
    count = json.loads((await client_of(db).get("/clusters")).content)["total"]
    body = CLUSTER.replace(b"mine", b"number-%d" % count)
    answer = await asgi.send(app, "POST", CLUSTERS, pieces=[body], headers=headers)
    found = json.loads(answer.body)
    return answer.status, found.get("created_by") or found["code"]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], (201, EMAIL)),
        (["gateway-user"], (201, "gateway-user")),
        (["  gateway user  "], (201, "gateway user")),
        (["märy"], (201, "märy")),
        ([""], (201, EMAIL)),
        (["   "], (201, EMAIL)),
        (["a" * 256], (201, "a" * 256)),
        (["a" * 257], (401, "HYPERFLEET-AUT-002")),
        (["a\tb"], (401, "HYPERFLEET-AUT-002")),
        ([b"\xff"], (401, "HYPERFLEET-AUT-002")),
        (["one", "two"], (401, "HYPERFLEET-AUT-002")),
    ],
)
async def test_a_gateway_names_the_caller_in_a_header(
    lines: list[str | bytes], expected: tuple[int, str], db: Database
) -> None:
    app = app_of(issuer(identity_header="X-Forwarded-User"), db=db)
    headers: list[tuple[str, str | bytes]] = [bearing()]
    headers += [("x-forwarded-user", line) for line in lines]
    assert await status_and_identity(app, db, headers) == expected
    assert (await asgi.send(app, "GET", NO_ID, headers=headers[1:])).status == 401


async def test_the_header_of_a_gateway_is_ignored_if_none_is_configured(db: Database) -> None:
    headers: list[tuple[str, str | bytes]] = [bearing(), ("x-forwarded-user", "admin")]
    assert await status_and_identity(app_of(issuer(), db=db), db, headers) == (201, EMAIL)


async def test_the_header_of_a_gateway_must_match_the_pattern(db: Database) -> None:
    app = app_of(issuer(identity_header="x-user", identity_pattern=re.compile(r"\S+@example\.com")), db=db)
    assert await status_and_identity(app, db, [bearing(), ("x-user", "ann@example.com")]) == (201, "ann@example.com")
    assert await status_and_identity(app, db, [bearing(), ("x-user", "admin")]) == (401, "HYPERFLEET-AUT-002")


async def test_a_token_in_another_header_needs_no_scheme() -> None:
    app = app_of(issuer(header="x-token"))
    for value in (token("ES256-one"), b"Bearer " + token("ES256-one")):
        assert (await asgi.send(app, "GET", NO_ID, headers=[("x-token", value)])).status == 404
    refused = await asgi.send(app, "GET", NO_ID, headers=[bearing()])
    assert (refused.status, refused.problem["code"]) == (401, "HYPERFLEET-AUT-001")
    assert "x-token" in refused.problem["detail"]


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "ServiceAccount", "serviceaccount", "SERVICEACCOUNT"])
async def test_a_token_is_accepted_with_two_schemes(scheme: str) -> None:
    for blanks in (" ", "   "):
        value = scheme.encode() + blanks.encode() + token("ES256-one")
        assert (await asgi.send(app_of(issuer()), "GET", NO_ID, headers=[("authorization", value)])).status == 404
    for value in (scheme.encode(), scheme.encode() + b" "):
        refused = await asgi.send(app_of(issuer()), "GET", NO_ID, headers=[("authorization", value)])
        assert (refused.status, refused.problem["code"]) == (401, "HYPERFLEET-AUT-001")


async def test_a_token_counts_only_in_the_header_of_its_issuer() -> None:
    app = app_of(issuer(), issuer(OTHER_ISSUER, "ES256-two", header="x-other"))
    theirs = token("ES256-two", iss=OTHER_ISSUER)
    assert (await asgi.send(app, "GET", NO_ID, headers=[("x-other", theirs)])).status == 404
    assert (await asgi.send(app, "GET", NO_ID, headers=[bearing(theirs)])).status == 401
    assert (await asgi.send(app, "GET", NO_ID, headers=[("x-other", token("ES256-one"))])).status == 401
    # If both headers are present, the order of the issuers decides.
    assert (await asgi.send(app, "GET", NO_ID, headers=[("x-other", b"rubbish"), bearing()])).status == 404
    assert (await asgi.send(app, "GET", NO_ID, headers=[("x-other", theirs), bearing(b"rubbish")])).status == 401


async def test_keys_that_do_not_arrive_before_the_deadline_are_504() -> None:
    with local_issuer() as local:
        local.page = Request.hang

        async def source() -> bytes:
            import ssl

            from hyperfleet.http.access import downloads

            return await downloads.get(local.url, ssl.create_default_context())

        keys = IssuerKeys(ISSUER, source)
        hurried = replace(SETTINGS, server=replace(SETTINGS.server, timeouts=settings.Timeouts(write=0.2)))
        app = application(Database(SETTINGS.database), CATALOG, hurried, issuers=[Issuer(ISSUER, keys)])
        answer = await asgi.send(app, "GET", NO_ID, headers=[bearing()])
        assert (answer.status, answer.problem["code"]) == (504, "HYPERFLEET-SVC-002")
        await keys.close()


async def test_no_token_is_ever_logged(capsys: pytest.CaptureFixture[str]) -> None:
    logging.configure(settings.Logging(level="debug"), version="test", hostname="test")
    app = app_of(issuer(identity_header="x-user"))
    good, bad = token("ES256-one"), token("ES256-two")
    for headers in ([bearing(good)], [bearing(bad)], [bearing(good), ("x-user", b"\xff")], [bearing(good + b".AAAA")]):
        await asgi.send(app, "GET", NO_ID, headers=headers)
    logging.drain()
    out, err = capsys.readouterr()
    logged = out + err
    assert logged.count('"message":"request"') == 4
    assert f'"caller":"{EMAIL}"' in logged
    for value in (good, bad):
        for part in value.decode().split("."):
            assert part not in logged
            assert base64.b64encode(part.encode()).decode() not in logged


# The headers of ocm's requests, as its HTTP library sends them.
OCM: Final = (
    ("user-agent", "OCM-CLI/1.0.0"),
    ("accept", "application/json"),
    ("accept-encoding", "gzip"),
    ("host", "localhost:8000"),
)


def ocm_login(value: bytes) -> None:
    """What `ocm login --token` requires of a token before any request: it reads the token without verifying it."""
    payload = json.loads(base64.urlsafe_b64decode(value.split(b".")[1] + b"=="))
    assert payload.get("typ", "Bearer") == "Bearer"
    assert payload["exp"] - payload["iat"] > 60


async def ocm_get(app: Middleware, path: str, value: bytes) -> asgi.Response:
    """What `ocm get` sends, and its rule for responses: anything but application/json is an error."""
    answer = await asgi.send(app, "GET", path, headers=[*OCM, bearing(value)])
    assert answer.headers["content-type"] == "application/json"
    return answer


async def test_ocm_logs_in_and_gets_clusters(db: Database) -> None:
    app = app_of(issuer(), db=db)
    value = token("ES256-one", typ="Bearer")
    ocm_login(value)
    await asgi.send(app, "POST", CLUSTERS, pieces=[CLUSTER], headers=[bearing(value)])
    answer = await ocm_get(app, CLUSTERS, value)
    assert answer.status == 200
    one = await ocm_get(app, f"{CLUSTERS}?search=name='mine'&size=1".replace("'", "%27"), value)
    body = gzip.decompress(one.body) if one.headers.get("content-encoding") == "gzip" else one.body
    assert json.loads(body)["items"][0]["created_by"] == EMAIL


@pytest.mark.parametrize(
    ("path", "value", "status"),
    [
        (NO_ID, None, 404),
        (f"{API}/unknown", None, 404),
        (f"{CLUSTERS}?no=such", None, 400),
        (CLUSTERS, token("ES256-one", exp=1), 401),
        (CLUSTERS, b"rubbish", 401),
    ],
)
async def test_ocm_reads_problems_because_they_are_plain_json(path: str, value: bytes | None, status: int) -> None:
    answer = await ocm_get(app_of(issuer()), path, value or token("ES256-one"))
    assert (answer.status, answer.problem["status"]) == (status, status)
    assert answer.problem["code"].startswith("HYPERFLEET-")
