"""How many schemas apply to one value at most: what keeps a schema from making validation slow.

Alternatives that share a reference double the work with each level, so a small document can ask for 2^100 steps. The
number is bounded from above by the schema alone, level by level; values that are nested deeper than the level at which
it gets too large are refused, unless that level is so low that the schema is.
"""

from dataclasses import dataclass
from typing import Final

from hyperfleet.model.json_schema import DEEPEST, BadSchema, Component, Schema

BROADEST: Final = 2000
"""Schemas that may apply to one value."""

SHALLOWEST: Final = 16
"""The level that every schema must allow values to reach."""


@dataclass(slots=True)
class _Reach:
    """The schemas that apply to a value (`here`), and at most to one value below it: by member, to others, to items."""

    here: int
    members: dict[str, int]
    others: int = 0
    items: int = 0

    @property
    def most(self) -> int:
        return max(self.here, self.others, self.items, *self.members.values())

    def add(self, other: "_Reach") -> None:
        """Both apply."""
        names = {*self.members, *other.members}
        self.members = {
            name: self.members.get(name, self.others) + other.members.get(name, other.others) for name in names
        }
        self.here += other.here
        self.others += other.others
        self.items += other.items

    def cover(self, other: "_Reach") -> None:
        """One of both applies."""
        names = {*self.members, *other.members}
        self.members = {
            name: max(self.members.get(name, self.others), other.members.get(name, other.others)) for name in names
        }
        self.here = max(self.here, other.here)
        self.others = max(self.others, other.others)
        self.items = max(self.items, other.items)


def deepest(component: Component) -> int:
    """How deep a value may be nested, at most DEEPEST, for the work to stay bounded; raises BadSchema."""
    rounds = _Rounds(component)
    before: dict[int, int] = {}
    for depth in range(DEEPEST):
        now = rounds.next(before)
        if max(now.values()) > BROADEST:
            if depth < SHALLOWEST:
                raise BadSchema([f"More than {BROADEST} of its schemas apply to one value, {depth} levels deep."])
            return depth - 1
        if now == before:
            return DEEPEST
        before = now
    return DEEPEST


class _Rounds:
    """One level after the other: what applies that deep follows from what applies one level less deep."""

    def __init__(self, component: Component) -> None:
        self._component = component
        self._before: dict[int, int] = {}
        self._known: dict[int, _Reach] = {}
        self._open: list[Schema] = []

    def next(self, before: dict[int, int]) -> dict[int, int]:
        """For each schema, by identity, how many apply to one value at most, one level deeper than `before`."""
        self._before = before
        self._known = {}
        waiting: list[Schema] = [self._component.schema]
        seen: set[int] = set()
        while waiting:
            schema = waiting.pop()
            if id(schema) not in seen:
                seen.add(id(schema))
                self._reach(schema)
                waiting += _below(schema)
                waiting += self._in_place(schema)
        return {key: reach.most for key, reach in self._known.items()}

    def _in_place(self, schema: Schema) -> list[Schema]:
        parts = [part for keyword in ("allOf", "anyOf", "oneOf") for part in schema.get(keyword, ())]
        parts += [schema[keyword] for keyword in ("not", "if", "then", "else") if keyword in schema]
        if "$ref" in schema:
            parts.append(self._component.definition(schema))
        return parts

    def _reach(self, schema: Schema) -> _Reach:
        """What the schema and all that applies in the same place mean for a value; every schema is met once a round."""
        known = self._known.get(id(schema))
        if known is not None:
            return known
        if len(self._open) > DEEPEST or any(schema is each for each in self._open):
            raise BadSchema([self._endless(schema)])
        self._open.append(schema)
        reach = self._own(schema)
        choice: _Reach | None = None
        for part in self._in_place(schema):
            if "then" in part and choice is not None:
                choice.cover(self._reach(part))
            elif "then" in part:
                choice = _copy(self._reach(part))
            else:
                reach.add(self._reach(part))
        if choice is not None:
            reach.add(choice)
        self._open.pop()
        self._known[id(schema)] = reach
        return reach

    def _own(self, schema: Schema) -> _Reach:
        members = {name: self._count(each) for name, each in schema.get("properties", {}).items()}
        others = schema.get("additionalProperties")
        return _Reach(
            here=1,
            members=members,
            others=self._count(others) if isinstance(others, dict) else 0,
            items=self._count(schema["items"]) if "items" in schema else 0,
        )

    def _count(self, schema: Schema) -> int:
        return self._before.get(id(schema), 1)

    def _endless(self, schema: Schema) -> str:
        place = next((self._component.place(each) for each in reversed(self._open) if "$ref" in each), "")
        if any(schema is each for each in self._open):
            return f"{place} refers to itself with no member or item between, so no value could ever be checked."
        return f"{place}: more than {DEEPEST} schemas stand one in the other for the same value."


def _below(schema: Schema) -> list[Schema]:
    parts = list(schema.get("properties", {}).values())
    return parts + [schema[name] for name in ("items", "additionalProperties") if isinstance(schema.get(name), dict)]


def _copy(reach: _Reach) -> _Reach:
    return _Reach(reach.here, dict(reach.members), reach.others, reach.items)
