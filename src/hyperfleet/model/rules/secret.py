"""Which members of objects hold secrets, by their names, and objects without them: one rule for conditions and logs."""

from collections.abc import Iterable
from typing import Any, Final

NAMES: Final = (
    *("password", "passwd", "passphrase", "token", "secret", "credential", "pull_secret", "kubeconfig", "dockerconfig"),
    *("api_key", "private_key", "access_key", "client_key", "signing_key", "tls_key"),
)
"""A member whose name contains one of these holds a secret, however it is spelled: see Names."""

MASK: Final = "***"

_MOST_REMEMBERED: Final = 4096
_LONGEST_REMEMBERED: Final = 256
_SEPARATORS: Final = str.maketrans("", "", "_-. ")


class Names:
    """Names of secrets: a member's name is one that contains any of them, without regard to case, `_`, `-`, `.`."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = tuple(filter(None, map(_plain, names)))
        self._known: dict[str, bool] = {}

    def __contains__(self, name: str) -> bool:
        known = self._known.get(name)
        if known is None:
            plain = _plain(name)
            known = any(part in plain for part in self._names)
            # Callers choose names, so not every one is remembered.
            if len(self._known) < _MOST_REMEMBERED and len(name) <= _LONGEST_REMEMBERED:
                self._known[name] = known
        return known


def masked(value: Any) -> Any:
    """JSON with MASK in place of every secret, at any depth."""
    if isinstance(value, dict):
        return {name: MASK if name in _usual else masked(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [masked(inner) for inner in value]
    return value


def _plain(name: str) -> str:
    return name.lower().translate(_SEPARATORS)


_usual: Final = Names(NAMES)
