"""What a reader selects of a resource, as the columns to read and the bytes to make of them.

A selection is compiled once per request: only what it names is read, and every value is spelled as in the whole
resource, because it is either cut out of the stored text or rendered by the same functions.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from hyperfleet.model import rendering
from hyperfleet.model.search.fields import Selection
from hyperfleet.store.clauses import cuts
from hyperfleet.store.clauses.filters import Parameters
from hyperfleet.store.database import Row

SUMMARIES: Final = (
    "(SELECT convert_to(string_agg(summary::text, ',' ORDER BY adapter), 'UTF8')"
    " FROM adapter_statuses WHERE resource_id = resources.id)"
)

_encode: Final = msgspec.json.Encoder().encode
_members: Final[Callable[[bytes], dict[str, msgspec.Raw]]] = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode

NARROW: Final = 320
"""Bytes that a member with a column of its own takes at most in an answer, its name and what surrounds it included."""

_IDENTITY: Final = 2200
_LEAST: Final = 64


class Column(NamedTuple):
    """A column of a SELECT list; `reads` is the column of `resources` that it is made from.

    `is_large`: nothing keeps it short, so a list asks for its size. `is_stored`: it is that column itself, which may be
    compressed. `most` is what it takes of an answer at most, beside its own bytes when it is large.
    """

    text: str
    reads: str
    is_large: bool = False
    is_stored: bool = False
    most: int = 0


_ENVELOPE: Final = Column("envelope", "envelope", is_large=True, is_stored=True)
_STATUS: Final = Column("status", "status", is_large=True, is_stored=True, most=16)
_VERSION: Final = Column("resource_version", "resource_version")
# Eight dimensions, their keys and values at their longest.
_TENANCY: Final = Column("tenancy", "tenancy", most=1600)
_ADAPTERS: Final = Column(SUMMARIES, "id", is_large=True, most=32)


def _narrow(column: str, most: int = NARROW) -> Column:
    return Column(column, column.partition(":")[0], most=most)


# Members that have a column of their own; reading them leaves the large stored texts alone.
_COLUMNS: Final = {
    ("kind",): _narrow("kind"),
    ("id",): _narrow("id"),
    ("href",): _narrow("href", 1024),
    ("name",): _narrow("name"),
    ("generation",): _narrow("generation"),
    ("resource_version",): _narrow("resource_version::text"),
    ("created_time",): _narrow("created_time"),
    ("updated_time",): _narrow("updated_time"),
    ("deleted_time",): _narrow("deleted_time"),
    ("created_by",): _narrow("created_by", _IDENTITY),
    ("updated_by",): _narrow("updated_by", _IDENTITY),
    ("deleted_by",): _narrow("deleted_by", _IDENTITY),
    ("owner_references", "kind"): _narrow("owner_kind"),
    ("owner_references", "id"): _narrow("owner_id"),
    ("status",): _STATUS,
    ("status", "phase"): _narrow("phase"),
    ("status", "observed_generation"): _narrow("observed_generation"),
    ("status", "last_updated_time"): _narrow("last_updated_time"),
    ("status", "last_transition_time"): _narrow("last_transition_time"),
    ("status", "adapters"): _ADAPTERS,
    ("tenancy",): _TENANCY,
}
_IN_COLUMNS: Final = frozenset(path[0] for path in _COLUMNS)

_CUT: Final = -1
_Tree = dict[str, "int | _Tree"]


@dataclass(frozen=True, slots=True)
class Projection:
    """A SELECT list, and `render`, which makes the bytes of a resource from a row whose first columns are these."""

    parts: tuple[Column, ...]
    render: Callable[[Row], bytes]

    @property
    def columns(self) -> str:
        """The SELECT list."""
        return ", ".join(part.text for part in self.parts)

    @property
    def reads(self) -> str:
        """The columns of `resources` that the SELECT list is made from."""
        return ", ".join(dict.fromkeys(part.reads for part in self.parts))

    @property
    def most(self) -> int:
        """What a resource takes of an answer at most, beside the bytes of its large columns."""
        return _LEAST + sum(part.most for part in self.parts)


def _whole(row: Row) -> bytes:
    # What rendering.resource() does without adapters, without its call: this runs for every row of every list.
    return rendering.WITHOUT_ADAPTERS % (row[0][:-1], row[1], row[2])


def _whole_with_adapters(row: Row) -> bytes:
    return rendering.resource(row[0], row[1], row[2], row[3] or b"")


def _whole_of_tenant(row: Row) -> bytes:
    return rendering.WITHOUT_ADAPTERS % (rendering.with_tenancy(row[0], row[3])[:-1], row[1], row[2])


def _whole_of_tenant_with_adapters(row: Row) -> bytes:
    return rendering.resource(rendering.with_tenancy(row[0], row[3]), row[1], row[2], row[4] or b"")


WHOLE: Final = Projection((_ENVELOPE, _VERSION, _STATUS), _whole)
WHOLE_WITH_ADAPTERS: Final = Projection((*WHOLE.parts, _ADAPTERS), _whole_with_adapters)
WHOLE_OF_TENANT: Final = Projection((*WHOLE.parts, _TENANCY), _whole_of_tenant)
WHOLE_OF_TENANT_WITH_ADAPTERS: Final = Projection((*WHOLE_OF_TENANT.parts, _ADAPTERS), _whole_of_tenant_with_adapters)


def whole(*, with_adapters: bool, shows_tenancy: bool) -> Projection:
    """How to read a whole resource; its tenancy is not even read where tenants are not told apart."""
    if with_adapters:
        return WHOLE_OF_TENANT_WITH_ADAPTERS if shows_tenancy else WHOLE_WITH_ADAPTERS
    return WHOLE_OF_TENANT if shows_tenancy else WHOLE


def projection(selection: Selection | None, parameters: Parameters, *, shows_tenancy: bool = False) -> Projection:
    """How to read what `selection` names; None is the whole resource without its adapters, as lists give it."""
    if selection is None:
        return whole(with_adapters=False, shows_tenancy=shows_tenancy)
    if selection.everything:
        return whole(with_adapters=("status", "adapters") in selection.paths, shows_tenancy=shows_tenancy)
    tree: _Tree = {}
    parts: list[Column] = []
    inside: list[tuple[str, ...]] = []
    for path in _shortest([("id",), *selection.paths]):
        if path == ("tenancy",) and not shows_tenancy:
            continue
        if path[0] not in _IN_COLUMNS:
            inside.append(path)
            tree[path[0]] = _CUT
            continue
        branch = tree
        for part in path[:-1]:
            branch = branch.setdefault(part, {})  # type: ignore[assignment]
        branch[path[-1]] = len(parts)
        parts.append(_COLUMNS.get(path) or _member(path, parameters))
    place = len(parts)
    if inside:
        most = sum(len(part) + 8 for path in inside for part in path)
        parts.append(Column(cuts.cut("envelope", inside, parameters), "envelope", is_large=True, most=most))

    def render(row: Row) -> bytes:
        return _encode(_grown(tree, row, _members(row[place] or b"{}") if inside else {}))

    return Projection(tuple(parts), render)


def _shortest(paths: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The paths that no other path contains, in the order given: `spec` beside `spec.region` is `spec`."""
    unique = list(dict.fromkeys(paths))
    given = set(unique)
    return [path for path in unique if not any(path[:length] in given for length in range(1, len(path)))]


