"""Callers unlike any HTTP client: raw paths, bodies that stop, false lengths, bodies that keep the service busy."""

import gc
from typing import Final

import pytest

from hyperfleet.errors import HyperFleetError
from hyperfleet.http.app import application
from hyperfleet.http.exchange import Exchange
from hyperfleet.http.middleware import Middleware
from hyperfleet.http.reading import json_text
from hyperfleet.model.rendering import API_ROOT
from hyperfleet.settings import Settings
from hyperfleet.store.database import Database
from testbed.fleet import CATALOG
from tests.http import asgi
from tests.pace import cost

CLUSTERS: Final = f"{API_ROOT}/clusters"
LIMIT: Final = Settings().server.max_body_size


@pytest.fixture
def app() -> Middleware:
    """An application without a database, for requests that must be refused before it is used."""
    return application(Database(Settings().database), CATALOG, Settings())


@pytest.mark.parametrize(
    "path",
    [
        b"",
        b"*",
        b"a:80",
        b"/api\xc3\xa9",
        b"/api/hyperfleet/v1/clusters/\xff",
        b"/api/hyperfleet/v1/clusters\n",
        b"/api/hyperfleet/v1/clusters\x00",
        b"/api/hyperfleet/v1/../v1/clusters",
        b"/api/hyperfleet/v1/./clusters",
        b"/api/hyperfleet/v1/%2e%2e/v1/clusters",
        b"/api/hyperfleet/v1\\clusters",
        b"/" * 60_000,
        b"/api/hyperfleet/v1/clusters/" + b"%41" * 20_000 + b"%",
    ],
)
async def test_an_invalid_raw_path_is_404(app: Middleware, path: bytes) -> None:
    answer = await asgi.send(app, "GET", path)
    assert (answer.status, answer.problem["code"]) == (404, "HYPERFLEET-NTF-000")
    assert len(answer.body) < 5000


@pytest.mark.parametrize("length", [str(LIMIT + 1), "9" * 18, "9" * 5000])
async def test_a_length_beyond_the_limit_is_refused_before_the_body_arrives(app: Middleware, length: str) -> None:
    answer = await asgi.send(app, "POST", CLUSTERS, pieces=[], headers=[("Content-Length", length)])
    assert (answer.status, answer.problem["code"]) == (413, "HYPERFLEET-VAL-005")


@pytest.mark.parametrize("length", ["2", "-1", "x", ""])
async def test_a_false_length_does_not_let_a_large_body_in(app: Middleware, length: str) -> None:
    pieces = [b" " * (LIMIT // 2)] * 3
    answer = await asgi.send(app, "POST", CLUSTERS, pieces=pieces, headers=[("Content-Length", length)])
    assert answer.status == 413


async def test_a_body_in_one_piece_beyond_the_limit_is_refused(app: Middleware) -> None:
    assert (await asgi.send(app, "POST", CLUSTERS, pieces=[b" " * (LIMIT + 1)])).status == 413


@pytest.mark.parametrize("pieces", [(), (b'{"name":',), (b"{", b"}")])
async def test_a_caller_that_leaves_before_the_end_of_its_body_is_not_a_failure(
    app: Middleware, pieces: tuple[bytes, ...]
) -> None:
    answer = await asgi.send(app, "POST", CLUSTERS, pieces=pieces, leaves=True)
    assert (answer.status, answer.problem["code"]) == (400, "HYPERFLEET-VAL-005")


async def test_a_body_in_many_empty_pieces_is_assembled(app: Middleware) -> None:
    answer = await asgi.send(app, "POST", CLUSTERS, pieces=[b"", b"{", b"", b"}", b""])
    assert [wrong["field"] for wrong in answer.problem["errors"]] == ["name", "spec"]


@pytest.mark.parametrize("pieces", [(), (b"{}",)])
async def test_a_failed_request_is_released_at_once(app: Middleware, pieces: tuple[bytes, ...]) -> None:
    # A request left to the garbage collector keeps its connection open, because its body still counts as expected.
    gc.collect()
    gc.disable()
    try:
        assert (await asgi.send(app, "POST", CLUSTERS, pieces=pieces, leaves=not pieces)).status == 400
        assert [each for each in gc.get_objects() if isinstance(each, Exchange)] == []
    finally:
        gc.enable()


async def test_a_read_never_waits_for_a_body(app: Middleware) -> None:
    assert (await asgi.send(app, "GET", f"{API_ROOT}/compatibility", pieces=[])).status == 200


async def test_a_request_id_given_twice_is_replaced(app: Middleware) -> None:
    lines = [("X-Request-Id", "one"), ("X-Request-Id", "two")]
    answer = await asgi.send(app, "GET", f"{API_ROOT}/compatibility", headers=lines)
    assert answer.headers["x-request-id"] not in ("one", "two", "one, two")


async def test_a_body_is_json_in_only_one_media_type(app: Middleware) -> None:
    lines = [("Content-Type", "application/json"), ("Content-Type", "text/plain")]
    assert (await asgi.send(app, "POST", CLUSTERS, pieces=[b"{}"], headers=lines)).status == 415


def filled(head: bytes, unit: bytes, tail: bytes) -> bytes:
    """A body of 1 MiB."""
    return head + unit * ((LIMIT - len(head) - len(tail)) // len(unit)) + tail


@pytest.mark.parametrize(
    "body",
    [
        filled(b'{"a":["\\u0000",', b"1,", b"1]}"),
        filled(b'{"a":[', b'"\\u0000",', b"1]}"),
        filled(b'{"a":[', b"9" * 1001 + b",", b"1]}"),
        filled(b'{"a":"', b"\\\\", b'\\ud800"}'),
        filled(b'{"a":[', b"[" * 98 + b"]" * 98 + b",", b"[" * 200 + b"]" * 200 + b"]}"),
        b"[" * LIMIT,
    ],
    ids=["one NUL among numbers", "NULs", "long numbers", "backslashes", "brackets", "open brackets"],
)
def test_the_worst_bodies_cost_little_more_to_refuse_than_to_read(body: bytes) -> None:
    def refused() -> None:
        with pytest.raises(HyperFleetError):
            json_text.decoded(body)

    assert cost(refused) < 600
