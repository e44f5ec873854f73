"""Schemas and specs designed to hang, to crash or to fill the memory: each check ends soon, with a result."""

import re
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from hyperfleet.model.schemas.json_schema import BadSchema
from hyperfleet.model.schemas.spec_schema import SpecSchema
from tests import pace
from tests.schemas import document, faults, schema_of

SOON = 2000
"""In units of tests.pace: some seconds of CPU time; what hangs takes hours."""


@contextmanager
def soon() -> Iterator[None]:
    begin = time.process_time()
    yield
    assert time.process_time() - begin < SOON * pace.unit()


def ref(name: object) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def nested(levels: int, leaf: Any, name: str | None = "x") -> Any:
    for _ in range(levels):
        leaf = [leaf] if name is None else {name: leaf}
    return leaf


def numbered(count: int, made: Any, **last: Any) -> dict[str, Any]:
    """Components A0, A1, … made by `made`."""
    return {f"A{number}": made(number) for number in range(count)} | last


def allof_twice(part: dict[str, Any]) -> dict[str, Any]:
    return {"allOf": [part, dict(part)]}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "nested deep": ({"A0": nested(150, {"type": "string"}, "not")}, "nesting is deeper than 100 levels"),
    "members nested deep": (
        {"A0": {"properties": {"x": nested(3000, {}, "items")}}},
        "nesting is deeper than 100 levels",
    ),
    "an enum nested deep": ({"A0": {"enum": [nested(3000, 1, None)]}}, "nesting is deeper than 100 levels"),
    "itself": ({"A0": ref("A0")}, "#/components/schemas/A0 refers to itself without a member or item in between"),
    "a ring": (numbered(50, lambda n: ref(f"A{(n + 1) % 50}")), "refers to itself without a member or item in between"),
    "itself among forms": ({"A0": {"anyOf": [{"type": "string"}, ref("A0")]}}, "refers to itself"),
    "itself negated": ({"A0": {"not": ref("A0")}}, "refers to itself"),
    "a chain in one place": (numbered(500, lambda n: {"allOf": [ref(f"A{n + 1}")]}, A500={}), "more than 100 schemas"),
    "twice of twice": (numbered(40, lambda n: allof_twice(ref(f"A{n + 1}")), A40={}), "apply to a single value"),
    "twice of twice by forms": (
        numbered(40, lambda n: {"oneOf": [ref(f"A{n + 1}"), {"allOf": [ref(f"A{n + 1}")]}]}, A40={}),
        "apply to a single value",
    ),
    "each of each": (
        numbered(30, lambda n: {"properties": {"x": {"allOf": [ref(f"A{other}") for other in range(30)]}}}),
        "apply to a single value",
    ),
    "a ring that doubles": (
        numbered(20, lambda n: allof_twice(ref(f"A{n + 1}")) if n < 19 else {"properties": {"x": ref("A0")}}),
        "apply to a single value",
    ),
    "very many schemas": (
        {"A0": {"properties": {f"p{number}": {} for number in range(30_000)}}},
        "more than 20000 schemas and enum values",
    ),
    "very many choices": ({"A0": {"enum": list(range(30_000))}}, "more than 20000 schemas and enum values"),
    "very many patterns": (
        {"A0": {"properties": {f"p{number}": {"pattern": f"a{number}"} for number in range(1500)}}},
        "more than 1000 patterns",
    ),
    "many large patterns": (
        {"A0": {"properties": {f"p{number}": {"pattern": f".{{0,{1500 + number}}}"} for number in range(60)}}},
        "more than 50 patterns that are large",
    ),
    "a pattern that is a bomb": ({"A0": {"pattern": "(" * 200 + "a" + "{1,9}){1,9}" * 100}}, "is malformed, too large"),
    "a pattern of brackets": ({"A0": {"pattern": "(" * 100_000 + ")" * 100_000}}, "is malformed, too large"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_hostile_schema_is_refused_at_once(name: str) -> None:
    components, sentence = REFUSED[name]
    with soon(), pytest.raises(BadSchema, match=re.escape(sentence)) as caught:
        SpecSchema(document(**components), "A0")
    assert all(len(mistake) < 400 for mistake in caught.value.mistakes)


TREE = {"Tree": {"properties": {"x": ref("Tree"), "y": {"items": ref("Tree")}}, "type": "object"}}
TAKEN: dict[str, tuple[dict[str, Any], Any, Any]] = {
    "a tree": (TREE, nested(97, {}), nested(97, 1)),
    "a list of itself": ({"Tree": {"type": "array", "items": ref("Tree")}}, nested(97, [], None), nested(97, 1, None)),
    "a map of itself": (
        {"Tree": {"type": "object", "additionalProperties": ref("Tree")}},
        nested(97, {}),
        nested(97, "s"),
    ),
    "a long chain": (
        {
            "Tree": ref("A0"),
            **numbered(3000, lambda n: {"properties": {"x": ref(f"A{n + 1}")}}, A3000={"type": "string"}),
        },
        nested(97, {}),
        None,
    ),
    "a ring of members": (
        {
            "Tree": ref("A0"),
            **numbered(3000, lambda n: {"type": "object", "properties": {"x": ref(f"A{(n + 1) % 3000}")}}),
        },
        nested(97, {}),
        nested(97, 1),
    ),
    "the same member in each of two forms": (
        {"Tree": {"oneOf": [{"type": "string"}, {"properties": {"x": ref("Tree")}, "type": "object"}]}},
        nested(97, ""),
        nested(97, 1),
    ),
    "very many choices": ({"Tree": {"enum": [f"c{number}" for number in range(19_000)]}}, "c18999", "c19000"),
}


@pytest.mark.parametrize("name", TAKEN)
def test_a_recursive_or_large_schema_works(name: str) -> None:
    components, good, bad = TAKEN[name]
    with soon():
        assert faults(ref("Tree"), good, **components) == []
        assert bad is None or len(faults(ref("Tree"), bad, **components)) == 1


def test_alternatives_that_share_a_recursive_member_are_checked_once() -> None:
    forms = [{"properties": {"x": ref("Tree"), "of": {"enum": [name]}}, "type": "object"} for name in "bcdefghi"]
    tree = {"Tree": {"oneOf": [*forms, {"type": "integer"}]}}

    def expression(levels: int, leaf: object) -> object:
        for level in range(levels):
            leaf = {"of": "bcdefghi"[level % 8], "x": leaf}
        return leaf

    with soon():
        assert faults(ref("Tree"), expression(97, 5), **tree) == []
        (fault,) = schema_of(ref("Tree"), **tree).faults({"a": expression(20, "x")})
    assert fault.field == "spec.a" + ".x" * 20


TWICE: dict[str, tuple[dict[str, Any], str | None]] = {
    "a member": (numbered(40, lambda n: allof_twice({"properties": {"x": ref(f"A{n + 1}")}}), A40={}), "x"),
    "any member": (
        numbered(
            40,
            lambda n: {"allOf": [{"properties": {"x": ref(f"A{n + 1}")}}, {"additionalProperties": ref(f"A{n + 1}")}]},
            A40={},
        ),
        "x",
    ),
    "items": (numbered(40, lambda n: allof_twice({"items": ref(f"A{n + 1}")}), A40={}), None),
    "a ring": (numbered(40, lambda n: allof_twice({"properties": {"x": ref(f"A{(n + 1) % 40}")}})), "x"),
}


@pytest.mark.parametrize("name", TWICE)
def test_if_work_doubles_with_each_level_only_few_levels_are_accepted(name: str) -> None:
    components, step = TWICE[name]
    schema = schema_of(ref("A0"), **components)
    assert 6 <= schema.deepest <= 12
    with soon():
        assert schema.faults({"a": nested(schema.deepest - 1, 1, step)}) == []
        (fault,) = schema.faults({"a": nested(40, 1, step)})
    assert fault.message == f"`spec` must not be nested deeper than {schema.deepest} levels"
    assert fault.constraint == f"at most {schema.deepest}"


CATASTROPHIC = [r"^(a+)+$", r"^(a|aa)+$", r"^(.*a){20}$", r"(x+x+)+y", r"^([a-zA-Z0-9])(([\-.]|[_]+)?([a-zA-Z0-9]+))*$"]


@pytest.mark.parametrize("pattern", CATASTROPHIC)
def test_a_catastrophic_pattern_takes_linear_time(pattern: str) -> None:
    with soon():
        assert len(faults({"pattern": pattern}, "a" * 500_000 + "!")) <= 1
        assert len(faults({"pattern": pattern}, "x" * 500_000)) <= 1


MANY = 200_000
LARGE: dict[str, tuple[dict[str, Any], Any]] = {
    "items of another type": ({"items": {"type": "string"}}, [0] * MANY),
    "items of no choice": ({"items": {"enum": [f"choice {number}" for number in range(15_000)]}}, ["x"] * MANY),
    "members that are not known": (
        {"properties": {f"p{number}": {} for number in range(1000)}, "additionalProperties": False},
        dict.fromkeys(map(str, range(MANY)), 0),
    ),
    "items of no form": (
        {"items": {"oneOf": [{"required": [name], "type": "object"} for name in "bcdef"]}},
        [{}] * MANY,
    ),
    "a list in a list of no form": (
        {"anyOf": [{"items": {"type": "string"}}, {"items": {"items": {"type": "string"}}}]},
        [[0] * 1000] * 200,
    ),
    "the last item": ({"items": {"type": "integer"}}, [0] * MANY + ["x"]),
    "equal items": ({"uniqueItems": True}, [[number] for number in range(MANY)] + [[0]]),
    "a long text": ({"maxLength": 5}, "ä" * 1_000_000),
    "a long name": ({"additionalProperties": False}, {"n" * 1_000_000: 1}),
    "a long number": ({"maximum": 5}, 10**999),
}


@pytest.mark.parametrize("name", LARGE)
def test_explaining_a_large_invalid_spec_takes_little_time_and_memory(name: str) -> None:
    part, value = LARGE[name]
    schema = schema_of(part)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with soon():
        found = schema.faults({"a": value})
    assert 1 <= len(found) <= 100
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10
    assert all(len(fault.field) <= 200 for fault in found)


def test_explaining_nested_alternatives_takes_little_time() -> None:
    levels: dict[str, Any] = numbered(
        9,
        lambda n: {
            "oneOf": [
                {"type": "object", "properties": {f"x{side}": ref(f"A{n + 1}")}, "required": [f"x{side}"]}
                for side in "ab"
            ]
        },
        A9={"type": "string"},
    )
    value: Any = 5
    for _ in range(9):
        value = {"xa": value, "xb": value}
    with soon():
        assert 1 <= len(faults(ref("A0"), value, **levels)) <= 100


ODD = ["100%", "{name}", "%s", "a`b", "\x1b[31m", "line\nbreak", "'", "a.b", "a[0]", "", " ", "\u202e", "é", "名前"]


@pytest.mark.parametrize("text", ODD, ids=ascii)
def test_odd_names_and_values_are_reported_unchanged(text: str) -> None:
    part = {"type": "object", "properties": {text: {"type": "integer"}}, "additionalProperties": False}
    (fault,) = schema_of(part).faults({"a": {text: text}})
    assert text in fault.field
    assert fault.value == text
    (fault,) = schema_of({"enum": [text + "!"]}).faults({"a": text})
    assert fault.message == f"`spec.a` must be {text}!"


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("b", "spec.a.b"),
        ("b/c-d_1", "spec.a.b/c-d_1"),
        ("b.c", "spec.a['b.c']"),
        ("", "spec.a['']"),
        ("b c", "spec.a['b c']"),
    ],
)
def test_an_unusual_name_is_in_brackets_in_a_path(name: str, path: str) -> None:
    (fault,) = schema_of({"additionalProperties": False}).faults({"a": {name: 1}})
    assert fault.field == path


