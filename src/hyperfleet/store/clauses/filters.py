"""Translates expression trees to SQL over the columns of `resources`.

The SQL is TRUE exactly when the tree is true. A missing value makes it NULL or FALSE, and only a negation must
distinguish these from TRUE. Positive terms stay plain, so that they match the indexes. Values, keys and paths are bound
and never part of the statement's text, except for a few known words (`Word`), such as the three statuses of a
condition. The SQL cannot fail on a row: JSON is compared only after a check of its type.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import repeat
from typing import Final, cast, get_args
from uuid import UUID

import msgspec

from hyperfleet.model import rendering
from hyperfleet.model.identifier import uuid
from hyperfleet.model.search.fields import Place
from hyperfleet.model.search.lexer import Number, Value
from hyperfleet.model.search.parser import Absence, And, Comparison, Expression, Match, Membership, Not, Or, Range
from hyperfleet.model.status.condition import ConditionStatus
from hyperfleet.store.statements import numbered

Atom = Comparison | Membership | Range | Match | Absence

INDEXED_CONDITION: Final = "Reconciled"
"""The condition type that has an expression index; the statement must have its name as a literal."""

_STATUSES: Final[tuple[Value, ...]] = get_args(ConditionStatus)

CONTAINED_AT_MOST: Final = 16
"""Up to this many values, a list is one containment for each, which the index answers; beyond, it is one comparison."""

_INT32: Final = range(-(2**31), 2**31)

_encode: Final = msgspec.json.Encoder().encode


class RefersTo(msgspec.Struct, frozen=True):
    """The resource has a reference of this type to the target."""

    type: str
    target: UUID


class Filter(msgspec.Struct, frozen=True):
    """A condition for the resources of a list, beyond its scope, and the request parameter that it comes from.

    `text` is the parameter's value in one spelling: page tokens are bound to it. `is_selective`: an index finds the few
    matching rows, whatever the other conditions are; any other filter is a search, which may read every row.
    """

    parameter: str
    term: Expression | RefersTo
    text: str
    is_selective: bool = False


class Word(str):
    """A literal in the statement: one of a few known words, never a caller's value.

    The best plan depends on how common the word is. With a parameter, the planner would make such a plan anew for each
    request, which can cost more than the page.
    """

    __slots__ = ()


class Parameters:
    """The values bound to a statement, in the order of their placeholders."""

    def __init__(self) -> None:
        self.values: list[object] = []

    def add(self, value: object, sql_type: str) -> str:
        """Binds a value; returns its placeholder with its type, such as `$3::text`."""
        self.values.append(value)
        return f"${len(self.values)}::{sql_type}"

    def bound(self, text: str, given: Mapping[str, object]) -> str:
        """Binds the values of a text with named parameters; returns the text with placeholders."""
        text, names = numbered(text, after=len(self.values))
        self.values += [given[name] for name in names]
        return text


def condition(expression: Expression | RefersTo, parameters: Parameters) -> str:
    """SQL that is TRUE exactly for the rows that match the expression; AND can join it without parentheses."""
    match expression:
        case And(terms):
            return " AND ".join(map(condition, terms, repeat(parameters))) or "true"
        case Or(terms):
            return f"({' OR '.join(map(condition, terms, repeat(parameters))) or 'false'})"
        case Not(term):
            return f"(({condition(term, parameters)}) IS NOT TRUE)"
        case RefersTo(type, target):
            return (
                "id IN (SELECT source_id FROM resource_references"
                f" WHERE target_id = {parameters.add(target, 'uuid')} AND ref_type = {parameters.add(type, 'text')})"
            )
        case _:
            return _WAYS[expression.field.field.place](expression, parameters)


@dataclass(frozen=True, slots=True)
class _Operand:
    """One side of a comparison: SQL for a field's value, NULL where there is none, and how to bind the other side."""

    sql: str
    bound: Callable[[tuple[Value, ...]], tuple[str, list[object]]]


def _plain(atom: Atom, operand: _Operand, parameters: Parameters) -> str:
    def bind(*values: Value) -> list[str]:
        sql_type, bound = operand.bound(values)
        return [parameters.add(value, sql_type) for value in bound]

    match atom:
        case Comparison(_, operator, Word() as word):
            return f"{operand.sql} {operator} {_literal(word)}"
        case Comparison(_, operator, value):
            return f"{operand.sql} {operator} {bind(value)[0]}"
        case Membership(_, values):
            sql_type, bound = operand.bound(values)
            return f"{operand.sql} = ANY ({parameters.add(bound, sql_type + '[]')})"
        case Range(_, low, high):
            least, most = bind(low, high)
            return f"{operand.sql} BETWEEN {least} AND {most}"
        case Match(_, pattern, ignore_case):
            return f"{operand.sql} {'ILIKE' if ignore_case else 'LIKE'} {parameters.add(pattern, 'text')}"
        case Absence():
            return f"{operand.sql} IS NULL"


def _literal(word: Word) -> str:
    return "'" + word.replace("'", "''") + "'"


def _texts(values: tuple[Value, ...]) -> tuple[str, list[object]]:
    return "text", list(values)


def _times(values: tuple[Value, ...]) -> tuple[str, list[object]]:
    return "timestamptz", list(values)


def _time_texts(values: tuple[Value, ...]) -> tuple[str, list[object]]:
    return "text", [rendering.timestamp(cast(datetime, value)) for value in values]


def _integers(values: tuple[Value, ...]) -> tuple[str, list[object]]:
    """Compares as integers where possible; as numeric with a fraction, or a number beyond the range of integers."""
    if all(type(value) is int and value in _INT32 for value in values):
        return "integer", list(values)
    return _numerics(values)


