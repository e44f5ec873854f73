"""Refused reports and queries, through the application: status, code and fields, never a 5xx."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

import httpx2
import pytest

from hyperfleet.http.reading import json_text
from tests.http.test_routes import CLUSTER, MISSING, REPORT, new_cluster

CONDITION: Final = {"type": "Available", "status": "True"}


def report(**changes: Any) -> dict[str, Any]:
    """A valid report with some members changed."""
    return {"adapter": "dns", "observed_generation": 1, "conditions": [CONDITION]} | changes


def condition(**changes: Any) -> dict[str, Any]:
    """A valid report whose only condition has some members changed."""
    return report(conditions=[CONDITION | changes])


def ahead(seconds: float) -> str:
    """A time at this distance from now."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


NO_TEXTS: Final[list[Any]] = [1, 1.5, True, [], {}]
NO_OBJECTS: Final[list[Any]] = [[], [{}], "x", "", 1, 0, False]

REPORTS: Final[list[tuple[Any, str, tuple[str, ...]]]] = [
    ({}, "VAL-000", ("adapter", "observed_generation", "conditions")),
    ([], "VAL-003", ("body",)),
    *(
        (report(adapter=wrong), "VAL-003", ("adapter",))
        for wrong in (None, 1, True, "-a", "a-", "a b", "ä", "a\n", "a/b", "%s")
    ),
    *((report(adapter=wrong), "VAL-004", ("adapter",)) for wrong in ("", "x" * 64)),
    *(
        (report(observed_generation=wrong), "VAL-004", ("observed_generation",))
        for wrong in (0, -1, 2**31, 10**400, -0.0)
    ),
    *(
        (report(observed_generation=wrong), "VAL-003", ("observed_generation",))
        for wrong in (None, "1", 1.5, True, [1])
    ),
    *(
        (report(observed_time=wrong), "VAL-003", ("observed_time",))
        for wrong in (1, True, "", "now", "2026-01-01", "1700000000")
    ),
    *(
        (report(observed_time=wrong), "VAL-003", ("observed_time",))
        for wrong in (
            *(
                "2026-01-01T00:00:00",
                "2026-01-01T24:00:00Z",
                "2026-02-30T00:00:00Z",
                "2026-01-01T00:00Z",
                "2026-1-1T0:0:0Z",
            ),
            *(
                "0000-01-01T00:00:00Z",
                "0001-01-01T00:00:00+01:00",
                "9999-12-31T23:59:59-01:00",
                "2026-01-01T00:00:00+24:00",
            ),
            *("2026-01-01T00:00:00Z\n", "2026-01-01T00:00:00.Z", "10000-01-01T00:00:00Z", "2026-01-01T00:00:00+0100"),
        )
    ),
    *(
        (report(observed_time=wrong), "VAL-004", ("observed_time",))
        for wrong in (ahead(86_400), "9999-12-31T23:59:59Z")
    ),
    *((report(conditions=wrong), "VAL-003", ("conditions",)) for wrong in [None, {"a": 1}, "x", 1]),
    *((report(conditions=wrong), "VAL-004", ("conditions",)) for wrong in ([], [CONDITION] * 65)),
    *((report(conditions=[wrong]), "VAL-003", ("conditions[0]",)) for wrong in [None, *NO_OBJECTS]),
    (report(conditions=[CONDITION, CONDITION]), "VAL-002", ("conditions[1].type",)),
    (report(conditions=[CONDITION, {}]), "VAL-000", ("conditions[1].type", "conditions[1].status")),
    *((condition(type=wrong), "VAL-003", ("conditions[0].type",)) for wrong in [None, *NO_TEXTS]),
    (condition(type=""), "VAL-004", ("conditions[0].type",)),
    (condition(type="a\0"), "VAL-003", ("conditions[0].type",)),
    *(
        (condition(status=wrong), "VAL-002", ("conditions[0].status",))
        for wrong in ("", "true", "TRUE", "Yes", "True ")
    ),
    *((condition(status=wrong), "VAL-003", ("conditions[0].status",)) for wrong in [None, *NO_TEXTS]),
    *((condition(reason=wrong), "VAL-003", ("conditions[0].reason",)) for wrong in NO_TEXTS),
    (condition(reason="x" * 1025), "VAL-004", ("conditions[0].reason",)),
    (condition(message="x" * 32769), "VAL-004", ("conditions[0].message",)),
    (condition(last_updated_time="x"), "VAL-002", ("conditions[0].last_updated_time",)),
    (condition(**{"": 1}), "VAL-002", ("conditions[0]['']",)),
    *((report(data=wrong), "VAL-003", ("data",)) for wrong in NO_OBJECTS),
    *((report(metadata=wrong), "VAL-003", ("metadata",)) for wrong in NO_OBJECTS),
    (report(data={"a": "\0"}), "VAL-003", ("data.a",)),
    (report(created_time="2026-01-01T00:00:00Z"), "VAL-002", ("created_time",)),
    (report(adaptor="x", adapter=1), "VAL-000", ("adaptor", "adapter")),
]


