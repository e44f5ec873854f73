"""A row is all that a route needs: one more is served, guarded, counted, logged, traced and missed in the document."""

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import pytest
from structlog.testing import capture_logs

from hyperfleet.http import endpoints
from hyperfleet.http.access.tenants import Dimension, Tenants
from hyperfleet.http.app import application
from hyperfleet.http.exchange import Answer, Exchange, Use
from hyperfleet.http.middleware import Middleware
from hyperfleet.http.routes import ROWS, Row
from hyperfleet.model.catalog import RESERVED_PLURALS
from hyperfleet.model.rendering import API_ROOT
from hyperfleet.model.rules.permission import Permissions, Rule
from hyperfleet.store.database import Database
from hyperfleet.telemetry import metrics, tracing
from testbed.fleet import CATALOG
from tests.cli.collecting import Collector, collecting
from tests.contract.test_document import described, routed
from tests.http import asgi
from tests.http.conftest import SETTINGS
from tests.http.issuing import issuer, token
from tests.http.test_tenant_wall import WALL, walked

ID: Final = "019abcde-0000-7000-8000-000000000001"
NOTE: Final = API_ROOT + "/{plural}/{id}/notes/{note}"
ROOM: Final = API_ROOT + "/rooms/{room}"


async def note(exchange: Exchange) -> Answer:
    """What the path and the guard made known."""
    named = {"kind": exchange.kind.name, "id": exchange.id, "note": exchange.scope["path_params"]["note"]}
    return Answer(200, msgspec.json.encode(named | {"kinds": [kind.name for kind in exchange.kinds]}))


async def room(exchange: Exchange) -> Answer:
    """A text, in the media type that the caller prefers."""
    return Answer(200, exchange.scope["path_params"]["room"].encode(), exchange.media_type.encode())


ADDED: Final = (
    Row(NOTE, {"GET": Use(note, "read"), "PUT": Use(note, "update")}),
    Row(ROOM, {"GET": Use(room)}, ("text/plain", "application/json"), is_open=True),
)
TABLES: Final = {"at the end": (*ROWS, *ADDED), "first": (*ADDED, *ROWS), "backwards": (*ROWS, *ADDED)[::-1]}


@pytest.fixture(params=TABLES)
def rows(request: pytest.FixtureRequest) -> tuple[Row, ...]:
    """The table with two more rows, whose order must mean nothing."""
    return TABLES[request.param]


def readers() -> Permissions:
    """Rules by which everybody reads, and nothing else."""
    return Permissions([Rule("readers", ("read",), ("*",), "true")], [kind.name for kind in CATALOG.kinds])


def app_of(rows: tuple[Row, ...], **more: Any) -> Middleware:
    return application(Database(SETTINGS.database), CATALOG, SETTINGS, rows=rows, **more)


def bearing() -> list[tuple[str, str | bytes]]:
    return [("authorization", b"Bearer " + token("ES256-one"))]


async def test_it_is_served_for_every_kind(rows: tuple[Row, ...]) -> None:
    app = app_of(rows)
    for plural, kind in {"clusters": "Cluster", "nodepools": "NodePool"}.items():
        answer = await asgi.send(app, "GET", f"{API_ROOT}/{plural}/{ID}/notes/first")
        assert answer.problem == {"kind": kind, "id": ID, "note": "first", "kinds": [kind]}
    everything = await asgi.send(app, "GET", f"{API_ROOT}/resources/{ID}/notes/first")
    assert everything.problem["kinds"] == ["Cluster", "NodePool"]
    assert (await asgi.send(app, "GET", f"{API_ROOT}/rooms/{ID}/notes/first")).status == 404


async def test_literal_segments_win_over_variables_wherever_the_row_is(rows: tuple[Row, ...]) -> None:
    app = app_of(rows)
    assert (await asgi.send(app, "GET", f"{API_ROOT}/rooms/blue")).body == b"blue"
    for path, method in {f"clusters/{ID}/statuses": "DELETE", f"clusters/{ID}/nodepools": "PUT"}.items():
        assert (await asgi.send(app, method, f"{API_ROOT}/{path}")).status == 405
    allowed = (await asgi.send(app, "OPTIONS", f"{API_ROOT}/clusters/{ID}/statuses")).headers["allow"]
    assert allowed == "GET, HEAD, OPTIONS, POST, PUT"


