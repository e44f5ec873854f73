"""What a request's head must be before anything else is decided: how it is framed, whom it is for, how large it is.

The HTTP server in front refuses most malformed heads itself. What is here it lets through, and each is a way to be
understood in two ways, or to fill the memory.
"""

import re
from typing import Final

from hyperfleet.errors import BadRequest
from hyperfleet.http.exchange import Exchange

LARGEST: Final = 32 << 10
"""Bytes of all header lines together, names and values; a token has half of that at most."""

_HOST: Final = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]+)(?::[0-9]{0,5})?")


def require_sound(exchange: Exchange) -> None:
    """Raises BadRequest: 431 for headers that are too large, 400 without one Host, 501 for an unknown transfer coding.

    The host may be missing before HTTP/1.1 only. The server gives an empty one for a missing one.
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
