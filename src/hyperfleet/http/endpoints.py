"""One short function per route: what the path, the query and the body say goes to a service, its bytes come back.

The order of decisions is the contract's (Addresses): wrong path for a kind, body and parameters, then existence, which
for an id that is none is decided here and for any other by the statement that looks for it.
"""

from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec

import hyperfleet
from hyperfleet.errors import BadRequest, HyperFleetError, NotFound
from hyperfleet.http import bodies, documents, limits, publications, queries
from hyperfleet.http.exchange import Answer, Exchange
from hyperfleet.model import rendering
from hyperfleet.model.kind import Kind
from hyperfleet.model.resource import Owner, Scope
from hyperfleet.services import reading, reporting, writing
from hyperfleet.telemetry import metrics

ROOT: Final = "/api/hyperfleet"
FEATURES: Final = ("search", "order", "fields", "page_token", "count", "id", "gzip", "openapi")
"""What callers may rely on beyond the first version's API; a name is here while the running server has it."""


async def service(exchange: Exchange) -> Answer:
    """What this is, and in which version."""
    queries.nothing(exchange.query)
    return Answer(200, _service())


async def compatibility(exchange: Exchange) -> Answer:
    """Which features the running server has."""
    queries.nothing(exchange.query)
    return Answer(200, _compatibility())


async def published(exchange: Exchange) -> Answer:
    """What was made for this path when the application was built."""
    queries.nothing(exchange.query)
    assert exchange.route is not None
    return publications.answer(exchange.publications[exchange.route.template], exchange)


async def list_resources(exchange: Exchange) -> Answer:
    """A page of a kind's resources, below the owner when the path names one."""
    wanted = queries.listing(exchange.query)
    return Answer(200, await reading.resources(exchange.db, _scope(exchange), wanted))


async def create(exchange: Exchange) -> Answer:
    """A new resource; a child kind's only below its owner."""
    kind, route = exchange.kind, exchange.route
    if route is not None and route.created_at is not None:
        raise BadRequest(f"{kind.one.capitalize()} is created under its owner: POST {route.created_at}.", status=422)
    body = await limits.body(exchange)
    queries.nothing(exchange.query)
    now = datetime.now(UTC)
    draft = bodies.draft(documents.decoded(body), kind)
    created = await writing.create(exchange.db, _scope(exchange), draft, caller=exchange.caller, now=now)
    return Answer(201, created.body, headers=((b"location", created.href.encode()),))


async def read(exchange: Exchange) -> Answer:
    """One resource, or what is selected of it."""
    selection = queries.selection(exchange.query)
    scope = _scope(exchange)
    return Answer(200, await reading.resource(exchange.db, scope, _id(exchange.kind, exchange.id), selection))


async def list_reports(exchange: Exchange) -> Answer:
    """A page of the adapters' reports on a resource."""
    page, size = queries.page_of_reports(exchange.query)
    scope = _scope(exchange)
    id = _id(exchange.kind, exchange.id)
    return Answer(200, await reading.reports_on(exchange.db, scope, id, page=page, size=size))


async def report(exchange: Exchange) -> Answer:
    """An adapter's report: 201 with it as stored, 204 when it is out of date."""
    body = await limits.body(exchange)
    queries.nothing(exchange.query)
    now = datetime.now(UTC)
    kind = exchange.kind
    adapter: str | None = None
    try:
        members = documents.decoded(body)
        adapter = bodies.adapter_named(members)
        received = bodies.report(members, kind, now=now)
    except HyperFleetError:
        metrics.count_report(kind.name, adapter or metrics.OTHER, "invalid")
        raise
    scope = _scope(exchange)
    id = _id(kind, exchange.id)
    outcome = await reporting.report(exchange.db, scope, id, received, caller=exchange.caller, now=now)
    return Answer(204) if outcome.body is None else Answer(201, outcome.body)


def _scope(exchange: Exchange) -> Scope:
    """What the path names; raises NotFound for an owner whose id is none."""
    route = exchange.route
    if route is None or route.owner_kind is None:
        return Scope(exchange.kind)
    return Scope(exchange.kind, Owner(route.owner_kind, _id(route.owner_kind, exchange.owner_id)))


def _id(kind: Kind, text: str) -> UUID:
    id = queries.uuid(text)
    if id is None:
        raise NotFound(f"There is no {kind.title} {text}.", code=kind.not_found_code)
    return id


@cache
def _service() -> bytes:
    return msgspec.json.encode(
        {
            "id": "hyperfleet",
            "kind": "API",
            "href": ROOT,
            "version": metadata.version("hyperfleet-api"),
            "build_time": rendering.timestamp(datetime.fromtimestamp(Path(hyperfleet.__file__).stat().st_mtime, UTC)),
        }
    )


@cache
def _compatibility() -> bytes:
    return msgspec.json.encode({"api_version": rendering.API_ROOT[-2:], "compatible": True, "features": FEATURES})
