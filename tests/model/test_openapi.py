"""A document's components: what is read, what is refused with its path, and the meaning of OpenAPI's keywords."""

from typing import Any

import pytest

from hyperfleet.model.schemas import openapi
from hyperfleet.model.schemas.json_schema import BadSchema
from hyperfleet.model.schemas.spec_schema import SpecSchema
from tests.schemas import document, faults, schema_of

AT = "#/components/schemas/Spec"
TYPES = "array, boolean, integer, number, object, string"


def ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def mistakes(spec: Any, **others: Any) -> list[str]:
    with pytest.raises(BadSchema) as caught:
        SpecSchema(document(Spec=spec, **others), "Spec")
    return list(caught.value.mistakes)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (None, "It is not an OpenAPI document: the top level must be a mapping."),
        ([], "It is not an OpenAPI document: the top level must be a mapping."),
        ({}, "It is not an OpenAPI 3.0 document: `openapi: 3.0.3` is missing."),
        ({"swagger": "2.0"}, "It is not an OpenAPI 3.0 document: `openapi: 3.0.3` is missing."),
        ({"openapi": "3.1.0"}, "`openapi: 3.1.0` is not supported; use OpenAPI 3.0."),
        ({"openapi": {"a": 1}}, "`openapi: dict` is not supported; use OpenAPI 3.0."),
        ({"openapi": "3.0.3", "components": []}, "`components` must be a mapping."),
        ({"openapi": "3.0.3", "components": {"schemas": "x"}}, "`schemas` must be a mapping."),
    ],
    ids=str,
)
def test_anything_but_a_document_is_refused(given: object, sentence: str) -> None:
    with pytest.raises(BadSchema) as caught:
        openapi.require_document(given)
    assert caught.value.mistakes == (sentence,)


@pytest.mark.parametrize("version", ["3.0.0", "3.0.4", "3.0", 3.0])
def test_every_version_of_openapi_3_0_is_read(version: object) -> None:
    assert openapi.require_document({"openapi": version})


def test_a_document_without_components_has_none() -> None:
    assert not openapi.has_component({"openapi": "3.0.3"}, "Spec")
    assert not openapi.has_component({"openapi": "3.0.3", "components": None}, "Spec")
    assert openapi.has_component(document(Spec={}), "Spec")


WRONG: list[tuple[Any, str]] = [
    (5, f"{AT}: a schema must be a mapping of keywords."),
    (None, f"{AT} does not exist in the document."),
    ({"type": "text"}, f"{AT}/type: must be one of {TYPES}."),
    ({"type": ["string", "null"]}, f"{AT}/type: must be one of {TYPES}; `nullable: true` allows null."),
    ({"type": "null"}, f"{AT}/type: must be one of {TYPES}; `nullable: true` allows null."),
    ({"minimun": 1}, f"{AT}: `minimun` is not a keyword of OpenAPI 3.0; did you mean `minimum`?"),
    ({"const": 1}, f"{AT}: `const` is not a keyword of OpenAPI 3.0; write an `enum` of one value."),
    (
        {"patternProperties": {}},
        f"{AT}: `patternProperties` is not a keyword of OpenAPI 3.0; describe the members with",
    ),
    ({"$defs": {}}, f"{AT}: `$defs` is not a keyword of OpenAPI 3.0; put schemas below #/components/schemas."),
    ({"qqq\n": 1}, f"{AT}: `qqq\\n` is not a keyword of OpenAPI 3.0."),
    ({"minimum": "1"}, f"{AT}/minimum: must be a number."),
    ({"maximum": True}, f"{AT}/maximum: must be a number."),
    ({"multipleOf": 0}, f"{AT}/multipleOf: must be a number greater than 0."),
    ({"exclusiveMinimum": 3}, f"{AT}: `exclusiveMinimum` must be true or false."),
    ({"nullable": "yes"}, f"{AT}: `nullable` must be true or false."),
    ({"format": 5}, f"{AT}: `format` must be a string."),
    ({"minLength": -1}, f"{AT}/minLength: must be a whole number of at least 0."),
    ({"maxItems": 1.5}, f"{AT}/maxItems: must be a whole number of at least 0."),
    ({"maxItems": 10**30}, f"{AT}/maxItems: must be a whole number of at least 0."),
    ({"uniqueItems": "true"}, f"{AT}/uniqueItems: must be true or false."),
    ({"required": "a"}, f"{AT}/required: must be a list of names."),
    ({"required": [1]}, f"{AT}/required: must be a list of names."),
    ({"enum": []}, f"{AT}/enum: must be a list of allowed values."),
    ({"enum": "a"}, f"{AT}/enum: must be a list of allowed values."),
    ({"properties": []}, f"{AT}/properties: must be a mapping of names to schemas."),
    ({"properties": {"a": {"items": [{}]}}}, f"{AT}/properties/a/items: a schema must be a mapping of keywords."),
    ({"items": True}, f"{AT}/items: a schema must be a mapping of keywords."),
    ({"additionalProperties": "no"}, f"{AT}/additionalProperties: a schema must be a mapping of keywords."),
    ({"allOf": []}, f"{AT}/allOf: must be a list of schemas."),
    ({"oneOf": {}}, f"{AT}/oneOf: must be a list of schemas."),
    ({"anyOf": [{}, {"type": 1}]}, f"{AT}/anyOf/1/type: must be one of {TYPES}."),
    ({"pattern": 5}, f"{AT}/pattern: must be a string."),
    ({"pattern": "a", "x-must": 5}, f"{AT}: `x-must` must be a string."),
    ({"pattern": "["}, f"{AT}/pattern: the pattern [ is malformed, too large, or uses lookaround"),
    ({"pattern": "^(?!x)a"}, f"{AT}/pattern: the pattern ^(?!x)a is malformed, too large, or uses lookaround"),
    ({"pattern": r"(a)\1"}, rf"{AT}/pattern: the pattern (a)\1 is malformed"),
    ({"pattern": "((a{1,999}){1,999}){1,999}"}, f"{AT}/pattern: the pattern ((a{{1,999}}){{1,999}}){{1,999}} is malf"),
    ({"$ref": 5}, f"{AT}: `$ref` must be a string."),
    ({"$ref": "#/components/schemas/Gone"}, f"{AT}: #/components/schemas/Gone does not exist in the document."),
    ({"$ref": "#/components/schemas/Spec/enum/0"}, f"{AT}: {AT}/enum/0 does not exist in the document."),
    ({"$ref": "#/info"}, "#/info: `version` is not a keyword"),
    (
        {"oneOf": [ref("A")], "discriminator": {"propertyName": 5, "mapping": {"a": "A"}}},
        f"{AT}/discriminator: `propertyName` must be a string, `mapping` a mapping of strings to strings.",
    ),
    (
        {"oneOf": [ref("A")], "discriminator": {"propertyName": "k", "mapping": {"a": "B"}}},
        f"{AT}/discriminator: `a` does not name a schema of `oneOf`.",
    ),
    (
        {"oneOf": [ref("A")], "discriminator": {"propertyName": "k", "mapping": {"a": "x.yaml#/A"}}},
        f"{AT}/discriminator: the reference x.yaml#/A points outside the document; a local reference begins with #/.",
    ),
]


