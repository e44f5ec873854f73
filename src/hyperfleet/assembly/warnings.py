"""Warnings about a valid configuration: `serve` logs them, `config` prints them.

Every warning that depends on the configuration alone is collected here, so that both commands report the same ones.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from hyperfleet.assembly import application
from hyperfleet.model.catalog import Catalog
from hyperfleet.model.schemas import openapi
from hyperfleet.model.schemas.json_schema import DEEPEST
from hyperfleet.model.spelling import nearest_name
from hyperfleet.settings import Jwt, Server, Settings
from hyperfleet.settings.jwt_configs import RED_HAT_SSO, is_loopback

_OWN_DOCUMENT: Final = "the project's own"


@dataclass(frozen=True)
class Warning:
    """A warning: a constant sentence, and the fields it concerns."""

    message: str
    fields: Mapping[str, Any]

    def __str__(self) -> str:
        about = " ".join(f"{name}={value}" for name, value in self.fields.items())
        return f"{self.message}: {about}" if about else self.message


def collected(configured: Settings, catalog: Catalog, document: application.Document) -> Iterator[Warning]:
    """Every warning about a valid configuration; `document` describes the specs of its kinds."""
    yield from _access(configured.server)
    yield from _schemas(configured, catalog, document)


def _access(server: Server) -> Iterator[Warning]:
    """Callers who are accepted without authentication, and access settings without effect."""
    jwt, gateway = server.jwt, server.trusted_gateway
    if jwt.enabled and jwt.configs == Jwt().configs:
        issuer = RED_HAT_SSO.issuer_url
        yield Warning("tokens from a public issuer are accepted for any audience", {"issuer": issuer})
    if gateway.enabled:
        about = {"header": gateway.identity_header, "allow": list(gateway.allow) or "loopback"}
        yield Warning("a gateway is trusted to identify callers, without tokens", about)
    elif not jwt.enabled and not is_loopback(server.host):
        yield Warning("anyone who reaches the API may do everything, without a token", {"host": server.host})
    for setting, unused in _without_effect(server):
        yield Warning("settings have no effect", {"because": f"{setting} is false", "settings": unused})


def _without_effect(server: Server) -> Iterator[tuple[str, list[str]]]:
    """Switches that are off, with the settings that have no effect because of that."""
    jwt, authorization, tenant = server.jwt, server.authorization, server.tenant
    rules = ["server.authorization.rules"] if authorization.rules else []
    if not jwt.enabled:
        unused = ["server.jwt.configs"] if jwt.configs != Jwt().configs else []
        unused += rules if authorization.enabled and not server.trusted_gateway.enabled else []
        if unused:
            yield "server.jwt.enabled", unused
    if not authorization.enabled and rules:
        yield "server.authorization.enabled", rules
    if not tenant.enabled and tenant.dimensions:
        yield "server.tenant.enabled", ["server.tenant.dimensions"]
    if not server.trusted_gateway.enabled and server.trusted_gateway.identity_header:
        yield "server.trusted_gateway.enabled", ["server.trusted_gateway.identity_header"]


def _schemas(configured: Settings, catalog: Catalog, document: application.Document) -> Iterator[Warning]:
    """Kinds whose specs are not validated, or are limited to a shallow nesting."""
    path = configured.server.openapi_schema_path or _OWN_DOCUMENT
    for kind in catalog.kinds:
        name = kind.spec_schema_name
        if kind.spec_schema is None:
            about: dict[str, Any] = {"kind": kind.name, "missing": name, "document": path}
            nearest = nearest_name(name, openapi.component_names(document))
            yield Warning("the specs of a kind are not validated", about | ({"nearest": nearest} if nearest else {}))
        elif kind.spec_schema.deepest < DEEPEST:
            deepest = kind.spec_schema.deepest
            about = {"kind": kind.name, "schema": name, "deepest": deepest, "document": path}
            yield Warning("the specs of a kind are limited to a shallow nesting", about)
