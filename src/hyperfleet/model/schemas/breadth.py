"""An upper bound on how many schemas apply to one value, so that no schema makes validation slow.

Alternatives that share a reference double the work with each level, so a small document can require 2^100 steps. The
bound is computed from the schema alone, level by level. Values nested deeper than the level where the bound becomes too
large are rejected. If that level is too low to be useful, the schema itself is rejected.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from hyperfleet.model.schemas import pattern
from hyperfleet.model.schemas.json_schema import DEEPEST, BadSchema, Component, Schema

BROADEST: Final = 2000
"""The most schemas that may apply to one value."""

SHALLOWEST: Final = 6
"""The depth of values that every schema must allow."""

_MOST_ONCE: Final = 100
_ROUNDS: Final = 8
_DIVISION_STEPS: Final = 200


class _Count(NamedTuple):
    """How many schemas apply. The components named in `once` apply in addition, each a single time."""

    number: int = 0
    once: frozenset[str] = frozenset()

    def with_other(self, other: "_Count") -> "_Count":
        """The count if both apply."""
        return _Count(self.number + other.number, self.once | other.once)

    def or_other(self, other: "_Count") -> "_Count":
        """A bound on the count if one of the two applies: the larger number."""
        return _Count(max(self.number, other.number), self.once | other.once)


_NONE: Final = _Count()


class _Reach(NamedTuple):
    """The schemas that apply to a value (`here`), and at most to one value below: by member, other members, items."""

    here: _Count
    members: dict[str, _Count]
    others: _Count = _NONE
    items: _Count = _NONE

    def joined(self, other: "_Reach", *, both: bool) -> "_Reach":
        """The reach if both apply, or only one of the two."""
        join = _Count.with_other if both else _Count.or_other
        members = {
            name: join(self.members.get(name, self.others), other.members.get(name, other.others))
            for name in {**self.members, **other.members}
        }
        return _Reach(
            join(self.here, other.here), members, join(self.others, other.others), join(self.items, other.items)
        )

    def most(self) -> _Count:
        """A bound on what applies at this level or the next."""
        most = self.here
        for count in (self.others, self.items, *self.members.values()):
            most = most.or_other(count)
        return most


def deepest(component: Component) -> int:
    """How deep a value may be nested while the work stays bounded, at most DEEPEST; raises BadSchema."""
    rounds = _Rounds(component)
    for depth in range(DEEPEST):
        before = rounds.before
        if rounds.next() > BROADEST:
            if depth < SHALLOWEST:
                raise BadSchema(
                    [f"More than {BROADEST} schemas apply to a single value, {depth} levels deep; simplify the schema."]
                )
            return depth - 1
        if rounds.before == before:
            return DEEPEST
    return DEEPEST


def steps_per_byte(component: Component, most: int) -> int:
    """The most validation steps for each byte of a value: the schemas that apply, and the steps of each.

    The count stops at `most`, and covers only values that are no deeper than `deepest` allows.
    """
    rounds = _Rounds(component, _steps)
    found = 0
    for _ in range(_ROUNDS):
        before = rounds.before
        found = max(found, rounds.next())
        if found >= most or rounds.before == before:
            return min(found, most)
    # For deeper levels, assume the largest number of schemas, each as heavy as the heaviest.
    return min(max(found, BROADEST * rounds.heaviest()), most)


def _steps(schema: Schema) -> int:
    """The steps of one schema: states of its pattern, values of its choices."""
    states = pattern.states(schema["pattern"]) if "pattern" in schema else 0
    choices = sum(map(_parts, schema.get("enum", ()))) if "enum" in schema else 0
    return 1 + states + choices + (_DIVISION_STEPS if "multipleOf" in schema else 0)


def _parts(value: object) -> int:
    """The number of values in a choice that is compared part by part; 0 for texts and numbers, which are looked up."""
    if isinstance(value, dict):
        return 1 + sum(map(_parts, value.values()))
    return 1 + sum(map(_parts, value)) if isinstance(value, list) else 0


class _Rounds:
    """Counts one level after another; the counts for each level follow from those for the level before.

    `weigh` gives the weight of a schema.
    """

    def __init__(self, component: Component, weigh: Callable[[Schema], int] = lambda _: 1) -> None:
        self._weigh = weigh
        self._weights: dict[int, int] = {}
        self.before: dict[int, _Count] = {}
        self._component = component
        self._definitions: dict[str, Schema] = component.schema["definitions"]
        self._once = _references_to_themselves(self._definitions)
        self._known: dict[int, _Reach] = {}
        self._open: list[Schema] = []

    def next(self) -> int:
        """Moves one level deeper, and returns the most schemas that apply to one value there."""
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
        self.before = {key: reach.most() for key, reach in self._known.items()}
        return max(map(self._total, self.before.values()))

    def _total(self, count: _Count) -> int:
        """The number of all schemas that apply, including the components in `once` and everything that they add."""
        number, waiting, seen = count.number, list(count.once), set(count.once)
        while waiting:
            brought = self.before[id(self._definitions[waiting.pop()])]
            number += brought.number
            waiting += brought.once - seen
            seen |= brought.once
        return number

    def _in_place(self, schema: Schema) -> list[Schema]:
        parts = _forms(schema)
        if "$ref" in schema:
            parts.append(self._component.definition(schema))
        return parts

    def _reach(self, schema: Schema) -> _Reach:
        """The reach of the schema and of every other schema that applies to the same value."""
        known = self._known.get(id(schema))
        if known is not None:
            return known
        if len(self._open) > DEEPEST or any(schema is each for each in self._open):
            raise BadSchema([self._endless(schema)])
        self._open.append(schema)
        reach = self._own(schema)
        choice: _Reach | None = None
        for part in self._in_place(schema):
            below = self._reach(part)
            if "then" in part:
                # Only one of these applies to a value.
                choice = below if choice is None else choice.joined(below, both=False)
            elif id(schema) not in self._once:
                reach = reach.joined(below, both=True)
        if choice is not None:
            reach = reach.joined(choice, both=True)
        self._open.pop()
        self._known[id(schema)] = reach
        return reach

    def _own(self, schema: Schema) -> _Reach:
        if id(schema) in self._once:
            return _Reach(_Count(0, frozenset((self._once[id(schema)],))), {})
        others = schema.get("additionalProperties")
        return _Reach(
            here=_Count(self._weight(schema)),
            members={name: self._count(each) for name, each in schema.get("properties", {}).items()},
            others=self._count(others) if isinstance(others, dict) else _NONE,
            items=self._count(schema["items"]) if "items" in schema else _NONE,
        )

    def heaviest(self) -> int:
        """The weight of the heaviest schema."""
        return max(self._weights.values())

    def _weight(self, schema: Schema) -> int:
        known = self._weights.get(id(schema))
        if known is None:
            known = self._weights[id(schema)] = self._weigh(schema)
        return known

    def _count(self, schema: Schema) -> _Count:
        return self.before.get(id(schema), _Count(1))

    def _endless(self, schema: Schema) -> str:
        place = next((self._component.place(each) for each in reversed(self._open) if "$ref" in each), "")
        if any(schema is each for each in self._open):
            return (
                f"{place} refers to itself without a member or item in between, so no value can be validated "
                "against it."
            )
        return f"{place}: more than {DEEPEST} schemas are nested for the same value."


def _forms(schema: Schema) -> list[Schema]:
    """The parts of a schema that apply to the same value; references are not followed."""
    parts: list[Schema] = [part for keyword in ("allOf", "anyOf", "oneOf") for part in schema.get(keyword, ())]
    return parts + [schema[keyword] for keyword in ("not", "if", "then", "else") if keyword in schema]


def _below(schema: Schema) -> list[Schema]:
    """The parts of a schema that apply to the values below."""
    parts = list(schema.get("properties", {}).values())
    return parts + [schema[name] for name in ("items", "additionalProperties") if isinstance(schema.get(name), dict)]


def _references_to_themselves(definitions: dict[str, Schema]) -> dict[int, str]:
    """The references of components to themselves, by identity, for components that are in no other cycle.

    The library caches its results for these, so it validates once, however many alternatives lead there.
    """
    references: dict[str, list[Schema]] = {}
    for name, definition in definitions.items():
        references[name] = []
        waiting = [definition]
        while waiting:
            schema = waiting.pop()
            if "$ref" in schema:
                references[name].append(schema)
            waiting += _forms(schema) + _below(schema)
    targets = {name: {_target(each) for each in found} for name, found in references.items()}
    alone = [name for name in definitions if name in targets[name]][:_MOST_ONCE]
    alone = [name for name in alone if not _comes_back(name, targets)]
    return {id(each): name for name in alone for each in references[name] if _target(each) == name}


def _comes_back(name: str, targets: dict[str, set[str]]) -> bool:
    """Whether a component's references lead back to it through other components."""
    seen = targets[name] - {name}
    waiting = list(seen)
    while waiting:
        for target in targets[waiting.pop()] - seen:
            if target == name:
                return True
            seen.add(target)
            waiting.append(target)
    return False


def _target(reference: Schema) -> str:
    return str(reference["$ref"]).rpartition("/")[2]
