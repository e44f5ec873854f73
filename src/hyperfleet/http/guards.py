"""What a caller may do with which kinds, decided from its rules before a body is read or anything is looked up."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from hyperfleet.errors import Forbidden
from hyperfleet.model.catalog import Catalog
from hyperfleet.model.kind import Kind
from hyperfleet.model.permission import SYSTEM_VERBS, Grants, Permissions, Verb
from hyperfleet.model.resource import ANY, Caller
from hyperfleet.telemetry import logging

REMEMBERED: Final = 4096
"""Callers whose grants are kept."""

_log = logging.get("authorization")
_Key = tuple[int, str, tuple[tuple[str, str], ...], bool]


class _Known(NamedTuple):
    """What was worked out for a caller; its claims are held, so that their identity stays theirs."""

    claims: Mapping[str, Any]
    grants: Grants


class Guard:
    """Holds callers to the rules; `permissions` is None where every caller may do everything."""

    def __init__(self, catalog: Catalog, permissions: Permissions | None) -> None:
        self._catalog = catalog
        self._permissions = permissions
        self._known: OrderedDict[_Key, _Known] = OrderedDict()

    def allowed(self, caller: Caller, verb: Verb, kind: Kind) -> tuple[Kind, ...]:
        """The kinds that the caller may do this with: `kind`, or of ANY some. Raises Forbidden when there is none."""
        if caller.is_system and verb not in SYSTEM_VERBS:
            raise Forbidden(f"System callers may only {' and '.join(sorted(SYSTEM_VERBS))}.")
        wanted = self._catalog.kinds if kind is ANY else (kind,)
        if self._permissions is None:
            return wanted
        names = self._grants(caller, self._permissions).kinds[verb]
        found = tuple(each for each in wanted if each.name in names)
        if not found:
            raise Forbidden(f"No rule of this service lets you {verb} {kind.plural}.")
        return found

    def allows(self, caller: Caller, verb: Verb, kind: Kind) -> bool:
        """Whether the caller may do this with resources of one kind."""
        try:
            return bool(self.allowed(caller, verb, kind))
        except Forbidden:
            return False

    def _grants(self, caller: Caller, permissions: Permissions) -> Grants:
        # A token is remembered with its claims, so the same mapping comes back with each of its requests. Two tokens
        # never share one, so what rules make of claims is never given to another.
        key = (id(caller.claims), caller.identity, caller.tenancy, caller.is_system)
        known = self._known.get(key)
        if known is not None and known.claims is caller.claims:
            self._known.move_to_end(key)
            return known.grants
        grants = permissions.grants(caller)
        for failure in grants.failed:
            _log.warning("a rule could not be evaluated", rule=failure.rule, reason=failure.reason)
        self._known[key] = _Known(caller.claims, grants)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return grants
