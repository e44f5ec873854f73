"""An upper bound on the cost of an expression, in steps, from its text and the size of the input.

One step takes about a nanosecond, and at most a byte of memory. An evaluation with a low bound runs in the worker; an
expensive one runs where it can be stopped (services/confining.py).
"""

import re
from typing import Final, NamedTuple

MOST_ITERATIONS: Final = 10_000
"""The most iterations of all macros of one evaluation together; the library ends the evaluation there."""

_TOKEN: Final = re.compile(
    r"//[^\n]*|[rRbB]{0,2}(?:'''|\"\"\"|'|\")|[A-Za-z_][A-Za-z0-9_]*|[0-9][0-9A-Za-z.]*|==|!=|<=|>=|&&|\|\||\S"
)
_LOOPS: Final = frozenset({"all", "exists", "exists_one", "existsOne", "map", "filter"})
_COLLECTING: Final = frozenset({"map", "filter"})
_COMPARISONS: Final = frozenset({"==", "!=", "<", "<=", ">", ">="})
_BINDERS: Final = frozenset({"optMap", "optFlatMap"})
_CHEAP_CALLS: Final = _BINDERS | {"has", "or", "orValue", "hasValue", "value"}
_LITERAL: Final = "'"
_CONSTANTS: Final = frozenset({_LITERAL, "true", "false", "null"})
_TOKEN_STEPS: Final = 15
_ELEMENT_STEPS: Final = 16
_CALLBACK_STEPS: Final = 8
_PATTERN_STEPS: Final = 20_000
_COUNTED_PATTERN_STEPS: Final = 1_000_000
_UNKNOWN_PATTERN: Final = 1_000_000
_MOST_DOUBLINGS: Final = 40


class Workload(NamedTuple):
    """The parts of an expression that determine its cost: tokens, loops, and operations that read or copy whole values.

    An expression that binds values to names (`binds`) may build a larger value from each, and bind that in turn.
    """

    tokens: int
    loops: int
    maps: int
    binds: bool
    collecting: int
    looking: int
    callbacks: int
    copying: int
    patterns: int

    def steps(self, size: int, largest: int) -> int:
        """The most steps on values of `size` bytes, whose largest list or map has `largest` members."""
        doublings = min(self.copying, _MOST_DOUBLINGS)
        growth = 1 if not doublings else 1 << doublings if self.binds else doublings + 1
        members = max(largest, self.tokens) * growth
        iterations = min(MOST_ITERATIONS, members**self.loops) if self.loops else 1
        # One `map` may repeat its whole list for each member, the next one all of that, and so on, in few iterations.
        held: int = min(members**self.maps // MOST_ITERATIONS, 1 << _MOST_DOUBLINGS)
        touched = size * growth * max(held, 1)
        each = (
            self.tokens * _TOKEN_STEPS
            + (self.looking + _CALLBACK_STEPS * self.callbacks) * touched
            + self.collecting * _ELEMENT_STEPS * min(members, MOST_ITERATIONS)
            + self.patterns
        )
        return iterations * each


def workload(text: str) -> Workload:
    """The workload of an expression, which must compile."""
    tokens, literals = _tokens(text)
    calls = [
        token for token, after in zip(tokens, [*tokens[1:], ""], strict=True) if after == "(" and token.isidentifier()
    ]
    callbacks = sum(call in ("dig", "toJson") for call in calls)
    loops = sum(call in _LOOPS for call in calls)
    known = _LOOPS | _CHEAP_CALLS | {"dig", "toJson", "matches"}
    comparisons = sum(
        token in _COMPARISONS and not _CONSTANTS & {before, after} and not (before[:1].isdigit() or after[:1].isdigit())
        for before, token, after in zip(["", *tokens], tokens, [*tokens[1:], ""], strict=False)
    )
    return Workload(
        tokens=len(tokens),
        loops=loops,
        maps=calls.count("map"),
        binds=bool(loops) or not _BINDERS.isdisjoint(calls),
        collecting=sum(call in _COLLECTING for call in calls),
        looking=comparisons + tokens.count("in") + tokens.count("+") + sum(call not in known for call in calls),
        callbacks=callbacks,
        # Each `toJson` after the first may double a text, because it escapes the escapes again.
        copying=tokens.count("+") + max(0, calls.count("toJson") - 1) + _repeats(tokens),
        patterns=sum(_pattern(tokens, literals, at) for at, token in enumerate(tokens) if token == "matches"),
    )


def _repeats(tokens: list[str]) -> int:
    """How often a list or map may repeat a value, as `[v, v]` does: the value is not copied, but read twice."""
    repeats = 0
    open: list[str] = []
    for token, after in zip(tokens, [*tokens[1:], ""], strict=True):
        if token in ("(", "[", "{"):
            open.append(token)
        elif token in (")", "]", "}") and open:
            open.pop()
        elif token == "," and open and open[-1] != "(":
            repeats += open[-1] == "{" or not (after in _CONSTANTS or after[:1].isdigit())
    return repeats


def _pattern(tokens: list[str], literals: dict[int, str], at: int) -> int:
    """The steps of a match, which compiles its pattern each time. A pattern that is not a literal may be anything."""
    if tokens[at + 1 : at + 4] != ["(", _LITERAL, ")"]:
        return _UNKNOWN_PATTERN * MOST_ITERATIONS
    text = literals[at + 2]
    return len(text) * (_COUNTED_PATTERN_STEPS if "{" in text else _PATTERN_STEPS)


def _tokens(text: str) -> tuple[list[str], dict[int, str]]:
    """The tokens, with each string literal as a single quote, and the literals by position."""
    tokens: list[str] = []
    literals: dict[int, str] = {}
    at = 0
    while (found := _TOKEN.search(text, at)) is not None:
        token, at = found[0], found.end()
        if token.startswith("//"):
            continue
        if token[-1] in "'\"":
            quote = token.lstrip("rRbB")
            end = _end(text, at, quote, is_raw="r" in token.lower())
            literals[len(tokens)] = text[at:end]
            token, at = _LITERAL, end + len(quote)
        tokens.append(token)
    return tokens, literals


def _end(text: str, at: int, quote: str, *, is_raw: bool) -> int:
    while at < len(text) and not text.startswith(quote, at):
        at += 2 if text[at] == "\\" and not is_raw else 1
    return min(at, len(text))
