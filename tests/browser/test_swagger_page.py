"""The document's page in headless Chromium, on the program as an operator starts it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from testbed.calls import CLUSTERS, fetched, names
from testbed.serving import Service, folder
from tests.browser.visits import NEEDS_CHROMIUM, Visit, executed, visited
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


def test_forms_ask_for_what_matters_first_and_warn_of_nothing(visit: Visit) -> None:
    visit.open("/openapi-ui")
    visit.operation("Clusters-listClusters")
    fields = visit.page.locator("#operations-Clusters-listClusters tr[data-param-name]").evaluate_all(
        "rows => rows.map(row => row.dataset.paramName)"
    )
    assert fields[:2] == ["page", "pageSize"]
    assert fields[-1] == "X-Request-Id"
    assert visit.complaints == []


def test_the_example_of_a_create_can_be_sent_as_it_is(visit: Visit) -> None:
    visit.open("/openapi-ui")
    status, text = executed(visit.operation("Clusters-createCluster"))
    assert (status, json.loads(text)["kind"]) == (201, "Cluster")
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert json.loads(text)["name"] not in readme


def test_the_filter_box_leaves_the_matching_tags(visit: Visit) -> None:
    visit.open("/openapi-ui")
    visit.page.locator("input.operation-filter-input").fill("Node")
    visit.page.locator("#operations-tag-Clusters").wait_for(state="detached")
    assert visit.page.locator("#operations-tag-Node_pools").count() == 1


def test_the_entrance_links_to_pages_that_open(visit: Visit) -> None:
    visit.page.goto(f"http://127.0.0.1:{visit.port}/")
    assert visit.page.locator("h1").inner_text().startswith("HyperFleet API")
    assert visit.page.locator("main").evaluate("main => getComputedStyle(main).maxWidth") != "none"
    visit.page.get_by_role("link", name="Swagger UI").click()
    visit.page.locator(".opblock").first.wait_for()
    assert visit.complaints == []
