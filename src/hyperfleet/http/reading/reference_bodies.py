"""Reads the references in a body, `{"<type>": [{"id": …}]}`, by the kind's reference rules (contract: Kinds).

The request schema checks their form. This file finds duplicates and checks the number of targets.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from hyperfleet.errors import FieldError
from hyperfleet.http.description.kind_schemas import MOST_TARGETS
from hyperfleet.model.identifier import uuid
from hyperfleet.model.kind import Kind
from hyperfleet.model.schemas import wording

Targets = dict[str, tuple[UUID, ...]]


def targets(given: object, kind: Kind, wrong: list[FieldError]) -> Targets:
    """The targets by type, without empty types. Duplicates are added to `wrong`, after the schema's faults.

    `check_numbers` checks how many there are, separately: for a merge that is known only from the result.
    """
    if not given or not isinstance(given, dict):
        return {}
    found: Targets = {}
    for rule in kind.references:
        items = given.get(rule.type)
        if items and isinstance(items, list) and len(items) <= MOST_TARGETS:
            found[rule.type] = _ids(items, _field(rule.type), wrong)
    return found


def check_numbers(found: Mapping[str, tuple[UUID, ...]], kind: Kind, wrong: list[FieldError]) -> None:
    """Adds a fault for each type with a wrong number of targets, unless the type already has another fault."""
    for rule in kind.references:
        number = len(found.get(rule.type, ()))
        field = _field(rule.type)
        if rule.least <= number and (rule.most is None or number <= rule.most):
            continue
        if any(fault.field == "references" or f"{fault.field}[".startswith(f"{field}[") for fault in wrong):
            continue
        limit = f"{rule.least} or more" if rule.most is None else f"{rule.least} to {rule.most}"
        if rule.least == rule.most:
            limit = f"exactly {rule.least}"
        message = f"`{field}` of {kind.one} must name {limit} of kind {rule.target}"
        wrong.append(FieldError("VAL-004", field, message, limit, number))


def _field(type: str) -> str:
    return wording.member("references", type)


def _ids(items: list[Any], field: str, wrong: list[FieldError]) -> tuple[UUID, ...]:
    ids: dict[UUID, None] = {}
    for position, item in enumerate(items):
        text = item.get("id") if isinstance(item, dict) else None
        id = uuid(text) if isinstance(text, str) else None
        if id is not None and id in ids:
            wrong.append(wording.repeated(f"{field}[{position}].id", str(id)))
        elif id is not None:
            ids[id] = None
    return tuple(ids)