@pytest.mark.parametrize(("body", "code", "fields"), REPORTS, ids=[ascii(json.dumps(row[0])[:70]) for row in REPORTS])
@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_a_bad_report_is_400_before_its_resource_is_looked_for(
    unconnected: httpx2.AsyncClient, method: str, body: Any, code: str, fields: tuple[str, ...]
) -> None:
    answer = await unconnected.request(method, f"/clusters/{MISSING}/statuses", json=body)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (400, f"HYPERFLEET-{code}"), problem
    assert tuple(wrong["field"] for wrong in problem["errors"]) == fields


@pytest.mark.parametrize(
    "body",
    [
        report(observed_time=None, data=None, metadata=None),
        report(observed_time=ahead(240)),
        report(observed_time="2000-01-01T00:00:00Z"),
        report(observed_time="2026-01-01t02:00:00.123456789+02:00"),
        report(observed_generation=1.0),
        report(adapter="A.b_c-9" + "x" * 56),
        condition(reason="", message=None),
        condition(reason="x" * 1024, message="x" * 32768),
        condition(adapter=1, observed_generation="x", created_at=None, updated_at=[], last_transition_time={}),
        report(data={"a": "x" * ((256 << 10) - 20)}),
        report(conditions=[{"type": f"T{number}", "status": "Unknown"} for number in range(64)]),
    ],
    ids=lambda body: ascii(json.dumps(body)[:70]),
)
async def test_a_good_report_is_stored(client: httpx2.AsyncClient, body: Any) -> None:
    cluster = await new_cluster(client)
    answer = await client.post(f"/clusters/{cluster}/statuses", json=body)
    assert answer.status_code == 201, answer.json()
    assert (await client.get(f"/clusters/{cluster}/statuses")).json()["items"] == [answer.json()]


async def test_report_data_beyond_256_kib_is_413(unconnected: httpx2.AsyncClient) -> None:
    half = {"a": "x" * (128 << 10)}
    for body in (
        report(data={"a": "x" * (256 << 10)}),
        report(data=half, metadata=half),
    ):
        answer = await unconnected.post(f"/clusters/{MISSING}/statuses", json=body)
        assert (answer.status_code, answer.json()["code"]) == (413, "HYPERFLEET-VAL-005")


