"""Wraps every request: sets its id and deadline, writes its log line and metrics, and sends its answer.

Answers are sent from here only, so that compression, HEAD and the request id work the same for all, errors included.
"""

import asyncio
import re
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from time import perf_counter
from typing import Final

from starlette.types import ASGIApp

from hyperfleet.errors import BadRequest, HyperFleetError
from hyperfleet.http import problems
from hyperfleet.http.compression import compressed
from hyperfleet.http.description.entrance import ROOT
from hyperfleet.http.exchange import UNKNOWN, Answer, AsgiScope, Exchange, Publication, Receive, Send
from hyperfleet.http.reading import heads
from hyperfleet.http.unsent import SMALL, WHOLE, Unsent
from hyperfleet.settings import Server
from hyperfleet.store.database import DEADLINE, Database
from hyperfleet.telemetry import logging, metrics, tracing
from hyperfleet.telemetry.logging import REQUEST_ID

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"})

START_CHECK: Final = b"hyperfleet-api-start"
"""The User-Agent of the parent process's own request, which checks that the service has started."""

_VALID_ID: Final = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
_PLAIN_PATH: Final = re.compile(rb"[!-$&-~]*")
_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
_BAD_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})|%2[Ff]|[^!-~]")
_UNRESERVED: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_READS: Final = frozenset({"GET", "HEAD"})
_BODILESS: Final = frozenset({204, 304})
# Without this header the HTTP server sends its own name.
_SERVER: Final = (b"server", b"hyperfleet-api")
_VARY: Final = (b"vary", b"Accept-Encoding")
_VARY_BY_TYPE: Final = (b"vary", b"Accept, Accept-Encoding")

_log = logging.get("http")


