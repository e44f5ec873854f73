"""Validation of specs: three providers' documents with valid and invalid specs, and each keyword on both sides."""

from typing import Any

import pytest
from msgspec import UNSET

from hyperfleet.assembly import yaml_documents
from hyperfleet.model.schemas import wording
from hyperfleet.model.schemas.spec_schema import SpecSchema
from tests.schemas import PROVIDERS, Case, cases, faults, path_of

CASES = [case for provider in PROVIDERS for case in cases(provider)]
DOCUMENTS = {provider: yaml_documents.read(path_of(provider)) for provider in PROVIDERS}
SCHEMAS = {
    (provider, name.removesuffix("Spec")): SpecSchema(document, name)
    for provider, document in DOCUMENTS.items()
    for name in document["components"]["schemas"]
    if name.endswith("Spec")
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_providers_schema_finds_every_error_in_a_spec(case: Case) -> None:
    found = SCHEMAS[case.provider, case.kind].faults(case.spec)
    assert tuple(fault.message for fault in found) == case.faults
    assert all(fault.message.startswith(f"`{fault.field}` ") for fault in found)
    assert {fault.code for fault in found} <= {"VAL-000"}


def test_there_are_many_cases() -> None:
    assert len([case for case in CASES if case.faults]) >= 60
    assert len({case.id for case in CASES}) == len(CASES)


BIG = 2**53
SIDES: list[tuple[dict[str, Any], Any, Any, str]] = [
    ({"type": "string"}, "", 5, "must be a string"),
    ({"type": "string"}, "5", None, "must be a string"),
    ({"type": "integer"}, 1.0, 1.5, "must be a whole number"),
    ({"type": "integer"}, 10**40, "1", "must be a whole number"),
    ({"type": "integer"}, 0, True, "must be a whole number"),
    ({"type": "number"}, 1, "1.5", "must be a number"),
    ({"type": "boolean"}, False, 0, "must be true or false"),
    ({"type": "array"}, [], {}, "must be a list"),
    ({"type": "object"}, {}, [], "must be an object"),
    ({"type": "string", "nullable": True}, None, 5, "must be a string"),
    ({"type": "string", "nullable": False}, "", None, "must be a string"),
    ({"enum": ["a", 1]}, 1.0, "1", "must be one of a, 1"),
    ({"enum": [1]}, 1, True, "must be 1"),
    ({"enum": [{"b": [1]}]}, {"b": [1.0]}, {"b": [2]}, 'must be {"b":[1]}'),
    ({"type": "string", "enum": ["a"], "nullable": True}, None, "b", "must be a"),
    ({"minimum": 3}, 3, 2.999, "must be at least 3"),
    ({"minimum": 3, "exclusiveMinimum": True}, 3.001, 3, "must be more than 3"),
    ({"minimum": 3, "exclusiveMinimum": False}, 3, 2, "must be at least 3"),
    ({"maximum": 3}, 3, 4, "must be at most 3"),
    ({"maximum": 3, "exclusiveMaximum": True}, 2, 3, "must be less than 3"),
    ({"maximum": BIG}, BIG, BIG + 1, f"must be at most {BIG}"),
    ({"minimum": BIG + 1}, BIG + 1, BIG, f"must be at least {BIG + 1}"),
    ({"enum": [BIG + 1]}, BIG + 1, BIG, f"must be {BIG + 1}"),
    ({"multipleOf": 5}, 10, 12, "must be a multiple of 5"),
    ({"multipleOf": 0.1}, 0.3, 0.35, "must be a multiple of 0.1"),
    ({"multipleOf": 3}, 3 * 10**30, 3 * 10**30 + 1, "must be a multiple of 3"),
    ({"format": "int32"}, 2**31 - 1, 2**31, f"must be at most {2**31 - 1}"),
    ({"format": "int32"}, -(2**31), -(2**31) - 1, f"must be at least {-(2**31)}"),
    ({"format": "int32", "maximum": 2**40}, 2**31 - 1, 2**31, f"must be at most {2**31 - 1}"),
    ({"format": "int32", "maximum": 7}, 7, 8, "must be at most 7"),
    ({"format": "int64"}, 2**63 - 1, 2**63, f"must be at most {2**63 - 1}"),
    ({"format": "int64"}, -(2**63), -(2**63) - 1, f"must be at least {-(2**63)}"),
    ({"minLength": 2}, "äö", "ä", "must have at least 2 characters"),
    ({"maxLength": 1}, "𝄞", "ab", "must have at most 1 character"),
    ({"pattern": "b"}, "abc", "ac", "must match the pattern b"),
    ({"pattern": "^a$"}, "a", "a\n", "must match the pattern ^a$"),
    ({"pattern": "^a+$", "x-must": "be of the letter a"}, "aa", "b", "must be of the letter a"),
    ({"minimum": 1, "maximum": 4}, 4, 5, "must be from 1 to 4"),
    ({"minimum": 1, "maximum": 4}, 1, 0, "must be from 1 to 4"),
    ({"minimum": 0.5, "maximum": 0.5}, 0.5, 0, "must be exactly 0.5"),
    ({"minimum": 1, "format": "int32"}, 1, 0, f"must be from 1 to {2**31 - 1}"),
    ({"minimum": 1, "maximum": 4, "exclusiveMinimum": True}, 4, 5, "must be at most 4"),
    ({"minLength": 2, "maxLength": 4}, "abcd", "a", "must have 2 to 4 characters"),
    ({"minLength": 1, "maxLength": 1}, "a", "", "must have exactly 1 character"),
    ({"minItems": 0, "maxItems": 1}, [], [1, 2], "must have at most 1 item"),
    ({"minProperties": 2, "maxProperties": 2}, {"a": 1, "b": 1}, {}, "must have exactly 2 members"),
    ({"type": "string", "enum": ["True", "False"]}, "True", True, "must be one of the strings True, False"),
    ({"type": "string", "enum": ["5"], "nullable": True}, "5", 5, "must be the string 5"),
    ({"pattern": r"^\d+$"}, "12", "١٢", r"must match the pattern ^\d+$"),
    ({"format": "date"}, "2024-02-29", "2023-02-29", "must be a date such as 2026-01-31"),
    (
        {"format": "date-time"},
        "2026-01-31T12:00:00.5+01:00",
        "2026-01-31 12:00",
        "must be an RFC 3339 time such as 2026-01-31T12:00:00Z",
    ),
    ({"format": "email"}, "a@b.example", "a", "must be an e-mail address"),
    ({"format": "hostname"}, "a.b", "a_b!", "must be a host name"),
    ({"format": "ipv4"}, "10.0.0.1", "10.0.0", "must be an IPv4 address"),
    ({"format": "ipv6"}, "::1", "1", "must be an IPv6 address"),
    ({"format": "uri"}, "https://a/b", "/b", "must be an absolute URI"),
    ({"format": "uuid"}, "0190b0a4-7a4e-7c3a-8d50-0123456789ab", "0190", "must be a UUID"),
    ({"format": "byte"}, "aGk=", "aGk", "must be a string in base64"),
    ({"minItems": 1}, [0], [], "must have at least 1 item"),
    ({"maxItems": 1}, [0], [0, 0], "must have at most 1 item"),
    ({"uniqueItems": True}, [1, "1", True], [1, 1.0], "must not have two equal items"),
    ({"minProperties": 1}, {"b": 0}, {}, "must have at least 1 member"),
    ({"maxProperties": 1}, {"b": 0}, {"b": 0, "c": 0}, "must have at most 1 member"),
    ({"not": {"type": "string"}}, 1, "x", "has a form that is not allowed"),
    ({"not": {"enum": [1, 2]}}, 3, 2, "must not be any of 1, 2"),
    ({"not": {"required": ["b", "c"]}}, {"b": 1}, {"b": 1, "c": 1}, "must not have b and c together"),
    ({"not": {"required": ["b"]}}, {}, {"b": 1}, "must not have b"),
    ({"not": {}}, "never", 1, "is not allowed here"),
    (
        {"oneOf": [{"type": "integer"}, {"minimum": 2}]},
        1,
        3,
        "matches 2 of the 2 allowed forms; it must match exactly one",
    ),
    ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, "", None, "must be a whole number or a string"),
    ({"anyOf": [{"enum": ["a"]}, {"type": "integer"}]}, 1, "b", "must be a or a whole number"),
]