QUERIES: Final[list[tuple[str, str, tuple[str, ...]]]] = [
    *((f"page={wrong}", "VAL-004", ("page",)) for wrong in ("0", "-1", "2147483648", "9" * 30, "9" * 5000)),
    *(
        (f"page={wrong}", "VAL-003", ("page",))
        for wrong in ("", "x", "1.0", "1e3", "+1", "%2B1", "0x1", "%C2%B2", "1%00", "%D9%A1")
    ),
    *(
        (f"{name}={wrong}", "VAL-004", (name,))
        for name in ("size", "pageSize")
        for wrong in ("0", "-5", "1001", "9" * 30)
    ),
    *(
        (f"{name}={wrong}", "VAL-003", (name,))
        for name in ("size", "pageSize")
        for wrong in ("", "all", "10.5", "null")
    ),
    ("size=1&pageSize=2", "VAL-003", ("size",)),
    *((f"{name}=1", "VAL-002", (name,)) for name in ("limit", "Page", "pagesize", "q", "filter", "ref_typ", "deleted")),
    *(
        (f"{name}={value}&{name}={value}", "VAL-002", (name,))
        for name, value in {"fields": "id", "count": "none"}.items()
    ),
    ("page=1&page=1", "VAL-002", ("page",)),
    ("page_token=x&page=1", "VAL-002", ("page",)),
    ("count=yes", "VAL-002", ("count",)),
    *(
        (f"id={wrong}", "VAL-003", ("id",))
        for wrong in ("", "x", MISSING.upper(), f"%7B{MISSING}%7D", f"{MISSING},{MISSING}")
    ),
    ("&".join([f"id={MISSING}"] * 1001), "VAL-004", ("id",)),
    *((f"page_token={wrong}", "VAL-003", ("page_token",)) for wrong in ("x", "e30", "W10", "!!!!", "%00", "A" * 9000)),
    *((f"order={quote(wrong)}", "VAL-002", ("order",)) for wrong in ("nope", "spec.region", "labels")),
    *(
        (f"order={quote(wrong)}", "VAL-003", ("order",))
        for wrong in (",", "name,", "name asc desc", "name,name", "id; DROP TABLE x")
    ),
    *(
        (f"fields={quote(wrong)}", "VAL-002", ("fields",))
        for wrong in ("nope", "id,status.nope", "name.x", "status.adapters.x")
    ),
    *((f"fields={quote(wrong)}", "VAL-003", ("fields",)) for wrong in (",", "id,", "id;name", "'id'", "id name")),
    *(
        (f"search={quote(wrong)}", "VAL-007", ("search",))
        for wrong in (
            *(
                "name",
                "name =",
                "= 'a'",
                "name = a",
                "name = 5",
                "5 < generation",
                "generation = '5'",
                "name = true",
                "nope = 'a'",
            ),
            *(
                "a) or (b",
                "name = 'a' or",
                "name = 'a')",
                "(name = 'a'",
                "name = 'a",
                "name in ()",
                "name in 'a'",
                "spec = 'x'",
            ),
            *(
                "created_time like 'x'",
                "created_time > 'soon'",
                "name = null",
                "name === 'a'",
                "name = 'a' ; select 1",
                "\0",
                "name = '\0'",
            ),
            *(
                "not",
                "()",
                "and",
                "name between 'a'",
                "x" * 5000,
                "(" * 200 + "name = 'a'" + ")" * 200,
                "name matches 'a'",
                "%",
            ),
        )
    ),
    ("search=%zz", "VAL-003", ("search",)),
    ("search=%ff", "VAL-003", ("search",)),
    ("%zz=1", "VAL-002", ("%zz",)),
    ("=1", "VAL-002", ("",)),
    ("page=0&size=0&count=x&order=nope", "VAL-000", ("page", "size", "order", "count")),
]


@pytest.mark.parametrize(("query", "code", "fields"), QUERIES, ids=[ascii(row[0][:60]) for row in QUERIES])
async def test_a_bad_query_is_400_and_names_its_parameter(
    unconnected: httpx2.AsyncClient, query: str, code: str, fields: tuple[str, ...]
) -> None:
    answer = await unconnected.get(f"/clusters?{query}")
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (400, f"HYPERFLEET-{code}"), problem
    assert tuple(wrong["field"] for wrong in problem["errors"]) == fields


@pytest.mark.parametrize(
    "path",
    [
        *(
            f"/clusters/{MISSING}?{query}"
            for query in ("page=1", "search=x", "Fields=id", "fields=nope", "fields=id&fields=id")
        ),
        *(
            f"/clusters/{MISSING}/statuses?{query}"
            for query in ("fields=id", "page=0", "pageSize=1001", "order=adapter", "x")
        ),
        *(f"/compatibility?{query}" for query in ("page=1", "x", "fields=id")),
        "http://test/api/hyperfleet?x=1",
    ],
)
async def test_other_reads_refuse_unknown_parameters(unconnected: httpx2.AsyncClient, path: str) -> None:
    assert (await unconnected.get(path)).status_code == 400


async def test_a_write_accepts_no_parameters(unconnected: httpx2.AsyncClient) -> None:
    assert (await unconnected.post("/clusters?dry_run=true", json=CLUSTER)).status_code == 400
    assert (await unconnected.put(f"/clusters/{MISSING}/statuses?fields=id", json=REPORT)).status_code == 400


async def test_the_problem_for_a_body_full_of_mistakes_stays_small(unconnected: httpx2.AsyncClient) -> None:
    many = {f"unknown{number}" * 20: 1 for number in range(2000)}
    answer = await unconnected.post("/clusters", json=many | {"x" * 100000: 1, "name": "y" * 500000})
    assert answer.status_code == 400
    assert len(answer.content) < 100_000
    nul = {"a": ["\0"] * 1000}
    assert len((await unconnected.post("/clusters", json=nul)).json()["errors"]) == json_text.MOST_MISTAKES
