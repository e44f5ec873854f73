"""The order of a list, from the parameters `order` and `orderBy`."""

from dataclasses import dataclass
from typing import Final

from msgspec import UNSET

from hyperfleet.errors import FieldError, InvalidInput
from hyperfleet.model.search import lexer
from hyperfleet.model.search.fields import FIELDS, REPEATED, Field, Fields, UnknownField


@dataclass(frozen=True, slots=True)
class OrderKey:
    """A field that a list is sorted by; missing values come last in both directions."""

    field: Field
    descending: bool = False


_DIRECTIONS: Final = {"asc": False, "desc": True}


def parse_order(order: str | None, order_by: str | None, fields: Fields = FIELDS) -> tuple[OrderKey, ...]:
    """The keys that a list is sorted by, empty for the default; raises InvalidInput on `order` or `orderBy`.

    Both are spellings of one parameter. Beside `orderBy`, `order` may also be the direction for keys without one. A
    direction alone sorts by `created_time` (contract: List).
    """
    first = _order_keys("order", order or "", fields)
    second = _order_keys("orderBy", order_by or "", fields)
    direction = _DIRECTIONS.get((order or "").strip().lower())
    if not second or not first or first == second:
        keys = second or first
    elif direction is not None:
        if any(descending is not None for _, descending in second):
            raise _bad_order(
                "order", "VAL-003", "the direction appears in both `order` and `orderBy`; give it once", order
            )
        keys = [(field, direction) for field, _ in second]
    else:
        raise _bad_order("order", "VAL-003", "`order` and `orderBy` differ; send only one of them", order)
    return tuple(OrderKey(field, bool(descending)) for field, descending in keys)


def _order_keys(parameter: str, text: str, fields: Fields) -> list[tuple[Field, bool | None]]:
    """Fields with their directions, None if none is given."""
    if not text.strip():
        return []
    alone = _DIRECTIONS.get(text.strip().lower())
    if alone is not None:
        return [(fields.by_name["created_time"], alone)]
    keys: list[tuple[Field, bool | None]] = []
    for entry in text.split(","):
        words = entry.split()
        if not 1 <= len(words) <= 2:
            raise _bad_order(parameter, "VAL-003", "must be a list such as `name desc,created_time`", entry)
        try:
            field = fields.sortable(words[0])
        except UnknownField as wrong:
            raise _bad_order(parameter, "VAL-002", str(wrong), words[0]) from None
        if any(field is known for known, _ in keys):
            raise _bad_order(parameter, "VAL-003", f"names `{field.name}` twice", entry)
        descending = _DIRECTIONS.get(words[1].lower()) if len(words) == 2 else None
        if len(words) == 2 and descending is None:
            raise _bad_order(
                parameter, "VAL-002", f"the direction must be `asc` or `desc`, not {lexer.shown(words[1])}", entry
            )
        keys.append((field, descending))
    return keys


def _bad_order(parameter: str, code: str, message: str, value: str | None) -> InvalidInput:
    return InvalidInput(FieldError(code, parameter, message, value=value[:REPEATED] if value else UNSET))
