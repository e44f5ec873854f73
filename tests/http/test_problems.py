"""Errors as callers see them: golden cases, one for each code, and no caller's input can break them.

A case has the request, optionally the state of the service, and the problem that is returned, complete except for its
time; it checks `detail` and `errors` only if it has them. `{going}` is a cluster that is being deleted, `{taken}` one
named taken. With a `bearer`, callers need a token: `bearer` has its claims, or is null if none is sent.
"""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, cast
from uuid import uuid4

import httpx2
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hyperfleet import settings
from hyperfleet.errors import CODES, Extension, FieldError, Given, HyperFleetError, InvalidInput
from hyperfleet.http import problems
from hyperfleet.http.app import application
from hyperfleet.http.description import document
from hyperfleet.model.catalog import Catalog
from hyperfleet.model.kind import BUILT_IN, Kind
from hyperfleet.model.rendering import API_ROOT
from hyperfleet.model.rules.permission import DEFAULT, Permissions, Rule
from hyperfleet.store.database import Database, Statement
from testbed.fleet import create
from tests.http import asgi
from tests.http.issuing import issuer, token

CASES: Final = {
    path.stem: yaml.safe_load(path.read_text())
    for path in sorted((Path(__file__).parents[1] / "cases" / "problems").glob("*.yaml"))
}
CATALOG: Final = Catalog([*BUILT_IN, Kind("Channel", "channels", "channel")])
SETTINGS: Final = settings.Settings()
NOW: Final = datetime(2026, 11, 1, 12, tzinfo=UTC)
MARK_DELETED: Final = Statement("MARK", "UPDATE resources SET deleted_time = now(), deleted_by = 'x' WHERE id = $1")


@asynccontextmanager
async def meanwhile(
    state: str | None, db: Database, configured: settings.Database
) -> AsyncIterator[tuple[Any, settings.Settings]]:
    """The database and the settings of a service in this state."""
    hidden = Statement("HIDDEN", "ALTER TABLE resources RENAME TO hidden")
    shown = Statement("SHOWN", "ALTER TABLE hidden RENAME TO resources")
    match state:
        case None:
            yield db, SETTINGS
        case "the service has a fault":
            yield cast(Database, object()), SETTINGS
        case "the database is away":
            yield Database(replace(configured, host=configured.host + "/nobody")), SETTINGS
        case "a table is missing":
            await db.fetch(hidden)
            try:
                yield db, SETTINGS
            finally:
                await db.fetch(shown)
        case "the database hangs":
            async with db._held() as connection:
                await connection.driver.execute("BEGIN; LOCK TABLE resources")
                brief = replace(SETTINGS.server, timeouts=settings.Timeouts(write=0.2))
                yield db, replace(SETTINGS, server=brief)
                await connection.driver.execute("ROLLBACK")
        case _:
            raise AssertionError(f"cannot read {state!r}")


def named(text: str, ids: Mapping[str, str]) -> str:
    """The text with ids in place of their placeholders."""
    for word, id in ids.items():
        text = text.replace(word, id)
    return text


@pytest.mark.parametrize("name", CASES)
async def test_a_golden_case_holds(name: str, db: Database, database_settings: settings.Database) -> None:
    case = CASES[name]
    taken = (await create(db, "taken"))["id"]
    going = (await create(db, "going"))["id"]
    await db.fetch(MARK_DELETED, going)
    ids = {"{taken}": taken, "{going}": going, "{there}": (await create(db, "there"))["id"]}
    method, path = named(case["send"], ids).split()
    async with meanwhile(case.get("while"), db, database_settings) as (database, configured):
        headers: list[tuple[str, str | bytes]] = list(case.get("headers_sent", {}).items())
        if "bearer" in case:
            permissions = Permissions(DEFAULT, [kind.name for kind in CATALOG.kinds])
            app = application(database, CATALOG, configured, issuers=[issuer()], permissions=permissions)
            if case["bearer"] is not None:
                headers.append(("authorization", b"Bearer " + token("ES256-one", **case["bearer"])))
        else:
            app = application(database, CATALOG, configured)
        answer = await asgi.send(app, method, API_ROOT + path, pieces=[case.get("body", "").encode()], headers=headers)
    problem = answer.problem
    wanted = json.loads(named(json.dumps(case["problem"]), ids))
    assert {key: value for key, value in problem.items() if key in wanted} == wanted
    assert set(problem) - set(wanted) <= {"timestamp", "detail", "errors"}
    assert datetime.fromisoformat(problem["timestamp"]).tzinfo is not None
    assert answer.status == problem["status"]
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers.items() >= case.get("headers", {}).items()


def test_every_code_has_a_golden_case() -> None:
    shown = {case["problem"]["code"] for case in CASES.values()}
    assert shown == {code.full_name for code in CODES.values()}


def test_a_golden_case_shows_the_status_and_title_of_its_code() -> None:
    by_name = {code.full_name: code for code in CODES.values()}
    for case in CASES.values():
        problem = case["problem"]
        assert problem["status"] in by_name[problem["code"]].statuses
        assert problem["title"] == by_name[problem["code"]].title


