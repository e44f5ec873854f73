"""The sentences in `errors[]`: what is wrong with a value, keyword by keyword, in the caller's words.

A row says what the value must be, in full and in short. Sentences begin with the field's path, so that each is complete
by itself. They avoid the terms of schema languages. Errors in bodies and in specs use the same words, and errors that
no schema describes are also worded here.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import UNSET

from hyperfleet.errors import FieldError, Given
from hyperfleet.model.schemas.json_schema import MUST
from hyperfleet.model.spelling import nearest_name

MOST_NAMES: Final = 20
LONGEST_PATH: Final = 200
LONGEST_NAME: Final = 80
LONGEST_PATTERN: Final = 100

_MOST_IGNORED: Final = 8
"""The most ignored members that an error lists. More, such as a resource's read-only members, would bury the others."""

_FEW: Final = 3
"""The number of names that need no suggestion, because a caller finds the right one at a glance."""

_PLAIN: Final = re.compile(r"[\w/-]+")

_MISSING: Final = "VAL-001"
_NOT_ALLOWED: Final = "VAL-002"
_MISTYPED: Final = "VAL-003"
_OUT_OF_RANGE: Final = "VAL-004"

_TYPES: Final = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
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
    "uri": "an absolute URI",
    "uri-reference": "a URI or relative reference",
    "iri": "an absolute IRI",
    "iri-reference": "an IRI or relative reference",
    "uri-template": "a URI template",
    "uuid": "a UUID",
    "json-pointer": "a JSON pointer",
    "relative-json-pointer": "a relative JSON pointer",
    "regex": "a regular expression",
}


class Words(NamedTuple):
    """What a value must be: the end of the sentence "`field` must …", and a short form."""

    must: str
    constraint: str


_Schema = Mapping[str, Any]
_Row = tuple[str, Callable[[_Schema, str], Words]]

_EDGES: Final = (-(2**31), -(2**63))
"""Lower limits that only reflect the width of an integer; errors omit them beside an upper limit."""


def _limits(least: str, most: str, verb: str, what: tuple[str, str]) -> dict[str, _Row]:
    """The rows of a lower and an upper limit. An error names both, so that the next attempt respects both."""

    def word(limit: Any) -> str:
        counted = what[limit != 1]
        return f"{text(limit)} {counted}" if counted else text(limit)

    def words(schema: _Schema, keyword: str) -> Words:
        low, high = schema.get(least), schema.get(most)
        if low is None or high is None or low in _EDGES or (low == 0 and what[0]):
            limit = f"at {'least' if keyword == least else 'most'} {word(schema[keyword])}"
        elif low == high:
            limit = f"exactly {word(high)}"
        else:
            limit = f"{'' if what[0] else 'from '}{text(low)} to {word(high)}"
        return Words(f"{verb} {limit}", limit)

    return dict.fromkeys((least, most), (_OUT_OF_RANGE, words))


def _pattern(schema: _Schema, _keyword: str) -> Words:
    """The words for a pattern; a long one appears only in the constraint."""
    wanted = schema["pattern"]
    named = wanted if len(wanted) <= LONGEST_PATTERN else "in `constraint`"
    return Words(schema.get(MUST, f"match the pattern {named}"), wanted)


def _bound(keyword: str, phrase: str) -> dict[str, _Row]:
    def words(schema: _Schema, keyword: str) -> Words:
        limit = f"{phrase} {text(schema[keyword])}"
        return Words(f"be {limit}", limit)

    return {keyword: (_OUT_OF_RANGE, words)}


LEAVES: Final[Mapping[str, _Row]] = {
    **_limits("minimum", "maximum", "be", ("", "")),
    **_bound("exclusiveMinimum", "more than"),
    **_bound("exclusiveMaximum", "less than"),
    **_bound("multipleOf", "a multiple of"),
    **_limits("minLength", "maxLength", "have", ("character", "characters")),
    "pattern": (_MISTYPED, _pattern),
    "format": (_MISTYPED, lambda schema, _: Words(f"be {FORMATS[schema['format']]}", schema["format"])),
    **_limits("minItems", "maxItems", "have", ("item", "items")),
    "uniqueItems": (_NOT_ALLOWED, lambda *_: Words("not have two equal items", "no two equal items")),
    **_limits("minProperties", "maxProperties", "have", ("member", "members")),
}
"""The keywords that check a value and nothing below it, except type and enum, which are checked before them.

Each has an error code, and words, which also depend on the keyword's siblings in the schema.
"""


