"""What is wrong with a value, keyword by keyword, in the caller's words: the sentences behind `errors[]`.

A row says what the value must be and what to call that in short; sentences begin with the field's path, so that each
stands alone. No word of a schema language is among them.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from hyperfleet.errors import FieldError

CODE: Final = "VAL-000"
"""Every fault in a spec against its schema, also a single one (contract: Errors)."""

MOST_NAMES: Final = 20
LONGEST_PATH: Final = 200

_PLAIN: Final = re.compile(r"[\w/-]+")

_TYPES: Final = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "null": "null",
    "number": "a number",
    "object": "an object",
    "string": "a string",
}
FORMATS: Final = {
    "byte": "a string in base64",
    "date": "a date such as 2026-01-31",
    "date-time": "an RFC 3339 time such as 2026-01-31T12:00:00Z",
    "time": "a time of day such as 12:00:00Z",
    "email": "an e-mail address",
    "idn-email": "an e-mail address",
    "hostname": "a host name",
    "idn-hostname": "a host name",
    "ipv4": "an IPv4 address",
    "ipv6": "an IPv6 address",
    "uri": "a URI with its scheme",
    "uri-reference": "a URI or a relative one",
    "iri": "an IRI with its scheme",
    "iri-reference": "an IRI or a relative one",
    "uri-template": "a URI template",
    "uuid": "a UUID",
    "json-pointer": "a JSON pointer",
    "relative-json-pointer": "a relative JSON pointer",
    "regex": "a regular expression",
}


class Words(NamedTuple):
    """What a value must be: the end of "`field` must …", and the same in short."""

    must: str
    constraint: str


def _count(what: str, many: str) -> Mapping[str, Callable[[Any], Words]]:
    def word(number: int) -> str:
        return what if number == 1 else many

    return {
        "min": lambda n: Words(f"have at least {n} {word(n)}", f"at least {n}"),
        "max": lambda n: Words(f"have at most {n} {word(n)}", f"at most {n}"),
    }


_CHARACTERS: Final = _count("character", "characters")
_ITEMS: Final = _count("item", "items")
_MEMBERS: Final = _count("member", "members")

LEAVES: Final[Mapping[str, Callable[[Any], Words]]] = {
    "minimum": lambda limit: Words(f"be at least {text(limit)}", f"at least {text(limit)}"),
    "maximum": lambda limit: Words(f"be at most {text(limit)}", f"at most {text(limit)}"),
    "exclusiveMinimum": lambda limit: Words(f"be more than {text(limit)}", f"more than {text(limit)}"),
    "exclusiveMaximum": lambda limit: Words(f"be less than {text(limit)}", f"less than {text(limit)}"),
    "multipleOf": lambda unit: Words(f"be a multiple of {text(unit)}", f"a multiple of {text(unit)}"),
    "minLength": _CHARACTERS["min"],
    "maxLength": _CHARACTERS["max"],
    "pattern": lambda pattern: Words(f"match the pattern {pattern}", pattern),
    "format": lambda name: Words(f"be {FORMATS[name]}", name),
    "minItems": _ITEMS["min"],
    "maxItems": _ITEMS["max"],
    "uniqueItems": lambda _: Words("not have two equal items", "no two equal items"),
    "minProperties": _MEMBERS["min"],
    "maxProperties": _MEMBERS["max"],
}
"""The keywords that look at one value and at nothing below it, but for type and enum, which come before them."""


def types(names: str | list[str]) -> list[str]:
    """The types in words."""
    return [_TYPES[name] for name in ([names] if isinstance(names, str) else names)]


def one_of(words: Iterable[str]) -> str:
    """The choices in a row, the first of many only."""
    each = list(words)
    shown = ", ".join(each[:MOST_NAMES])
    return shown if len(each) <= MOST_NAMES else f"{shown} and {len(each) - MOST_NAMES} more"


def must(path: str, words: Words, value: str | None) -> FieldError:
    """A value is not what it must be."""
    return FieldError(CODE, path, f"`{path}` must {words.must}", words.constraint, value)


def missing(path: str) -> FieldError:
    """A member is missing."""
    return FieldError(CODE, path, f"`{path}` is missing")


def unknown(path: str, known: Iterable[str]) -> FieldError:
    """A member is there that must not be."""
    names = one_of(known)
    return FieldError(CODE, path, f"`{path}` is not known; known are {names}" if names else f"`{path}` is not known")


def other(path: str, sentence: str, constraint: str | None = None, value: str | None = None) -> FieldError:
    """Anything else that is wrong; the sentence goes on after the path."""
    return FieldError(CODE, path, f"`{path}` {sentence}", constraint, value)


def member(path: str, name: str) -> str:
    """The path of a member."""
    step = f".{name}" if _PLAIN.fullmatch(name) else f"['{name}']"
    return (path + step)[:LONGEST_PATH]


def item(path: str, position: int) -> str:
    """The path of an item of a list."""
    return f"{path}[{position}]"[:LONGEST_PATH]


def text(value: object) -> str:
    """A value as JSON; a string as it is."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def shown(value: object) -> str | None:
    """A scalar as the caller wrote it; None for what is too large to repeat."""
    return None if isinstance(value, dict | list) else text(value)
