"""Why a value does not match its schema: every fault with its path, found one by one up to a limit.

The validation library builds all its errors before it returns the first, each with a copy of the value concerned, so a
body of a megabyte takes gigabytes. Instead, this module walks the schema and asks the library of each part only whether
it matches. The module never decides that itself.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from msgspec import UNSET

from hyperfleet.errors import MOST_FIELDS, FieldError, Given
from hyperfleet.model.schemas import wording
from hyperfleet.model.schemas.json_schema import PASSED_OVER, Component, Schema, Validator, compiled

MOST_STEPS: Final = 20_000
MOST_FAULTS: Final = MOST_FIELDS
MOST_FORMS: Final = 5
_LONGEST_FORM: Final = 200
_TOLD: Final = 2
_FAR: Final = 4


class Fault(NamedTuple):
    """An error that `keyword` found, `depth` levels below the value; `allowed` says in words what would match."""

    error: FieldError
    keyword: str
    depth: int
    allowed: tuple[str, ...] = ()


class Place(NamedTuple):
    """The place of a value, its depth, and whether it is a secret or part of one; errors do not repeat secrets."""

    path: str
    depth: int = 0
    is_secret: bool = False

    def member(self, name: str) -> "Place":
        """The place of a member of the value."""
        return Place(wording.member(self.path, name), self.depth + 1, self.is_secret)

    def item(self, position: int) -> "Place":
        """The place of an item of the value."""
        return Place(wording.item(self.path, position), self.depth + 1, self.is_secret)

    def shown(self, value: object) -> Given:
        """The value as an error repeats it."""
        return UNSET if self.is_secret else wording.shown(value)

    def counted(self, value: object) -> Given:
        """The value as an error about its size repeats it: the number of members or items."""
        return len(value) if isinstance(value, dict | list) and not self.is_secret else self.shown(value)


class Explanation:
    """Explains why values do not match one component; compiled once, used by any number of calls."""

    def __init__(self, component: Component) -> None:
        self._component = component
        self._keys: dict[int, str] = {}
        self._parts = self._compiled_parts()
        self._leaves: dict[tuple[int, str], Validator] = {}

    def faults(self, value: object, path: str, most: int) -> list[FieldError]:
        """The faults of a value that does not match, at least one and at most `most`.

        `path` is the value's place, empty for a whole body.
        """
        found: dict[tuple[str, str], FieldError] = {}
        for fault in _Walk(self).faults(self._component.schema, value, Place(path)):
            found.setdefault((fault.error.field, fault.error.message), fault.error)
            if len(found) == most:
                break
        if not found:
            found["", ""] = wording.other(
                path or "body", "does not match its schema, and is too large to locate the error"
            )
        return list(found.values())

    def resolved(self, schema: Schema) -> Schema:
        """The schema at the end of a reference, or of a chain of references."""
        while "$ref" in schema:
            schema = self._component.definition(schema)
        return schema

    def fits(self, schema: Schema, value: object) -> bool:
        """Whether the value matches a part of the component."""
        return self._parts.is_valid({self._keys[id(schema)]: value})

    def fits_keyword(self, schema: Schema, keyword: str, value: object) -> bool:
        """Whether the value matches one keyword of a schema."""
        leaf = self._leaves.get((id(schema), keyword))
        if leaf is None:
            leaf = self._leaves[id(schema), keyword] = compiled({keyword: schema[keyword]})
        return leaf.is_valid(value)

    def _compiled_parts(self) -> Validator:
        """One validator for all parts: it validates the member of an object whose name is the key of the part.

        A validator for each part would compile, and keep, everything that the part refers to.
        """
        definitions: dict[str, Schema] = self._component.schema["definitions"]
        members: dict[str, Schema] = {}
        waiting = [(schema, f"#/definitions/{number}") for number, schema in definitions.items()]
        while waiting:
            schema, pointer = waiting.pop()
            self._keys[id(schema)] = key = str(len(members))
            members[key] = {"$ref": pointer}
            waiting += ((part, f"{pointer}/{step}") for step, part in _parts(schema))
        return compiled({"definitions": definitions, "properties": members})


def _parts(schema: Schema) -> Iterator[tuple[str, Schema]]:
    """The schemas within a schema, with the steps that lead to each."""
    for name, part in schema.get("properties", {}).items():
        yield "properties/" + quote(name.replace("~", "~0").replace("/", "~1"), safe=""), part
    for keyword in ("allOf", "anyOf", "oneOf"):
        for position, part in enumerate(schema.get(keyword, ())):
            yield f"{keyword}/{position}", part
    for keyword in ("items", "additionalProperties", "not", "if", "then", "else"):
        if isinstance(schema.get(keyword), dict):
            yield keyword, schema[keyword]


class _Exhausted(Exception):
    """The search has used all its steps."""


class _Walk:
    """One search for faults, with a limit on its steps."""

    def __init__(self, explanation: Explanation) -> None:
        self._of = explanation
        self._steps = 0
        self._told: dict[tuple[int, int, Place], list[Fault]] = {}

    def faults(self, schema: Schema, value: object, at: Place) -> Iterator[Fault]:
        """Every fault, until the steps are used up."""
        try:
            yield from self._faults(schema, value, at)
        except (_Exhausted, RecursionError):
            return

    def _faults(self, schema: Schema, value: object, at: Place) -> Iterator[Fault]:
        self._steps += 1
        if self._steps > MOST_STEPS:
            raise _Exhausted
        schema = self._of.resolved(schema)
        at = at._replace(is_secret=at.is_secret or "writeOnly" in schema)
        if "if" in schema:
            taken = "then" if self._of.fits(schema["if"], value) else "else"
            if taken in schema:
                yield from self._faults(schema[taken], value, at)
            return
        mismatch = self._mismatch(schema, value, at)
        if mismatch is not None:
            yield mismatch
            return
        for keyword in wording.LEAVES:
            if keyword in schema and not self._of.fits_keyword(schema, keyword, value):
                shown = at.shown(value) if keyword == "uniqueItems" else at.counted(value)
                yield Fault(wording.leaf(at.path, keyword, schema, shown), keyword, at.depth)
        if isinstance(value, dict):
            yield from self._in_members(schema, value, at)
        elif isinstance(value, list) and "items" in schema:
            for position, item in enumerate(value):
                if not self._of.fits(schema["items"], item):
                    yield from self._faults(schema["items"], item, at.item(position))
        for part in schema.get("allOf", ()):
            yield from self._faults(part, value, at)
        for keyword in ("anyOf", "oneOf"):
            if keyword in schema:
                yield from self._in_forms(schema[keyword], keyword, value, at)
        if "not" in schema and self._of.fits(schema["not"], value):
            yield self._excluded(schema["not"], at)

    def _mismatch(self, schema: Schema, value: object, at: Place) -> Fault | None:
        """The fault of a value that is not one of the choices, or has the wrong type: no other fault matters then."""
        if "enum" in schema and not self._of.fits_keyword(schema, "enum", value):
            error = wording.chosen(at.path, schema["enum"], value, at.shown(value))
            return Fault(error, "enum", at.depth, tuple(map(wording.text, schema["enum"])))
        if "type" in schema and not self._of.fits_keyword(schema, "type", value):
            names = wording.types(schema["type"])
            return Fault(wording.mistyped(at.path, names, at.shown(value)), "type", at.depth, tuple(names))
        return None

    def _in_members(self, schema: Schema, value: dict[str, Any], at: Place) -> Iterator[Fault]:
        for name in schema.get("required", ()):
            if name not in value:
                below = at.member(name)
                yield Fault(wording.missing(below.path), "required", below.depth)
        members: dict[str, Schema] = schema.get("properties", {})
        others: Schema | bool | None = schema.get("additionalProperties")
        for name, content in value.items():
            part: Schema | bool | None = members.get(name, others)
            if part is False:
                below = at.member(name)
                ignored = [each for each, about in members.items() if isinstance(about, dict) and PASSED_OVER in about]
                known = [each for each in members if each not in ignored]
                fault = wording.unknown(below.path, name, known, ignored)
                yield Fault(fault, "additionalProperties", below.depth)
            elif isinstance(part, dict) and not self._of.fits(part, content):
                yield from self._faults(part, content, at.member(name))

    def _in_forms(self, forms: list[Schema], keyword: str, value: object, at: Place) -> list[Fault]:
        """The faults of a value that should have one of several forms, computed once for each place.

        Otherwise forms that share a part would be explained again for each way to it.
        """
        key = (id(forms), id(value), at)
        if key not in self._told:
            self._told[key] = list(islice(self._misses(forms, keyword, value, at), MOST_FAULTS))
        return self._told[key]

    def _misses(self, forms: list[Schema], keyword: str, value: object, at: Place) -> Iterator[Fault]:
        """The faults of the intended form, if it is clear which one that is; else one fault about the member that
        distinguishes the nearest forms; else the faults that they share; else one sentence about them.
        """
        fitting = sum(self._of.fits(form, value) for form in forms)
        if fitting > 1 and keyword == "oneOf":
            sentence = f"matches {fitting} of the {len(forms)} allowed forms; it must match exactly one"
            yield Fault(wording.other(at.path, sentence), keyword, at.depth)
        if fitting:
            return
        tries = [list(islice(self._faults(form, value, at), MOST_FAULTS)) for form in forms]
        telling = self._telling(forms, at)
        distances = [max((_distance(fault, at.depth, telling) for fault in each), default=_FAR) for each in tries]
        nearest = [each for each, distance in zip(tries, distances, strict=True) if distance == min(distances)]
        told = [next((f for f in each if _distance(f, at.depth, telling) >= _TOLD), None) for each in nearest]
        together = _together(told)
        if together is not None:
            yield together
            return
        shared = set.intersection(*({fault.error for fault in each} for each in nearest))
        common = [fault for fault in nearest[0] if fault.error in shared]
        yield from common or [_none_of(nearest, len(forms), keyword, at)]

    def _telling(self, forms: list[Schema], at: Place) -> set[str]:
        """The paths of members that distinguish forms: more than one form limits them to choices."""
        counts: Counter[str] = Counter()
        for form in forms:
            waiting = [form]
            names: set[str] = set()
            while waiting and len(names) < MOST_FAULTS:
                schema = self._of.resolved(waiting.pop())
                members = schema.get("properties", {}).items()
                names |= {name for name, part in members if "enum" in self._of.resolved(part)}
                waiting += schema.get("allOf", ())
            counts.update(names)
        return {wording.member(at.path, name) for name, count in counts.items() if count > 1}

    def _excluded(self, schema: Schema, at: Place) -> Fault:
        """The fault of a value that has the form it must not have."""
        excluded = self._of.resolved(schema)
        sentence = "has a form that is not allowed" if excluded else "is not allowed here"
        if set(excluded) == {"enum"}:
            sentence = f"must not be any of {wording.one_of(map(wording.text, excluded['enum']))}"
        elif set(excluded) <= {"type", "required"} and "required" in excluded:
            sentence = f"must not have {' and '.join(excluded['required'])}" + (
                " together" if len(excluded["required"]) > 1 else ""
            )
        return Fault(wording.other(at.path, sentence), "not", at.depth)


def _distance(fault: Fault, depth: int, telling: set[str]) -> int:
    """How strongly a fault suggests that a form was not intended.

    The value's own type or choices weigh most, then the choices of a member that distinguishes forms, then the set of
    members.
    """
    below = fault.depth - depth
    if fault.keyword in ("type", "enum") and below == 0:
        return 3
    if fault.keyword == "enum" and fault.error.field in telling:
        return _TOLD
    return 1 if fault.keyword in ("required", "additionalProperties") and below == 1 else 0


def _together(told: list[Fault | None]) -> Fault | None:
    """One fault for all forms, if each of them limits the same field to types or choices."""
    first = told[0]
    if first is None or any(each is None or each.error.field != first.error.field for each in told):
        return None
    by_keyword: dict[str, dict[str, None]] = {"enum": {}, "type": {}}
    for fault in told:
        assert fault is not None
        by_keyword[fault.keyword].update(dict.fromkeys(fault.allowed))
    listed = wording.one_of(by_keyword["enum"])
    choices = f"one of {listed}" if len(by_keyword["enum"]) > 1 else listed
    allowed = " or ".join(filter(None, (choices, *by_keyword["type"])))
    constraint = allowed if by_keyword["type"] else listed
    words = wording.Words(f"be {allowed}", constraint)
    error = wording.must(first.error.code, first.error.field, words, first.error.value)
    return Fault(error, "enum" if by_keyword["enum"] else "type", first.depth, tuple(by_keyword["enum"]))


def _none_of(tries: list[list[Fault]], count: int, keyword: str, at: Place) -> Fault:
    """The fault of a value that has none of the forms, with the first fault of each of the nearest forms."""
    first = [each[0].error for each in tries[:MOST_FORMS] if each]
    if len({error.field for error in first}) == 1 and len(first) == len(tries) == sum(map(len, tries)):
        field = first[0].field
        reasons = dict.fromkeys(error.message.removeprefix(f"`{field}` ") for error in first)
        return Fault(wording.other(field, ", or ".join(reasons), value=first[0].value), keyword, at.depth)
    reasons = dict.fromkeys(error.message[:_LONGEST_FORM] for error in first)
    sentence = f"matches none of the {count} allowed forms" + (f": {', or '.join(reasons)}" if reasons else "")
    return Fault(wording.other(at.path, sentence), keyword, at.depth)
