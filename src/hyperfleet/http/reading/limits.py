"""Limits the requests in flight, the size of a body, and the time in which a body must arrive.

The HTTP server limits neither a body's size nor the time in which it arrives, so this file does.
"""

import asyncio
from types import TracebackType

from hyperfleet.errors import BadRequest, Unavailable
from hyperfleet.http.exchange import Exchange
from hyperfleet.http.media_types import JSON, MERGE_PATCH, is_json, is_merge_patch
from hyperfleet.settings import Settings


class InFlight:
    """A context manager that counts this process's requests in flight; raises Unavailable when there are too many.

    Refusing excess requests at once keeps the others fast; a queue would make all of them slow.
    """

    def __init__(self, configured: Settings) -> None:
        self.most = configured.server.in_flight(configured.database.pool.max_connections)
        self.now = 0

    def __enter__(self) -> None:
        if self.now >= self.most:
            raise Unavailable("The service is overloaded.")
        self.now += 1

    def __exit__(
        self, type: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.now -= 1


async def body(exchange: Exchange, *, patch: bool = False) -> bytes:
    """The whole body of a request that carries JSON; the size is checked before the media type (contract: Addresses).

    With `patch`, a merge patch is accepted as well.

    Raises BadRequest: 413, 415, or 400 when the body does not arrive in time or ends early.
    """
    most = exchange.limits.max_body_size
    length = exchange.header(b"content-length")
    if length is not None and (len(length) > 18 or (length.isdigit() and int(length) > most)):
        raise too_large(most)
    try:
        async with asyncio.timeout(exchange.limits.timeouts.read):
            received = await _received(exchange, most)
    except TimeoutError:
        late = f"The request body did not arrive within {exchange.limits.timeouts.read:g} seconds."
        raise BadRequest(late, status=400) from None
    _check_type(exchange, patch=patch)
    return received


async def _received(exchange: Exchange, most: int) -> bytes:
    message = await exchange.receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        whole: bytes = message.get("body", b"")
        if len(whole) > most:
            raise too_large(most)
        return whole
    parts: list[bytes] = []
    size = 0
    while True:
        if message["type"] != "http.request":
            raise BadRequest("The connection closed before the whole body arrived.", status=400)
        part = message.get("body", b"")
        size += len(part)
        if size > most:
            raise too_large(most)
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)
        message = await exchange.receive()


def too_large(most: int, what: str = "The body") -> BadRequest:
    """The 413 error for something that may have at most `most` bytes."""
    return BadRequest(f"{what} must not exceed {most} bytes.", status=413)


def _check_type(exchange: Exchange, *, patch: bool) -> None:
    encoding = exchange.header(b"content-encoding")
    if encoding is not None and encoding.strip().lower() not in (b"", b"identity"):
        raise BadRequest("Encoded bodies are not accepted; send the body without Content-Encoding.", status=415)
    media_type = exchange.header(b"content-type")
    if media_type is None or is_json(media_type) or (patch and is_merge_patch(media_type)):
        return
    if patch:
        types = f"{JSON}, {MERGE_PATCH}"
        message = f"The body must be {JSON} or {MERGE_PATCH} in UTF-8."
        raise BadRequest(message, status=415, headers=(("Accept-Patch", types),))
    raise BadRequest(f"The body must be {JSON} in UTF-8.", status=415)
