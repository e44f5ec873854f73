"""Expression trees as search text again: the way back of the parser, which the service does not need."""

from itertools import repeat

from hyperfleet.model.search.lexer import literal
from hyperfleet.model.search.parser import (
    Absence,
    And,
    Comparison,
    Expression,
    Match,
    Membership,
    Not,
    Or,
    Range,
    field_name,
)


def text(expression: Expression) -> str:
    """The expression as search text; `parse` gives the same tree again, unless the text is over its limits."""
    return _written(expression, ())


def _written(expression: Expression, loose: tuple[type, ...]) -> str:
    """The text, in parentheses when its kind is one of `loose`; one frame a level, so that deep trees have room."""
    match expression:
        case And(terms):
            written = " and ".join(map(_written, terms, repeat((And, Or))))
        case Or(terms):
            written = " or ".join(map(_written, terms, repeat((Or,))))
        case Not(Comparison(ref, "=", value)):
            written = f"{field_name(ref)} != {literal(value)}"
        case Not(Membership() | Range() | Match() | Absence() as term):
            written = _positive(term, "not ")
        case Not(term):
            written = "not " + _written(term, (And, Or))
        case _:
            written = _positive(expression, "")
    return f"({written})" if isinstance(expression, loose) else written


def _positive(term: Comparison | Membership | Range | Match | Absence, negation: str) -> str:
    called = field_name(term.field)
    match term:
        case Comparison(_, operator, value):
            return f"{called} {operator} {literal(value)}"
        case Membership(_, values):
            return f"{called} {negation}in ({', '.join(map(literal, values))})"
        case Range(_, low, high):
            return f"{called} {negation}between {literal(low)} and {literal(high)}"
        case Match(_, pattern, ignore_case):
            return f"{called} {negation}{'ilike' if ignore_case else 'like'} {literal(pattern)}"
        case Absence():
            return f"{called} is {negation}null"
