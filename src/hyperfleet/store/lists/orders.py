"""The order of a list in SQL: its sort keys with their directions, and the rows after the last row of a page."""

from collections.abc import Sequence
from typing import Final

from hyperfleet.model.search.fields import FIELDS
from hyperfleet.model.search.order import OrderKey
from hyperfleet.store.clauses.filters import Parameters
from hyperfleet.store.lists.page_tokens import Key

_ID: Final = FIELDS.by_name["id"]
NEWEST_FIRST: Final = (OrderKey(FIELDS.by_name["created_time"], descending=True),)


def completed(order: tuple[OrderKey, ...]) -> tuple[OrderKey, ...]:
    """The order with `id` as its last key, so that no two rows compare equal; it drops keys after `id`."""
    for position, key in enumerate(order):
        if key.field.column == "id":
            return order[: position + 1]
    return (*order, OrderKey(_ID, descending=order[0].descending))


def order_by(order: Sequence[OrderKey]) -> str:
    """The keys of an ORDER BY on the table's own columns."""
    return ", ".join(direction(key.field.column, key) for key in order)


def direction(column: str, key: OrderKey) -> str:
    """A column with the direction of a key."""
    way = " DESC" if key.descending else ""
    return f"{column}{way} NULLS LAST" if key.field.is_nullable else f"{column}{way}"


def after(order: Sequence[OrderKey], values: Sequence[Key], parameters: Parameters) -> str:
    """The condition for the rows after the row with these sort keys."""
    keys = [(key, value) for key, value in zip(order, values, strict=True)]
    bound = [None if value is None else parameters.add(value, key.field.sql_type) for key, value in keys]
    directions = {key.descending for key, _ in keys}
    if len(directions) == 1 and not any(key.field.is_nullable for key, _ in keys):
        columns = ", ".join(key.field.column for key, _ in keys)
        sign = "<" if directions.pop() else ">"
        return f"({columns}) {sign} ({', '.join(str(name) for name in bound)})"
    alternatives = []
    for position, (key, name) in enumerate(zip(order, bound, strict=True)):
        if name is None:
            # NULL sorts last: only the keys after this one can distinguish such rows.
            continue
        terms = [_equal(earlier, same) for earlier, same in zip(order[:position], bound[:position], strict=True)]
        beyond = f"{key.field.column} {'<' if key.descending else '>'} {name}"
        if key.field.is_nullable:
            beyond = f"({beyond} OR {key.field.column} IS NULL)"
        alternatives.append(" AND ".join([*terms, beyond]))
    return "(" + " OR ".join(f"({alternative})" for alternative in alternatives) + ")"


def _equal(key: OrderKey, name: str | None) -> str:
    return f"{key.field.column} IS NULL" if name is None else f"{key.field.column} = {name}"
