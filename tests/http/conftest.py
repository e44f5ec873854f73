"""A client of the real application on a real database, without the server's sockets."""

import gzip
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx2
import pytest

from hyperfleet import settings
from hyperfleet.http.app import application
from hyperfleet.model.catalog import Catalog
from hyperfleet.store.database import Database
from testbed.fleet import CATALOG
from tests.contract.conformity import mistakes

SETTINGS = settings.Settings()


class Checked(httpx2.ASGITransport):
    """Passes requests to the application, and validates every response against the document."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await super().handle_async_request(request)
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        sent = b"".join([part async for part in response.stream])
        body = gzip.decompress(sent) if response.headers.get("Content-Encoding") == "gzip" and sent else sent
        path = request.url.raw_path.partition(b"?")[0].decode()
        assert list(mistakes(request.method, path, response.status_code, dict(response.headers), body)) == []
        return httpx2.Response(response.status_code, headers=response.headers, stream=httpx2.ByteStream(sent))


def client_of(db: Database, configured: settings.Settings = SETTINGS, catalog: Catalog = CATALOG) -> httpx2.AsyncClient:
    """A client of an application, with the built-in kinds by default; its paths are relative to the API's root.

    The catalog must have only built-in kinds, because the packaged document describes no others.
    """
    transport = Checked(application(db, catalog, configured))
    return httpx2.AsyncClient(transport=transport, base_url="http://test/api/hyperfleet/v1")


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
    """A client of an application without a database, for requests that must be refused before it is used."""
    async with client_of(Database(SETTINGS.database)) as client:
        yield client
