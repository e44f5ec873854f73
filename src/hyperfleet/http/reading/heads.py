"""Checks a request's head before anything else: its framing, its host and its size.

The HTTP server refuses most malformed heads itself. This file refuses those it lets through: each could be interpreted
in two ways, or could fill the memory.
"""

import re
from typing import Final

from hyperfleet.errors import BadRequest
from hyperfleet.http.exchange import Exchange

LARGEST: Final = 32 << 10
"""The most bytes of all header lines together, names and values; a token may have half of that."""

_HOST: Final = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]+)(?::[0-9]{0,5})?")


def require_sound(exchange: Exchange) -> None:
    """Raises BadRequest: 431 for too large headers, 400 for a missing, repeated or malformed Host.

    Any transfer coding other than `chunked` gives 501; `chunked` twice gives 400. Only HTTP/1.0 may omit the Host. The
    server passes a missing Host as an empty one.
    """
    size = 0
    host: bytes | None = None
    hosts = 0
    codings: list[bytes] | None = None
    for name, value in exchange.scope["headers"]:
        size += len(name) + len(value)
        if name == b"host":
            hosts += 1
            host = value
        elif name == b"transfer-encoding":
            codings = [*(codings or ()), *(coding.strip().lower() for coding in value.split(b","))]
    if size > LARGEST:
        raise BadRequest(f"Headers are limited to {LARGEST} bytes in total; send fewer or shorter headers.", status=431)
    if hosts > 1:
        raise BadRequest("The Host header appears more than once; send it once.", status=400)
    if host:
        if not _HOST.fullmatch(host):
            raise BadRequest("The Host header must be a host with an optional port.", status=400)
    elif exchange.scope["http_version"] == "1.1":
        raise BadRequest("HTTP/1.1 requests require a Host header; send one.", status=400)
    if codings is not None and codings != [b"chunked"]:
        _refuse(codings)


def _refuse(codings: list[bytes]) -> None:
    if set(codings) == {b"chunked"}:
        raise BadRequest("Transfer-Encoding: chunked appears twice; send it once.", status=400)
    raise BadRequest("Transfer-Encoding must be chunked; send the body without any other encoding.", status=501)
