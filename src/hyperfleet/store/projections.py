"""What a reader selects of a resource, as the columns to read and the bytes to make of them.

A selection is compiled once per request: only what it names is read, and every value is spelled as in the whole
resource, because it is either cut out of the stored text or rendered by the same functions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from hyperfleet.model import rendering
from hyperfleet.model.fields import Selection
from hyperfleet.store.database import Row
from hyperfleet.store.filters import Parameters

SUMMARIES: Final = (
    "(SELECT convert_to(string_agg(summary::text, ',' ORDER BY adapter), 'UTF8')"
    " FROM adapter_statuses WHERE resource_id = resources.id)"
)

HAS_CHILDREN: Final = (
    "(SELECT true FROM resources AS child WHERE child.owner_id = resources.id"
    " ORDER BY child.created_time DESC, child.id DESC LIMIT 1) IS NOT NULL"
)
"""Whether a resource owns something. In its index's order, because where one owner has most rows the planner expects to
find a child at once, and with EXISTS reads the whole table for each resource that owns nothing."""

SUMMARY_LIST: Final = (
    "(SELECT convert_to('[' || coalesce(string_agg(summary::text, ',' ORDER BY adapter), '') || ']', 'UTF8')"
    " FROM adapter_statuses WHERE resource_id = resources.id)"
)
"""The same as a JSON array: what aggregation and deletion look at."""

REPORTS: Final = (
    "(SELECT convert_to('[' || coalesce(string_agg(rendered::text, ',' ORDER BY adapter), '') || ']', 'UTF8')"
    " FROM adapter_statuses WHERE resource_id = resources.id)"
)
"""The reports on a resource as they are served, a JSON array: what its kind's own rules look at."""

_encode: Final = msgspec.json.Encoder().encode

# Members that have a column of their own; reading them leaves the large stored texts alone.
_COLUMNS: Final = {
    ("kind",): "kind",
    ("id",): "id",
    ("href",): "href",
    ("name",): "name",
    ("generation",): "generation",
    ("resource_version",): "resource_version::text",
    ("created_time",): "created_time",
    ("updated_time",): "updated_time",
    ("deleted_time",): "deleted_time",
    ("created_by",): "created_by",
    ("updated_by",): "updated_by",
    ("deleted_by",): "deleted_by",
    ("owner_references", "kind"): "owner_kind",
    ("owner_references", "id"): "owner_id",
    ("status", "phase"): "phase",
    ("status", "observed_generation"): "observed_generation",
    ("status", "last_updated_time"): "last_updated_time",
    ("status", "last_transition_time"): "last_transition_time",
    ("status", "adapters"): SUMMARIES,
}

_Tree = dict[str, "int | _Tree"]


@dataclass(frozen=True, slots=True)
class Projection:
    """`columns` is the SELECT list; `render` makes the bytes of a resource from a row whose first columns they are."""

    columns: str
    render: Callable[[Row], bytes]


def _whole(row: Row) -> bytes:
    # What rendering.resource() does without adapters, without its call: this runs for every row of every list.
    return rendering.WITHOUT_ADAPTERS % (row[0][:-1], row[1], row[2])


def _whole_with_adapters(row: Row) -> bytes:
    return rendering.resource(row[0], row[1], row[2], row[3] or b"")


WHOLE: Final = Projection("envelope, resource_version, status", _whole)
WHOLE_WITH_ADAPTERS: Final = Projection(f"{WHOLE.columns}, {SUMMARIES}", _whole_with_adapters)


def projection(selection: Selection | None, parameters: Parameters) -> Projection:
    """How to read what `selection` names; None is the whole resource without its adapters, as lists give it."""
    if selection is None:
        return WHOLE
    if selection.everything:
        return WHOLE_WITH_ADAPTERS if ("status", "adapters") in selection.paths else WHOLE
    tree: _Tree = {}
    columns: list[str] = []
    for path in _shortest([("id",), *selection.paths]):
        branch = tree
        for part in path[:-1]:
            branch = branch.setdefault(part, {})  # type: ignore[assignment]
        branch[path[-1]] = len(columns)
        columns.append(_column(path, parameters))

    def render(row: Row) -> bytes:
        return _encode(_grown(tree, row))

    return Projection(", ".join(columns), render)


def _shortest(paths: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The paths that no other path contains, in the order given: `spec` beside `spec.region` is `spec`."""
    unique = list(dict.fromkeys(paths))
    given = set(unique)
    return [path for path in unique if not any(path[:length] in given for length in range(1, len(path)))]


def _column(path: tuple[str, ...], parameters: Parameters) -> str:
    if path in _COLUMNS:
        return _COLUMNS[path]
    if path == ("status",):
        return "status"
    source, inside = ("status", path[1:]) if path[0] == "status" else ("envelope", path)
    # One arrow a member, not a path: a path would take a number for the index of an array.
    return source + "".join(f" -> {parameters.add(part, 'text')}" for part in inside)


def _grown(tree: _Tree, row: Row) -> dict[str, Any]:
    """The selected members of a row; what the row lacks is left out, and with it what would be empty."""
    members: dict[str, Any] = {}
    for name, branch in tree.items():
        if isinstance(branch, dict):
            inside = _grown(branch, row)
            if inside:
                members[name] = inside
            continue
        value = row[branch]
        if isinstance(value, datetime):
            members[name] = rendering.timestamp(value)
        elif name == "adapters" and (value is None or isinstance(value, bytes)):
            members[name] = msgspec.Raw(b"[%b]" % (value or b""))
        elif isinstance(value, bytes):
            members[name] = msgspec.Raw(value)
        elif value is not None:
            members[name] = value if isinstance(value, int | str) else str(value)
    return members
