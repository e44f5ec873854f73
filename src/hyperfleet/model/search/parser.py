"""Parses search text into an expression tree: the grammar of the search language, and the check of values by field.

    any         = all { "or" all }
    all         = term { "and" term }
    term        = { "not" } ( "(" any ")" | comparison )
    comparison  = name ( sign value | ["not"] "in" list | ["not"] ("like" | "ilike") text
                       | ["not"] "between" value "and" value | "is" ["not"] "null" )
    list        = "(" value { "," value } ")" | "[" value { "," value } "]"

A comparison is true or false, never unknown (contract: Search), so `!=`, `not in` and the like are negations of the
positive form and have no nodes of their own. Every value in a tree has the type of its field, so every tree is valid.
"""

from datetime import datetime
from decimal import Decimal
from typing import Final, Literal, NoReturn, cast

import msgspec

from hyperfleet.errors import BadSearch
from hyperfleet.model.search import fields, lexer
from hyperfleet.model.search.lexer import Misread, Token, Value, literal, shown
from hyperfleet.model.search.vocabulary import ANYTHING, Vocabulary, fault_of_value

Operator = Literal["=", "<", "<=", ">", ">="]

LONGEST: Final = 4096
NESTED: Final = 100
LISTED: Final = 1000


class FieldRef(msgspec.Struct, frozen=True):
    """A field of a resource; `path` fills the placeholders of its name: a label's key, a path in spec, a type."""

    field: fields.Field
    path: tuple[str, ...] = ()


class And(msgspec.Struct, frozen=True):
    """All terms are true, or there are none."""

    terms: "tuple[Expression, ...]"


class Or(msgspec.Struct, frozen=True):
    """At least one term is true."""

    terms: "tuple[Expression, ...]"


class Not(msgspec.Struct, frozen=True):
    """The term is not true, for example because the resource lacks the field."""

    term: "Expression"


class Comparison(msgspec.Struct, frozen=True):
    """The field's value has this relation to `value`."""

    field: FieldRef
    operator: Operator
    value: Value


class Membership(msgspec.Struct, frozen=True):
    """The field's value is one of `values`."""

    field: FieldRef
    values: tuple[Value, ...]


class Range(msgspec.Struct, frozen=True):
    """The field's value is at least `low` and at most `high`."""

    field: FieldRef
    low: Value
    high: Value


class Match(msgspec.Struct, frozen=True):
    r"""The whole text matches `pattern`: `%` is any text, `_` is one character, `\` makes the next character literal.

    `ignore_case` affects only the letters a to z, so that results do not depend on the database's locale.
    """

    field: FieldRef
    pattern: str
    ignore_case: bool = False


class Absence(msgspec.Struct, frozen=True):
    """The resource has no such value; a JSON null counts as absent."""

    field: FieldRef


Expression = And | Or | Not | Comparison | Membership | Range | Match | Absence


def parse(text: str, vocabulary: Vocabulary = ANYTHING) -> Expression:
    """The tree of a search text; raises BadSearch with the position, from 1, and what is allowed there.

    `vocabulary` has the words for searches of this list.
    """
    if len(text) > LONGEST:
        raise BadSearch(
            f"A search is limited to {LONGEST} characters; this search has {len(text)}.", position=LONGEST + 1
        )
    try:
        return _Parser(text, vocabulary).whole()
    except Misread as wrong:
        raise BadSearch(f"At position {wrong.position}: {wrong.message}.", position=wrong.position) from None


_SIGNS: Final = ("=", "!=", "<", "<=", ">", ">=")
OPERATORS: Final[dict[fields.Type, tuple[str, ...]]] = {
    "text": (*_SIGNS, "in", "like", "ilike", "between", "is null"),
    "integer": (*_SIGNS, "in", "between", "is null"),
    "time": (*_SIGNS, "in", "between", "is null"),
    "any": (*_SIGNS, "in", "like", "ilike", "between", "is null"),
}
"""The operators for each type of field; the words also have a form with `not`."""

_NO_ORDER: Final = "true and false have no order; compare them with = or !="
_LONE_BACKSLASH: Final = "the pattern ends with a single backslash; write a literal backslash as `\\\\\\\\`"
_NO_PATTERN: Final = "`\\%` and `\\_` are allowed only in patterns of `like`; elsewhere write % and _"
_MIRRORED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_VALUES: Final = frozenset({"text", "pattern", "number", "time", "boolean"})
_ADVICE: Final = {
    "text": "is text: expected a value in quotes",
    "integer": "is a whole number: expected digits without quotes, such as 3",
    "time": "is a time: expected 2026-01-31T12:00:00Z, or a date such as 2026-01-31 (its first moment)",
    "any": "expects text in quotes, a number, true or false",
}


