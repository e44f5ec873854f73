"""One short function per route: it reads the path, the query and the body, calls a service, and returns its bytes.

Errors are checked in the contract's order (Addresses): a path that the kind does not have, the body and the parameters,
then existence. A malformed id raises NotFound here; the service's statement looks up a well-formed one.
"""

import re
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache, lru_cache, partial
from typing import Final
from uuid import UUID

import msgspec

from hyperfleet.errors import BadRequest, Forbidden, HyperFleetError, NotFound
from hyperfleet.http.description import publications
from hyperfleet.http.exchange import Answer, Exchange, Header
from hyperfleet.http.media_types import is_merge_patch
from hyperfleet.http.reading import bodies, json_text, limits, patches, preconditions, queries
from hyperfleet.model import rendering
from hyperfleet.model.catalog import Catalog
from hyperfleet.model.identifier import uuid
from hyperfleet.model.kind import Kind
from hyperfleet.model.resource import ANY, Owner, Scope
from hyperfleet.model.search.fields import FIELDS, Fields
from hyperfleet.model.search.vocabulary import vocabulary
from hyperfleet.services import checking, deleting, reading, reporting, writing
from hyperfleet.telemetry import metrics

_NAME: Final = re.compile("[a-z0-9][-a-z0-9]{0,99}")

FEATURES: Final = (
    *("search", "order", "fields", "page_token", "count", "id", "gzip", "openapi"),
    *("patch", "merge_patch", "etag", "delete", "force_delete", "references", "resources"),
)
"""Features that callers may rely on beyond the first version's API; each is listed while the server supports it."""


async def service(exchange: Exchange) -> Answer:
    """The service's description of itself: its version and links."""
    queries.nothing(exchange.query)
    assert exchange.entrance is not None
    return exchange.entrance(exchange)


async def compatibility(exchange: Exchange) -> Answer:
    """The features of the running server."""
    queries.nothing(exchange.query)
    return Answer(200, _compatibility())


async def published(exchange: Exchange) -> Answer:
    """The static response that was built for this path at startup."""
    queries.nothing(exchange.query)
    assert exchange.route is not None
    return publications.answer(exchange.publications[exchange.route.template, exchange.media_type], exchange)


async def list_resources(
    exchange: Exchange,
    *,
    parameters: tuple[queries.Parameter, ...] = queries.LIST_PARAMETERS,
    fields: Fields = FIELDS,
) -> Answer:
    """A page of resources of one kind or of all kinds, limited to the owner's children when the path names an owner."""
    kind = exchange.kind
    wanted = queries.listing(exchange.query, _listable(kind, exchange.catalog, fields), parameters)
    if wanted.kind is not None:
        _narrowed(_scope(exchange), exchange.catalog.by_name[wanted.kind], exchange)
    scope, most = _scope(exchange), exchange.limits.max_page_bytes
    name = (kind.name, wanted.size, hash(wanted.selection))
    make = partial(reading.resources, exchange.db, scope, wanted, most=most)
    return Answer(200, await exchange.unsent.made(name, wanted.size, make))


async def create(exchange: Exchange) -> Answer:
    """Creates a resource. A child must be created under its owner. At `/resources` the body names the kind."""
    route = exchange.route
    if route is not None and route.owner_kind is None:
        _require_top(exchange.kind, exchange.catalog)
    body = await limits.body(exchange)
    queries.nothing(exchange.query)
    now = datetime.now(UTC)
    members = json_text.decoded(body)
    scope = _scope(exchange)
    if scope.kind is ANY:
        scope = _narrowed(scope, bodies.kind_named(members, exchange.catalog), exchange)
        _require_top(scope.kind, exchange.catalog)
    faults = await checking.faults(scope.kind, members.get("spec"), size=len(body))
    draft = bodies.draft(members, scope.kind, faults)
    may_read = exchange.may(exchange.caller, "read", scope.kind)
    created = await writing.create(exchange.db, scope, draft, caller=exchange.caller, now=now, may_read=may_read)
    headers = ((b"location", created.href.encode()), _etag(created.resource_version))
    return Answer(201, created.body, headers=headers)


async def read(exchange: Exchange, *, fields: Fields = FIELDS) -> Answer:
    """One resource, or the selected members of it; 304 when the caller already has this version."""
    listable = _listable(exchange.kind, exchange.catalog, fields) if exchange.query else None
    selection = None if listable is None else queries.selection(exchange.query, listable)
    unless = preconditions.if_none_match(exchange.header(b"if-none-match"))
    scope = _scope(exchange)
    found = await reading.resource(exchange.db, scope, _id(exchange.kind, exchange.id), selection)
    headers = (_etag(found.resource_version),)
    if unless is not None and unless(found.resource_version):
        return Answer(304, headers=headers)
    return Answer(200, found.body, headers=headers)


async def change(exchange: Exchange) -> Answer:
    """Changes a resource's desired state, and returns the resource."""
    body = await limits.body(exchange, patch=True)
    queries.nothing(exchange.query)
    now = datetime.now(UTC)
    members = json_text.decoded(body)
    precondition = preconditions.if_match(exchange.header(b"if-match"))
    scope, id = await _of_one_kind(exchange)
    content_type = exchange.header(b"content-type")
    # The result of a merge is checked where the merge is applied.
    replaced = None if content_type is not None and is_merge_patch(content_type) else members.get("spec")
    faults = await checking.faults(scope.kind, replaced, size=len(body))
    largest = exchange.limits.max_body_size
    patch = patches.change(members, scope.kind, content_type, largest=largest, spec_faults=faults)
    changed = await writing.change(
        exchange.db, scope, id, patch, precondition=precondition, caller=exchange.caller, now=now
    )
    return Answer(200, changed.body, headers=(_etag(changed.resource_version),))


