"""Looks up a token's claims by name, by dotted path, or by JSON Pointer (RFC 6901)."""

from collections.abc import Mapping
from typing import Any, Final

from hyperfleet.settings.authorization import VALUE_LENGTH, pointer_steps

_EMAIL: Final = "email"
_VERIFIED: Final = "email_verified"


def claim(claims: Mapping[str, Any], name: str) -> Any:
    """The claim with this name, or None. A name that matches no claim is a path into nested objects and lists."""
    holder, step = _holder(claims, name)
    return _member(holder, step)


def is_unverified_email(claims: Mapping[str, Any], name: str) -> bool:
    """Whether the claim is named `email` and the `email_verified` claim beside it is false."""
    holder, step = _holder(claims, name)
    if step != _EMAIL or not isinstance(holder, Mapping):
        return False
    verified = holder.get(_VERIFIED)
    return verified is False or (isinstance(verified, str) and verified.strip().lower() == "false")


def kept(value: Any) -> str | bool | None:
    """A claim in the form that is cached; False if it is too long or has the wrong type."""
    if isinstance(value, str):
        return value if len(value) <= VALUE_LENGTH else False
    return value if value is None or isinstance(value, bool) else False


def _holder(claims: Mapping[str, Any], name: str) -> tuple[Any, str]:
    """The object or list that contains the claim, or None, and the claim's name in it."""
    if name in claims:
        return claims, name
    steps = pointer_steps(name) if name.startswith("/") else name.split(".")
    found: Any = claims
    for step in steps[:-1]:
        found = _member(found, step)
    return found, steps[-1]


def _member(holder: Any, step: str) -> Any:
    if isinstance(holder, Mapping):
        return holder.get(step)
    if isinstance(holder, list) and step.isascii() and step.isdigit() and len(step) < 5 and str(int(step)) == step:
        return holder[int(step)] if int(step) < len(holder) else None
    return None