def rendered(error: HyperFleetError, instance: bytes = b"/x") -> dict[str, Any]:
    return dict(json.loads(problems.answer(error, instance=instance, now=NOW).body))


@given(st.text())
def test_a_callers_text_is_quoted_on_one_printable_line(text: str) -> None:
    error = InvalidInput(FieldError("VAL-002", text, f"`{text}` is not known", text, text))
    problem = rendered(error)
    (wrong,) = problem["errors"]
    assert all(value.isprintable() for value in (problem["detail"], *wrong.values()))


def test_a_lone_surrogate_is_spelled_out() -> None:
    assert rendered(HyperFleetError("a\ud800b"))["detail"] == "a\\ud800b"


@pytest.mark.parametrize("text", ["%s %d %", "{} {0} {x.__class__}", "{{", "$x ${y}", "<b>&amp;", "'; DROP TABLE x"])
def test_a_callers_text_is_never_a_format_string(text: str) -> None:
    problem = rendered(InvalidInput(FieldError("VAL-003", "name", text, value=text)))
    assert (problem["detail"], problem["errors"][0]["value"]) == (f"name: {text}", text)


def test_long_texts_are_cut() -> None:
    problem = rendered(InvalidInput(FieldError("VAL-003", "x" * 9000, "y" * 9000, "z" * 9000, "v" * 9000)))
    assert len(json.dumps(problem)) < 6000
    assert problem["errors"][0]["value"] == "v" * 200 + "…"


@pytest.mark.parametrize("value", [3, "3", 1.5, True, None, 0, "", -(10**199), 10**199])
def test_a_value_keeps_its_json_type(value: Given) -> None:
    (wrong,) = rendered(InvalidInput(FieldError("VAL-003", "x", "y", value=value)))["errors"]
    assert (wrong["value"], type(wrong["value"])) == (value, type(value))


def test_an_absent_value_is_left_out_and_a_number_of_many_digits_is_cut() -> None:
    assert "value" not in rendered(InvalidInput(FieldError("VAL-003", "x", "y")))["errors"][0]
    (wrong,) = rendered(InvalidInput(FieldError("VAL-003", "x", "y", value=10**200)))["errors"]
    assert wrong["value"] == "1" + "0" * 199 + "…"


async def test_an_invalid_value_is_returned_as_sent(client: httpx2.AsyncClient) -> None:
    for value in (3, "3", True, None):
        report = {"adapter": "dns", "observed_generation": value, "conditions": [{"type": "A", "status": "True"}]}
        answer = await client.post(f"/clusters/{uuid4()}/statuses", json=report)
        if value != 3:
            (wrong,) = answer.json()["errors"]
            assert (wrong["value"], type(wrong["value"])) == (value, type(value))


def test_only_the_first_hundred_of_very_many_mistakes_are_reported() -> None:
    mistakes = [FieldError("VAL-002", f"f{number}", "is not known") for number in range(5000)]
    problem = rendered(InvalidInput(*mistakes))
    assert problem["detail"] == "At least 100 fields are invalid; see errors."
    assert len(problem["errors"]) == 100


@pytest.mark.parametrize("verbs", [("create", "read"), ("create",)])
async def test_the_holder_of_a_name_is_shown_to_callers_who_may_read_it(db: Database, verbs: tuple[str, ...]) -> None:
    permissions = Permissions([Rule("makers", verbs, ("Cluster",), "true")], [kind.name for kind in CATALOG.kinds])
    app = application(db, CATALOG, SETTINGS, issuers=[issuer()], permissions=permissions)
    holder = await create(db, "taken")
    headers: list[tuple[str, str | bytes]] = [("authorization", b"Bearer " + token("ES256-one"))]
    body = [b'{"name":"taken","spec":{}}']
    answer = await asgi.send(app, "POST", API_ROOT + "/clusters", pieces=body, headers=headers)
    assert answer.status == 409
    told = {key: holder[key] for key in ("kind", "id", "href")} if "read" in verbs else None
    assert answer.problem.get("conflict") == told


def test_every_extension_is_a_member_of_the_documents_problem() -> None:
    schemas = document.packaged()["components"]["schemas"]
    members = schemas["Problem"]["properties"]
    for extension in (Extension,):
        schema = schemas[members[extension.member]["allOf"][0]["$ref"].rpartition("/")[2]]
        assert list(schema["properties"]) == [field.name for field in fields(extension)]
        assert extension.member not in schemas["Problem"]["required"]


@given(st.binary())
def test_the_instance_is_a_uri_whatever_the_path(path: bytes) -> None:
    instance = rendered(HyperFleetError("x"), path)["instance"]
    assert instance.isascii()
    assert instance.isprintable()
    assert not set(instance) & set(' "<>\\^`{|}')


def test_a_path_without_special_characters_is_the_instance_unchanged() -> None:
    path = b"/api/hyperfleet/v1/clusters/%41%2F;a=b,c:d@e~(f)!*'"
    assert rendered(HyperFleetError("x"), path)["instance"].encode() == path
