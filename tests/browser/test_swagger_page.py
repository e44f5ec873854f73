"""The document's page in headless Chromium, on the program as an operator starts it."""

import json
from collections.abc import Iterator
from typing import Final

import pytest

from tests.browser.visits import NEEDS_CHROMIUM, Visit, executed, visited
from tests.cli.serving import CLUSTERS, Service, fetched, folder, names
from tests.contract.conformity import OPERATIONS

pytestmark = NEEDS_CHROMIUM
PAGES: Final = ("/openapi-ui", "/api/hyperfleet/v1/openapi.html")


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """A service of its own."""
    with folder() as place:
        service = Service(place).start()
        try:
            yield service.ready()
        finally:
            service.stop()


@pytest.fixture
def visit(service: Service) -> Iterator[Visit]:
    """An empty tab."""
    with visited(service.api) as visit:
        yield visit


@pytest.mark.parametrize("path", PAGES)
def test_the_page_shows_every_operation_complains_of_nothing_and_asks_no_other_host(visit: Visit, path: str) -> None:
    visit.open(path)
    assert visit.page.locator(".opblock").count() == len(OPERATIONS)
    own = f"http://127.0.0.1:{visit.port}/"
    assert [url for url in visit.requests if not url.startswith((own, "data:"))] == []
    assert visit.complaints == []


def test_try_it_out_creates_a_cluster_and_shows_it(visit: Visit) -> None:
    visit.open("/openapi-ui")
    operation = visit.operation("Clusters-createCluster")
    body = {"kind": "Cluster", "name": "made-on-the-page", "spec": {"region": "eu"}}
    operation.locator("textarea.body-param__text").fill(json.dumps(body))
    status, text = executed(operation)
    shown = json.loads(text)
    assert status == 201
    assert (shown["name"], shown["spec"]) == (body["name"], body["spec"])
    assert "made-on-the-page" in names(visit.port)
    status, stored = fetched(visit.port, f"{CLUSTERS}/{shown['id']}")
    assert (status, json.loads(stored)) == (200, shown)
    assert visit.complaints == []
