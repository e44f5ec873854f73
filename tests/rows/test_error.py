"""A row is all that an error code needs: one more is answered, logged, counted and documented, and missed elsewhere."""

import re
from typing import Any, Final

import pytest
from structlog.testing import capture_logs

from hyperfleet.errors import CODES, Code, HyperFleetError
from hyperfleet.http.app import application
from hyperfleet.http.exchange import Answer, Exchange, Use
from hyperfleet.http.middleware import Middleware
from hyperfleet.http.routes import ROWS, Row
from hyperfleet.model.rendering import API_ROOT
from hyperfleet.store.database import Database
from hyperfleet.telemetry import metrics
from testbed.fleet import CATALOG
from tests.contract.conformity import DOCUMENT
from tests.house import test_errors_docs, test_runbook
from tests.http import asgi
from tests.http.conftest import SETTINGS

ADDED: Final = (
    Code("CNF-099", (409, 422), "Wrong moon", "Wait for the next moon."),
    Code("SVC-099", (507,), "Out of moons", "Ask the service's operator for a moon."),
)


class WrongMoon(HyperFleetError):
    """It is the wrong moon."""

    code = "CNF-099"


async def fail(exchange: Exchange) -> Answer:
    """Raises what the path names."""
    raised = {
        "own": WrongMoon("The moon is new."),
        "other": WrongMoon("The moon is full.", status=422),
        "server": HyperFleetError("No moon is left.", code="SVC-099", headers=(("Retry-After", "60"),)),
    }
    raise raised[exchange.scope["path_params"]["which"]]


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Middleware:
    """A service whose table of codes has the rows for as long as a test lasts."""
    for code in ADDED:
        monkeypatch.setitem(CODES, code.name, code)
    rows = (*ROWS, Row(API_ROOT + "/moons/{which}", {"GET": Use(fail)}))
    return application(Database(SETTINGS.database), CATALOG, SETTINGS, rows=rows)


@pytest.mark.parametrize(
    ("which", "status", "problem"),
    [
        ("own", 409, {"code": "HYPERFLEET-CNF-099", "title": "Wrong moon", "detail": "The moon is new."}),
        ("other", 422, {"code": "HYPERFLEET-CNF-099", "title": "Wrong moon", "detail": "The moon is full."}),
        ("server", 507, {"code": "HYPERFLEET-SVC-099", "title": "Out of moons", "detail": "No moon is left."}),
    ],
)
async def test_it_is_answered_as_its_row_says(
    app: Middleware, which: str, status: int, problem: dict[str, Any]
) -> None:
    with capture_logs() as lines:
        answer = await asgi.send(app, "GET", f"{API_ROOT}/moons/{which}")
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")
    expected = {**problem, "status": status, "type": f"urn:hyperfleet:problem:{problem['code']}"}
    assert expected.items() <= answer.problem.items()
    assert answer.headers.get("retry-after") == ("60" if status == 507 else None)
    failures = [line["code"] for line in lines if line["event"] == "request failed"]
    assert failures == ([problem["code"]] if status == 507 else [])
    exposed = metrics.exposition().decode()
    assert re.search(rf'^hyperfleet_api_requests_total\{{code="{status}".*/moons/-"', exposed, re.MULTILINE)


def test_the_page_of_errors_has_it_and_document_and_runbook_are_found_to_lack_it() -> None:
    rendered = test_errors_docs.rendered((*CODES.values(), *ADDED))
    assert "| `HYPERFLEET-CNF-099` | 409, 422 | Wrong moon | Wait for the next moon. |\n" in rendered
    names = {code.full_name for code in (*CODES.values(), *ADDED)}
    added = {code.full_name for code in ADDED}
    assert names - set(DOCUMENT["components"]["schemas"]["ErrorCode"]["enum"]) == added
    assert names - set(test_runbook.ENTRIES) == added