def _numerics(values: tuple[Value, ...]) -> tuple[str, list[object]]:
    return "numeric", [Decimal(cast(Number, value)) for value in values]


_BINDERS: Final = {"text": _texts, "integer": _integers, "time": _times}


def _in_column(atom: Atom, parameters: Parameters) -> str:
    field = atom.field.field
    if field.sql_type == "uuid":
        return _uuid(atom, parameters)
    return _plain(atom, _Operand(field.column, _BINDERS[field.type]), parameters)


def _uuid(atom: Atom, parameters: Parameters) -> str:
    """Ids are text to callers. Equality compares UUIDs; a text that is not a UUID equals none."""
    column = atom.field.field.column
    if isinstance(atom, Absence):
        return f"{column} IS NULL"
    if isinstance(atom, Membership) or (isinstance(atom, Comparison) and atom.operator == "="):
        values = atom.values if isinstance(atom, Membership) else (atom.value,)
        ids = [id for id in map(uuid, cast(tuple[str, ...], values)) if id is not None]
        if not ids:
            return "false"
        if len(ids) == 1:
            return f"{column} = {parameters.add(ids[0], 'uuid')}"
        return f"{column} = ANY ({parameters.add(ids, 'uuid[]')})"
    return _plain(atom, _Operand(f'({column}::text COLLATE "C")', _texts), parameters)


def _contained(column: str, key: str, values: tuple[Value, ...], parameters: Parameters) -> str:
    """Whether an object has one of the values under the key, in the form that a GIN index on the column answers."""
    terms = [f"{column} @> {parameters.add(_encode({key: value}), 'jsonb')}" for value in values]
    return terms[0] if len(terms) == 1 else f"({' OR '.join(terms)})"


def _equals(atom: Atom) -> tuple[Value, ...] | None:
    """The values of a term that is an equality or a short list, None for other terms."""
    if isinstance(atom, Comparison) and atom.operator == "=":
        return (atom.value,)
    if isinstance(atom, Membership) and len(atom.values) <= CONTAINED_AT_MOST:
        return tuple(dict.fromkeys(atom.values))
    return None


def _label(atom: Atom, parameters: Parameters) -> str:
    (key,) = atom.field.path
    values = _equals(atom)
    if values is not None:
        return _contained("labels", key, values, parameters)
    return _plain(atom, _Operand(f'((labels ->> {parameters.add(key, "text")}) COLLATE "C")', _texts), parameters)


def _condition_status(atom: Atom, parameters: Parameters) -> str:
    (type,) = atom.field.path
    values = _equals(atom)
    if type == INDEXED_CONDITION:
        sql = f"(condition_status ->> '{INDEXED_CONDITION}')"
        if values is not None and len(values) == 1 and values[0] in _STATUSES:
            return f"{sql} = {_literal(Word(values[0]))}"
        # Equality compares bytes in every collation; naming a collation would keep the index from being used.
        if values is None:
            sql = f'({sql} COLLATE "C")'
        return _plain(atom, _Operand(sql, _texts), parameters)
    if values is not None:
        return _contained("condition_status", type, values, parameters)
    sql = f'((condition_status ->> {parameters.add(type, "text")}) COLLATE "C")'
    return _plain(atom, _Operand(sql, _texts), parameters)


def _condition_detail(atom: Atom, parameters: Parameters) -> str:
    """Times in `conditions` are strings of one format and length, which sort chronologically."""
    (type,) = atom.field.path
    field = atom.field.field
    value = f"(conditions -> {parameters.add(type, 'text')} ->> '{field.member}')"
    if field.type == "integer":
        return _plain(atom, _Operand(f"{value}::numeric", _numerics), parameters)
    binder = _time_texts if field.type == "time" else _texts
    return _plain(atom, _Operand(f'({value} COLLATE "C")', binder), parameters)


def _spec(atom: Atom, parameters: Parameters) -> str:
    """Paths into spec go through objects only: one arrow for each member, since a path operator would index arrays."""
    found = "spec" + "".join(f" -> {parameters.add(part, 'text')}" for part in atom.field.path)
    match atom:
        case Comparison(_, "=", value):
            return f"({found}) = {parameters.add(_json(value), 'jsonb')}"
        case Membership(_, values):
            return f"({found}) = ANY ({parameters.add([_json(value) for value in values], 'jsonb[]')})"
        case Absence():
            return f"coalesce({found}, 'null') = 'null'"
        case Comparison(_, _, str()) | Range(_, str(), _) | Match():
            text = _Operand(f"((({found}) #>> '{{}}') COLLATE \"C\")", _texts)
            return f"(jsonb_typeof({found}) = 'string' AND {_plain(atom, text, parameters)})"
        case Comparison() | Range():
            number = _Operand(f"({found})", lambda values: ("jsonb", [_json(value) for value in values]))
            return f"(jsonb_typeof({found}) = 'number' AND {_plain(atom, number, parameters)})"


def _json(value: Value) -> bytes:
    """The value as JSON text; jsonb compares numbers as numeric, so nothing is rounded."""
    if isinstance(value, Decimal):
        return format(value, "f").encode()
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value).encode()
    return _encode(value)


_WAYS: Final[dict[Place, Callable[[Atom, Parameters], str]]] = {
    "column": _in_column,
    "label": _label,
    "spec": _spec,
    "condition": _condition_status,
    "detail": _condition_detail,
}
"""How to compare a value, by the place of its field; values in other places cannot be searched."""