SECRETS: list[tuple[dict[str, Any], Any]] = [
    ({"type": "string", "format": "password", "minLength": 20}, "hunter2"),
    ({"type": "string", "writeOnly": True, "pattern": "^x"}, "hunter2"),
    ({"type": "integer", "writeOnly": True}, "hunter2"),
    ({"type": "string", "writeOnly": True, "enum": ["x"]}, "hunter2"),
    ({"writeOnly": True, "properties": {"b": {"properties": {"c": {"type": "integer"}}}}}, {"b": {"c": "hunter2"}}),
    ({"writeOnly": True, "items": {"type": "integer"}}, ["hunter2"]),
    ({"writeOnly": True, "allOf": [{"type": "integer"}]}, "hunter2"),
    ({"writeOnly": True, "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]}, "hunter2"),
    ({"writeOnly": True, "nullable": True, "allOf": [{"type": "integer"}]}, "hunter2"),
    ({"allOf": [ref("Secret")]}, "hunter2"),
]


@pytest.mark.parametrize(("part", "value"), SECRETS, ids=str)
def test_a_secret_is_never_repeated(part: dict[str, Any], value: Any) -> None:
    found = schema_of(part, Secret={"type": "integer", "format": "password"}).faults({"a": value})
    assert found
    assert "hunter2" not in str(found)
