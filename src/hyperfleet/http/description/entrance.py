"""The service's description of itself at its own addresses: JSON for programs, and at `/` also a page for browsers.

Links are relative, and below the API's root where there is a choice, so that they work behind a gateway that forwards
only the API. Health and metrics have their own listeners. Their links are absolute, with the request's host name, and
are left out where the caller could not reach them.
"""

import html
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Final

import msgspec

import hyperfleet
from hyperfleet.http.description import publications
from hyperfleet.http.exchange import Answer, Exchange
from hyperfleet.http.media_types import HTML, JSON
from hyperfleet.model import rendering
from hyperfleet.model.catalog import Catalog
from hyperfleet.model.rendering import API_ROOT
from hyperfleet.model.resource import ANY
from hyperfleet.settings import Health, Metrics, Settings
from hyperfleet.settings.jwt_configs import is_loopback

ROOT: Final = "/api/hyperfleet"

ADDRESSES: Final = {
    "/": (JSON, HTML),
    ROOT: (JSON,),
    f"{ROOT}/": (JSON,),
    API_ROOT: (JSON,),
    f"{API_ROOT}/": (JSON,),
}
"""The paths where the service describes itself, with their media types."""

_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?)(:[0-9]{1,5})?")
_WILDCARDS: Final = frozenset({"0.0.0.0", "::", "[::]", ""})


def entrance(catalog: Catalog, settings: Settings) -> Callable[[Exchange], Answer]:
    """A function that answers requests to ADDRESSES, for these kinds and settings."""
    facts = {
        "id": "hyperfleet",
        "kind": "API",
        "href": ROOT,
        "version": metadata.version("hyperfleet-api"),
        "build_time": rendering.timestamp(datetime.fromtimestamp(Path(hyperfleet.__file__).stat().st_mtime, UTC)),
    }
    below = {
        "openapi": f"{API_ROOT}/openapi",
        "openapi_ui": f"{API_ROOT}/openapi.html",
        "compatibility": f"{API_ROOT}/compatibility",
        **{kind.plural.replace("-", "_"): f"{API_ROOT}/{kind.plural}" for kind in (ANY, *catalog.kinds)},
    }
    listeners: Mapping[str, tuple[str, Health | Metrics]] = {
        "health": ("healthcheck", settings.health),
        "metrics": ("metrics", settings.metrics),
    }

    def answer(exchange: Exchange) -> Answer:
        host = _host(exchange.header(b"host"))
        beside = {name: _address(listener, path, host) for name, (path, listener) in listeners.items()}
        links = below | {name: address for name, address in beside.items() if address is not None}
        if exchange.media_type == HTML:
            page = _page(facts["version"], links, catalog, _TOKENS if settings.server.jwt.enabled else "")
            return Answer(200, page, b"text/html; charset=utf-8", publications.PAGE_HEADERS)
        return Answer(200, msgspec.json.encode({**facts, "links": links}))

    return answer


def _host(header: bytes | None) -> str:
    """The host name of a Host header, without its port; `localhost` when the header is missing or malformed."""
    found = _HOST.fullmatch((header or b"").decode("latin-1"))
    return found[1] if found else "localhost"


def _address(listener: Health | Metrics, path: str, host: str) -> str | None:
    """The URL of another listener for a caller that reached `host`; None when only this machine can reach it."""
    if listener.host in _WILDCARDS:
        reached = host
    elif not is_loopback(listener.host):
        reached = f"[{listener.host}]" if ":" in listener.host else listener.host
    elif is_loopback(host.strip("[]")):
        reached = host
    else:
        return None
    return f"http{'s' if listener.tls.enabled else ''}://{reached}:{listener.port}/{path}"


_TEXTS: Final = {
    "openapi_ui": "Swagger UI, with a form for every operation",
    "openapi": "OpenAPI document",
    "compatibility": "Features of this server",
    "health": "Health",
    "metrics": "Metrics",
}
_TOKENS: Final = "<p>Lists need a token, which a link cannot send: use <i>Authorize</i> in Swagger UI.</p>\n"
_PAGE: Final = Template(files(__package__).joinpath("swagger", "entrance.html").read_text(encoding="utf-8"))


def _page(version: str, links: Mapping[str, str], catalog: Catalog, tokens: str) -> bytes:
    plurals = {kind.plural.replace("-", "_"): kind.plural for kind in catalog.kinds}
    about = [_item(links[name], text) for name, text in _TEXTS.items() if name in links]
    lists = [_item(links[name], plural) for name, plural in plurals.items()]
    return _PAGE.substitute(
        version=html.escape(version), about="".join(about), lists="".join(lists), tokens=tokens
    ).encode()


def _item(address: str, text: str) -> str:
    return f'<li><a href="{html.escape(address)}">{html.escape(text)}</a></li>\n'