async def test_it_tells_its_methods_and_answers_in_its_media_types(rows: tuple[Row, ...]) -> None:
    app = app_of(rows)
    refused = await asgi.send(app, "DELETE", f"{API_ROOT}/clusters/{ID}/notes/first")
    assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD, OPTIONS, PUT")
    options = await asgi.send(app, "OPTIONS", f"{API_ROOT}/rooms/blue")
    assert (options.status, options.headers["allow"]) == (204, "GET, HEAD, OPTIONS")
    head = await asgi.send(app, "HEAD", f"{API_ROOT}/rooms/blue", headers=[("accept", "application/json")])
    assert (head.status, head.headers["content-type"], head.body) == (200, "application/json", b"")
    assert (await asgi.send(app, "GET", f"{API_ROOT}/rooms/blue", headers=[("accept", "image/png")])).status == 406


async def test_rules_allow_it_by_its_verb(rows: tuple[Row, ...]) -> None:
    app = app_of(rows, issuers=[issuer()], permissions=readers())
    path = f"{API_ROOT}/clusters/{ID}/notes/first"
    assert (await asgi.send(app, "GET", path, headers=bearing())).status == 200
    refused = await asgi.send(app, "PUT", path, headers=bearing())
    assert (refused.status, refused.problem["code"]) == (403, "HYPERFLEET-AUZ-001")
    assert "update clusters" in refused.problem["detail"]


async def test_it_needs_a_token_and_a_tenant_unless_it_is_open(rows: tuple[Row, ...]) -> None:
    tenants = Tenants([Dimension("org", "x-org", "", is_required=True)])
    app = app_of(rows, issuers=[issuer()], tenants=tenants)
    path = f"{API_ROOT}/clusters/{ID}/notes/first"
    assert (await asgi.send(app, "GET", path)).status == 401
    assert (await asgi.send(app, "GET", path, headers=bearing())).status == 403
    assert (await asgi.send(app, "GET", path, headers=[*bearing(), ("x-org", "red")])).status == 200
    assert (await asgi.send(app, "GET", f"{API_ROOT}/rooms/blue")).status == 200


@pytest.fixture
def traces(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """What a collector got of the traces of this process, once it stopped to trace."""
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.port}")
        tracing.start(version="test")
        yield collector
        tracing.stop()


async def test_metrics_log_lines_and_traces_show_its_path_without_ids(rows: tuple[Row, ...], traces: Collector) -> None:
    app = app_of(rows)
    with capture_logs() as lines:
        await asgi.send(app, "GET", f"{API_ROOT}/clusters/{ID}/notes/hidden-note")
        await asgi.send(app, "GET", f"{API_ROOT}/rooms/hidden-room")
    tracing.stop()
    shown = [f"{API_ROOT}/clusters/-/notes/-", f"{API_ROOT}/rooms/-"]
    assert [line["route"] for line in lines if line["event"] == "request"] == shown
    assert [span.name for span in traces.spans] == [f"GET {path}" for path in shown]
    exposed = metrics.exposition().decode()
    for path in shown:
        assert re.search(rf'^hyperfleet_api_requests_total\{{.*path="{path}".*\}}', exposed, re.MULTILINE)
    assert "hidden-" not in exposed
    assert not any(b"hidden-" in body for body in traces.raw)


def test_it_is_found_to_be_missing_in_the_document_and_in_the_tenant_isolation_test() -> None:
    rows = TABLES["at the end"]
    notes = {
        (f"{API_ROOT}/{kind}/-/notes/-", method)
        for kind in ("clusters", "nodepools", "resources")
        for method in ("GET", "PUT")
    }
    assert routed(rows) - described() == {*notes, (f"{API_ROOT}/rooms/-", "GET")}
    assert {(path, method) for path, method, _ in walked(rows)} - set(WALL) == {(NOTE, "GET"), (NOTE, "PUT")}


@pytest.mark.parametrize(
    "row",
    [
        Row(API_ROOT + "/{plural}/{id}/other", {"GET": Use(note)}),
        Row(API_ROOT + "/rooms/{room}", {"GET": Use(room, "read")}),
        Row(API_ROOT + "/{plural}/{name}", {"GET": Use(endpoints.read, "read")}),
    ],
    ids=["without a verb", "with a verb and without a kind", "for the paths of another row"],
)
def test_a_row_that_makes_no_sense_stops_the_start(row: Row) -> None:
    with pytest.raises(ValueError, match=re.escape(re.sub(r"\{[a-z]+\}", "{}", row.path)) + "|needs a verb"):
        app_of((*ROWS, row))


def test_no_kind_can_have_a_word_of_the_routes_as_its_plural() -> None:
    below = [row.path.removeprefix(API_ROOT + "/").split("/") for row in ROWS if row.path.startswith(API_ROOT + "/")]
    words = {word for segments in below for word in segments if not word.startswith("{") and "." not in word}
    assert words - {""} <= RESERVED_PLURALS