@pytest.mark.parametrize(("spec", "sentence"), WRONG, ids=lambda part: str(part)[:70])
def test_forbidden_content_of_a_component_is_refused_with_its_path(spec: Any, sentence: str) -> None:
    found = mistakes(spec, A={}, B={})
    assert any(sentence in mistake for mistake in found), found


OUTSIDE = ["other.yaml", "other.yaml#/A", "https://example.com/a.json", "file:///etc/passwd", "./#/a", "", "#", "Spec"]


@pytest.mark.parametrize("reference", OUTSIDE)
@pytest.mark.parametrize("place", ["itself", "member", "item", "form", "map", "not", "far"])
def test_a_reference_that_leaves_the_document_is_refused(reference: str, place: str) -> None:
    out = {"$ref": reference}
    places = {
        "itself": out,
        "member": {"properties": {"a": out}},
        "item": {"items": out},
        "form": {"oneOf": [{}, out]},
        "map": {"additionalProperties": out},
        "not": {"not": out},
        "far": ref("Far"),
    }
    (found,) = mistakes(places[place], Far={"properties": {"b": {"allOf": [out]}}})
    assert found.endswith(f"the reference {reference} points outside the document; a local reference begins with #/.")


def test_all_mistakes_are_reported_at_once_in_referenced_components_too() -> None:
    spec = {"type": "thing", "properties": {"a": {"minimum": "x"}, "b": ref("B")}, "minimun": 1}
    assert len(mistakes(spec, B={"enum": [], "items": 1})) == 5


def test_only_the_first_of_very_many_mistakes_are_reported() -> None:
    found = mistakes({"properties": {f"p{number}": {"type": "x"} for number in range(500)}})
    assert len(found) == 21
    assert found[-1] == "There may be more errors; these are the first."


def test_unreferenced_components_are_ignored() -> None:
    assert SpecSchema(document(Spec={"type": "object"}, Other={"$ref": "elsewhere.yaml"}), "Spec").faults({}) == []


def test_descriptive_keywords_constrain_nothing() -> None:
    words = {"title": 1, "description": "x", "example": "5", "default": "5", "deprecated": True, "xml": {}, "x-a": [1]}
    assert faults({"type": "string", **words, "externalDocs": {"url": "u"}, "writeOnly": True}, "b") == []


def test_keywords_are_plain_names_in_the_place_of_names() -> None:
    names = {
        name: {"type": "integer"} for name in ("properties", "$ref", "type", "enum", "nullable", "x-a", "required")
    }
    part = {"type": "object", "properties": names, "required": ["$ref"]}
    assert faults(part, dict.fromkeys(names, 1)) == []
    assert len(faults(part, dict.fromkeys(names, "1"))) == len(names)


