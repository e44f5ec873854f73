"""Rules and tenants as the settings name them: what is wrong with them, and the parts that hold to them."""

from collections.abc import Iterator
from typing import Final

from hyperfleet.http.tenants import Dimension, Tenants
from hyperfleet.model.catalog import Catalog
from hyperfleet.model.permission import DEFAULT, EVERY, BadRules, Permissions, Rule
from hyperfleet.settings import BadSettings, Server, Tenant

RULES: Final = "server.authorization.rules"
TENANT: Final = "server.tenant"
MOST_DIMENSIONS: Final = 8


def permissions(server: Server, catalog: Catalog) -> Permissions | None:
    """The compiled rules; None where callers may do everything. Raises BadSettings with every mistake."""
    if not server.jwt.enabled or not server.authorization.enabled:
        return None
    given = tuple(
        Rule(rule.name or "", rule.verbs or (), rule.kinds or (EVERY,), rule.when or "")
        for rule in server.authorization.rules
    )
    try:
        return Permissions(given or DEFAULT, [kind.name for kind in catalog.kinds])
    except BadRules as wrong:
        raise BadSettings([f"{RULES}: {mistake}" for mistake in wrong.mistakes]) from None


def tenants(tenant: Tenant) -> Tenants | None:
    """What says whose tenant a caller is; None where tenants are not told apart."""
    if not tenant.enabled:
        return None
    return Tenants(
        [
            Dimension(each.key or "", (each.header or "").lower(), each.claim or "", is_required=bool(each.required))
            for each in tenant.dimensions
        ],
        system_header=tenant.system_header.lower(),
    )


def contradictions(server: Server) -> Iterator[tuple[str, str]]:
    """What is wrong with settings of tenants that are each right: the path of one, and a sentence."""
    tenant = server.tenant
    if not tenant.enabled:
        return
    path = f"{TENANT}.dimensions"
    if not any(each.required for each in tenant.dimensions):
        yield path, f"{path}: at least one must be required, or callers without any would see every tenant."
    if len(tenant.dimensions) > MOST_DIMENSIONS:
        yield path, f"{path}: there are {len(tenant.dimensions)}, and {MOST_DIMENSIONS} are the most."
    seen: set[str] = set()
    for position, each in enumerate(tenant.dimensions):
        one = f"{path}[{position}]"
        if each.key is not None and each.key in seen:
            yield one, f"{one}.key: {each.key} has an entry already."
        seen.add(each.key or "")
        if bool(each.header) == bool(each.claim):
            given = "both are" if each.header else "neither is"
            yield one, f"{one}: one of header and claim must be given; {given}."
        if each.claim and not server.jwt.enabled:
            yield one, f"{one}.claim: claims come with tokens, and server.jwt.enabled is false."
        if each.header and each.header.lower() == tenant.system_header.lower():
            yield one, f"{one}.header: it is system_header, too."
