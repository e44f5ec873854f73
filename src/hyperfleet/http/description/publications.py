"""Static answers from memory: the OpenAPI document as JSON and YAML, its page, and the page's files.

Bodies, their gzip form and their tags are made once, when the application is built. The page uses relative URLs, so it
works at both of its addresses, even where only paths below the API's root reach the service.
"""

import gzip
import hashlib
import json
from collections.abc import Mapping
from functools import cache, partial
from importlib.resources import files
from typing import Any, Final

import yaml

from hyperfleet.http import entity_tags
from hyperfleet.http.compression import SMALLEST, takes_gzip
from hyperfleet.http.exchange import Answer, Exchange, Header, Publication
from hyperfleet.http.media_types import HTML, JSON, YAML
from hyperfleet.model.rendering import API_ROOT

_ICON: Final = ("icon.svg", "image/svg+xml")
_PARTS: Final = (
    ("swagger-ui-bundle.js", "text/javascript"),
    ("swagger-ui.css", "text/css"),
    ("start.js", "text/javascript"),
    _ICON,
)

DOCUMENT: Final = {
    "/openapi": (JSON, YAML),
    "/openapi.yaml": (YAML,),
    "/openapi-ui": (HTML,),
    f"{API_ROOT}/openapi": (JSON, YAML),
    f"{API_ROOT}/openapi.html": (HTML,),
}
"""The paths of the document, with their media types; the document describes these paths itself."""

PARTS: Final = {
    "/favicon.ico": _ICON[1],
    "/openapi-ui/entrance.css": "text/css",
    **{f"{root}/openapi-ui/{name}": media_type for root in ("", API_ROOT) for name, media_type in _PARTS},
}
"""The files that browsers fetch for the pages; the document does not describe these paths."""

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = (
    # Browsers cache the answers but revalidate each time, because the document changes with the configuration.
    (b"cache-control", b"no-cache"),
    (b"x-content-type-options", b"nosniff"),
)
PAGE_HEADERS: Final = (
    *_HEADERS,
    (b"content-security-policy", POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
)


class _Dumper(yaml.CSafeDumper):
    """Writes multi-line strings as blocks, and writes no aliases."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


def _text(dumper: _Dumper, value: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def json_text(document: Mapping[str, Any]) -> bytes:
    """The document as JSON."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def yaml_text(document: Mapping[str, Any]) -> bytes:
    """The document as YAML."""
    text: bytes = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, encoding="utf-8", width=120)
    return text


def publications(document: Mapping[str, Any]) -> dict[tuple[str, str], Publication]:
    """All static answers for this server's document, by path and media type."""
    page = _publication(_file("page.html"), HTML, PAGE_HEADERS)
    forms = {JSON: _publication(json_text(document), JSON), YAML: _publication(yaml_text(document), YAML), HTML: page}
    parts = {address.rpartition("/")[2]: media_type for address, media_type in PARTS.items()}
    made = {name: _part(_ICON[0] if name == "favicon.ico" else name, media_type) for name, media_type in parts.items()}
    return {
        **{(address, form): forms[form] for address, offered in DOCUMENT.items() for form in offered},
        **{(address, media_type): made[address.rpartition("/")[2]] for address, media_type in PARTS.items()},
    }


def _file(name: str) -> bytes:
    return files(__package__).joinpath("swagger", name).read_bytes()


def _part(name: str, media_type: str) -> Publication:
    if not files(__package__).joinpath("swagger", f"{name}.gz").is_file():
        return _publication(_file(name), media_type)
    packed = _file(f"{name}.gz")
    # Nearly all callers accept gzip. The plain form is unpacked once, for the first caller that does not.
    plain = cache(partial(gzip.decompress, packed))
    return Publication(plain, packed, _content_type(media_type), _tag(packed), _HEADERS)


def _publication(body: bytes, media_type: str, headers: tuple[Header, ...] = _HEADERS) -> Publication:
    packed = gzip.compress(body, 9, mtime=0) if len(body) >= SMALLEST else None
    return Publication(lambda: body, packed, _content_type(media_type), _tag(body), headers)


def _content_type(media_type: str) -> bytes:
    return (media_type + ("; charset=utf-8" if media_type.startswith("text/") else "")).encode()


def _tag(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest()[:32].encode()


def answer(publication: Publication, exchange: Exchange) -> Answer:
    """The publication, or 304 when `If-None-Match` names its tag (RFC 9110, section 13.1.2).

    A strong tag identifies the bytes as sent, so the gzip form has a different tag.
    """
    packed = publication.packed if takes_gzip(exchange.header(b"accept-encoding")) else None
    plain, zipped = entity_tags.strong(publication.tag), entity_tags.strong(publication.tag + b".gz")
    headers = ((b"etag", plain if packed is None else zipped), *publication.headers)
    named = entity_tags.listed(exchange.header(b"if-none-match") or b"")
    if named is not None and not {entity_tags.ANY, plain, zipped}.isdisjoint(entity_tags.without_weakness(named)):
        return Answer(304, headers=headers)
    if packed is None:
        return Answer(200, publication.body(), publication.media_type, headers)
    return Answer(200, packed, publication.media_type, headers, encoding=b"gzip")
