"""Converts a component of an OpenAPI 3.0 document, with everything that it refers to, to JSON Schema (draft 7).

The provider's document is input like any other: its conversion is bounded, and ends with a schema or with every
mistake and its place. A keyword that would be ignored is a mistake, because its author expects it to have an effect.
"""

import re
from collections.abc import Collection
from typing import Any, Final
from urllib.parse import unquote

from hyperfleet.model.excerpt import printable
from hyperfleet.model.schemas import literal, pattern
from hyperfleet.model.schemas.json_schema import (
    DEEPEST,
    FORMATS,
    MUST,
    PASSED_OVER,
    SMALL_PATTERN,
    BadSchema,
    Component,
    Schema,
    is_pattern,
)
from hyperfleet.model.spelling import did_you_mean, nearest_name

COMPONENTS: Final = "#/components/schemas/"
LARGEST: Final = 20_000
"""The most schemas and enum values together, in a component and everything that it refers to."""

MOST_PATTERNS: Final = 1000
MOST_LARGE_PATTERNS: Final = 50
MOST_MISTAKES: Final = 20

_ANNOTATIONS: Final = frozenset(
    {"title", "description", "default", "example", "examples", "externalDocs", "xml", "deprecated", "$comment"}
    | {"readOnly", "writeOnly", "nullable", "discriminator", "exclusiveMinimum", "exclusiveMaximum", "format"}
)
"""Keywords that constrain nothing, and keywords that are read together with others below."""

_TYPES: Final = ("array", "boolean", "integer", "number", "object", "string")
_BOUNDS: Final = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)}
_IN_PLACE: Final = ("allOf", "anyOf", "oneOf", "not")
_HINTS: Final = {
    "const": "write an `enum` of one value",
    "patternProperties": "describe the members with `additionalProperties`",
    "if": "write `oneOf` or `anyOf`",
    "definitions": f"put schemas below {COMPONENTS[:-1]}",
    "$defs": f"put schemas below {COMPONENTS[:-1]}",
}


def require_document(document: object) -> dict[str, Any]:
    """The document, if it is OpenAPI 3.0; else raises BadSchema."""
    if not isinstance(document, dict):
        raise BadSchema(["It is not an OpenAPI document: the top level must be a mapping."])
    version = document.get("openapi")
    if version is None:
        raise BadSchema(["It is not an OpenAPI 3.0 document: `openapi: 3.0.3` is missing."])
    if not re.fullmatch(r"3\.0(\.[0-9]+)?", str(version)):
        raise BadSchema([f"`openapi: {_shown(version)}` is not supported; use OpenAPI 3.0."])
    at = document
    for name in ("components", "schemas"):
        at = {} if at.get(name) is None else at[name]
        if not isinstance(at, dict):
            raise BadSchema([f"`{name}` must be a mapping."])
    return document


def component_names(document: dict[str, Any]) -> Collection[str]:
    """The names of the document's schemas."""
    schemas: dict[str, Any] = (document.get("components") or {}).get("schemas") or {}
    return schemas


def has_component(document: dict[str, Any], name: str) -> bool:
    """Whether the document has a schema of that name."""
    return name in component_names(document)


def converted(document: dict[str, Any], name: str) -> Component:
    """The converted component of that name; raises BadSchema with every mistake."""
    conversion = _Conversion(document)
    schema = conversion.run(COMPONENTS + name.replace("~", "~0").replace("/", "~1"))
    if conversion.mistakes:
        raise BadSchema(conversion.mistakes)
    return Component(schema, tuple(conversion.numbers))


class _TooMuch(Exception):
    """The component exceeds a limit."""


