"""Features of every request: ids, encodings, limits, log lines, metrics, and failures that must not be swallowed."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from structlog.testing import capture_logs

from hyperfleet import settings
from hyperfleet.http.app import application
from hyperfleet.store.database import Database, Statement
from hyperfleet.telemetry import metrics
from testbed.fleet import CATALOG
from tests.http.conftest import SETTINGS, client_of, impatient
from tests.http.test_routes import CLUSTER, MISSING, REPORT, new_cluster

RENAMED = Statement("RENAMED", "ALTER TABLE resources RENAME TO hidden")
SPOILED = Statement("SPOILED", """UPDATE adapter_statuses SET summary = '"spoiled"'""")
RESTORED = Statement("RESTORED", "ALTER TABLE hidden RENAME TO resources")


def counted(method: str, path: str, code: int) -> float:
    """The number of requests of that kind in the metrics."""
    for line in metrics.exposition().decode().splitlines():
        if line.startswith("hyperfleet_api_requests_total{") and (
            f'method="{method}"' in line and f'path="{path}"' in line and f'code="{code}"' in line
        ):
            return float(line.rpartition(" ")[2])
    return 0.0


@pytest.mark.parametrize("given", ["a", "Az09._:/+=@-", "x" * 128])
async def test_a_valid_request_id_of_the_caller_is_kept(unconnected: httpx2.AsyncClient, given: str) -> None:
    for path in ("/compatibility", "/nope", "/clusters?x=1"):
        assert (await unconnected.get(path, headers={"X-Request-Id": given})).headers["X-Request-Id"] == given


@pytest.mark.parametrize("given", [None, "", "x" * 129, "a b", "a\tb", "ä", "{}", "a,b", "<script>", "a;b"])
async def test_any_other_request_id_is_replaced_by_a_new_one(
    unconnected: httpx2.AsyncClient, given: str | None
) -> None:
    headers = {} if given is None else {b"X-Request-Id": given.encode()}
    ids = {(await unconnected.get("/compatibility", headers=headers)).headers["X-Request-Id"] for _ in range(3)}
    assert len(ids) == 3
    assert given not in ids


async def test_a_large_response_is_compressed_for_callers_that_accept_gzip_with_its_new_length(
    client: httpx2.AsyncClient,
) -> None:
    spec = {"text": "x" * 2000}
    cluster = (await client.post("/clusters", json=CLUSTER | {"spec": spec})).json()["id"]
    plain = await client.get(f"/clusters/{cluster}", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.headers["Vary"] == "Accept-Encoding"
    request = client.build_request("GET", f"/clusters/{cluster}", headers={"Accept-Encoding": "gzip"})
    packed = await client.send(request, stream=True)
    raw = b"".join([part async for part in packed.aiter_raw()])
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.headers["Vary"] == "Accept-Encoding"
    assert int(packed.headers["Content-Length"]) == len(raw) < len(plain.content)
    assert gzip.decompress(raw) == plain.content
    for refusing in ("gzip;q=0", "xgzip", ""):
        answer = await client.get(f"/clusters/{cluster}", headers={"Accept-Encoding": refusing})
        assert "content-encoding" not in answer.headers


async def test_a_small_response_is_not_compressed(unconnected: httpx2.AsyncClient) -> None:
    answer = await unconnected.get("/compatibility", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in answer.headers


async def test_an_outdated_report_is_204_without_body_type_or_length(client: httpx2.AsyncClient) -> None:
    cluster = await new_cluster(client)
    answer = await client.post(f"/clusters/{cluster}/statuses", json=REPORT | {"observed_generation": 2})
    assert (answer.status_code, answer.content) == (204, b"")
    assert not {"content-type", "content-length"} & set(answer.headers)


@pytest.mark.parametrize(
    "media_type",
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
        "",
        None,
    ],
)
async def test_json_and_no_media_type_at_all_are_accepted(client: httpx2.AsyncClient, media_type: str | None) -> None:
    headers = {} if media_type is None else {"Content-Type": media_type}
    assert (await client.post("/clusters", content=json.dumps(CLUSTER), headers=headers)).status_code == 201


@pytest.mark.parametrize(
    "headers",
    [
        *(
            {"Content-Type": other}
            for other in ("text/plain", "application/jsonx", "json", "application/json, text/plain")
        ),
        *(
            {"Content-Type": other}
            for other in ("application/merge-patch+json", "application/json; charset=latin-1", "*/*")
        ),
        *({"Content-Encoding": coding} for coding in ("gzip", "br", "x", "gzip, identity")),
    ],
)
async def test_any_other_media_type_or_coding_is_415(unconnected: httpx2.AsyncClient, headers: dict[str, str]) -> None:
    answer = await unconnected.post("/clusters", content=json.dumps(CLUSTER), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (415, "HYPERFLEET-VAL-005")


async def test_a_body_of_1_mib_is_accepted_and_one_byte_more_is_413(client: httpx2.AsyncClient) -> None:
    body = json.dumps(CLUSTER).encode()
    full = body + b" " * ((1 << 20) - len(body))
    assert (await client.post("/clusters", content=full)).status_code == 201
    assert (await client.post("/clusters", content=full + b" ")).status_code == 413


async def test_a_streamed_body_is_cut_off_at_the_limit(unconnected: httpx2.AsyncClient) -> None:
    sent = 0

    async def parts() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(100):
            sent += 1
            yield b" " * (100 << 10)

    answer = await unconnected.post("/clusters", content=parts())
    assert (answer.status_code, answer.json()["code"]) == (413, "HYPERFLEET-VAL-005")
    assert sent < 20


async def test_a_streamed_body_is_assembled(client: httpx2.AsyncClient) -> None:
    body = json.dumps(CLUSTER).encode()

    async def parts() -> AsyncIterator[bytes]:
        for byte in body:
            yield bytes([byte])

    assert (await client.post("/clusters", content=parts())).status_code == 201


async def test_a_body_that_trickles_in_is_abandoned_after_the_read_timeout(db: Database) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(5)
        yield b"}"

    async with client_of(db, impatient(timeouts=settings.Timeouts(read=0.05))) as client:
        answer = await client.post("/clusters", content=parts())
    assert (answer.status_code, answer.json()["code"]) == (400, "HYPERFLEET-VAL-005")


async def test_requests_beyond_the_limit_in_flight_are_shed_at_once_with_retry_after(db: Database) -> None:
    arrived, goes_on = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        arrived.set()
        await goes_on.wait()
        yield json.dumps(CLUSTER).encode()

    async with client_of(db, impatient(max_in_flight=1)) as client:
        first = asyncio.create_task(client.post("/clusters", content=slow()))
        await arrived.wait()
        shed = await client.get("/clusters")
        assert (shed.status_code, shed.json()["code"]) == (503, "HYPERFLEET-SVC-001")
        assert int(shed.headers["Retry-After"]) >= 1
        assert (await client.get("/nope")).status_code == 404
        goes_on.set()
        assert (await first).status_code == 201
        assert (await client.get("/clusters")).status_code == 200


async def test_a_request_past_its_deadline_is_504_with_retry_after(db: Database) -> None:
    async with client_of(db, impatient(timeouts=settings.Timeouts(write=0.0))) as client:
        answer = await client.get("/clusters")
    assert (answer.status_code, answer.json()["code"]) == (504, "HYPERFLEET-SVC-002")
    assert int(answer.headers["Retry-After"]) >= 1


async def test_an_unreachable_database_is_503_with_retry_after_even_for_a_missing_owner() -> None:
    away = replace(SETTINGS.database, host="/nowhere")
    async with client_of(Database(away)) as client:
        for path in (
            "/clusters",
            f"/clusters/{MISSING}",
            f"/clusters/{MISSING}/nodepools",
            f"/clusters/{MISSING}/statuses",
        ):
            answer = await client.get(path)
            assert (answer.status_code, answer.json()["code"]) == (503, "HYPERFLEET-SVC-001")
            assert int(answer.headers["Retry-After"]) >= 1


async def test_text_of_the_database_stays_out_of_the_response(db: Database) -> None:
    await db.fetch(RENAMED)
    try:
        async with client_of(db) as client:
            answer = await client.get(f"/clusters/{MISSING}")
    finally:
        await db.fetch(RESTORED)
    assert (answer.status_code, answer.json()["code"]) == (500, "HYPERFLEET-INT-002")
    for word in ("resources", "relation", "SELECT", "asyncpg", "column"):
        assert word not in answer.json()["detail"]


async def test_a_row_that_cannot_be_read_is_500_with_a_traceback_in_the_log_only(
    client: httpx2.AsyncClient, db: Database
) -> None:
    path = f"/clusters/{await new_cluster(client)}/statuses"
    assert (await client.post(path, json=REPORT)).status_code == 201
    await db.fetch(SPOILED)
    with capture_logs() as lines:
        answer = await client.post(path, json=REPORT)
    assert (answer.status_code, answer.json()["code"]) == (500, "HYPERFLEET-INT-001")
    for word in ("spoiled", "msgspec", "Summary", "Expected"):
        assert word not in answer.text
    assert any(line["log_level"] == "error" and line.get("exc_info") for line in lines)


async def test_each_request_is_one_log_line_with_its_route_template(client: httpx2.AsyncClient) -> None:
    cluster = await new_cluster(client)
    with capture_logs() as lines:
        answer = await client.get(f"/clusters/{cluster}/nodepools/{MISSING}/statuses")
    told: list[Any] = [line for line in lines if line["event"] == "request"]
    assert len(told) == 1
    assert told[0] | {"duration": 0} == {
        "event": "request",
        "log_level": "info",
        "component": "http",
        "method": "GET",
        "route": "/api/hyperfleet/v1/clusters/-/nodepools/-/statuses",
        "status": 404,
        "duration": 0,
        "caller": "system@hyperfleet.local",
        "bytes": len(answer.content),
    }


async def test_metrics_have_only_route_templates_and_known_methods(client: httpx2.AsyncClient) -> None:
    root = "/api/hyperfleet/v1"
    expected = [
        ("GET", f"{root}/clusters/{MISSING}", 404, "GET", f"{root}/clusters/-"),
        ("POST", f"{root}/clusters/x/statuses", 400, "POST", f"{root}/clusters/-/statuses"),
        ("PATCH", f"{root}/clusters", 405, "PATCH", f"{root}/clusters"),
        ("BREW", f"{root}/clusters", 405, "-", f"{root}/clusters"),
        ("GET", "/secret/path", 404, "GET", "-"),
        ("BREW", f"{root}/clusters/%2F", 404, "-", "-"),
        ("POST", f"{root}/nodepools", 422, "POST", f"{root}/nodepools"),
    ]
    for method, path, code, known, template in expected:
        before = counted(known, template, code)
        assert (await client.request(method, "http://test" + path, content=b"")).status_code == code
        assert counted(known, template, code) == before + 1


async def test_a_refused_report_is_counted_as_invalid(unconnected: httpx2.AsyncClient) -> None:
    def refused() -> float:
        told = metrics.exposition().decode().splitlines()
        return sum(
            float(line.rpartition(" ")[2]) for line in told if 'adapter="other",' in line and '"invalid"' in line
        )

    before = refused()
    await unconnected.post(f"/clusters/{MISSING}/statuses", json={"adapter": "refused-adapter"})
    assert refused() == before + 1
    assert "refused-adapter" not in metrics.exposition().decode()


async def test_a_callers_text_is_not_a_format_string_and_control_characters_are_spelled_out(
    unconnected: httpx2.AsyncClient,
) -> None:
    answer = await unconnected.post("/clusters", json={"name": "%s{0}{name}%n\x1b[31m\u202e", "spec": {}})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["value"] == "%s{0}{name}%n\\x1b[31m\\u202e"
    answer = await unconnected.get("/clusters?%25s{0}%0a=1")
    assert answer.json()["errors"][0]["field"] == "%s{0}\\n"


async def test_the_lifespan_opens_and_closes_the_database(database_settings: settings.Database) -> None:
    app = application(Database(database_settings), CATALOG, SETTINGS)
    incoming = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent: list[str] = []

    async def receive() -> Any:
        return incoming.pop(0)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await app({"type": "lifespan", "asgi": {}}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