async def delete(exchange: Exchange) -> Answer:
    """Marks a resource for deletion, and returns the resource."""
    queries.nothing(exchange.query)
    now = datetime.now(UTC)
    precondition = preconditions.if_match(exchange.header(b"if-match"))
    scope, id = await _of_one_kind(exchange)
    deleted = await deleting.request(
        exchange.db, exchange.catalog, scope, id, precondition=precondition, caller=exchange.caller, now=now
    )
    return Answer(202, deleted.body, headers=(_etag(deleted.resource_version),))


async def force_delete(exchange: Exchange) -> Answer:
    """Removes a resource and everything it owns; the response has no body."""
    body = await limits.body(exchange)
    queries.nothing(exchange.query)
    reason = bodies.reason(json_text.decoded(body))
    precondition = preconditions.if_match(exchange.header(b"if-match"))
    scope, id = await _of_one_kind(exchange)
    await deleting.force(
        exchange.db, exchange.catalog, scope, id, reason=reason, precondition=precondition, caller=exchange.caller
    )
    return Answer(204)


async def list_reports(exchange: Exchange) -> Answer:
    """A page of the adapters' reports on a resource."""
    page, size = queries.page_of_reports(exchange.query)
    scope = _scope(exchange)
    id = _id(exchange.kind, exchange.id)
    await exchange.unsent.find_room()
    return Answer(200, await reading.reports_on(exchange.db, scope, id, page=page, size=size))


async def report(exchange: Exchange) -> Answer:
    """Stores an adapter's report: 201 with the stored report, 204 when the report is outdated."""
    body = await limits.body(exchange)
    queries.nothing(exchange.query)
    now = datetime.now(UTC)
    kind = exchange.kind
    adapter: str | None = None
    found: tuple[Scope, UUID] | None = None
    try:
        members = json_text.decoded(body)
        adapter = bodies.adapter_named(members)
        if kind is ANY:
            found = await _of_one_kind(exchange)
            kind = found[0].kind
        received = bodies.report(members, kind, now=now)
    except HyperFleetError as wrong:
        if not isinstance(wrong, NotFound):
            metrics.count_report(kind.name, adapter or metrics.OTHER, "invalid")
        raise
    scope, id = found or await _of_one_kind(exchange)
    outcome = await reporting.report(
        exchange.db, exchange.catalog, scope, id, received, caller=exchange.caller, now=now
    )
    if outcome.body is None:
        return Answer(204)
    # RFC 9111, section 5.5: 299 is the code for a warning that does not concern a cache.
    warned = () if outcome.warning is None else ((b"warning", b'299 - "%b"' % outcome.warning.encode()),)
    return Answer(201, outcome.body, headers=warned)


def _scope(exchange: Exchange) -> Scope:
    """The scope that the path names; raises NotFound for a malformed owner id."""
    route, tenancy, is_placed = exchange.route, exchange.caller.tenancy, exchange.caller.is_placed
    if exchange.kind is ANY:
        return Scope(ANY, members=exchange.kinds, tenancy=tenancy, shows_tenancy=is_placed)
    if route is None or route.owner_kind is None:
        return Scope(exchange.kind, tenancy=tenancy, shows_tenancy=is_placed)
    owner = Owner(route.owner_kind, _id(route.owner_kind, exchange.owner_id))
    return Scope(exchange.kind, owner, tenancy=tenancy, shows_tenancy=is_placed)


def _narrowed(scope: Scope, kind: Kind, exchange: Exchange) -> Scope:
    """Narrows a scope of all kinds to one kind; raises Forbidden when no access rule allows this for that kind."""
    if kind not in exchange.kinds:
        raise Forbidden(f"No access rule allows you to do this with {kind.plural}.")
    return replace(scope, kind=kind, members=())


async def _of_one_kind(exchange: Exchange) -> tuple[Scope, UUID]:
    """The scope and id of the path's resource; below `/resources` the kind is read from the resource's row.

    Raises NotFound.
    """
    scope, id = _scope(exchange), _id(exchange.kind, exchange.id)
    if scope.kind is ANY:
        scope = _narrowed(scope, await reading.kind(exchange.db, scope, id), exchange)
    return scope, id


def _require_top(kind: Kind, catalog: Catalog) -> None:
    owner = catalog.parent_of(kind)
    if owner is not None:
        path = f"{rendering.API_ROOT}/{owner.plural}/{{{owner.name.lower()}_id}}/{kind.plural}"
        raise BadRequest(
            f"{kind.one[0].upper()}{kind.one[1:]} must be created under its owner: POST {path}.", status=422
        )


@lru_cache(maxsize=1024)
def _listable(kind: Kind, catalog: Catalog, fields: Fields) -> queries.Listable:
    """What a list of one kind, or of all kinds, can be filtered and sorted by."""
    kinds = catalog.kinds if kind is ANY else (kind,)
    references = dict.fromkeys(rule.type for each in kinds for rule in each.references)
    words = vocabulary(kinds, every=catalog.kinds, fields=fields)
    return queries.Listable(tuple(references), words, of_all=kind is ANY)


def _etag(resource_version: int) -> Header:
    return b"etag", b'"%d"' % resource_version


def _id(kind: Kind, text: str) -> UUID:
    id = uuid(text)
    if id is None:
        name = text if _NAME.fullmatch(text) else "NAME"
        by_name = f"{rendering.API_ROOT}/{kind.plural}?search=name='{name}'"
        raise NotFound(
            f"There is no {kind.title} {text}: ids are UUIDs. To find a resource by name: GET {by_name}.",
            code=kind.not_found_code,
        )
    return id


@cache
def _compatibility() -> bytes:
    return msgspec.json.encode({"api_version": rendering.API_ROOT[-2:], "compatible": True, "features": FEATURES})
