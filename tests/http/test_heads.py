"""Heads that the HTTP server accepts although they are ambiguous or fill the memory."""

from typing import Final

import pytest

from hyperfleet.http.app import application
from hyperfleet.http.middleware import Middleware
from hyperfleet.http.reading.heads import LARGEST
from hyperfleet.store.database import Database
from testbed.fleet import CATALOG
from tests.http import asgi
from tests.http.conftest import SETTINGS

OPEN: Final = "/api/hyperfleet/v1/compatibility"
CLUSTERS: Final = "/api/hyperfleet/v1/clusters"


@pytest.fixture
def app() -> Middleware:
    return application(Database(SETTINGS.database), CATALOG, SETTINGS)


def is_refused(answer: asgi.Response, status: int, word: str) -> bool:
    problem = answer.problem
    return (answer.status, problem["status"], problem["code"]) == (status, status, "HYPERFLEET-VAL-005") and (
        word in problem["detail"]
    )


@pytest.mark.parametrize("path", [OPEN, CLUSTERS, "/nowhere"])
@pytest.mark.parametrize("method", ["GET", "POST", "BREW"])
async def test_http_1_1_needs_one_host(app: Middleware, method: str, path: str) -> None:
    for host in (None, ""):
        assert is_refused(await asgi.send(app, method, path, pieces=(), host=host), 400, "Host")
    two = [("Host", "localhost"), ("Host", "localhost")]
    assert is_refused(await asgi.send(app, method, path, pieces=(), headers=two), 400, "more than once")


@pytest.mark.parametrize("version", ["1", "1.0"])
async def test_http_1_0_needs_no_host_but_refuses_two(app: Middleware, version: str) -> None:
    for host in (None, ""):
        assert (await asgi.send(app, "GET", OPEN, host=host, version=version)).status == 200
    two = [("Host", "a"), ("Host", "b")]
    assert is_refused(await asgi.send(app, "GET", OPEN, headers=two, version=version), 400, "Host")


@pytest.mark.parametrize(
    ("host", "is_right"),
    [
        ("localhost", True),
        ("localhost:8000", True),
        ("api.example.com:", True),
        ("my_service:1", True),
        ("127.0.0.1:65535", True),
        ("[::1]:8000", True),
        ("[::1]", True),
        ("xn--mnchen-3ya.example", True),
        ("a b", False),
        ("a@b", False),
        ("a/b", False),
        ("http://a", False),
        ("a:b", False),
        ("a:123456", False),
        ("a,b", True),
        ("::1", False),
        ("a\tb", False),
        ("ä", False),
    ],
)
async def test_a_host_header_has_a_host_and_an_optional_port(app: Middleware, host: str, is_right: bool) -> None:
    answer = await asgi.send(app, "GET", OPEN, host=host)
    assert answer.status == 200 if is_right else is_refused(answer, 400, "Host")


async def test_headers_together_have_at_most_32_kib(app: Middleware) -> None:
    used = len("host") + len("localhost:8000") + len("x-a") + len("x-b")
    half = (LARGEST - used) // 2
    filling = [("x-a", "a" * half), ("x-b", "b" * (LARGEST - used - half))]
    assert (await asgi.send(app, "GET", OPEN, headers=filling)).status == 200
    more = [filling[0], ("x-b", filling[1][1] + "b")]
    assert is_refused(await asgi.send(app, "GET", OPEN, headers=more), 431, "32768 bytes")
    assert is_refused(await asgi.send(app, "GET", "/nowhere", headers=more), 431, "32768 bytes")
    many = [(f"x-{number:03}", "a" * 400) for number in range(90)]
    assert is_refused(await asgi.send(app, "GET", OPEN, headers=many), 431, "32768 bytes")


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["chunked"], None),
        (["Chunked "], None),
        (["gzip, chunked"], 501),
        (["gzip", "chunked"], 501),
        (["chunked, gzip"], 501),
        (["deflate"], 501),
        (["identity"], 501),
        (["chunked;q=1"], 501),
        ([""], 501),
        (["chunked, chunked"], 400),
        (["chunked", "chunked"], 400),
    ],
)
async def test_a_body_is_chunked_at_most_once(app: Middleware, lines: list[str], status: int | None) -> None:
    headers = [("Transfer-Encoding", line) for line in lines]
    for method in ("GET", "POST"):
        answer = await asgi.send(app, method, OPEN, headers=headers)
        if status is None:
            assert answer.status == (200 if method == "GET" else 405)
        else:
            assert is_refused(answer, status, "hunked")


@pytest.mark.parametrize(
    ("line", "is_right"),
    [
        ("", True),
        ("  ", True),
        ("application/json", True),
        ("application/json;", True),
        ("application/json ; charset=utf-8", True),
        (";", False),
        (" ; ", False),
        ("; charset=utf-8", False),
        (",", False),
        ("application/json,", False),
        ("application/json; charset", False),
        ("application/json, application/json", False),
    ],
)
async def test_a_media_type_without_a_name_is_refused(app: Middleware, line: str, is_right: bool) -> None:
    answer = await asgi.send(app, "POST", CLUSTERS, pieces=[b"[]"], headers=[("Content-Type", line)])
    assert answer.status == (400 if is_right else 415)
    answer = await asgi.send(app, "PATCH", CLUSTERS + "/no-id", pieces=[b"[]"], headers=[("Content-Type", line)])
    assert answer.status == (400 if is_right else 415)