class _Parser:
    def __init__(self, text: str, vocabulary: Vocabulary) -> None:
        self._text = text
        self._vocabulary = vocabulary
        self._tokens = lexer.tokens(text)
        self._next = 0

    def whole(self) -> Expression:
        tree = self._any(0)
        token = self._tokens[self._next]
        if token.kind == ")":
            raise Misread(token.start + 1, "unmatched `)`; expected `and`, `or` or the end")
        if token.kind != "end":
            self._unexpected("`and`, `or` or the end")
        return tree

    def _any(self, depth: int) -> Expression:
        """Recurses once for each parenthesis and never for a term, so that long chains use no stack."""
        alternatives: list[Expression] = []
        while True:
            terms = [self._term(depth)]
            while self._take("and"):
                terms.append(self._term(depth))
            alternatives.append(terms[0] if len(terms) == 1 else And(tuple(terms)))
            if not self._take("or"):
                return alternatives[0] if len(alternatives) == 1 else Or(tuple(alternatives))

    def _term(self, depth: int) -> Expression:
        negations = 0
        while self._take("not"):
            negations += 1
            self._check_depth(depth + negations)
        token = self._tokens[self._next]
        if token.kind == "name":
            tree = self._comparison()
        elif self._take("("):
            self._check_depth(depth + negations + 1)
            tree = self._any(depth + negations + 1)
            if not self._take(")"):
                self._unexpected(f"`and`, `or` or the `)` for the `(` at position {token.start + 1}")
        else:
            self._no_term(token)
        for _ in range(negations):
            tree = Not(tree)
        return tree

    def _comparison(self) -> Expression:
        name = self._advance()
        try:
            ref = FieldRef(*self._vocabulary.fields.searchable(cast(tuple[str, ...], name.value)))
        except fields.UnknownField as wrong:
            raise Misread(name.start + 1, str(wrong)) from None
        if ref.field.names_condition and self._vocabulary is not ANYTHING:
            fault = self._vocabulary.fault_of_condition(ref.path[0])
            if fault is not None:
                raise Misread(name.start + 1, fault)
        token = self._advance()
        if token.kind == "sign":
            return self._relation(ref, token)
        negated = token.kind == "not"
        if negated:
            token = self._advance()
        if token.kind == "in":
            tree: Expression = Membership(ref, self._list(ref))
        elif token.kind in ("like", "ilike"):
            tree = Match(ref, self._pattern(ref, token), token.kind == "ilike")
        elif token.kind == "between":
            tree = self._range(ref, token)
        elif token.kind == "is" and not negated:
            negated = self._take("not")
            if not self._take("null"):
                self._unexpected("`null`" if negated else "`null` or `not null`")
            tree = Absence(ref)
        else:
            self._next -= 1
            self._unexpected("in, like, ilike or between" if negated else f"an operator ({_operators(ref)})")
        return Not(tree) if negated else tree

    def _relation(self, ref: FieldRef, sign: Token) -> Expression:
        if self._tokens[self._next].kind == "null":
            form = "is not null" if sign.value == "!=" else "is null"
            raise Misread(sign.start + 1, f"use {_called(ref, form)} to search for absent values")
        value = self._choice(ref) if sign.value in ("=", "!=") else self._value(ref)
        if sign.value == "!=":
            return Not(Comparison(ref, "=", value))
        if isinstance(value, bool) and sign.value != "=":
            raise Misread(sign.start + 1, _NO_ORDER)
        return Comparison(ref, cast(Operator, sign.value), value)

    def _range(self, ref: FieldRef, between: Token) -> Range:
        low = self._value(ref)
        if not self._take("and"):
            self._unexpected("`and` with the upper value of `between`")
        upper = self._tokens[self._next]
        high = self._value(ref)
        if isinstance(low, bool) or isinstance(high, bool):
            raise Misread(between.start + 1, _NO_ORDER)
        if isinstance(low, str) != isinstance(high, str):
            raise Misread(upper.start + 1, "both values of `between` must have the same type: text or numbers")
        return Range(ref, low, high)

    def _list(self, ref: FieldRef) -> tuple[Value, ...]:
        opening = self._advance()
        if opening.kind not in ("(", "["):
            self._next -= 1
            self._unexpected("a list such as ('a', 'b') or ['a', 'b']")
        closing = ")" if opening.kind == "(" else "]"
        if self._tokens[self._next].kind == closing:
            raise Misread(opening.start + 1, "a list must have at least one value")
        values = [self._choice(ref)]
        while self._take(","):
            values.append(self._choice(ref))
        if not self._take(closing):
            self._unexpected(f"`,` or the `{closing}` of the list")
        if len(values) > LISTED:
            raise Misread(opening.start + 1, f"a list is limited to {LISTED} values")
        return tuple(values)

    def _pattern(self, ref: FieldRef, like: Token) -> str:
        if ref.field.type not in ("text", "any"):
            raise Misread(like.start + 1, f"`{like.kind}` works only on text; {_called(ref)} {_ADVICE[ref.field.type]}")
        token = self._advance()
        if token.kind not in ("text", "pattern"):
            self._next -= 1
            self._unexpected("a pattern in quotes", "; % matches any text and _ one character")
        pattern = cast(str, token.value)
        if (len(pattern) - len(pattern.rstrip("\\"))) % 2:
            raise Misread(token.start + 1, _LONE_BACKSLASH)
        return pattern

    def _choice(self, ref: FieldRef) -> Value:
        """The next value, which must be one that the field can have."""
        start = self._tokens[self._next].start
        value = self._value(ref)
        choices = self._vocabulary.choices(ref.field)
        if choices and value not in choices:
            raise Misread(start + 1, fault_of_value(_called(ref), choices, str(value)))
        return value

    def _value(self, ref: FieldRef) -> Value:
        """The next value, which must have the type of the field."""
        token = self._advance()
        kind, type, value = token.kind, ref.field.type, token.value
        if kind == "text":
            if type in ("text", "any"):
                return cast(str, value)
            if type == "time":
                try:
                    return lexer.time(cast(str, value))
                except ValueError as wrong:
                    raise Misread(token.start + 1, f"{_called(ref)} is a time; {wrong}") from None
        elif kind == "number" and type in ("integer", "any"):
            return cast(int | Decimal, value)
        elif (kind == "time" and type == "time") or (kind == "boolean" and type == "any"):
            return cast(datetime | bool, value)
        elif kind == "pattern":
            raise Misread(token.start + 1, _NO_PATTERN)
        elif kind not in _VALUES:
            self._next -= 1
            self._no_value(ref, token)
        raise Misread(token.start + 1, f"{_called(ref)} {_ADVICE[type]}, {self._instead(ref.field, token)}")

    def _no_value(self, ref: FieldRef, token: Token) -> NoReturn:
        if token.kind == "name" and ref.field.type in ("text", "any"):
            self._unexpected("a value", f"; put text in quotes: '{shown(self._source(token))[1:-1]}'")
        if token.kind in ("(", "["):
            self._unexpected("one value", "; use `in` for a list")
        if token.kind == "null":
            self._unexpected("a value", f"; use {_called(ref, 'is null')} to find what is absent")
        self._unexpected("a value", f"; {_called(ref)} {_ADVICE[ref.field.type]}")

    def _no_term(self, token: Token) -> NoReturn:
        if token.kind in _VALUES:
            sign, name = self._tokens[self._next + 1], self._tokens[min(self._next + 2, len(self._tokens) - 1)]
            if sign.kind == "sign" and name.kind == "name":
                turned = f"{self._source(name)} {_MIRRORED.get(str(sign.value), sign.value)} {self._source(token)}"
                raise Misread(token.start + 1, f"a comparison must start with its field: write {shown(turned)}")
        self._unexpected("a field name, `not` or `(`")

    def _instead(self, field: fields.Field, token: Token) -> str:
        """What was found, and how to write it for this field if that is clear."""
        found = f"not {self._shown(token)}"
        if field.type == "text" or (field.type == "any" and token.kind == "time"):
            is_status = field.place == "condition" and token.kind == "boolean"
            written = str(token.value) if is_status else self._source(token)
            return f"{found}: write '{shown(written)[1:-1]}'"
        if field.type == "integer" and token.kind == "text" and str(token.value).isdecimal():
            return f"{found}: write {shown(str(token.value))[1:-1]}"
        return found

    def _take(self, kind: str) -> bool:
        if self._tokens[self._next].kind != kind:
            return False
        self._next += 1
        return True

    def _advance(self) -> Token:
        token = self._tokens[self._next]
        self._next += 1
        return token

    def _check_depth(self, depth: int) -> None:
        if depth > NESTED:
            start = self._tokens[self._next - 1].start
            raise Misread(start + 1, f"parentheses and `not` are limited to {NESTED} levels")

    def _unexpected(self, expected: str, advice: str = "") -> NoReturn:
        token = self._tokens[self._next]
        found = "the end of the search" if token.kind == "end" else self._shown(token)
        raise Misread(token.start + 1, f"expected {expected}, not {found}{advice}")

    def _source(self, token: Token) -> str:
        return self._text[token.start : token.end]

    def _shown(self, token: Token) -> str:
        return shown(self._source(token))


def _operators(ref: FieldRef) -> str:
    return ", ".join(OPERATORS[ref.field.type]) + ", or one of the words with `not`"


def _called(ref: FieldRef, more: str = "") -> str:
    """The field's name, and perhaps `more` after it, for a message; escaped, because its path is the caller's text."""
    return shown(f"{field_name(ref)} {more}".rstrip())


def field_name(ref: FieldRef) -> str:
    """The field's name with its placeholders filled in; parts that would be misread are put in brackets."""
    if not ref.path:
        return ref.field.name
    before, _, after = ref.field.name.partition(".<")
    in_part = lexer.LABEL_KEY if before == "labels" else lexer.NAME_PART
    for part in ref.path:
        before += f".{part}" if in_part.fullmatch(part) else f"[{literal(part)}]"
    return before + after.partition(">")[2]
