"""Builds the application that a worker serves from the settings; the only place that connects the parts.

The parent reads and checks the files and sends their content to the workers, so that a worker that replaces another
serves the same content. Each process builds the application from it once.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from hyperfleet import settings
from hyperfleet.assembly import access_rules, issuers, kinds, yaml_documents
from hyperfleet.http.access.callers import Callers
from hyperfleet.http.app import application
from hyperfleet.http.description import document as served_document
from hyperfleet.http.middleware import Middleware
from hyperfleet.model.catalog import Catalog
from hyperfleet.model.kind import Kind
from hyperfleet.model.schemas import openapi
from hyperfleet.model.schemas.spec_schema import BadSchema, SpecSchema
from hyperfleet.store.database import Database
from hyperfleet.store.searches import Places

Document = dict[str, Any]


def document(server: settings.Server) -> Document:
    """The OpenAPI document whose components describe the `spec` of each kind: the provider's, or the project's own.

    Raises BadSettings, naming the file, if it is not a valid document.
    """
    path = server.openapi_schema_path
    if not path:
        return served_document.packaged()
    try:
        return openapi.require_document(yaml_documents.read(Path(path)))
    except yaml_documents.BadFile as failure:
        raise settings.BadSettings([f"{_file(path)} cannot be read: {failure}."]) from None
    except BadSchema as failure:
        raise settings.BadSettings([f"{_file(path)}: {mistake}" for mistake in failure.mistakes]) from None


def catalog(configured: settings.Settings, document: Document) -> Catalog:
    """The kinds that are served; raises BadSettings with every mistake in the schemas of their specs."""
    found: list[Kind] = []
    mistakes: list[str] = []
    for kind in kinds.declared(configured.entities):
        schema = None
        if openapi.has_component(document, kind.spec_schema_name):
            try:
                schema = SpecSchema(document, kind.spec_schema_name)
            except BadSchema as failure:
                mistakes += failure.mistakes
        elif kind.require_spec_schema:
            mistakes.append(
                f"component {kind.spec_schema_name} is missing; kind {kind.name} requires it (require_spec_schema)."
            )
        found.append(replace(kind, spec_schema=schema))
    if mistakes:
        file = _file(configured.server.openapi_schema_path)
        raise settings.BadSettings([f"{file}: {mistake}" for mistake in dict.fromkeys(mistakes)])
    return Catalog(found)


def described(configured: settings.Settings) -> Document:
    """The OpenAPI document that the service serves."""
    specs = document(configured.server)
    headers = Callers(issuers.trusted(configured.server.jwt)).headers
    return served_document.document(
        catalog(configured, specs),
        _provider(configured.server, specs),
        token_headers=headers,
        is_vouched=configured.server.trusted_gateway.enabled,
        forbids=access_rules.restricts(configured.server),
    )


def _provider(server: settings.Server, document: Document) -> Document | None:
    """The document if it is a provider's: its components replace ours in the served document."""
    return document if server.openapi_schema_path else None


def assembled(
    configured: settings.Settings, document: Document, *, recomputes: bool, slow_searches: Places | None = None
) -> Middleware:
    """The ASGI application with a connection pool of its own, which its lifespan opens and closes.

    With `recomputes` it also recomputes statuses after a change of rules. The workers share `slow_searches`.
    """
    served = catalog(configured, document)
    return application(
        Database(configured.database, limits=configured.server, slow_searches=slow_searches),
        served,
        configured,
        _provider(configured.server, document),
        issuers=issuers.trusted(configured.server.jwt),
        gateway=access_rules.gateway(configured.server.trusted_gateway),
        tenants=access_rules.tenants(configured.server.tenant),
        permissions=access_rules.permissions(configured.server, served),
        recomputes=recomputes,
    )


def _file(path: str) -> str:
    if not path:
        return "The project's own OpenAPI document (server.openapi_schema_path is unset)"
    return f"The OpenAPI document {path} (server.openapi_schema_path)"
