"""Without authentication, a page of another site in a browser on the same machine cannot change anything."""

from dataclasses import replace
from typing import Final

import pytest

from hyperfleet.http.app import application
from hyperfleet.http.middleware import Middleware
from hyperfleet.store.database import Database
from testbed.fleet import CATALOG
from tests.http import asgi
from tests.http.conftest import SETTINGS
from tests.http.issuing import issuer, token

CLUSTERS: Final = "/api/hyperfleet/v1/clusters"
NO_ID: Final = f"{CLUSTERS}/no-id"
WRITES: Final = (
    ("POST", CLUSTERS),
    ("PATCH", NO_ID),
    ("DELETE", NO_ID),
    ("POST", f"{NO_ID}/force-delete"),
    ("POST", f"{NO_ID}/statuses"),
    ("PUT", f"{NO_ID}/statuses"),
    ("POST", "/api/hyperfleet/v1/resources"),
)
FOREIGN: Final = (403, "HYPERFLEET-AUZ-001")
Headers = list[tuple[str, str | bytes]]


def app_of(host: str = "localhost") -> Middleware:
    configured = replace(SETTINGS, server=replace(SETTINGS.server, host=host))
    return application(Database(SETTINGS.database), CATALOG, configured)


async def outcome(app: Middleware, method: str, path: str, headers: Headers, host: str = "localhost:8000") -> object:
    """Status and code for an empty body: callers that may write get 400 or 404."""
    answer = await asgi.send(app, method, path, pieces=[b""], headers=headers, host=host)
    return answer.status, answer.problem.get("code")


@pytest.mark.parametrize(("method", "path"), WRITES)
@pytest.mark.parametrize(
    "headers",
    [
        [("Origin", "https://evil.example.com")],
        [("Origin", "null")],
        [("Origin", "http://localhost:3000")],
        [("Origin", "http://127.0.0.1:8000")],
        [("Origin", "http://localhost")],
        [("Origin", "")],
        [("Origin", "http://localhost:8000"), ("Origin", "https://evil.example.com")],
        [("Origin", "http://localhost:8000.evil.example.com")],
        [("Origin", "http://localhost:99999")],
        [("Origin", b"\xff")],
        [("Sec-Fetch-Site", "cross-site")],
        [("Sec-Fetch-Site", "cross-site"), ("Origin", "http://localhost:8000")],
    ],
    ids=str,
)
async def test_a_page_of_another_site_cannot_write(method: str, path: str, headers: Headers) -> None:
    answer = await asgi.send(app_of(), method, path, pieces=(), headers=headers)
    assert (answer.status, answer.problem["code"]) == FOREIGN
    assert "turn authentication on" in answer.problem["detail"]


@pytest.mark.parametrize(("method", "path"), WRITES)
@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Origin", "http://localhost:8000")],
        [("Origin", "HTTP://LOCALHOST:8000")],
        [("Sec-Fetch-Site", "same-origin"), ("Origin", "http://localhost:8000")],
        [("Sec-Fetch-Site", "none")],
    ],
    ids=str,
)
async def test_the_services_own_page_and_programs_can_write(method: str, path: str, headers: Headers) -> None:
    assert await outcome(app_of(), method, path, headers) != FOREIGN


@pytest.mark.parametrize(
    ("origin", "host", "is_own"),
    [
        ("https://api.example.com", "api.example.com", True),
        ("https://api.example.com", "api.example.com:443", True),
        ("https://api.example.com:443", "api.example.com", True),
        ("http://api.example.com", "api.example.com:80", True),
        ("http://api.example.com", "api.example.com:443", False),
        ("https://api.example.com", "api.example.com:8000", False),
        ("https://example.com", "api.example.com", False),
        ("http://[2001:db8::1]:8000", "[2001:db8::1]:8000", True),
    ],
)
async def test_default_ports_of_schemes_may_be_omitted(origin: str, host: str, is_own: bool) -> None:
    found = await outcome(app_of("0.0.0.0"), "POST", CLUSTERS, [("Origin", origin)], host)
    assert (found != FOREIGN) is is_own


@pytest.mark.parametrize(
    ("host", "is_own"),
    [
        ("localhost:8000", True),
        ("127.0.0.1:8000", True),
        ("[::1]:8000", True),
        ("fleet.localhost:8000", True),
        ("rebound.example.com:8000", False),
        ("10.0.0.7:8000", False),
    ],
)
async def test_a_foreign_name_that_resolves_to_this_machine_is_not_its_own(host: str, is_own: bool) -> None:
    headers: Headers = [("Origin", f"http://{host}"), ("Sec-Fetch-Site", "same-origin")]
    assert (await outcome(app_of(), "POST", CLUSTERS, headers, host) != FOREIGN) is is_own
    assert await outcome(app_of(), "POST", CLUSTERS, [], host) != FOREIGN
    assert await outcome(app_of("0.0.0.0"), "POST", CLUSTERS, headers, host) != FOREIGN


async def test_reads_and_writes_with_a_token_are_unaffected() -> None:
    foreign: Headers = [("Origin", "https://evil.example.com"), ("Sec-Fetch-Site", "cross-site")]
    assert await outcome(app_of(), "GET", NO_ID, foreign) == (404, "HYPERFLEET-NTF-002")
    with_tokens = application(Database(SETTINGS.database), CATALOG, SETTINGS, issuers=[issuer()])
    bearing: Headers = [*foreign, ("authorization", b"Bearer " + token("ES256-one"))]
    assert await outcome(with_tokens, "DELETE", NO_ID, bearing) == (404, "HYPERFLEET-NTF-002")
    assert await outcome(with_tokens, "DELETE", NO_ID, foreign) == (401, "HYPERFLEET-AUT-001")
