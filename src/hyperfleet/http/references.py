"""References in a body: `{"<type>": [{"id": …}]}`, by the rules of the kind that declares them (contract: Kinds)."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from hyperfleet.errors import MOST_FIELDS, FieldError
from hyperfleet.http import queries
from hyperfleet.model.kind import Kind, ReferenceRule

MOST_TARGETS: Final = 1000

_TARGET: Final = ("id", "kind", "href")
_LONGEST_SHOWN: Final = 80


def targets(given: Mapping[str, Any], kind: Kind, wrong: list[FieldError]) -> dict[str, tuple[UUID, ...]]:
    """The targets by type, without types that name none; what is wrong with them joins `wrong`.

    How many there must be is for `check_numbers`, because a merge tells that only by what comes of it.
    """
    rules = {rule.type: rule for rule in kind.references}
    found: dict[str, tuple[UUID, ...]] = {}
    for type, items in given.items():
        if len(wrong) >= MOST_FIELDS:
            break
        field = f"references.{type[:_LONGEST_SHOWN]}"
        rule = rules.get(type)
        if rule is None:
            known = f"known are {', '.join(rules)}" if rules else "it declares none"
            message = f"`{field}` is no reference of {kind.one}; {known}"
            wrong.append(FieldError("VAL-002", field, message, ", ".join(rules) or None))
        elif items is not None and not isinstance(items, list):
            wrong.append(FieldError("VAL-003", field, f"`{field}` must be a list"))
        elif items and len(items) > MOST_TARGETS:
            message = f"`{field}` must have {MOST_TARGETS} items at most"
            wrong.append(FieldError("VAL-004", field, message, f"at most {MOST_TARGETS}", str(len(items))))
        elif items:
            found[type] = _ids(items, rule, field, wrong)
    return found


def check_numbers(found: Mapping[str, tuple[UUID, ...]], kind: Kind, wrong: list[FieldError]) -> None:
    """Adds what is wrong with the number of targets of each type."""
    for rule in kind.references:
        number = len(found.get(rule.type, ()))
        if number < rule.least or (rule.most is not None and number > rule.most):
            limit = f"{rule.least} or more" if rule.most is None else f"{rule.least} to {rule.most}"
            if rule.least == rule.most:
                limit = f"exactly {rule.least}"
            field = f"references.{rule.type}"
            message = f"`{field}` of a {kind.title} must name {limit} of kind {rule.target}"
            wrong.append(FieldError("VAL-004", field, message, limit, str(number)))


def _ids(items: list[Any], rule: ReferenceRule, field: str, wrong: list[FieldError]) -> tuple[UUID, ...]:
    ids: dict[UUID, None] = {}
    for position, item in enumerate(items):
        place = f"{field}[{position}]"
        if len(wrong) >= MOST_FIELDS:
            break
        if not isinstance(item, dict):
            wrong.append(FieldError("VAL-003", place, f"`{place}` must be an object with the `id` of a {rule.target}"))
            continue
        for name in item:
            if name not in _TARGET:
                message = f"`{place}.{name[:_LONGEST_SHOWN]}` is not known; known are {', '.join(_TARGET)}"
                wrong.append(FieldError("VAL-002", f"{place}.{name}", message))
        of_kind = item.get("kind")
        if of_kind not in (None, rule.target):
            code, message = (
                "VAL-002" if isinstance(of_kind, str) else "VAL-003",
                f"`{place}.kind` must be {rule.target}",
            )
            wrong.append(FieldError(code, f"{place}.kind", message, rule.target))
        id = _id(item, place, wrong)
        if id in ids:
            wrong.append(FieldError("VAL-002", f"{place}.id", f"`{place}.id` must be given once only", value=str(id)))
        elif id is not None:
            ids[id] = None
    return tuple(ids)


def _id(item: Mapping[str, Any], place: str, wrong: list[FieldError]) -> UUID | None:
    if "id" not in item:
        wrong.append(FieldError("VAL-001", f"{place}.id", f"`{place}.id` is missing"))
        return None
    text = item["id"]
    id = queries.uuid(text) if isinstance(text, str) else None
    if id is None:
        shown = text if isinstance(text, str) else None
        wrong.append(FieldError("VAL-003", f"{place}.id", f"`{place}.id` must be a UUID in small letters", value=shown))
    return id