def _member(path: tuple[str, ...], parameters: Parameters) -> Column:
    """A member below one that has columns of its own; only known ones are there."""
    source, inside = ("status", path[1:]) if path[0] == "status" else ("envelope", path)
    arrows = "".join(f" -> {parameters.add(part, 'text')}" for part in inside)
    return Column(source + arrows, source, is_large=True, most=NARROW)


def _grown(tree: _Tree, row: Row, cut: Mapping[str, msgspec.Raw]) -> dict[str, Any]:
    """The selected members of a row; what the row lacks is left out, and with it what would be empty.

    `cut` has those that were cut out of the envelope.
    """
    members: dict[str, Any] = {}
    for name, branch in tree.items():
        if isinstance(branch, dict):
            inside = _grown(branch, row, cut)
            if inside:
                members[name] = inside
            continue
        if branch == _CUT:
            if name in cut:
                members[name] = cut[name]
            continue
        value = row[branch]
        if isinstance(value, datetime):
            members[name] = rendering.timestamp(value)
        elif name == "adapters" and (value is None or isinstance(value, bytes)):
            members[name] = msgspec.Raw(b"[%b]" % (value or b""))
        elif name == "tenancy" and isinstance(value, bytes):
            members[name] = msgspec.Raw(rendering.served_tenancy(value))
        elif isinstance(value, bytes):
            members[name] = msgspec.Raw(value)
        elif value is not None:
            members[name] = value if isinstance(value, int | str) else str(value)
    return members
