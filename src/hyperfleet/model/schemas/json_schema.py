"""Compiled JSON Schema (draft 7): the one place that knows the library that validates.

No schema can make it fetch anything, and its patterns run in time that is linear in the text, so neither a document nor
a value can hold a worker for long: expressions that only backtracking could match do not compile.
"""

import re
from typing import Any, Final, NamedTuple

import jsonschema_rs

from hyperfleet.errors import Mistakes

Schema = dict[str, Any]
Validator = jsonschema_rs.Validator

DEEPEST: Final = 100
"""Levels that a schema may have, and that a value may have: what is stored is nested no deeper."""

LARGEST_PATTERN: Final = 10 << 20
"""Bytes that a compiled pattern may take: `^.{0,4096}$` takes seven million."""

SMALL_PATTERN: Final = 1 << 20
"""Bytes that most patterns keep below; what is larger is counted (openapi.py)."""

MUST: Final = "x-must"
"""The keyword beside a `pattern` that says in words what it wants: what goes on after "`field` must"."""

PASSED_OVER: Final = "x-passed-over"
"""The keyword of a member that callers may send although nothing is done with it: no error offers it."""

_BASE64: Final = re.compile("(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_UUID: Final = re.compile("[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}")

# Formats that OpenAPI documents use and draft 7 does not know.
_OWN_FORMATS: Final = {
    "byte": lambda text: _BASE64.fullmatch(text) is not None,
    "uuid": lambda text: _UUID.fullmatch(text) is not None,
}
FORMATS: Final = frozenset(_OWN_FORMATS) | {
    *("date", "date-time", "time", "email", "idn-email", "hostname", "idn-hostname", "ipv4", "ipv6"),
    *("uri", "uri-reference", "iri", "iri-reference", "uri-template", "json-pointer", "relative-json-pointer", "regex"),
}
"""The formats that are checked; any other says something to people only."""


class BadSchema(Mistakes):
    """The document, or a component of it, cannot be used."""


class Component(NamedTuple):
    """A component as a draft-7 schema that refers to nothing outside itself.

    Its `definitions` are named by numbers and hold what is referred to; `places` gives the place of each in the
    document. It takes exactly the values that OpenAPI 3.0 allows in a request. `writeOnly` stays, for what is secret.
    """

    schema: Schema
    places: tuple[str, ...]

    def definition(self, reference: Schema) -> Schema:
        """What a `$ref` of the schema refers to."""
        found: Schema = self.schema["definitions"][_number(reference)]
        return found

    def place(self, reference: Schema) -> str:
        """Its place in the document."""
        return self.places[int(_number(reference))]


def _number(reference: Schema) -> str:
    return str(reference["$ref"]).rpartition("/")[2]


class Uncompilable(ValueError):
    """The schema, or a pattern in it, cannot be compiled; the text is the library's and for logs only."""


def compiled(schema: Schema, *, largest_pattern: int = LARGEST_PATTERN) -> Validator:
    """A validator of values as msgspec decodes them; raises Uncompilable."""
    patterns = jsonschema_rs.RegexOptions(size_limit=largest_pattern, dfa_size_limit=SMALL_PATTERN)
    try:
        return jsonschema_rs.Draft7Validator(
            schema, formats=_OWN_FORMATS, validate_formats=True, pattern_options=patterns, offline=True
        )
    except (ValueError, jsonschema_rs.ReferencingError) as failure:
        raise Uncompilable(str(failure)) from None


def is_pattern(text: str, largest: int = LARGEST_PATTERN) -> bool:
    """Whether the pattern compiles within so many bytes."""
    try:
        compiled({"pattern": text}, largest_pattern=largest)
    except Uncompilable:
        return False
    return True
