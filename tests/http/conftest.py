"""A client of the real application on a real database; only the server's sockets are left out."""

from collections.abc import AsyncIterator
from dataclasses import replace

import httpx2
import pytest

from hyperfleet import settings
from hyperfleet.http.app import application
from hyperfleet.store.database import Database
from tests.fleet import CATALOG

SETTINGS = settings.Settings()


def client_of(db: Database, configured: settings.Settings = SETTINGS) -> httpx2.AsyncClient:
    """A client of an application with the built-in kinds; its paths go on below the API's root."""
    app = application(db, CATALOG, configured)
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://test/api/hyperfleet/v1")


def impatient(**limits: object) -> settings.Settings:
    """Settings with other limits of the server."""
    return replace(SETTINGS, server=replace(SETTINGS.server, **limits))  # type: ignore[arg-type]


@pytest.fixture
async def client(db: Database) -> AsyncIterator[httpx2.AsyncClient]:
    """A client on an empty database."""
    async with client_of(db) as client:
        yield client


@pytest.fixture
async def unconnected() -> AsyncIterator[httpx2.AsyncClient]:
    """A client of an application without a database, for what must be refused before one is asked."""
    async with client_of(Database(SETTINGS.database)) as client:
        yield client
