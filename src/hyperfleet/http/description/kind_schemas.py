"""Adds a kind's own declarations to its schemas in the document.

The schemas of all kinds are alike until here. This file adds what differs: the lengths of names, the references, and
the conditions that a report must have. OpenAPI 3.0 has no `contains` ("some item is"), so `_has` says "not every item
is not".
"""

from typing import Any, Final

from hyperfleet.http.description.provider_schemas import COMPONENTS
from hyperfleet.model.identifier import PATTERN
from hyperfleet.model.kind import Kind, ReferenceRule
from hyperfleet.model.schemas.json_schema import MUST, PASSED_OVER

MOST_TARGETS: Final = 1000
"""The most targets of one reference type in one resource."""

Schema = dict[str, Any]

_UUID: Final = {
    "type": "string",
    "format": "uuid",
    "pattern": f"^{PATTERN}$",
    MUST: "be a lower-case UUID",
}


def add_name_lengths(kind: Kind, name: Schema) -> None:
    """Sets the lengths of names."""
    name["minLength"], name["maxLength"] = kind.name_min_length, kind.name_max_length


def add_references(kind: Kind, whole: Schema, selected: Schema, new: Schema, patch: Schema) -> None:
    """Adds the references to the schemas of answers, new resources and changes."""
    if not kind.references:
        return
    served = "The referenced resources by reference type; types without references are omitted."
    for schema, target in ((whole, "ResourceReference"), (selected, "SelectedReference")):
        types = {rule.type: {"type": "array", "items": _served(rule, target)} for rule in kind.references}
        schema["properties"]["references"] = _of_types(types, served)
    whole["required"].append("references")
    needed = [rule.type for rule in kind.references if rule.least > 0]
    new["properties"]["references"] = _taken(kind, needed)
    if needed:
        new["required"].append("references")
    patch["properties"]["references"] = _changed(kind)


def references(kind: Kind) -> Schema:
    """The schema of references in a body: each type has null or any number of targets.

    The required number is left out, because for a change it is known only from the result.
    """
    types = {rule.type: _targets(rule) | {"nullable": True} for rule in kind.references}
    return {"type": "object", "nullable": True, "properties": types, "additionalProperties": False}


def _changed(kind: Kind) -> Schema:
    """The schema of references in a change; in a merge, null removes all references of a type."""
    told = "The referenced resources by reference type. In a merge patch, null removes all references of that type."
    types = {rule.type: _targets(rule) | {"uniqueItems": True, "nullable": True} for rule in kind.references}
    return _of_types(types, told) | {"nullable": True}


def _of_types(types: Schema, description: str) -> Schema:
    return {"type": "object", "properties": types, "additionalProperties": False, "description": description}


def _served(rule: ReferenceRule, target: str) -> Schema:
    kind = {"type": "object", "properties": {"kind": {"type": "string", "enum": [rule.target]}}}
    return {"allOf": [{"$ref": COMPONENTS + target}, kind]}


def _taken(kind: Kind, needed: list[str]) -> Schema:
    types: Schema = {}
    for rule in kind.references:
        types[rule.type] = _targets(rule) | {"uniqueItems": True}
        types[rule.type] |= {"minItems": rule.least} if rule.least > 0 else {"nullable": True}
        if rule.most is not None:
            types[rule.type]["maxItems"] = min(rule.most, MOST_TARGETS)
    taken = _of_types(types, "The referenced resources by reference type.")
    return taken | ({"required": needed} if needed else {"nullable": True})


def _targets(rule: ReferenceRule) -> Schema:
    properties = {
        "id": _UUID,
        "kind": {"type": "string", "enum": [rule.target, None], "nullable": True},
        "href": {"description": "Ignored.", PASSED_OVER: True},
    }
    target = {"type": "object", "required": ["id"], "properties": properties, "additionalProperties": False}
    return {"type": "array", "maxItems": MOST_TARGETS, "items": target}


def report(kind: Kind, common: str) -> Schema | None:
    """The schema of a report on this kind, based on the one for all kinds; None without mandatory conditions."""
    if not kind.mandatory_conditions:
        return None
    types = ", ".join(f"`{type}`" for type in kind.mandatory_conditions)
    own = {
        "type": "object",
        "properties": {"conditions": {"allOf": [_has(type) for type in kind.mandatory_conditions]}},
    }
    return {
        "allOf": [{"$ref": COMPONENTS + common}, own],
        "description": f"An adapter's report. `conditions` must include one of each of these types: {types}.",
    }


def _has(type: str) -> Schema:
    """The schema of a list with at least one condition of this type."""
    other = {"type": "object", "properties": {"type": {"type": "string", "not": {"enum": [type]}}}}
    return {"not": {"type": "array", "items": other}}
