"""JSON bodies and Accept: only an Accept that clearly excludes JSON is refused, before anything is done."""

import pytest

from hyperfleet.http.app import application
from hyperfleet.http.media_types import HTML, JSON, LONGEST, YAML, is_json, preferred
from hyperfleet.model.rendering import API_ROOT
from hyperfleet.settings import Settings
from hyperfleet.store.database import Database
from testbed.fleet import CATALOG
from tests.http import asgi


@pytest.mark.parametrize(
    "accept",
    [
        "application/json",
        "Application/JSON; charset=utf-8",
        "application/json;q=0.1",
        "application/problem+json",
        "application/vnd.example.v1+json",
        "application/*",
        "*/*",
        "*",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2",
        "text/plain, application/json",
        "application/json;q=0, application/problem+json",
        "",
        " , ",
        "x" * (LONGEST + 1),
    ],
)
def test_json_is_sent_to_callers_that_do_not_clearly_refuse_it(accept: str) -> None:
    assert preferred(accept.encode(), (JSON,)) == JSON


@pytest.mark.parametrize(
    "accept",
    [
        "text/html",
        "text/html, application/xml",
        "text/*",
        "application/jsonx",
        "json",
        "application/json;q=0",
        "application/json; q=0.000, */*",
        "application/*;q=0, */*",
        "*/*;q=0",
        "application/yaml",
    ],
)
def test_json_is_not_sent_to_callers_that_leave_it_out(accept: str) -> None:
    assert preferred(accept.encode(), (JSON,)) is None


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("*/*", JSON),
        ("", JSON),
        ("application/json, application/yaml", JSON),
        ("application/yaml, application/json", JSON),
        ("application/yaml", YAML),
        ("application/yaml, application/json;q=0.9", YAML),
        ("application/yaml;q=0.9, application/json;q=0.8", YAML),
        ("application/yaml;q=0.8, application/json;q=0.9", JSON),
        ("application/yaml, */*;q=0.5", YAML),
        ("application/yaml;q=x, application/json;q=0.5", YAML),
        ("application/yaml;q=nan, application/json;q=0.5", YAML),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", HTML),
        ("text/*", HTML),
        ("application/*", JSON),
        ("image/png", None),
        ("*/*;q=0", None),
        ("x" * (LONGEST + 1), JSON),
    ],
)
def test_the_preferred_of_several_types_is_chosen_and_the_first_of_equals(accept: str, chosen: str | None) -> None:
    assert preferred(accept.encode(), (JSON, YAML, HTML)) == chosen


def test_an_overlong_content_type_is_not_json() -> None:
    assert is_json(b"application/json;" + b" " * (LONGEST - 17))
    assert not is_json(b"application/json;" + b" " * (LONGEST - 16))


async def test_a_response_that_the_caller_does_not_accept_is_406_and_nothing_is_done() -> None:
    app = application(Database(Settings().database), CATALOG, Settings())
    accept = [("Accept", "text/html")]
    for method, path in (("GET", "/clusters"), ("POST", "/clusters"), ("HEAD", "/compatibility")):
        answer = await asgi.send(app, method, API_ROOT + path, headers=accept)
        assert answer.status == 406
        assert answer.headers["content-type"] == "application/problem+json"


async def test_path_and_method_are_checked_before_accept() -> None:
    app = application(Database(Settings().database), CATALOG, Settings())
    accept = [("Accept", "text/html")]
    assert (await asgi.send(app, "GET", "/nope", headers=accept)).status == 404
    assert (await asgi.send(app, "DELETE", API_ROOT + "/clusters", headers=accept)).status == 405
    assert (await asgi.send(app, "OPTIONS", API_ROOT + "/clusters", headers=accept)).status == 204


async def test_several_accept_lines_count_as_one() -> None:
    app = application(Database(Settings().database), CATALOG, Settings())
    lines = [("Accept", "text/html"), ("Accept", "application/json")]
    assert (await asgi.send(app, "GET", API_ROOT + "/compatibility", headers=lines)).status == 200
