"""A tab of headless Chromium on a service, which keeps what the page said and asked for."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import pytest
from playwright.sync_api import Locator, Page, Request, sync_playwright

CHROMIUM: Final = shutil.which("chromium")
NEEDS_CHROMIUM: Final = pytest.mark.skipif(CHROMIUM is None, reason="needs the program chromium")


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

    def operation(self, id: str) -> Locator:
        """An operation, unfolded and ready to be tried; `id` as in the page, such as `Clusters-listClusters`."""
        operation = self.page.locator(f"#operations-{id}")
        operation.locator(".opblock-summary-control").click()
        operation.locator(".try-out__btn").click()
        return operation


def executed(operation: Locator) -> tuple[int, str]:
    """The status and body that the page shows after the request that the operation's form makes."""
    operation.locator("button.execute").click()
    answer = operation.locator(".live-responses-table .response")
    answer.wait_for()
    return int(answer.locator(".response-col_status").inner_text()[:3]), answer.locator(
        ".highlight-code pre"
    ).first.inner_text()


@contextmanager
def visited(port: int) -> Iterator[Visit]:
    """An empty tab, for the service on this port."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM)
        with browser:
            page = browser.new_page()
            visit = Visit(page, port)

            def asked(request: Request) -> None:
                visit.requests.append(request.url)

            page.on(
                "console",
                lambda said: visit.complaints.append(said.text) if said.type in ("error", "warning") else None,
            )
            page.on("pageerror", lambda failure: visit.complaints.append(str(failure)))
            page.on("request", asked)
            yield visit
