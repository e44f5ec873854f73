"""An upper bound on the cost of a schema's pattern, computed from its text before any value is matched.

The engine's time is linear in the text, times the number of states that are alive at once. Counted repetitions multiply
states: `([a-z]{1,500}){1,8}x` has 4,001, and each of them may be alive at each character.
"""

import re
from typing import Final, NamedTuple

from hyperfleet.model.schemas.json_schema import is_pattern

LONGEST_TEXT: Final = 1 << 20
"""The most characters of a text in a body within the default limit."""

MOST_STEPS: Final = 200_000_000
"""The most states times characters for a pattern; a processor does some ten million of these a second."""

MODEST: Final = 64 << 10
"""Compiled bytes up to which the engine takes at most one step for each character, however many states there are."""

_ENDLESS: Final = 1 << 40
_TOKEN: Final = re.compile(
    r"\\[pP](?:\{[^}]*\}|.)|\\[xuU]\{[^}]*\}|\\x..|\\u[0-9A-Fa-f]{4}|\\c.|\\[bBAzZ]|\\.|\(\?[a-zA-Z-]*\)|\(\?P?<[^>]*>|"
    r"\(\?[a-zA-Z-]*:|[*+?]\??|\{[0-9]*(?:,[0-9]*)?\}\??|[()|^$\[]|.",
    re.DOTALL,
)
_COUNTS: Final = re.compile(r"\{([0-9]*)(,?)([0-9]*)\}")
_NOTHING_TAKEN: Final = frozenset({r"\b", r"\B"})


class _Part(NamedTuple):
    """A part's states, its longest match, how many lengths its matches may have, and the states alive for one start.

    `fewest` are its states if it is repeated only as often as it must be.
    """

    states: int = 0
    longest: int = 0
    lengths: int = 1
    alive: int = 0
    fewest: int = 0

    def then(self, other: "_Part") -> "_Part":
        longest = min(self.longest + other.longest, _ENDLESS)
        alive = self.alive + min(other.states, self.lengths * other.alive)
        return _Part(
            self.states + other.states,
            longest,
            min(self.lengths * other.lengths, longest + 1),
            alive,
            self.fewest + other.fewest,
        )

    def either(self, other: "_Part") -> "_Part":
        return _Part(
            *(mine + its if at != 1 else max(mine, its) for at, (mine, its) in enumerate(zip(self, other, strict=True)))
        )

    def repeated(self, least: int, most: int) -> "_Part":
        states = self.states * max(1, least if most == _ENDLESS else most)
        longest, fewest = min(self.longest * most, _ENDLESS), self.states * least
        if self.lengths == 1:
            return _Part(states, longest, min(most - least + 1, longest + 1), self.alive, fewest)
        return _Part(states, longest, longest + 1, states, fewest)


_CHARACTER: Final = _Part(1, 1, 1, 1, 1)
_TEXT_ENDS: Final = _Part()


class _Group(NamedTuple):
    """An open group: its finished alternatives, and the parts of the one that is being read."""

    alternatives: list[list[_Part | None]]


def steps(pattern: str, longest: int = LONGEST_TEXT) -> int:
    """The most steps to match a text of `longest` characters; the pattern must compile."""
    return sum(_cost(parts, longest) for parts in _alternatives(pattern))


def states(pattern: str) -> int:
    """The most states that may be alive at once."""
    return sum(part.states for parts in _alternatives(pattern) for part in parts if part is not None)


def refusal(pattern: str, longest: int | None) -> str | None:
    """Why a pattern with `maxLength: longest` costs too much, and what to write instead; None if it does not."""
    text = LONGEST_TEXT if longest is None else min(longest, LONGEST_TEXT)
    if steps(pattern, text) <= MOST_STEPS or is_pattern(pattern, MODEST):
        return None
    fitting = max(MOST_STEPS // max(states(pattern), 1), 1)
    anchor = "" if pattern.startswith("^") else "start it with `^`, "
    cure = f"{anchor}use fewer repetitions, or set `maxLength`, to at most {fitting}"
    return f"could take minutes to match a long string: {cure}"


def _cost(parts: list[_Part | None], longest: int) -> int:
    if not parts or parts[0] is not None:
        # A match may begin anywhere, so all states may be alive; the first match, the shortest, is enough.
        whole = sum(part.states for part in parts if part is not None)
        return (whole - (parts[-1].states - parts[-1].fewest if parts and parts[-1] is not None else 0)) * longest
    total, before = 0, _Part()
    for part in parts:
        if part is not None:
            alive = min(part.states, before.lengths * part.alive)
            total += alive * min(longest, before.longest + part.longest)
            before = before.then(part)
    return total


def _alternatives(pattern: str) -> list[list[_Part | None]]:
    """The parts of each alternative, in order; None for an anchor at the start of the text."""
    open: list[list[list[_Part | None]]] = [[[]]]
    at = 0
    while at < len(pattern):
        found = _TOKEN.match(pattern, at)
        assert found is not None
        token, at = found[0], found.end()
        here = open[-1][-1]
        if token == "[":
            at = _class_end(pattern, at)
            here.append(_CHARACTER)
        elif token == ")" and len(open) > 1:
            closed = open.pop()
            open[-1][-1].append(_together(closed))
        elif token.startswith("(") and not token.endswith(")"):
            open.append([[]])
        elif token == "|":
            open[-1].append([])
        elif token in ("^", r"\A"):
            here.append(None)
        elif token in ("$", r"\z", r"\Z"):
            here.append(_TEXT_ENDS)
        elif (counts := _counts(token)) is not None and here:
            last = here.pop()
            here.append(None if last is None else last.repeated(*counts))
        elif token not in _NOTHING_TAKEN and not token.startswith("(?"):
            here.append(_CHARACTER)
    while len(open) > 1:
        closed = open.pop()
        open[-1][-1].append(_together(closed))
    return open[0]


def _together(alternatives: list[list[_Part | None]]) -> _Part:
    whole: _Part | None = None
    for parts in alternatives:
        row = _Part()
        for part in parts:
            row = row.then(part or _Part())
        whole = row if whole is None else whole.either(row)
    return whole or _Part()


def _counts(token: str) -> tuple[int, int] | None:
    """The least and the most repetitions of a quantifier; None for any other token."""
    if token[0] in "*+?":
        return {"*": (0, _ENDLESS), "+": (1, _ENDLESS), "?": (0, 1)}[token[0]]
    found = _COUNTS.match(token)
    if found is None or not (found[1] or found[3]):
        return None
    least = int(found[1] or 0)
    if not found[2]:
        return least, least
    return least, int(found[3]) if found[3] else _ENDLESS


def _class_end(pattern: str, at: int) -> int:
    """The end of the character class whose `[` is just before `at`; classes may be nested."""
    depth = 1
    if pattern[at : at + 1] == "^":
        at += 1
    if pattern[at : at + 1] == "]":
        at += 1
    while at < len(pattern) and depth:
        if pattern[at] == "\\":
            at += 1
        elif pattern[at] == "[":
            depth += 1
        elif pattern[at] == "]":
            depth -= 1
        at += 1
    return at
