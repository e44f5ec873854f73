"""The ASGI application: the route table, a path and its methods a row, and what every kind makes of it.

Rows are generic in the kind, so a request is matched against eight patterns however many kinds there are. Paths are
matched as they were sent, never decoded, so that an encoded slash separates nothing.
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, NamedTuple

from starlette.routing import Route as Pattern
from starlette.routing import Router

from hyperfleet.errors import BadRequest, HyperFleetError, NotFound
from hyperfleet.http import callers, endpoints
from hyperfleet.http.exchange import Answer, AsgiScope, Endpoint, Exchange, Receive, Route, Send
from hyperfleet.http.limits import InFlight
from hyperfleet.http.media_types import accepts_json
from hyperfleet.http.middleware import Middleware
from hyperfleet.model.kind import Catalog, Kind
from hyperfleet.model.rendering import API_ROOT
from hyperfleet.settings import Settings
from hyperfleet.store.database import Database
from hyperfleet.telemetry import logging


class Row(NamedTuple):
    """A row of the route table; `{plural}` and `{owner_plural}` stand for the words of each kind and its owner's."""

    path: str
    methods: Mapping[str, Endpoint]


_LIST: Final = {"GET": endpoints.list_resources, "POST": endpoints.create}
_READ: Final = {"GET": endpoints.read}
_REPORTS: Final = {"GET": endpoints.list_reports, "POST": endpoints.report, "PUT": endpoints.report}

# The first match counts, so what is asked for most stands first, and fixed words stand before `{plural}`.
ROWS: Final = (
    Row(API_ROOT + "/{plural}/{id}", _READ),
    Row(API_ROOT + "/{plural}/{id}/statuses", _REPORTS),
    Row(API_ROOT + "/compatibility", {"GET": endpoints.compatibility}),
    Row(API_ROOT + "/{plural}", _LIST),
    Row(API_ROOT + "/{owner_plural}/{owner_id}/{plural}", _LIST),
    Row(API_ROOT + "/{owner_plural}/{owner_id}/{plural}/{id}", _READ),
    Row(API_ROOT + "/{owner_plural}/{owner_id}/{plural}/{id}/statuses", _REPORTS),
    Row(endpoints.ROOT, {"GET": endpoints.service}),
)


def application(db: Database, catalog: Catalog, settings: Settings) -> Middleware:
    """The service's ASGI application; its lifespan opens and closes the database."""
    in_flight = InFlight(settings)
    patterns = [Pattern(row.path, _Bound(row, catalog, in_flight)) for row in ROWS]

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        # The parent has waited for the database. A worker that takes the place of another while it is away answers 503
        # until it is back, instead of dying in turn.
        with suppress(HyperFleetError):
            await db.open()
        try:
            yield
        finally:
            await db.close()
            logging.drain()

    router = Router(patterns, redirect_slashes=False, default=_unknown_path, lifespan=lifespan)
    return Middleware(router, db, settings.server)


def routes(row: Row, catalog: Catalog) -> Iterator[Route]:
    """What a row of the table means for each kind that it serves."""
    methods = dict(row.methods)
    allow = ", ".join(sorted({*methods, "OPTIONS"} | ({"HEAD"} if "GET" in methods else set())))
    if "{plural}" not in row.path:
        yield Route(row.path, methods, allow)
        return
    template = row.path.replace("{id}", "-").replace("{owner_id}", "-")
    for kind in catalog.kinds:
        of_kind = template.replace("{plural}", kind.plural)
        owner = catalog.parent_of(kind)
        if "{owner_plural}" not in row.path:
            created_at = _path_below(owner, kind) if owner is not None else None
            yield Route(of_kind, methods, allow, kind, created_at=created_at)
        elif owner is not None:
            yield Route(of_kind.replace("{owner_plural}", owner.plural), methods, allow, kind, owner)


def _path_below(owner: Kind, kind: Kind) -> str:
    return f"{API_ROOT}/{owner.plural}/{{{owner.title.replace(' ', '_')}_id}}/{kind.plural}"


class _Bound:
    """A row as an ASGI application: finds the kind that the path names, then the endpoint of the method."""

    def __init__(self, row: Row, catalog: Catalog, in_flight: InFlight) -> None:
        self._in_flight = in_flight
        self._routes = {
            (route.owner_kind and route.owner_kind.plural, route.kind and route.kind.plural): route
            for route in routes(row, catalog)
        }

    async def __call__(self, scope: AsgiScope, _receive: Receive, _send: Send) -> None:
        exchange: Exchange = scope["exchange"]
        named: dict[str, str] = scope["path_params"]
        route = self._routes.get((named.get("owner_plural"), named.get("plural")))
        if route is None:
            raise NotFound(_NO_PATH, code="NTF-000")
        exchange.route = route
        exchange.id = named.get("id", "")
        exchange.owner_id = named.get("owner_id", "")
        method = exchange.method
        endpoint = route.endpoints.get("GET" if method == "HEAD" else method)
        if endpoint is None:
            exchange.answer = _other_method(method, route.allow)
            return
        exchange.caller = callers.caller()
        accept = exchange.header(b"accept")
        if accept is not None and not accepts_json(accept):
            raise BadRequest("Answers are application/json, which the header Accept leaves out.", status=406)
        with self._in_flight:
            exchange.answer = await endpoint(exchange)


_NO_PATH: Final = "The API has no such path."


def _other_method(method: str, allow: str) -> Answer:
    if method == "OPTIONS":
        return Answer(204, headers=((b"allow", allow.encode()),))
    raise BadRequest(f"This path answers {allow} only.", status=405, headers=(("Allow", allow),))


async def _unknown_path(_scope: Any, _receive: Any, _send: Any) -> None:
    raise NotFound(_NO_PATH, code="NTF-000")