class _Conversion:
    """The conversion of one component. The targets of references wait in a queue, so they may form any graph."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.mistakes: list[str] = []
        self._document = document
        self.numbers: dict[str, str] = {}
        self._waiting: list[tuple[str, object]] = []
        self._size = 0
        self._patterns = 0
        self._large_patterns = 0

    def run(self, pointer: str) -> Schema:
        definitions: dict[str, Schema] = {}
        try:
            root = self._reference(pointer, pointer)
            while self._waiting:
                at, given = self._waiting.pop()
                definitions[self.numbers[at]] = self._schema(given, at, 0)
        except _TooMuch as reason:
            self.mistakes.append(str(reason))
            return {}
        return {"definitions": definitions, **root}

    def _wrong(self, at: str, sentence: str) -> None:
        self.mistakes.append(f"{_shown(at)}: {sentence}")
        if len(self.mistakes) >= MOST_MISTAKES:
            raise _TooMuch("There may be more errors; these are the first.")

    def _grow(self, at: str, by: int, depth: int) -> None:
        self._size += by
        if self._size > LARGEST:
            raise _TooMuch(f"It has more than {LARGEST} schemas and enum values, including referenced ones.")
        if depth > DEEPEST:
            raise _TooMuch(f"{_shown(at)}: nesting is deeper than {DEEPEST} levels.")

    def _reference(self, given: object, at: str) -> Schema:
        """The reference in the converted schema; its target is converted later."""
        if not isinstance(given, str):
            self._wrong(at, "`$ref` must be a string.")
            return {}
        if not given.startswith("#/"):
            self._wrong(
                at, f"the reference {_shown(given)} points outside the document; a local reference begins with #/."
            )
            return {}
        pointer = unquote(given)
        if pointer not in self.numbers:
            found: object = self._document
            for part in pointer[2:].split("/"):
                found = _member(found, part.replace("~1", "/").replace("~0", "~"))
            if found is None:
                self._wrong(at, f"{_shown(given)} does not exist in the document.")
                return {}
            self.numbers[pointer] = str(len(self.numbers))
            self._waiting.append((pointer, found))
        return {"$ref": f"#/definitions/{self.numbers[pointer]}"}

    def _schema(self, given: object, at: str, depth: int) -> Schema:
        self._grow(at, 1, depth)
        if not isinstance(given, dict):
            self._wrong(at, "a schema must be a mapping of keywords.")
            return {}
        if "$ref" in given:
            return self._reference(given["$ref"], at)
        out: Schema = {}
        for keyword, value in given.items():
            if keyword in _ANNOTATIONS or keyword.startswith("x-"):
                continue
            if keyword in _READERS:
                _READERS[keyword](self, out, keyword, value, f"{at}/{keyword}", depth)
            else:
                self._wrong(at, f"`{_shown(keyword)}` is not a keyword of OpenAPI 3.0{_hint(keyword)}")
        self._flags(given, at)
        self._costs(out, at)
        for path, sentence in literal.misfits(given):
            self._wrong(f"{at}/{path}", sentence)
        self._exclusive(out, given)
        _formatted(out, given)
        _read_only(out, given)
        if given.get("writeOnly") is True or given.get("format") == "password":
            out["writeOnly"] = True
        self._for_people(out, given, at)
        if isinstance(given.get("discriminator"), dict):
            self._discriminated(out, given, at)
        return _nullable(out) if given.get("nullable") is True else out

    def _flags(self, given: dict[str, Any], at: str) -> None:
        for keyword in ("nullable", "readOnly", "writeOnly", "exclusiveMinimum", "exclusiveMaximum"):
            if keyword in given and not isinstance(given[keyword], bool):
                self._wrong(at, f"`{keyword}` must be true or false.")
        if not isinstance(given.get("format", ""), str):
            self._wrong(at, "`format` must be a string.")

    def _for_people(self, out: Schema, given: dict[str, Any], at: str) -> None:
        """Keeps the keywords that do not affect validation, but are used to explain faults."""
        if not isinstance(given.get(MUST, ""), str):
            self._wrong(at, f"`{MUST}` must be a string.")
        elif MUST in given and "pattern" in out:
            out[MUST] = given[MUST]
        if given.get(PASSED_OVER) is True:
            out[PASSED_OVER] = True

    def _exclusive(self, out: Schema, given: dict[str, Any]) -> None:
        for keyword, flag in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
            if given.get(flag) is True and keyword in out:
                out[flag] = out.pop(keyword)

    def _discriminated(self, out: Schema, given: dict[str, Any], at: str) -> None:
        """If the values of a member name all of the alternatives, that member decides which single one is tried."""
        keyword = next((each for each in ("oneOf", "anyOf") if each in out), None)
        rule = given["discriminator"]
        name, mapping = rule.get("propertyName"), rule.get("mapping")
        if keyword is None or not mapping:
            return
        texts = isinstance(mapping, dict) and all(isinstance(to, str) for to in mapping.values())
        if not isinstance(name, str) or not texts:
            self._wrong(
                f"{at}/discriminator", "`propertyName` must be a string, `mapping` a mapping of strings to strings."
            )
            return
        values: dict[str, list[str]] = {each.get("$ref", ""): [] for each in out[keyword]}
        for value, to in mapping.items():
            target = self._reference(to if "/" in to or "#" in to else COMPONENTS + to, f"{at}/discriminator")
            if target.get("$ref") not in values:
                self._wrong(f"{at}/discriminator", f"`{_shown(value)}` does not name a schema of `{keyword}`.")
            else:
                values[target["$ref"]].append(value)
        if "" in values or not all(values.values()):
            return
        del out[keyword]
        chosen = {"type": "object", "required": [name], "properties": {name: {"enum": list(mapping)}}}
        out.setdefault("allOf", []).append(chosen)
        for branch, names in values.items():
            has_value = {"type": "object", "required": [name], "properties": {name: {"enum": names}}}
            out["allOf"].append({"if": has_value, "then": {"$ref": branch}})

    def _read_type(self, out: Schema, keyword: str, value: object, at: str, _depth: int) -> None:
        if isinstance(value, str) and value in _TYPES:
            out[keyword] = value
        else:
            note = "; `nullable: true` allows null" if isinstance(value, list) or value == "null" else ""
            self._wrong(at, f"must be one of {', '.join(_TYPES)}{note}.")

    def _read_number(self, out: Schema, keyword: str, value: object, at: str, _depth: int) -> None:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or (keyword == "multipleOf" and value <= 0):  # type: ignore[operator]
            self._wrong(at, "must be a number greater than 0." if keyword == "multipleOf" else "must be a number.")
        else:
            out[keyword] = value

    def _read_count(self, out: Schema, keyword: str, value: object, at: str, _depth: int) -> None:
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53:
            out[keyword] = value
        else:
            self._wrong(at, "must be a whole number of at least 0.")

    def _read_flag(self, out: Schema, keyword: str, value: object, at: str, _depth: int) -> None:
        if isinstance(value, bool):
            out[keyword] = value
        else:
            self._wrong(at, "must be true or false.")

    def _read_pattern(self, out: Schema, keyword: str, value: object, at: str, _depth: int) -> None:
        if not isinstance(value, str):
            self._wrong(at, "must be a string.")
            return
        self._patterns += 1
        if self._patterns > MOST_PATTERNS:
            raise _TooMuch(f"It has more than {MOST_PATTERNS} patterns.")
        if not is_pattern(value, SMALL_PATTERN):
            self._large_patterns += 1
            if self._large_patterns > MOST_LARGE_PATTERNS:
                raise _TooMuch(f"It has more than {MOST_LARGE_PATTERNS} patterns that are large or invalid.")
            if not is_pattern(value):
                reason = "is malformed, too large, or uses lookaround or backreferences, which are not supported"
                self._wrong(at, f"the pattern {_shown(value)} {reason}.")
                return
        out[keyword] = value

    def _costs(self, out: Schema, at: str) -> None:
        """Rejects a pattern that could take minutes. A `maxLength` beside it is checked before the text is matched."""
        too_much = pattern.refusal(out["pattern"], out.get("maxLength")) if "pattern" in out else None
        if too_much is not None:
            self._wrong(f"{at}/pattern", f"the pattern {_shown(out['pattern'])} {too_much}.")

    def _read_names(self, out: Schema, keyword: str, value: object, at: str, _depth: int) -> None:
        if isinstance(value, list) and all(isinstance(name, str) for name in value):
            out[keyword] = list(dict.fromkeys(value))
        else:
            self._wrong(at, "must be a list of names.")

    def _read_enum(self, out: Schema, keyword: str, value: object, at: str, depth: int) -> None:
        if not isinstance(value, list) or not value:
            self._wrong(at, "must be a list of allowed values.")
            return
        open = [(choice, depth) for choice in value]
        while open:
            choice, deep = open.pop()
            self._grow(at, 1, deep)
            if isinstance(choice, dict | list):
                open += [(part, deep + 1) for part in (choice.values() if isinstance(choice, dict) else choice)]
        out[keyword] = list(value)

    def _read_schema(self, out: Schema, keyword: str, value: object, at: str, depth: int) -> None:
        is_flag = keyword == "additionalProperties" and isinstance(value, bool)
        schema = value if is_flag else self._schema(value, at, depth + 1)
        # `additionalProperties` that allow everything are omitted: large objects would be walked for nothing.
        if keyword != "additionalProperties" or schema not in ({}, True):
            out[keyword] = schema

    def _read_schemas(self, out: Schema, keyword: str, value: object, at: str, depth: int) -> None:
        if isinstance(value, list) and value:
            out[keyword] = [self._schema(each, f"{at}/{index}", depth + 1) for index, each in enumerate(value)]
        else:
            self._wrong(at, "must be a list of schemas.")

    def _read_members(self, out: Schema, keyword: str, value: object, at: str, depth: int) -> None:
        if isinstance(value, dict):
            out[keyword] = {name: self._schema(each, f"{at}/{name}", depth + 1) for name, each in value.items()}
        else:
            self._wrong(at, "must be a mapping of names to schemas.")


_READERS: Final = {
    "type": _Conversion._read_type,
    **dict.fromkeys(("minimum", "maximum", "multipleOf"), _Conversion._read_number),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems"), _Conversion._read_count),
    **dict.fromkeys(("minProperties", "maxProperties"), _Conversion._read_count),
    "uniqueItems": _Conversion._read_flag,
    "pattern": _Conversion._read_pattern,
    "required": _Conversion._read_names,
    "enum": _Conversion._read_enum,
    **dict.fromkeys(("not", "items", "additionalProperties"), _Conversion._read_schema),
    **dict.fromkeys(("allOf", "anyOf", "oneOf"), _Conversion._read_schemas),
    "properties": _Conversion._read_members,
}
KNOWN: Final = frozenset({*_READERS, *_ANNOTATIONS, "$ref"})


def _member(holder: object, name: str) -> object:
    if isinstance(holder, dict):
        return holder.get(name)
    if isinstance(holder, list) and re.fullmatch("[0-9]{1,9}", name) and int(name) < len(holder):
        return holder[int(name)]
    return None


def _hint(keyword: str) -> str:
    if keyword in _HINTS:
        return f"; {_HINTS[keyword]}."
    return did_you_mean(nearest_name(keyword, sorted(KNOWN)), quote="`")


def _formatted(out: Schema, given: dict[str, Any]) -> None:
    format = given.get("format")
    if format in FORMATS:
        out["format"] = format
    if format in _BOUNDS:
        least, most = _BOUNDS[format]
        out["minimum"] = max(least, out.get("minimum", least))
        out["maximum"] = min(most, out.get("maximum", most))


def _read_only(out: Schema, given: dict[str, Any]) -> None:
    """Drops read-only members from `required`: they are required only in responses."""
    members = given.get("properties")
    if "required" in out and isinstance(members, dict):
        read_only = {name for name, each in members.items() if isinstance(each, dict) and each.get("readOnly") is True}
        out["required"] = [name for name in out["required"] if name not in read_only]


def _nullable(schema: Schema) -> Schema:
    """The schema, with null allowed as well. Its alternatives may reject null, so null is checked before them."""
    if any(keyword in schema for keyword in _IN_PLACE):
        return {"if": {"type": "null"}, "else": schema}
    if "type" in schema:
        schema["type"] = [schema["type"], "null"]
    if "enum" in schema and None not in schema["enum"]:
        schema["enum"].append(None)
    return schema


def _shown(text: object) -> str:
    """A text from the document for a sentence: on one line, and cut if it is long."""
    whole = str(text) if isinstance(text, str | int | float) else type(text).__name__
    return printable(whole, 120)
