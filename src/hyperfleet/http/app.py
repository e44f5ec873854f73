"""The ASGI application: matches a path to a row of the route table and to a kind, and calls the endpoint.

Rows are generic over kinds, so the number of patterns does not grow with the number of kinds. A path without variables
is a dictionary lookup; any other is matched only against the patterns with the same number of segments. Paths are
matched as sent, never decoded, so that an encoded slash does not separate segments.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from starlette.routing import Route as Pattern
from starlette.routing import Router
from starlette.types import ASGIApp, Lifespan

from hyperfleet.errors import BadRequest, HyperFleetError, NotFound
from hyperfleet.http.access.callers import Callers
from hyperfleet.http.access.gateways import Gateway
from hyperfleet.http.access.guards import Guard
from hyperfleet.http.access.tenants import Tenants
from hyperfleet.http.access.verifier import Issuer
from hyperfleet.http.description import publications
from hyperfleet.http.description.document import document
from hyperfleet.http.description.entrance import entrance
from hyperfleet.http.exchange import Answer, AsgiScope, Exchange, Receive, Send
from hyperfleet.http.media_types import preferred
from hyperfleet.http.middleware import Middleware
from hyperfleet.http.reading.limits import InFlight
from hyperfleet.http.routes import ROWS, Row, ranked, routes
from hyperfleet.model.catalog import Catalog
from hyperfleet.model.rules.permission import Permissions
from hyperfleet.services import confining, lingering, recomputing
from hyperfleet.settings import Settings
from hyperfleet.store.database import Database
from hyperfleet.telemetry import logging


def application(
    db: Database,
    catalog: Catalog,
    settings: Settings,
    provider: Mapping[str, Any] | None = None,
    *,
    issuers: Sequence[Issuer] = (),
    gateway: Gateway | None = None,
    tenants: Tenants | None = None,
    permissions: Permissions | None = None,
    recomputes: bool = False,
    rows: Sequence[Row] = ROWS,
) -> Middleware:
    """The service's ASGI application; its lifespan opens and closes the database.

    `provider` is the OpenAPI document that describes specs, or None. `issuers` are the trusted token issuers, and
    `gateway` vouches for callers without a token; without either, every caller is the system. `tenants` finds a
    caller's tenancy, None on a service without tenants. `permissions` are the access rules, None where every caller may
    do everything. With `recomputes` it also recomputes stored resources after a change of rules; one process of a
    service is enough. `rows` is the route table.
    """
    in_flight = InFlight(settings)
    callers, guard = Callers(issuers, tenants, gateway), Guard(catalog, permissions)
    fixed: dict[str, ASGIApp] = {}
    patterns: defaultdict[int, list[Pattern]] = defaultdict(list)
    for row in ranked(rows):
        bound = _Bound(row, catalog, in_flight, Callers() if row.is_open else callers, guard)
        if any(row.shape):
            patterns[row.path.count("/")].append(Pattern(row.path, bound))
        else:
            fixed[row.path] = bound
    routers = {
        slashes: Router(found, redirect_slashes=False, default=_unknown_path) for slashes, found in patterns.items()
    }
    lifespan = _lifespan(db, catalog, callers, recomputes=recomputes)
    otherwise = Router(redirect_slashes=False, default=_unknown_path, lifespan=lifespan)

    async def dispatch(scope: AsgiScope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        await (fixed.get(path) or routers.get(path.count("/"), otherwise))(scope, receive, send)

    described = document(
        catalog,
        provider,
        token_headers=callers.headers,
        is_vouched=gateway is not None,
        forbids=tenants is not None or permissions is not None,
    )
    return Middleware(
        dispatch,
        db,
        settings.server,
        publications.publications(described),
        entrance(catalog, settings),
    )


def _lifespan(db: Database, catalog: Catalog, callers: Callers, *, recomputes: bool) -> Lifespan[Any]:
    """Opens the database and runs the background tasks, from the application's start to its end."""

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        # The parent has already waited for the database. A replacement worker that starts during an outage of the
        # database answers 503 until the database is back, instead of exiting.
        with suppress(HyperFleetError):
            await db.open()
        once = (recomputing.keep_trying(db, catalog), lingering.tell(db, catalog)) if recomputes else ()
        background = [asyncio.create_task(work) for work in once]
        try:
            async with callers.running():
                yield
        finally:
            for task in background:
                task.cancel()
            if background:
                await asyncio.wait(background, timeout=2)
            confining.stop()
            await db.close()
            logging.drain()

    return lifespan


class _Bound:
    """A row as an ASGI application: finds the path's kind, then the method's endpoint."""

    def __init__(self, row: Row, catalog: Catalog, in_flight: InFlight, callers: Callers, guard: Guard) -> None:
        self._in_flight = in_flight
        self._callers = callers
        self._guard = guard
        self._routes = {
            (route.owner_kind and route.owner_kind.plural, route.kind and route.kind.plural): route
            for route in routes(row, catalog)
        }

    async def __call__(self, scope: AsgiScope, _receive: Receive, _send: Send) -> None:
        exchange: Exchange = scope["exchange"]
        named: dict[str, str] = scope.get("path_params", {})
        route = self._routes.get((named.get("owner_plural"), named.get("plural")))
        if route is None:
            raise NotFound(_NO_PATH, code="NTF-000")
        exchange.route = route
        exchange.id = named.get("id", "")
        exchange.owner_id = named.get("owner_id", "")
        method = exchange.method
        use = route.methods.get("GET" if method == "HEAD" else method)
        if use is None:
            exchange.answer = _other_method(method, route.allow)
            return
        exchange.caller = await self._callers.caller(exchange)
        if route.kind is not None and use.verb is not None:
            exchange.kinds = self._guard.allowed(exchange.caller, use.verb, route.kind)
            exchange.may = self._guard.allows
        accept = exchange.header(b"accept")
        media_type = route.media_types[0] if accept is None else preferred(accept, route.media_types)
        if media_type is None:
            forms = " or ".join(route.media_types)
            raise BadRequest(f"This path returns {forms}, which the Accept header excludes.", status=406)
        exchange.media_type = media_type
        with self._in_flight:
            exchange.answer = await use.endpoint(exchange)


_NO_PATH: Final = "No such path; /api/hyperfleet/v1/openapi lists the paths of the API."


def _other_method(method: str, allow: str) -> Answer:
    if method == "OPTIONS":
        return Answer(204, headers=((b"allow", allow.encode()),))
    raise BadRequest(f"This path allows only {allow}.", status=405, headers=(("Allow", allow),))


async def _unknown_path(_scope: Any, _receive: Any, _send: Any) -> None:
    raise NotFound(_NO_PATH, code="NTF-000")
