"""Secrets, and how to mask them: one rule for conditions, logs and the printed configuration."""

from collections.abc import Iterable
from types import MappingProxyType
from typing import Any, Final

NAMES: Final = (
    *("password", "passwd", "passphrase", "token", "secret", "credential", "pull_secret", "kubeconfig", "dockerconfig"),
    *("api_key", "private_key", "access_key", "client_key", "signing_key", "tls_key"),
)
"""A member whose name contains one of these is a secret; `Names` compares them."""

MASK: Final = "***"

_ANY_DEPTH: Final = 1 << 30
_MOST_REMEMBERED: Final = 4096
_LONGEST_REMEMBERED: Final = 256
_SEPARATORS: Final = str.maketrans("", "", "_-. ")


class Secret(str):
    """A text that is never shown: its `repr` is masked, and so is the printed configuration."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"'{MASK}'"


class Names:
    """Names of secrets. A member's name matches if it contains one; case, `_`, `-`, `.` and spaces are ignored."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = tuple(filter(None, map(_plain, names)))
        self._known: dict[str, bool] = {}

    def __contains__(self, name: str) -> bool:
        known = self._known.get(name)
        if known is None:
            plain = _plain(name)
            known = any(part in plain for part in self._names)
            # Callers choose the names, so the cache is bounded.
            if len(self._known) < _MOST_REMEMBERED and len(name) <= _LONGEST_REMEMBERED:
                self._known[name] = known
        return known


def _plain(name: str) -> str:
    return name.lower().translate(_SEPARATORS)


_usual: Final = Names(NAMES)


def masked(value: Any, names: Names = _usual, deepest: int = _ANY_DEPTH) -> Any:
    """The value with MASK in place of every secret, and of everything nested deeper than `deepest`."""
    if isinstance(value, dict | MappingProxyType):
        if deepest == 0:
            return MASK
        return {name: MASK if str(name) in names else masked(value[name], names, deepest - 1) for name in value}
    if isinstance(value, list | tuple):
        return MASK if deepest == 0 else [masked(inner, names, deepest - 1) for inner in value]
    return MASK if isinstance(value, Secret) else value