@pytest.mark.parametrize(("part", "good", "bad", "sentence"), SIDES, ids=lambda part: str(part)[:60])
def test_a_keyword_is_checked_on_both_sides(part: dict[str, Any], good: Any, bad: Any, sentence: str) -> None:
    assert good == "never" or faults(part, good) == []
    assert faults(part, bad) == [f"`spec.a` {sentence}"]


ELSEWHERE = [
    ({"minimum": 3, "pattern": "x", "minItems": 9, "minProperties": 9, "format": "date"}, True),
    ({"minLength": 3, "required": ["b"], "additionalProperties": False}, 5),
    ({"items": {"type": "string"}}, {"0": 1}),
    ({"properties": {"b": {"type": "string"}}}, [1]),
    ({"format": "kilograms"}, "three"),
    ({"format": "password"}, "x"),
    ({"type": "string", "format": "int64"}, "99999999999999999999"),
]


@pytest.mark.parametrize(("part", "value"), ELSEWHERE, ids=str)
def test_a_keyword_ignores_values_of_other_types(part: dict[str, Any], value: Any) -> None:
    assert faults(part, value) == []


def _kind(kind: str, **members: Any) -> dict[str, Any]:
    properties = {"kind": {"enum": [kind]}, **members}
    return {"type": "object", "required": ["kind", *members], "properties": properties, "additionalProperties": False}