def leaf(path: str, keyword: str, schema: _Schema, value: Given) -> FieldError:
    """A value does not match one of those keywords."""
    code, words = LEAVES[keyword]
    return must(code, path, words(schema, keyword), value)


def types(names: str | list[str]) -> list[str]:
    """The types in words. Null is not listed: where it is allowed, it means that the value is absent."""
    each = [names] if isinstance(names, str) else [name for name in names if name != "null"]
    return [_TYPES[name] for name in each]


def one_of(words: Iterable[str]) -> str:
    """The choices, separated by commas; of many, only the first."""
    each = list(words)
    shown = ", ".join(each[:MOST_NAMES])
    return shown if len(each) <= MOST_NAMES else f"{shown} and {len(each) - MOST_NAMES} more"


def must(code: str, path: str, words: Words, value: Given) -> FieldError:
    """A value is not what it must be."""
    return FieldError(code, path, f"`{path}` must {words.must}", words.constraint, value)


def mistyped(path: str, names: list[str], value: Given) -> FieldError:
    """A value has the wrong type; `names` are the allowed types in words."""
    listed = " or ".join(names)
    return must(_MISTYPED, path, Words(f"be {listed}", listed), value)


def chosen(path: str, choices: list[Any], value: object, shown: Given) -> FieldError:
    """A value is not one of the choices; null is not listed among them."""
    offered = [choice for choice in choices if choice is not None] or choices
    listed = one_of(map(text, offered))
    # Without quotes, `true` and `"True"` look alike, so the error says that a string is required.
    typed = isinstance(value, str) or not all(isinstance(choice, str) for choice in offered)
    strings = "" if typed else "the string " if len(offered) == 1 else "the strings "
    words = Words(f"be {'one of ' if len(offered) > 1 else ''}{strings}{listed}", listed)
    return must(_NOT_ALLOWED if typed else _MISTYPED, path, words, shown)


def missing(path: str) -> FieldError:
    """A member is missing."""
    return FieldError(_MISSING, path, f"`{path}` is missing")


def unknown(path: str, name: str, known: Iterable[str], ignored: Iterable[str] = ()) -> FieldError:
    """A member is not allowed; `name` ends its path, and `ignored` are the members that are accepted and ignored."""
    names, unused = list(known), list(ignored)
    if not names:
        return FieldError(_NOT_ALLOWED, path, f"`{path}` must be omitted; no members are allowed there")
    nearest = nearest_name(name, [*names, *unused]) if len(names) + len(unused) > _FEW else None
    guess = f"the nearest is {nearest}, " if nearest is not None else ""
    also = f"; {one_of(unused)} are accepted and ignored" if 0 < len(unused) <= _MOST_IGNORED else ""
    return FieldError(_NOT_ALLOWED, path, f"`{path}` is unknown; {guess}the known members are {one_of(names)}{also}")


def repeated(path: str, value: str) -> FieldError:
    """A duplicate in a list of unique values."""
    return must(_NOT_ALLOWED, path, Words("appear only once", "once"), value)


def other(path: str, sentence: str, constraint: str | None = None, value: Given = UNSET) -> FieldError:
    """Any other error; the sentence follows the path."""
    return FieldError(_NOT_ALLOWED, path, f"`{path}` {sentence}", constraint, value)


def member(path: str, name: str) -> str:
    """The path of a member; its name for a member of the body. Nothing is below a label, so it needs no brackets."""
    if not path:
        return name
    if path == "labels":
        return f"labels.{cut(name)}"
    step = f".{name}" if _PLAIN.fullmatch(name) else f"['{name}']"
    return (path + step)[:LONGEST_PATH]


def item(path: str, position: int) -> str:
    """The path of an item of a list."""
    return f"{path}[{position}]"[:LONGEST_PATH]


def cut(name: str) -> str:
    """A name that a caller chose, cut to fit into a sentence."""
    return name if len(name) <= LONGEST_NAME else name[:LONGEST_NAME] + "…"


def text(value: object) -> str:
    """A value as JSON; a string is unchanged."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def shown(value: object) -> Given:
    """A scalar as the caller sent it; UNSET for a list or object, which would be too large to repeat."""
    return value if value is None or isinstance(value, str | int | float | bool) else UNSET