def test_keywords_beside_a_reference_are_ignored() -> None:
    assert faults({**ref("B"), "nullable": True, "minLength": 9, "bogus": 1}, "b", B={"type": "string"}) == []
    assert faults({**ref("B"), "nullable": True}, None, B={"type": "string"}) == ["`spec.a` must be a string"]


def test_a_reference_may_name_any_part_of_the_document_in_any_spelling() -> None:
    part = {"allOf": [{"$ref": "#/components/schemas/B~1%7E0/properties/c%20d/items"}]}
    others = {"B/~": {"properties": {"c d": {"items": {"type": "string"}}}}}
    assert faults(part, 5, **others) == ["`spec.a` must be a string"]
    assert faults({"$ref": "#/components/schemas/B/anyOf/1"}, 5, B={"anyOf": [{}, {"enum": [1]}]}) == [
        "`spec.a` must be 1"
    ]


NULLABLE: list[dict[str, Any]] = [
    {"type": "object", "allOf": [ref("B")]},
    {"allOf": [ref("B")]},
    {"oneOf": [ref("B"), {"type": "string"}]},
    {"anyOf": [ref("B")]},
    {"type": "object", "not": {"required": ["z"]}},
    {"type": "object", "enum": [{"b": 1}]},
]


@pytest.mark.parametrize("part", NULLABLE, ids=str)
def test_nullable_accepts_null_whatever_is_beside_it(part: dict[str, Any]) -> None:
    others = {"B": {"type": "object", "required": ["b"]}}
    assert faults({**part, "nullable": True}, None, **others) == []
    assert faults({**part, "nullable": True}, {"b": 1}, **others) == []
    assert faults(part, None, **others) != []
    assert faults({**part, "nullable": True}, 5, **others) != []


def test_a_read_only_member_is_not_required_of_a_request() -> None:
    part = {
        "type": "object",
        "required": ["b", "c"],
        "properties": {"b": {"type": "string", "readOnly": True}, "c": {"type": "string"}},
    }
    assert faults(part, {"c": ""}) == []
    assert faults(part, {}) == ["`spec.a.c` is missing"]
    assert faults(part, {"b": 5, "c": ""}) == ["`spec.a.b` must be a string"]


CHOICE = {
    "oneOf": [ref("Cat"), ref("Dog")],
    "discriminator": {"propertyName": "kind", "mapping": {"cat": "Cat", "kitten": ref("Cat")["$ref"], "dog": "Dog"}},
}
PETS = {
    "Cat": {"type": "object", "properties": {"kind": {"type": "string"}, "lives": {"type": "integer"}}},
    "Dog": {
        "type": "object",
        "properties": {"kind": {"type": "string"}, "lives": {"maximum": 1}},
        "required": ["legs"],
    },
}


@pytest.mark.parametrize("keyword", ["oneOf", "anyOf"])
def test_a_mapped_discriminator_alone_selects_the_alternative(keyword: str) -> None:
    part = {keyword: CHOICE["oneOf"], "discriminator": CHOICE["discriminator"]}
    assert faults(part, {"kind": "cat", "lives": 9}, **PETS) == []
    # By its members alone it would match both alternatives.
    assert faults(part, {"kind": "kitten", "lives": 1, "legs": 4}, **PETS) == []
    assert faults(part, {"kind": "dog", "lives": 9}, **PETS) == [
        "`spec.a.legs` is missing",
        "`spec.a.lives` must be at most 1",
    ]
    assert faults(part, {"kind": "cow"}, **PETS) == ["`spec.a.kind` must be one of cat, kitten, dog"]
    assert faults(part, {}, **PETS) == ["`spec.a.kind` is missing"]
    assert faults(part, None, **PETS) == ["`spec.a` must be an object"]
    assert faults({**part, "nullable": True}, None, **PETS) == []


@pytest.mark.parametrize(
    "rule",
    [
        {"propertyName": "kind"},
        {"propertyName": "kind", "mapping": {"cat": "Cat"}},
        {"propertyName": "kind", "mapping": {}},
    ],
    ids=str,
)
def test_a_discriminator_that_does_not_name_every_alternative_changes_nothing(rule: dict[str, Any]) -> None:
    part = {"oneOf": CHOICE["oneOf"], "discriminator": rule}
    assert faults(part, {"kind": "cow", "lives": 9}, **PETS) == []
    assert faults(part, {"lives": 1, "legs": 4}, **PETS) != []


def test_a_discriminator_without_alternatives_is_ignored() -> None:
    assert faults({"discriminator": {"propertyName": "k", "mapping": {"a": "Gone"}}}, {"k": "b"}) == []


def test_two_schemas_of_one_document_are_independent() -> None:
    both = document(ASpec={"required": ["a"]}, BSpec={"required": ["b"]})
    assert [fault.field for fault in SpecSchema(both, "ASpec").faults({"b": 1})] == ["spec.a"]
    assert [fault.field for fault in SpecSchema(both, "BSpec").faults({"a": 1})] == ["spec.b"]


def test_a_schema_without_constraints_accepts_everything() -> None:
    assert schema_of({}).faults({"a": {"b": [None, 1.5, {"c": ""}]}, "z": 1}) == []