KINDS = [_kind("x", size={"type": "integer"}), _kind("y", size={"maximum": 5}, name={"type": "string"})]
SHAPES = [
    {"type": "object", "required": ["size", "name"], "properties": {"size": {"enum": ["s", "m"]}, "name": {}}},
    {"type": "object", "required": ["url"], "properties": {"url": {"type": "string"}}},
]
MEANT: list[tuple[list[dict[str, Any]], Any, list[str]]] = [
    (KINDS, {"kind": "x", "size": "1"}, ["`spec.a.size` must be a whole number"]),
    (KINDS, {"kind": "y", "size": 6}, ["`spec.a.name` is missing", "`spec.a.size` must be at most 5"]),
    (KINDS, {"kind": "z", "size": 1}, ["`spec.a.kind` must be one of x, y"]),
    (KINDS, {}, ["`spec.a.kind` is missing", "`spec.a.size` is missing"]),
    (KINDS, [], ["`spec.a` must be an object"]),
    ([*KINDS, {"type": "string"}], 5, ["`spec.a` must be an object or a string"]),
    ([*KINDS, {"type": "string"}], {"kind": "z"}, ["`spec.a.kind` must be one of x, y"]),
    (SHAPES, {"size": "xl", "name": 1}, ["`spec.a.size` must be one of s, m"]),
    (SHAPES, {"url": 5}, ["`spec.a.url` must be a string"]),
    (
        SHAPES,
        {},
        ["`spec.a` matches none of the 2 allowed forms: `spec.a.size` is missing, or `spec.a.url` is missing"],
    ),
    (
        [{"minimum": 5}, {"enum": [1, 2]}, {"type": "string"}],
        3,
        ["`spec.a` must be at least 5"],
    ),
    ([{"format": "ipv4"}, {"format": "ipv6"}], "x", ["`spec.a` must be an IPv4 address, or must be an IPv6 address"]),
    (
        [{"required": ["b"]}, {"required": ["c"]}],
        {},
        ["`spec.a` matches none of the 2 allowed forms: `spec.a.b` is missing, or `spec.a.c` is missing"],
    ),
    (
        [{"allOf": [KINDS[0]]}, {"allOf": [KINDS[1]]}],
        {"kind": "x", "size": 1.5},
        ["`spec.a.size` must be a whole number"],
    ),
]


@pytest.mark.parametrize("keyword", ["anyOf", "oneOf"])
@pytest.mark.parametrize(("forms", "value", "sentences"), MEANT, ids=lambda part: str(part)[:60])
def test_errors_explain_the_intended_alternative(
    keyword: str, forms: list[dict[str, Any]], value: Any, sentences: list[str]
) -> None:
    assert faults({keyword: forms}, value) == sentences


JARGON = ("schema", "property", "array", "anyOf", "oneOf", "allOf", "enum", "regex", "keyword", "validat", "jsonschema")


def test_no_sentence_uses_a_schema_keyword() -> None:
    sentences = [sentence for case in CASES for sentence in case.faults] + [row[3] for row in SIDES]
    assert [sentence for sentence in sentences if any(word in sentence for word in JARGON)] == []


def test_an_error_repeats_scalars_but_no_large_values() -> None:
    schema = SCHEMAS["gcp", "Cluster"]
    spec = next(case.spec for case in CASES if case.provider == "gcp") | {"labels": [1], "dns": {"baseDomain": 5.50}}
    assert [fault.value for fault in schema.faults(spec)] == [UNSET, 5.5]


@pytest.mark.parametrize(("length", "stands_in_the_message"), [(100, True), (101, False), (2000, False)])
def test_a_long_pattern_appears_once(length: int, stands_in_the_message: bool) -> None:
    pattern = "^" + "a" * (length - 1)
    fault = wording.leaf("spec.a", "pattern", {"pattern": pattern}, "x")
    assert fault.constraint == pattern
    assert (pattern in fault.message) is stands_in_the_message
    assert stands_in_the_message or fault.message == "`spec.a` must match the pattern in `constraint`"
