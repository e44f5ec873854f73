"""The service's own paths: JSON with working links, and a page for browsers."""

import json
import re
from dataclasses import replace

import pytest
from starlette.types import ASGIApp

from hyperfleet.http.app import application
from hyperfleet.http.description.entrance import ADDRESSES
from hyperfleet.model.rendering import API_ROOT
from hyperfleet.settings import Health, Metrics, Tls
from hyperfleet.store.database import Database
from testbed.fleet import CATALOG
from tests.http import asgi
from tests.http.conftest import SETTINGS

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


def app_of(health: Health | None = None, metrics: Metrics | None = None) -> ASGIApp:
    configured = replace(SETTINGS, health=health or Health(), metrics=metrics or Metrics())
    return application(Database(configured.database), CATALOG, configured)


@pytest.fixture(scope="module")
def app() -> ASGIApp:
    return app_of()


async def links(app: ASGIApp, host: str = "localhost:8000") -> dict[str, str]:
    answer = await asgi.send(app, "GET", "/", headers=[("Host", host)])
    found: dict[str, str] = json.loads(answer.body)["links"]
    return found


@pytest.mark.parametrize("path", ADDRESSES)
async def test_every_address_of_the_service_gives_the_same_json(app: ASGIApp, path: str) -> None:
    first = await asgi.send(app, "GET", "/api/hyperfleet")
    for accept in ("*/*", "application/json", "application/json, text/html"):
        answer = await asgi.send(app, "GET", path, headers=[("Accept", accept)])
        assert (answer.status, answer.headers["content-type"], answer.body) == (200, "application/json", first.body)


async def test_every_relative_link_works(app: ASGIApp) -> None:
    for name, address in (await links(app)).items():
        if address.startswith("/"):
            assert address.startswith(API_ROOT), "a gateway may pass the API's root only"
            assert (await asgi.send(app, "OPTIONS", address)).status == 204, name


async def test_each_kind_has_a_link_to_its_list(app: ASGIApp) -> None:
    found = await links(app)
    assert {f"{API_ROOT}/{kind.plural}" for kind in CATALOG.kinds} <= set(found.values())
    assert found["resources"] == f"{API_ROOT}/resources"


@pytest.mark.parametrize(
    ("listener", "host", "address"),
    [
        ("localhost", "localhost:8000", "http://localhost:8083/healthcheck"),
        ("127.0.0.1", "127.0.0.1:8000", "http://127.0.0.1:8083/healthcheck"),
        ("::1", "[::1]:8000", "http://[::1]:8083/healthcheck"),
        ("localhost", "fleet.example.com", None),
        ("0.0.0.0", "fleet.example.com:8000", "http://fleet.example.com:8083/healthcheck"),
        ("::", "10.0.0.7", "http://10.0.0.7:8083/healthcheck"),
        ("10.0.0.9", "fleet.example.com", "http://10.0.0.9:8083/healthcheck"),
        ("fd00::9", "fleet.example.com", "http://[fd00::9]:8083/healthcheck"),
    ],
)
async def test_other_listeners_are_linked_if_the_caller_can_reach_them(
    listener: str, host: str, address: str | None
) -> None:
    assert (await links(app_of(Health(host=listener)), host)).get("health") == address


async def test_a_listener_with_tls_is_linked_by_https() -> None:
    app = app_of(metrics=Metrics(port=9443, tls=Tls(enabled=True)))
    assert (await links(app))["metrics"] == "https://localhost:9443/metrics"


async def test_browsers_get_a_page_whose_links_all_work(app: ASGIApp) -> None:
    page = await asgi.send(app, "GET", "/", headers=[("Accept", BROWSER), ("Host", "localhost:8000")])
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert page.headers["vary"] == "Accept, Accept-Encoding"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    addresses = re.findall(r'href="([^"]+)"', page.body.decode())
    assert {"http://localhost:8083/healthcheck", "http://localhost:8080/metrics"} <= set(addresses)
    assert f"{API_ROOT}/openapi.html" in addresses
    for address in (found for found in addresses if found.startswith("/")):
        assert (await asgi.send(app, "OPTIONS", address)).status == 204, address


@pytest.mark.parametrize("enabled", [True, False])
async def test_the_page_says_that_lists_need_a_token_if_they_do(enabled: bool) -> None:
    server = replace(SETTINGS.server, jwt=replace(SETTINGS.server.jwt, enabled=enabled))
    configured = replace(SETTINGS, server=server)
    app = application(Database(configured.database), CATALOG, configured)
    page = await asgi.send(app, "GET", "/", headers=[("Accept", BROWSER)])
    assert (b"Lists need a token" in page.body) is enabled


async def test_a_hostile_host_is_not_shown_on_the_page(app: ASGIApp) -> None:
    page = await asgi.send(app, "GET", "/", headers=[("Accept", "text/html"), ("Host", '"><script>x</script>')])
    assert page.status == 400
    assert b"<script" not in page.body


async def test_only_the_root_has_a_page(app: ASGIApp) -> None:
    answer = await asgi.send(app, "GET", "/api/hyperfleet", headers=[("Accept", "text/html")])
    assert (answer.status, answer.problem["code"]) == (406, "HYPERFLEET-VAL-005")


async def test_unknown_parameters_are_refused_here_too(app: ASGIApp) -> None:
    for path in ADDRESSES:
        answer = await asgi.send(app, "GET", f"{path}?a=1")
        assert (answer.status, answer.problem["code"]) == (400, "HYPERFLEET-VAL-002")
