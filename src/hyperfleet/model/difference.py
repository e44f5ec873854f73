"""What a change of the desired state changed: paths only, never values, which may be secrets."""

from dataclasses import dataclass
from typing import Any, Final

from hyperfleet.model import rendering
from hyperfleet.model.resource import Desired

MOST_PATHS: Final = 50
"""Paths that are named; of more, the first."""

LONGEST_PATH: Final = 200
"""Characters of a path; names of members are the caller's."""


@dataclass(frozen=True, slots=True)
class Difference:
    """JSON Pointers (RFC 6901) of what was added, removed or replaced, at most fifty, and how many there are.

    `members` names those of a desired state that have another value.
    """

    paths: tuple[str, ...] = ()
    count: int = 0
    members: frozenset[str] = frozenset()


def difference(old: Desired, new: Desired) -> Difference:
    """What differs between two desired states, key order aside. Lists are compared as a whole."""
    found: list[_Place] = []
    members: set[str] = set()
    count = 0
    for name in ("spec", "labels", "references"):
        before, after = getattr(old, name), getattr(new, name)
        if before == after:
            continue
        if name == "spec":
            before, after = old.spec_value, new.spec_value
        more = _walk((None, name), before, after, found)
        if more:
            members.add(name)
            count += more
    return Difference(tuple(map(_path, found)), count, frozenset(members))


_Place = tuple["_Place | None", str]
"""Where a value is: the place of the object that holds it, and its name there."""


def _walk(place: _Place, old: dict[str, Any], new: dict[str, Any], found: list[_Place]) -> int:
    """How much differs below a place. The depth of a spec is bounded where it is read, so that of the recursion is."""
    count = 0
    for name, before in old.items():
        if name in new:
            after = new[name]
            if type(before) is dict and type(after) is dict:
                count += _walk((place, name), before, after, found)
                continue
            if rendering.same_value(before, after):
                continue
        count += 1
        if len(found) < MOST_PATHS:
            found.append((place, name))
    for name in new:
        if name not in old:
            count += 1
            if len(found) < MOST_PATHS:
                found.append((place, name))
    return count


def _path(place: _Place | None) -> str:
    """A place as a pointer; only those of what is named are put together, since what callers nest may be long."""
    steps: list[str] = []
    while place is not None:
        place, name = place
        steps.append("/" + name.replace("~", "~0").replace("/", "~1"))
    path = "".join(reversed(steps))
    return path if len(path) <= LONGEST_PATH else path[:LONGEST_PATH] + "…"
