"""Access rules, tenants and gateways from the settings: checks the settings, and builds the parts that enforce them."""

from collections.abc import Iterator
from typing import Final

from hyperfleet.http.access.gateways import LOOPBACK, Gateway
from hyperfleet.http.access.tenants import Dimension, Tenants
from hyperfleet.model.catalog import Catalog
from hyperfleet.model.rules.permission import DEFAULT, EVERY, BadRules, Permissions, Rule
from hyperfleet.settings import BadSettings, Server, Tenant, TrustedGateway
from hyperfleet.settings.jwt_configs import is_loopback

RULES: Final = "server.authorization.rules"
TENANT: Final = "server.tenant"
MOST_DIMENSIONS: Final = 8

_NO_CLAIMS: Final = "claims require tokens, but server.jwt.enabled is false."


def permissions(server: Server, catalog: Catalog) -> Permissions | None:
    """The compiled rules; None where callers may do everything. Raises BadSettings with every mistake."""
    if not _has_rules(server):
        return None
    given = tuple(
        Rule(rule.name or "", rule.verbs or (), rule.kinds or (EVERY,), rule.when or "")
        for rule in server.authorization.rules
    )
    try:
        return Permissions(given or DEFAULT, [kind.name for kind in catalog.kinds])
    except BadRules as wrong:
        raise BadSettings([f"{RULES}: {mistake}" for mistake in wrong.mistakes]) from None


def _has_rules(server: Server) -> bool:
    return server.authorization.enabled and (server.jwt.enabled or server.trusted_gateway.enabled)


def restricts(server: Server) -> bool:
    """Whether access rules or tenancy can deny a caller something."""
    return _has_rules(server) or server.tenant.enabled


def tenants(tenant: Tenant) -> Tenants | None:
    """The part that determines a caller's tenancy; None if tenancy is disabled."""
    if not tenant.enabled:
        return None
    return Tenants(
        [
            Dimension(each.key or "", (each.header or "").lower(), each.claim or "", is_required=bool(each.required))
            for each in tenant.dimensions
        ],
        system_header=tenant.system_header.lower(),
        system_claim=tenant.system_claim,
        header=tenant.header.lower(),
    )


def gateway(trusted: TrustedGateway) -> Gateway | None:
    """The part that identifies callers without tokens; None if no gateway is trusted."""
    if not trusted.enabled:
        return None
    return Gateway(trusted.identity_header.lower(), trusted.allow or LOOPBACK)


def contradictions(server: Server) -> Iterator[tuple[str, str]]:
    """Conflicts between tenant or gateway settings that are valid alone: the path of one, and a sentence."""
    if server.tenant.enabled:
        yield from _of_tenants(server)
    if server.trusted_gateway.enabled:
        yield from _of_gateways(server)


def _of_tenants(server: Server) -> Iterator[tuple[str, str]]:
    tenant = server.tenant
    path = f"{TENANT}.dimensions"
    if not any(each.required for each in tenant.dimensions):
        yield (
            path,
            f"{path}: at least one dimension must be required; otherwise callers without any would see every tenant.",
        )
    if len(tenant.dimensions) > MOST_DIMENSIONS:
        yield path, f"{path}: {len(tenant.dimensions)} dimensions; the limit is {MOST_DIMENSIONS}."
    if tenant.system_claim and not server.jwt.enabled:
        yield f"{TENANT}.system_claim", f"{TENANT}.system_claim: {_NO_CLAIMS}"
    taken = {tenant.system_header.lower(): "system_header"} if tenant.system_header else {}
    if tenant.header and taken.setdefault(tenant.header.lower(), "header") != "header":
        yield f"{TENANT}.header", f"{TENANT}.header: must differ from system_header."
    seen: set[str] = set()
    for position, each in enumerate(tenant.dimensions):
        one = f"{path}[{position}]"
        if each.key is not None and each.key in seen:
            yield one, f"{one}.key: duplicate entry for {each.key}."
        seen.add(each.key or "")
        if not each.header and not each.claim and not tenant.header:
            yield one, f"{one}: has no source for its value; set header, claim or {TENANT}.header."
        if each.claim and not server.jwt.enabled:
            yield one, f"{one}.claim: {_NO_CLAIMS}"
        if each.header and each.header.lower() in taken:
            yield one, f"{one}.header: already used by {taken[each.header.lower()]}."


def _of_gateways(server: Server) -> Iterator[tuple[str, str]]:
    gateway, path = server.trusted_gateway, "server.trusted_gateway"
    if not gateway.identity_header:
        yield (
            path,
            f"{path}.identity_header is missing: name the header in which the gateway sends the caller's identity.",
        )
    if gateway.identity_header.lower() in ("authorization", "host", "cookie"):
        yield (
            path,
            f"{path}.identity_header: {gateway.identity_header} already has another meaning; use a different header.",
        )
    if not gateway.allow and not is_loopback(server.host):
        yield (
            path,
            f"{path}.allow must list the gateway's networks, such as 10.0.0.0/8, because server.host "
            f"{server.host} is not a loopback address: anyone who reaches it could impersonate any caller.",
        )
