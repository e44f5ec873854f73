"""The document's page in headless Chromium, on the program as an operator starts it."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import pytest
from playwright.sync_api import Page, Request, sync_playwright

from tests.cli.serving import CLUSTERS, Service, fetched, folder, names
from tests.contract.conformity import OPERATIONS

CHROMIUM: Final = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs the program chromium")
PAGES: Final = ("/openapi-ui", "/api/hyperfleet/v1/openapi.html")


@dataclass
class Visit:
    """A page, and what it said and asked for since it was opened."""

    page: Page
    port: int
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        self.page.goto(f"http://127.0.0.1:{self.port}{path}")
        self.page.locator(".opblock").first.wait_for()


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
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM)
        with browser:
            page = browser.new_page()
            visit = Visit(page, service.api)

            def asked(request: Request) -> None:
                visit.requests.append(request.url)

            page.on("console", lambda said: visit.complaints.append(said.text) if said.type == "error" else None)
            page.on("pageerror", lambda failure: visit.complaints.append(str(failure)))
            page.on("request", asked)
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
    operation = visit.page.locator("#operations-Clusters-createCluster")
    operation.locator(".opblock-summary-control").click()
    operation.locator(".try-out__btn").click()
    body = {"kind": "Cluster", "name": "made-on-the-page", "spec": {"region": "eu"}}
    operation.locator("textarea.body-param__text").fill(json.dumps(body))
    operation.locator("button.execute").click()
    answer = operation.locator(".live-responses-table .response")
    answer.wait_for()
    assert answer.locator(".response-col_status").inner_text().startswith("201")
    shown = json.loads(answer.locator(".highlight-code pre").first.inner_text())
    assert (shown["name"], shown["spec"]) == (body["name"], body["spec"])
    assert "made-on-the-page" in names(visit.port)
    status, stored = fetched(visit.port, f"{CLUSTERS}/{shown['id']}")
    assert (status, json.loads(stored)) == (200, shown)
    assert visit.complaints == []
