"""Random documents and specs: the compiled validator agrees with OpenAPI 3.0, and explains every refusal.

The oracle reads the document as written and is as plain as possible; it does not use the conversion.
"""

import re
from typing import Any

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from hyperfleet.model.schemas.json_schema import BadSchema
from hyperfleet.model.schemas.spec_schema import SpecSchema
from tests.schemas import document

NAMES = ("a", "b", "c")
SCALARS = st.sampled_from([None, True, False, 0, 1, 2, -1, 1.0, 1.5, 2**31, 2**53 + 1, "", "a", "bb", "abc"])
VALUES = st.recursive(
    SCALARS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from(NAMES), below, max_size=3),
    max_leaves=6,
)


def _keywords(below: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    count = st.integers(0, 2)
    forms = st.lists(below, min_size=1, max_size=3)
    any_value: dict[str, st.SearchStrategy[Any]] = {
        "type": st.sampled_from(["array", "boolean", "integer", "number", "object", "string"]),
        "nullable": st.booleans(),
        "enum": st.lists(VALUES, min_size=1, max_size=3),
    }
    # Keywords about the same values are grouped, or they would seldom occur together.
    groups: tuple[dict[str, st.SearchStrategy[Any]], ...] = (
        any_value,
        {
            "minimum": st.sampled_from([-1, 0, 1, 1.5]),
            "maximum": st.sampled_from([0, 1, 1.5, 2**32]),
            "exclusiveMinimum": st.booleans(),
            "exclusiveMaximum": st.booleans(),
            "multipleOf": st.sampled_from([1, 2, 0.5]),
            "format": st.sampled_from(["int32", "int64", "float", "unheard-of"]),
        },
        {"minLength": count, "maxLength": count, "pattern": st.sampled_from(["^a", "b$", "^[a-c]{2}$"])},
        {"minItems": count, "maxItems": count, "uniqueItems": st.booleans(), "items": below},
        {
            "minProperties": count,
            "maxProperties": count,
            "required": st.lists(st.sampled_from(NAMES), max_size=2),
            "properties": st.dictionaries(st.sampled_from(NAMES), below, max_size=2),
            "additionalProperties": st.booleans() | below,
            "readOnly": st.booleans(),
        },
        {"allOf": forms, "anyOf": forms, "oneOf": forms, "not": below, "nullable": st.booleans()},
        {"oneOf": forms, **any_value},
    )
    return st.one_of([st.fixed_dictionaries({}, optional=group) for group in groups])


LEAVES = st.sampled_from(NAMES).map(lambda name: {"$ref": f"#/components/schemas/{name}"}) | _keywords(st.just({}))
SCHEMAS = st.recursive(LEAVES, _keywords, max_leaves=5)


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same to JSON: `true` is not `1`, `1` is `1.0`."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    return (type(one) is type(other) and one == other) or (_is_number(one) and _is_number(other) and one == other)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_type(name: str, value: Any) -> bool:
    if name == "integer":
        return _is_number(value) and value == int(value)
    python: dict[str, type | tuple[type, ...]] = {
        "array": list,
        "boolean": bool,
        "number": (int, float),
        "object": dict,
        "string": str,
    }
    return isinstance(value, python[name]) and (name == "boolean" or not isinstance(value, bool))


def _number_fits(schema: dict[str, Any], value: float) -> bool:
    if "minimum" in schema and (
        value < schema["minimum"] or (schema.get("exclusiveMinimum") and value == schema["minimum"])
    ):
        return False
    if "maximum" in schema and (
        value > schema["maximum"] or (schema.get("exclusiveMaximum") and value == schema["maximum"])
    ):
        return False
    bits = {"int32": 31, "int64": 63}.get(schema.get("format", ""))
    return (value % schema.get("multipleOf", value or 1) == 0) and (bits is None or -(2**bits) <= value < 2**bits)


def _size_fits(schema: dict[str, Any], value: Any, what: str) -> bool:
    return bool(schema.get(f"min{what}", 0) <= len(value) <= schema.get(f"max{what}", 99))


def fits(document: dict[str, Any], schema: dict[str, Any], value: Any) -> bool:
    """Whether OpenAPI 3.0 accepts the value."""
    if "$ref" in schema:
        return fits(document, document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], value)
    bare = not schema.keys() & {"allOf", "anyOf", "oneOf", "not"}
    if value is None and schema.get("nullable") and ("type" in schema or "enum" in schema or not bare):
        # Null passes every keyword for other types only; with alternatives that may accept null, it passes the whole.
        return True
    if "type" in schema and not _is_type(schema["type"], value):
        return False
    if "enum" in schema and not any(same(value, choice) for choice in schema["enum"]):
        return False
    if _is_number(value) and not _number_fits(schema, value):
        return False
    if isinstance(value, str) and not (
        _size_fits(schema, value, "Length") and re.search(schema.get("pattern", ""), value)
    ):
        return False
    if isinstance(value, list):
        unique = not any(same(one, other) for at, one in enumerate(value) for other in value[:at])
        if not _size_fits(schema, value, "Items") or (schema.get("uniqueItems") and not unique):
            return False
        if not all(fits(document, schema.get("items", {}), item) for item in value):
            return False
    if isinstance(value, dict) and not _members_fit(document, schema, value):
        return False
    return (
        all(fits(document, part, value) for part in schema.get("allOf", ()))
        and ("anyOf" not in schema or any(fits(document, part, value) for part in schema["anyOf"]))
        and ("oneOf" not in schema or sum(fits(document, part, value) for part in schema["oneOf"]) == 1)
        and ("not" not in schema or not fits(document, schema["not"], value))
    )


def _members_fit(document: dict[str, Any], schema: dict[str, Any], value: dict[str, Any]) -> bool:
    members = schema.get("properties", {})
    needed = [name for name in schema.get("required", ()) if not members.get(name, {}).get("readOnly")]
    others = schema.get("additionalProperties", True)
    return (
        _size_fits(schema, value, "Properties")
        and all(name in value for name in needed)
        and all(
            fits(document, members[name], item)
            if name in members
            else others
            if isinstance(others, bool)
            else fits(document, others, item)
            for name, item in value.items()
        )
    )


@settings(max_examples=300, deadline=None)
@given(SCHEMAS, st.fixed_dictionaries(dict.fromkeys(NAMES, SCHEMAS)), VALUES)
@example({"type": "string", "nullable": True, "enum": ["a"]}, {name: {} for name in NAMES}, None)
@example(
    {"allOf": [{"$ref": "#/components/schemas/a"}], "nullable": True},
    {name: {"type": "string"} for name in NAMES},
    None,
)
def test_a_spec_is_refused_exactly_when_openapi_refuses_it(
    part: dict[str, Any], components: dict[str, dict[str, Any]], value: Any
) -> None:
    written = document(Spec={"properties": {"a": part}}, **components)
    try:
        schema = SpecSchema(written, "Spec")
    except BadSchema as failure:
        # Values that do not match their own type are also refused: see test_literal.py.
        assume("refers to itself" not in str(failure) and not re.search(r"/enum/\d+: ", str(failure)))
        raise
    found = schema.faults({"a": value})
    assert (found == []) == fits(written, part, value), found
    for fault in found:
        assert fault.field.startswith("spec.a")
        assert "too large to locate" not in fault.message
        assert fault.message.startswith(f"`{fault.field}` ")
