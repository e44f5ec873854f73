"""The difference between two desired states: paths only, never values, which may be secrets."""

from dataclasses import dataclass
from typing import Any, Final

from hyperfleet.model import rendering
from hyperfleet.model.resource import Desired

MOST_PATHS: Final = 50
"""The most paths that are listed; any further ones are only counted."""

LONGEST_PATH: Final = 200
"""The most characters of a path; callers choose the names of members."""


@dataclass(frozen=True, slots=True)
class Difference:
    """JSON Pointers (RFC 6901) of the values added, removed or replaced, at most fifty, and the number of all changes.

    `members` names the members of the desired state that changed.
    """

    paths: tuple[str, ...] = ()
    count: int = 0
    members: frozenset[str] = frozenset()


def difference(old: Desired, new: Desired) -> Difference:
    """The difference between two desired states. Key order is ignored, and lists are compared as a whole."""
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
"""The place of a value: the place of the object that contains it, and its name there."""


def _walk(place: _Place, old: dict[str, Any], new: dict[str, Any], found: list[_Place]) -> int:
    """The number of differences below a place. Reading a spec bounds its depth, and so the depth of the recursion."""
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
    """A place as a JSON Pointer. It is built only for the listed paths, because callers' paths may be long."""
    steps: list[str] = []
    while place is not None:
        place, name = place
        steps.append("/" + name.replace("~", "~0").replace("/", "~1"))
    path = "".join(reversed(steps))
    return path if len(path) <= LONGEST_PATH else path[:LONGEST_PATH] + "…"
