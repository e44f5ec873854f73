"""A trusted gateway names the caller without a token: only from its own addresses, and other peers are refused."""

import json
from typing import Final

import pytest

from hyperfleet.http.access.gateways import Gateway
from hyperfleet.http.access.tenants import Dimension, Tenants
from hyperfleet.http.access.verifier import Issuer
from hyperfleet.http.app import application
from hyperfleet.http.middleware import Middleware
from hyperfleet.model.kind import BUILT_IN
from hyperfleet.model.rules.permission import DEFAULT, Permissions, Rule
from hyperfleet.store.database import Database
from testbed.fleet import CATALOG
from tests.http import asgi
from tests.http.conftest import SETTINGS
from tests.http.issuing import EMAIL, issuer, token

API: Final = "/api/hyperfleet/v1"
CLUSTERS: Final = f"{API}/clusters"
NO_ID: Final = f"{CLUSTERS}/no-id"
IDENTITY: Final = ("x-hyperfleet-identity", "mary@example.com")
UNAUTHENTICATED: Final = (401, "HYPERFLEET-AUT-001")
Headers = list[tuple[str, str | bytes]]


def app_of(
    *networks: str,
    db: Database | None = None,
    issuers: tuple[Issuer, ...] = (),
    tenants: Tenants | None = None,
    rules: tuple[Rule, ...] = DEFAULT,
) -> Middleware:
    return application(
        db or Database(SETTINGS.database),
        CATALOG,
        SETTINGS,
        issuers=issuers,
        gateway=Gateway("x-hyperfleet-identity", networks or ("10.0.0.0/8", "2001:db8::/32", "192.0.2.7")),
        tenants=tenants,
        permissions=Permissions(rules, [kind.name for kind in BUILT_IN]),
    )


@pytest.mark.parametrize(
    ("peer", "is_allowed"),
    [
        ("10.0.0.0", True),
        ("10.255.255.255", True),
        ("11.0.0.0", False),
        ("9.255.255.255", False),
        ("::ffff:10.1.2.3", True),
        ("::ffff:11.1.2.3", False),
        ("2001:db8::1", True),
        ("2001:db9::1", False),
        ("192.0.2.7", True),
        ("192.0.2.8", False),
        ("127.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("", False),
        ("unix", False),
    ],
)
async def test_requests_are_accepted_only_from_the_gateway(peer: str, is_allowed: bool) -> None:
    answer = await asgi.send(app_of(), "GET", NO_ID, headers=[IDENTITY], peer=peer)
    expected = (404, "HYPERFLEET-NTF-002") if is_allowed else UNAUTHENTICATED
    assert (answer.status, answer.problem["code"]) == expected


async def test_no_header_turns_another_peer_into_the_gateway() -> None:
    forwarded: Headers = [
        IDENTITY,
        ("x-forwarded-for", "10.0.0.1"),
        ("forwarded", "for=10.0.0.1"),
        ("x-real-ip", "10.0.0.1"),
    ]
    answer = await asgi.send(app_of(), "GET", NO_ID, headers=forwarded, peer="198.51.100.1")
    assert (answer.status, answer.problem["code"]) == UNAUTHENTICATED


async def test_another_peer_is_refused_even_with_a_valid_token() -> None:
    headers: Headers = [("authorization", b"Bearer " + token("ES256-one"))]
    app = app_of(issuers=(issuer(),))
    assert (await asgi.send(app, "GET", NO_ID, headers=headers, peer="198.51.100.1")).status == 401
    assert (await asgi.send(app, "GET", NO_ID, headers=headers, peer="10.0.0.1")).status == 404


async def test_the_gateway_names_the_creator(db: Database) -> None:
    body = b'{"name":"mine","spec":{}}'
    made = await asgi.send(app_of(db=db), "POST", CLUSTERS, pieces=[body], headers=[IDENTITY], peer="10.0.0.1")
    assert (made.status, made.problem["created_by"]) == (201, "mary@example.com")


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], UNAUTHENTICATED),
        ([""], UNAUTHENTICATED),
        (["  "], UNAUTHENTICATED),
        (["mary", "mary"], (401, "HYPERFLEET-AUT-002")),
        ([b"\xff"], (401, "HYPERFLEET-AUT-002")),
        (["a\x1bb"], (401, "HYPERFLEET-AUT-002")),
        (["a" * 257], (401, "HYPERFLEET-AUT-002")),
        (["a" * 256], (404, "HYPERFLEET-NTF-002")),
        ([" mary "], (404, "HYPERFLEET-NTF-002")),
    ],
    ids=str,
)
async def test_reads_need_an_identity_too(lines: list[str | bytes], expected: tuple[int, str]) -> None:
    headers: Headers = [("x-hyperfleet-identity", line) for line in lines]
    for method in ("GET", "DELETE"):
        answer = await asgi.send(app_of(), method, NO_ID, headers=headers, peer="10.0.0.1")
        assert (answer.status, answer.problem["code"]) == expected


