"""Cuts members out of a stored JSON text, in one pass over each part of it that has several of them.

An operator for each member would read the whole text each time: two hundred members of a megabyte take seconds a row.
Members keep their spelling, which a conversion to jsonb would change.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Final

import msgspec

from hyperfleet.store.clauses.filters import Parameters

# The path operator treats such a name as the index of an array.
_INDEX: Final = re.compile(r"\s*[-+]?[0-9]+")

_encode: Final = msgspec.json.Encoder().encode
Tree = Mapping[str, "Tree | None"]


def cut(text: str, paths: Sequence[tuple[str, ...]], parameters: Parameters) -> str:
    """SQL for a JSON object, as bytes, with the members of `text` at these paths; NULL when `text` has none of them.

    `text` is SQL for a JSON object. None of the paths contains another.
    """
    tree: dict[str, Tree | None] = {}
    for path in paths:
        branch: dict[str, Tree | None] = tree
        for name in path[:-1]:
            branch = branch.setdefault(name, {})  # type: ignore[assignment]
        branch[path[-1]] = None
    return f"convert_to({_object(text, tree, parameters, count())}, 'UTF8')"


def _object(text: str, tree: Tree, parameters: Parameters, numbers: Iterator[int]) -> str:
    """SQL for the text of an object, NULL without members; it follows a path without branches in one step."""
    way: list[str] = []
    node: Tree | None = tree
    while node is not None and len(node) == 1:
        [(name, node)] = node.items()
        way.append(name)
    if not way:
        return _branches(text, tree, parameters, numbers)
    found = _at(text, way, parameters)
    if node is None:
        inside = f"({found})::text"
    else:
        end = f"w{next(numbers)}"
        inside = f"(SELECT {_branches(f'{end}.value', node, parameters, numbers)}"
        inside += f" FROM (SELECT {found} AS value OFFSET 0) AS {end})"
    opening = parameters.add("".join(f"{{{_encode(name).decode()}:" for name in way), "text")
    return f"({opening} || {inside} || '{'}' * len(way)}')"


def _branches(text: str, tree: Tree, parameters: Parameters, numbers: Iterator[int]) -> str:
    """The same as `_object`, for an object with several selected members."""
    member = f"m{next(numbers)}"
    names = parameters.add(list(tree), "text[]")
    place = f"array_position({names}, {member}.key)"
    spelled = parameters.add([f"{_encode(name).decode()}:" for name in tree], "text[]")
    value = f"{member}.value::text"
    deeper = "".join(
        f" WHEN {parameters.add(name, 'text')} THEN {_object(f'{member}.value', below, parameters, numbers)}"
        for name, below in tree.items()
        if below is not None
    )
    if deeper:
        value = f"CASE {member}.key{deeper} ELSE {value} END"
    return (
        f"(SELECT '{{' || string_agg(({spelled})[{place}] || {value}, ',' ORDER BY {place}) || '}}'"
        f" FROM json_each(CASE WHEN json_typeof({text}) = 'object' THEN {text} END) AS {member}"
        f" WHERE {member}.key = ANY ({names}))"
    )


def _at(text: str, way: Sequence[str], parameters: Parameters) -> str:
    if any(_INDEX.fullmatch(name) for name in way):
        return text + "".join(f" -> {parameters.add(name, 'text')}" for name in way)
    return f"{text} #> {parameters.add(list(way), 'text[]')}"
