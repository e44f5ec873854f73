"""Refuses writes from pages of other sites, where the service runs without authentication.

A page may send a write to any address, localhost included, even though it may not read the answer. Browsers send the
request's origin in its headers; other clients send no such headers.
"""

from typing import Final
from urllib.parse import urlsplit

from hyperfleet.errors import Forbidden
from hyperfleet.http.exchange import Exchange
from hyperfleet.settings.jwt_configs import is_loopback

_PORTS: Final = {"http": 80, "https": 443}
_ADVICE: Final = "Call the service from its own pages or from a client other than a browser, or turn authentication on."


def refuse_foreign(exchange: Exchange) -> None:
    """Raises Forbidden for a request from a page of another site."""
    if exchange.header(b"sec-fetch-site") == b"cross-site":
        raise Forbidden(f"Pages from other sites must not make changes (Sec-Fetch-Site). {_ADVICE}")
    origin = exchange.header(b"origin")
    if origin is None:
        return
    host = _address("http://" + (exchange.header(b"host") or b"").decode("latin-1"), "")
    scheme = origin.decode("latin-1").partition("://")[0].lower()
    if host is None or _address(origin.decode("latin-1"), scheme) != _with_port(host, scheme):
        raise Forbidden(f"Pages from other sites must not make changes (Origin). {_ADVICE}")
    # DNS rebinding: anyone can point a host name at this machine after the page was loaded.
    if is_loopback(exchange.limits.host) and not (is_loopback(host[0]) or host[0].endswith(".localhost")):
        raise Forbidden(f"This service accepts only localhost as Host. {_ADVICE}")


def _address(url: str, scheme: str) -> tuple[str, int | None] | None:
    """The host and port of a URL, with the scheme's default port; None when the URL has no host."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    return (host, port if port is not None else _PORTS.get(scheme)) if host else None


def _with_port(address: tuple[str, int | None], scheme: str) -> tuple[str, int | None]:
    host, port = address
    return host, port if port is not None else _PORTS.get(scheme)
