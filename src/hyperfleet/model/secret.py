"""Which members of objects hold secrets, by their names, and objects without them."""

from typing import Any, Final

NAMES: Final = ("password", "token", "secret", "credential", "api_key", "private_key", "access_key", "pull_secret")
"""A member whose name contains one of these holds a secret; hyphens count as underscores, capitals as small letters."""

MASK: Final = "***"


def masked(value: Any) -> Any:
    """JSON with MASK in place of every secret, at any depth."""
    if isinstance(value, dict):
        return {name: MASK if is_secret(name) else masked(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [masked(inner) for inner in value]
    return value


def is_secret(name: str) -> bool:
    """Whether a member of this name holds a secret."""
    plain = name.lower().replace("-", "_")
    return any(part in plain for part in NAMES)
