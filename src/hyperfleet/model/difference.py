"""What a change of the desired state changed: paths only, never values, which may be secrets."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from hyperfleet.model import rendering
from hyperfleet.model.resource import Desired

MOST_PATHS: Final = 50
"""Paths that are named; of more, the first."""

LONGEST_PATH: Final = 200
"""Characters of a path; names of members are the caller's."""

_decode: Final = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class Difference:
    """JSON Pointers (RFC 6901) of what was added, removed or replaced, at most fifty, and how many there are."""

    paths: tuple[str, ...]
    count: int


def difference(old: Desired, new: Desired) -> Difference:
    """What differs between two desired states. Lists are compared as a whole."""
    paths: list[str] = []
    count = 0
    for path in _changed(old, new):
        count += 1
        if count <= MOST_PATHS:
            paths.append(path if len(path) <= LONGEST_PATH else path[:LONGEST_PATH] + "…")
    return Difference(tuple(paths), count)


def _changed(old: Desired, new: Desired) -> Iterator[str]:
    if old.spec != new.spec:
        yield from _below("/spec", _decode(old.spec), _decode(new.spec))
    if old.labels != new.labels:
        yield from _below("/labels", old.labels, new.labels)
    if old.references != new.references:
        yield from _below("/references", old.references, new.references)


def _below(path: str, old: Any, new: Any) -> Iterator[str]:
    """The depth of a spec is bounded where it is read, so that of the recursion is."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        if not rendering.same_value(old, new):
            yield path
        return
    for name in [*old, *(name for name in new if name not in old)]:
        inside = f"{path}/{name.replace('~', '~0').replace('/', '~1')}"
        if name not in old or name not in new:
            yield inside
        else:
            yield from _below(inside, old[name], new[name])
