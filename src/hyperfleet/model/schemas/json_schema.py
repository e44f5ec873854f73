"""Compiled JSON Schema (draft 7). Only this module uses the validation library.

A schema cannot make the library fetch anything, and patterns run in time that is linear in the text, so neither a
document nor a value can block a worker for long. Patterns that need backtracking do not compile.
"""

import re
from typing import Any, Final, NamedTuple

import jsonschema_rs

from hyperfleet.errors import Mistakes

Schema = dict[str, Any]
Validator = jsonschema_rs.Validator

DEEPEST: Final = 100
"""The most levels of a schema, and of a value: stored values are never nested deeper."""

LARGEST_PATTERN: Final = 10 << 20
"""The most bytes that a compiled pattern may take: `^.{0,4096}$` takes seven million."""

SMALL_PATTERN: Final = 1 << 20
"""Bytes that most patterns stay below; larger ones are counted (openapi.py)."""

MUST: Final = "x-must"
"""The keyword beside a `pattern` that says in words what it requires: the text after "`field` must"."""

PASSED_OVER: Final = "x-passed-over"
"""The keyword of a member that is accepted and ignored; no error suggests it."""

_BASE64: Final = re.compile("(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_UUID: Final = re.compile("[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}")

# Formats that OpenAPI documents use and draft 7 does not define.
_OWN_FORMATS: Final = {
    "byte": lambda text: _BASE64.fullmatch(text) is not None,
    "uuid": lambda text: _UUID.fullmatch(text) is not None,
}
FORMATS: Final = frozenset(_OWN_FORMATS) | {
    *("date", "date-time", "time", "email", "idn-email", "hostname", "idn-hostname", "ipv4", "ipv6"),
    *("uri", "uri-reference", "iri", "iri-reference", "uri-template", "json-pointer", "relative-json-pointer", "regex"),
}
"""The formats that are checked; any other format is for readers only."""


class BadSchema(Mistakes):
    """The document, or a component of it, is invalid."""


class Component(NamedTuple):
    """A component as a draft-7 schema without references outside itself.

    Its `definitions` are numbered and hold the targets of its references; `places` has the place of each in the
    document. It accepts exactly the values that OpenAPI 3.0 allows in a request. `writeOnly` is kept: it marks secrets.
    """

    schema: Schema
    places: tuple[str, ...]

    def definition(self, reference: Schema) -> Schema:
        """The target of a `$ref` in the schema."""
        found: Schema = self.schema["definitions"][_number(reference)]
        return found

    def place(self, reference: Schema) -> str:
        """The place of that target in the document."""
        return self.places[int(_number(reference))]


def _number(reference: Schema) -> str:
    return str(reference["$ref"]).rpartition("/")[2]


class Uncompilable(ValueError):
    """The schema, or a pattern in it, cannot be compiled; the message is the library's, for logs only."""


def compiled(schema: Schema, *, largest_pattern: int = LARGEST_PATTERN) -> Validator:
    """A validator for values decoded by msgspec; raises Uncompilable."""
    patterns = jsonschema_rs.RegexOptions(size_limit=largest_pattern, dfa_size_limit=SMALL_PATTERN)
    try:
        return jsonschema_rs.Draft7Validator(
            schema, formats=_OWN_FORMATS, validate_formats=True, pattern_options=patterns, offline=True
        )
    except (ValueError, jsonschema_rs.ReferencingError) as failure:
        raise Uncompilable(str(failure)) from None


def is_pattern(text: str, largest: int = LARGEST_PATTERN) -> bool:
    """Whether the pattern compiles within `largest` bytes."""
    try:
        compiled({"pattern": text}, largest_pattern=largest)
    except Uncompilable:
        return False
    return True