async def test_the_gateway_wins_over_a_token_and_a_token_works_without_it(db: Database) -> None:
    app = app_of(db=db, issuers=(issuer(),))
    bearing: Headers = [("authorization", b"Bearer " + token("ES256-one"))]
    for name, headers, creator in (("one", bearing, EMAIL), ("two", [*bearing, IDENTITY], "mary@example.com")):
        body = json.dumps({"name": f"cluster-{name}", "spec": {}}).encode()
        made = await asgi.send(app, "POST", CLUSTERS, pieces=[body], headers=headers, peer="10.0.0.1")
        assert (made.status, made.problem["created_by"]) == (201, creator)
    refused = await asgi.send(app, "GET", NO_ID, headers=[("authorization", b"Bearer x")], peer="10.0.0.1")
    assert (refused.status, refused.problem["code"]) == (401, "HYPERFLEET-AUT-002")


async def test_rules_apply_to_callers_of_the_gateway() -> None:
    answer = await asgi.send(app_of(), "POST", f"{NO_ID}/force-delete", pieces=(), headers=[IDENTITY], peer="10.0.0.1")
    assert (answer.status, answer.problem["code"]) == (403, "HYPERFLEET-AUZ-001")
    own = (Rule("mary", ("*",), ("*",), "caller.identity == 'mary@example.com' && caller.issuer == ''"),)
    app = app_of(rules=own)
    assert (await asgi.send(app, "GET", NO_ID, headers=[IDENTITY], peer="10.0.0.1")).status == 404
    other: Headers = [("x-hyperfleet-identity", "ann")]
    assert (await asgi.send(app, "GET", NO_ID, headers=other, peer="10.0.0.1")).status == 403


async def test_the_gateways_headers_for_tenants_and_system_callers_count(db: Database) -> None:
    tenants = Tenants([Dimension("org", "x-hyperfleet-org", "", is_required=True)], system_header="x-hyperfleet-system")
    app = app_of(db=db, tenants=tenants)
    red: Headers = [IDENTITY, ("x-hyperfleet-org", "red"), ("x-hyperfleet-system", "false")]
    body = b'{"name":"mine","spec":{}}'
    assert (await asgi.send(app, "POST", CLUSTERS, pieces=[body], headers=red, peer="10.0.0.1")).status == 201
    system: Headers = [IDENTITY, ("x-hyperfleet-system", "true")]
    seen = await asgi.send(app, "GET", CLUSTERS, headers=system, peer="10.0.0.1")
    assert seen.problem["total"] == 1
    assert (await asgi.send(app, "POST", CLUSTERS, pieces=(), headers=system, peer="10.0.0.1")).status == 403
    assert (await asgi.send(app, "GET", CLUSTERS, headers=red, peer="198.51.100.1")).status == 401


async def test_open_routes_are_open_to_every_peer() -> None:
    for path in ("/api/hyperfleet", f"{API}/compatibility", "/openapi"):
        assert (await asgi.send(app_of(), "GET", path, peer="198.51.100.1")).status == 200


async def test_the_document_says_that_callers_may_be_unknown_but_names_no_token() -> None:
    described = json.loads((await asgi.send(app_of(), "GET", "/openapi")).body)
    assert "security" not in described
    assert "401" in described["paths"][CLUSTERS]["get"]["responses"]
