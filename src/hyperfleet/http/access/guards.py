"""Decides what a caller may do with which kinds, from the access rules, before reading the body or the database."""

import time
from collections.abc import Callable
from typing import Final

from hyperfleet.errors import Forbidden
from hyperfleet.http.access.memory import Memory
from hyperfleet.model.caller import Caller
from hyperfleet.model.catalog import Catalog
from hyperfleet.model.kind import Kind
from hyperfleet.model.resource import ANY
from hyperfleet.model.rules.permission import SYSTEM_VERBS, Allowed, Permissions, Verb
from hyperfleet.telemetry import logging

REMEMBERED: Final = 4096
"""How many callers' grants are cached."""

_log = logging.get("authorization")
_Key = tuple[bytes, str, tuple[tuple[str, str], ...], bool]


class Guard:
    """Enforces the access rules; `permissions` is None where every caller may do everything."""

    def __init__(
        self, catalog: Catalog, permissions: Permissions | None, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._catalog = catalog
        self._permissions = permissions
        self._known: Memory[_Key, Allowed] = Memory(REMEMBERED, clock)

    def allowed(self, caller: Caller, verb: Verb, kind: Kind) -> tuple[Kind, ...]:
        """The kinds that the caller may use this verb on: `kind`, or some of all kinds for ANY.

        Raises Forbidden when there are none.
        """
        if caller.is_system and verb not in SYSTEM_VERBS:
            raise Forbidden(f"System callers may only {' and '.join(sorted(SYSTEM_VERBS))}.")
        wanted = self._catalog.kinds if kind is ANY else (kind,)
        if self._permissions is None:
            return wanted
        names = self._allowed(caller, self._permissions)[verb]
        found = tuple(each for each in wanted if each.name in names)
        if not found:
            raise Forbidden(f"No access rule allows you to {verb} {kind.plural}.")
        return found

    def allows(self, caller: Caller, verb: Verb, kind: Kind) -> bool:
        """Whether the caller may use this verb on resources of one kind."""
        try:
            return bool(self.allowed(caller, verb, kind))
        except Forbidden:
            return False

    def _allowed(self, caller: Caller, permissions: Permissions) -> Allowed:
        # The digest covers the whole token, so permissions are never shared between tokens.
        key = (caller.digest, caller.identity, caller.tenancy, caller.is_system)
        known = self._known.get(key)
        if known is None:
            grants = permissions.grants(caller)
            for failure in grants.failed:
                _log.warning("an access rule could not be evaluated", rule=failure.rule, reason=failure.reason)
            known = grants.kinds
            self._known.put(key, known, expires_at=caller.expires_at)
        return known
