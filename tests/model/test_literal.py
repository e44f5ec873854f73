"""Values in a schema (enum, default, example) must have its own type; the start names every one that does not."""

from typing import Any

import pytest

from hyperfleet.model.schemas.json_schema import BadSchema
from hyperfleet.model.schemas.spec_schema import SpecSchema
from tests.schemas import document, faults

AT = "#/components/schemas/Spec/properties"


def mistakes(**members: Any) -> list[str]:
    with pytest.raises(BadSchema) as caught:
        SpecSchema(document(Spec={"type": "object", "properties": members}), "Spec")
    return list(caught.value.mistakes)


@pytest.mark.parametrize(
    ("type", "value", "sentence"),
    [
        ("string", 4.15, "4.15 is not a string: quote it."),
        ("string", 3, "3 is not a string: quote it."),
        ("string", True, "true is not a string: quote it."),
        ("string", None, "null is not a string: add `nullable: true`, or remove it."),
        ("string", ["a"], "a list is not a string."),
        ("integer", "3", "'3' is not an integer: write it without quotes."),
        ("integer", 3.5, "3.5 is not an integer."),
        ("integer", True, "true is not an integer."),
        ("number", "4.15", "'4.15' is not a number: write it without quotes."),
        ("number", "four", "'four' is not a number."),
        ("number", float("inf"), "inf is not a number."),
        ("boolean", "true", "'true' is not a boolean: write it without quotes."),
        ("boolean", 0, "0 is not a boolean."),
        ("boolean", "on", "'on' is not a boolean."),
        ("object", [], "a list is not an object."),
        ("array", {}, "an object is not an array."),
        ("array", "a" * 70, f"'{'a' * 60}…' is not an array."),
    ],
)
def test_a_value_that_its_type_excludes_is_named(type: str, value: Any, sentence: str) -> None:
    for keyword in ("default", "example"):
        assert mistakes(v={"type": type, keyword: value}) == [f"{AT}/v/{keyword}: {sentence}"]
    for keyword in ("enum", "examples"):
        assert mistakes(v={"type": type, keyword: [value]}) == [f"{AT}/v/{keyword}/0: {sentence}"]


def test_a_number_of_thousands_of_digits_is_refused_as_well() -> None:
    assert mistakes(v={"type": "string", "default": 10**5000}) == [
        f"{AT}/v/default: the number is not a string: quote it."
    ]


def test_all_mismatches_are_named_at_once() -> None:
    found = mistakes(
        v={"type": "string", "enum": ["4.14", 4.15, 4.16], "default": 4.15},
        n={"type": "array", "items": {"type": "integer", "enum": ["1", 2]}, "example": "1"},
    )
    assert found == [
        f"{AT}/v/enum/1: 4.15 is not a string: quote it.",
        f"{AT}/v/enum/2: 4.16 is not a string: quote it.",
        f"{AT}/v/default: 4.15 is not a string: quote it.",
        f"{AT}/n/items/enum/0: '1' is not an integer: write it without quotes.",
        f"{AT}/n/example: '1' is not an array.",
    ]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "enum": ["4.15"], "default": "4.15", "example": ""},
        {"type": "string", "enum": ["a", None], "default": None, "nullable": True},
        {"type": "integer", "enum": [1, 1.0, -(2**70)]},
        {"type": "number", "enum": [1, 1.5], "default": 0},
        {"type": "boolean", "enum": [True], "example": False},
        {"type": "object", "default": {}, "enum": [{"a": 1}]},
        {"type": "array", "default": [], "example": [1]},
        {"enum": ["a", 4.15, None, True]},
        {"type": "string", "x-example": 4.15},
    ],
    ids=str,
)
def test_values_of_the_type_are_accepted(schema: dict[str, Any]) -> None:
    assert SpecSchema(document(Spec={"type": "object", "properties": {"v": schema}}), "Spec").faults({}) == []


def test_a_quoted_value_fits() -> None:
    schema = {"type": "object", "properties": {"v": {"type": "string", "enum": ["4.15"]}}}
    assert faults(schema, {"v": "4.15"}) == []
