"""The Authorize button of the document's page, on a service that asks for tokens."""

import json
from collections.abc import Iterator

import pytest

from dev import issuer
from testbed.serving import Service, folder
from tests.browser.visits import NEEDS_CHROMIUM, Visit, executed, visited

pytestmark = NEEDS_CHROMIUM


def authorize(visit: Visit, value: str) -> None:
    """Types a token into the form behind the button, as a person would."""
    visit.page.locator(".auth-wrapper .btn.authorize").first.click()
    form = visit.page.locator(".modal-ux")
    form.locator("input").first.fill(value)
    form.locator(".auth-btn-wrapper .authorize").click()
    form.locator(".btn-done").click()


@pytest.fixture(scope="module")
def guarded() -> Iterator[tuple[Service, str]]:
    """A service that trusts the development issuer, and a token of that."""
    with folder() as place:
        issuer.write(place / "run")
        configuration = str(place / "run" / issuer.CONFIGURATION)
        service = Service(place, HYPERFLEET_CONFIG=configuration, HYPERFLEET_SERVER_JWT_ENABLED="").start()
        try:
            yield service.ready(), (place / "run" / issuer.TOKEN).read_text()
        finally:
            service.stop()


def test_the_page_asks_without_a_token_until_one_is_typed_in(guarded: tuple[Service, str]) -> None:
    service, token = guarded
    with visited(service.api) as visit:
        visit.open("/openapi-ui")
        operation = visit.operation("Clusters-listClusters")
        status, text = executed(operation)
        assert (status, json.loads(text)["code"]) == (401, "HYPERFLEET-AUT-001")
        authorize(visit, token)
        operation.locator(".btn-clear").click()
        status, text = executed(operation)
        assert (status, json.loads(text)["kind"]) == (200, "ClusterList")


def test_a_wrong_token_is_refused_as_anywhere(guarded: tuple[Service, str]) -> None:
    service, token = guarded
    with visited(service.api) as visit:
        visit.open("/openapi-ui")
        authorize(visit, token[:-4])
        status, text = executed(visit.operation("Clusters-listClusters"))
        assert (status, json.loads(text)["code"]) == (401, "HYPERFLEET-AUT-002")
