"""The values in a schema's own `enum`, `default` and `example`: the schema's `type` must allow each of them.

YAML turns versions into numbers, and some words into booleans, so such a value is often not what its author meant, and
no spec could have it.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

_IS: Final[dict[str, Callable[[object], bool]]] = {
    "array": lambda value: isinstance(value, list),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: _is_number(value) and value == int(value),  # type: ignore[call-overload]
    "number": lambda value: _is_number(value),
    "object": lambda value: isinstance(value, dict),
    "string": lambda value: isinstance(value, str),
}
_CALLED: Final = {name: f"an {name}" if name[0] in "aio" else f"a {name}" for name in _IS}
_LONGEST: Final = 60
_LONG: Final = 10**60


def misfits(schema: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The values that the schema's own type excludes: the path to each, and what is wrong with it."""
    type = schema.get("type")
    if not isinstance(type, str) or type not in _IS:
        return
    for path, value in _values(schema):
        if value is None:
            if schema.get("nullable") is not True:
                yield path, f"null is not {_CALLED[type]}: add `nullable: true`, or remove it."
        elif not _IS[type](value):
            yield path, f"{_shown(value)} is not {_CALLED[type]}{_advice(type, value)}."


def _values(schema: dict[str, Any]) -> Iterator[tuple[str, object]]:
    for keyword in ("enum", "examples"):
        listed = schema.get(keyword)
        if isinstance(listed, list):
            yield from ((f"{keyword}/{position}", value) for position, value in enumerate(listed))
    for keyword in ("default", "example"):
        if keyword in schema:
            yield keyword, schema[keyword]


def _is_number(value: object) -> bool:
    # Infinity and NaN cannot be written in JSON.
    return isinstance(value, int | float) and not isinstance(value, bool) and value - value == 0


def _advice(type: str, value: object) -> str:
    if type == "string" and isinstance(value, bool | int | float):
        return ": quote it"
    if isinstance(value, str) and type in ("boolean", "integer", "number") and _would_fit(type, value):
        return ": write it without quotes"
    return ""


def _would_fit(type: str, text: str) -> bool:
    if type == "boolean":
        return text in ("true", "false")
    try:
        return _IS[type](float(text))
    except ValueError:
        return False


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return repr(value if len(value) <= _LONGEST else value[:_LONGEST] + "…")
    if isinstance(value, int | float):
        # Python refuses to convert an integer with thousands of digits to text.
        return "the number" if abs(value) > _LONG and isinstance(value, int) else str(value)
    return "an object" if isinstance(value, dict) else "a list"