class Middleware:
    """The ASGI application around the router. The router puts its answer into the exchange, or raises."""

    def __init__(
        self,
        router: ASGIApp,
        db: Database,
        limits: Server,
        publications: Mapping[tuple[str, str], Publication],
        entrance: Callable[[Exchange], Answer],
    ) -> None:
        self._router = router
        self._db = db
        self._limits = limits
        self._publications = publications
        self._entrance = entrance
        self._unsent = Unsent(limits.max_unsent_bytes, limits.timeouts.write)

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Serves one request, or the application's lifespan; WebSockets are closed."""
        if scope["type"] == "lifespan":
            await self._router(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
            return
        started = perf_counter()
        metrics.request_started()
        raw_path = (scope.get("raw_path") or scope["path"].encode()).partition(b"?")[0]
        exchange = scope["exchange"] = Exchange(
            scope,
            receive,
            scope["method"],
            self._db,
            self._limits,
            self._unsent,
            self._publications,
            self._entrance,
        )
        request_id = _request_id(exchange)
        id_token = REQUEST_ID.set(request_id)
        deadline_token = DEADLINE.set(asyncio.get_running_loop().time() + self._limits.timeouts.write)
        span = tracing.begin(exchange.method, scope["headers"])
        try:
            answer = await self._answer(exchange, raw_path)
            seconds = perf_counter() - started
            size = await _send(answer, exchange, request_id, send, span)
            _record(exchange, answer.status, size, seconds, span)
        finally:
            if exchange.held:
                exchange.hold(0)
            if span is not None:
                span.end()
            # Scope and exchange reference each other; without this, every answer would wait for the garbage collector.
            del scope["exchange"]
            metrics.request_finished()
            DEADLINE.reset(deadline_token)
            REQUEST_ID.reset(id_token)

    async def _answer(self, exchange: Exchange, raw_path: bytes) -> Answer:
        """The router's answer, or the problem document for the error that it raised."""
        scope = exchange.scope
        scope["path"] = normal_path(raw_path)
        try:
            heads.require_sound(exchange)
            await self._router(scope, exchange.receive, _sent_by_nobody)
            assert exchange.answer is not None
            return await _encoded(exchange.answer, exchange)
        except HyperFleetError as error:
            problem = error
            if error.status >= 500 and not isinstance(error, BadRequest):
                # Callers retry a 503 or 504; an operator must look at a 500.
                log = _log.error if error.status == 500 else _log.warning
                log("request failed", code=error.row.full_name, detail=error.detail)
        except Exception:  # noqa: BLE001 - any error gets an answer, and its traceback is logged
            problem = HyperFleetError("An unexpected error occurred.")
            _log.exception("request failed unexpectedly", code=problem.row.full_name)
        ids = tracing.ids()
        try:
            answer = problems.answer(
                problem,
                instance=raw_path,
                now=datetime.now(UTC),
                accept=exchange.header(b"accept"),
                trace_id=ids[0] if ids else "",
            )
            return await _encoded(answer, exchange)
        finally:
            # The error's traceback references this frame, and the frame the error. Without this, the request's body and
            # its connection would stay until the garbage collector runs.
            del problem


def normal_path(raw: bytes) -> str:
    """A raw path with only unreserved characters decoded (RFC 3986, section 6.2.2); empty for a malformed path.

    Two spellings of a path become the same path. A path with an encoded slash matches no route, so it is empty, too.
    """
    if _PLAIN_PATH.fullmatch(raw):
        return raw.decode()
    if _BAD_ESCAPE.search(raw):
        return ""
    try:
        _ESCAPE.sub(_byte, raw).decode()
    except UnicodeDecodeError:
        return ""
    return _ESCAPE.sub(_unreserved, raw).decode()


def _byte(escape: re.Match[bytes]) -> bytes:
    return bytes((int(escape[1], 16),))


def _unreserved(escape: re.Match[bytes]) -> bytes:
    return _byte(escape) if int(escape[1], 16) in _UNRESERVED else escape[0]


def _request_id(exchange: Exchange) -> str:
    given = exchange.header(b"x-request-id")
    if given is not None and _VALID_ID.fullmatch(given):
        return given.decode()
    return secrets.token_hex(16)


async def _encoded(answer: Answer, exchange: Exchange) -> Answer:
    """The answer, in gzip where that is accepted and worthwhile; a large answer counts as unsent from here on.

    Raises Unavailable when there is no room for a read's answer. A write has taken effect, so it is always answered.
    """
    body = answer.body
    if not body or answer.status in _BODILESS:
        return answer
    if len(body) > SMALL and exchange.method in _READS and exchange.unsent.lacks_room(len(body)):
        await exchange.unsent.find_room(len(body))
    if len(body) > WHOLE:
        exchange.hold(len(body))
    if answer.encoding:
        return answer
    packed = await compressed(body, exchange.header(b"accept-encoding"))
    if packed is None:
        return answer
    if exchange.held:
        exchange.hold(len(packed))
    return Answer(answer.status, packed, answer.media_type, answer.headers, b"gzip")


async def _send(
    answer: Answer, exchange: Exchange, request_id: str, send: Send, span: tracing.RequestSpan | None
) -> int:
    """Sends the answer; returns the bytes of its body."""
    body = answer.body
    headers: list[tuple[bytes, bytes]] = [(b"x-request-id", request_id.encode()), _SERVER, *answer.headers]
    if span is not None:
        headers.append(span.response_header)
    if answer.status != 204:
        headers.append(_VARY if exchange.route is None or len(exchange.route.media_types) == 1 else _VARY_BY_TYPE)
    if answer.status not in _BODILESS:
        headers.append((b"content-type", answer.media_type))
        if answer.encoding:
            headers.append((b"content-encoding", answer.encoding))
        headers.append((b"content-length", b"%d" % len(body)))
    if exchange.method == "HEAD":
        body = b""
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await exchange.unsent.deliver(body, exchange.scope, send)
    return len(body)


def _record(exchange: Exchange, status: int, size: int, seconds: float, span: tracing.RequestSpan | None) -> None:
    """Writes the request's log line, metrics and span."""
    method = exchange.method if exchange.method in METHODS else UNKNOWN
    template = exchange.route.template if exchange.route is not None else UNKNOWN
    metrics.observe_request(method, template, status, seconds)
    if span is not None:
        span.tell(method, template, status, size)
    is_start_check = template == ROOT and exchange.header(b"user-agent") == START_CHECK
    log = _log.debug if is_start_check else _log.info
    log(
        "request",
        method=method,
        route=template,
        status=status,
        duration=round(seconds, 6),
        caller=exchange.caller.identity or UNKNOWN,
        bytes=size,
    )


async def _sent_by_nobody(_message: object) -> None:
    raise AssertionError("Answers are sent by the middleware.")
