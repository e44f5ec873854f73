"""The members that a reader selects of a resource, as the columns to read and the bytes to make of them.

A selection is compiled once per request: only its members are read. Every value is spelled as in the whole resource,
because it is either cut out of the stored text or rendered by the same functions.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from hyperfleet.model import rendering
from hyperfleet.model.search.fields import FIELDS, Field, Member, Place, SqlType
from hyperfleet.model.search.selection import Selection
from hyperfleet.store.clauses import cuts
from hyperfleet.store.clauses.filters import Parameters
from hyperfleet.store.database import Row

SUMMARIES: Final = (
    "(SELECT convert_to(string_agg(summary::text, ',' ORDER BY adapter), 'UTF8')"
    " FROM adapter_statuses WHERE resource_id = resources.id)"
)

_encode: Final = msgspec.json.Encoder().encode
_members: Final[Callable[[bytes], dict[str, msgspec.Raw]]] = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode

_LEAST: Final = 64


class Column(NamedTuple):
    """A column of a SELECT list; `reads` is the column of `resources` that it is made from.

    `is_large`: its length is not limited, so a list measures it. `is_stored`: it is that column itself, which may be
    compressed. `most` is how many bytes it adds to a response at most, without its own bytes when it is large.
    `spelled` converts its value to what is served, None for nothing; without `spelled`, the value itself is served.
    """

    text: str
    reads: str
    is_large: bool = False
    is_stored: bool = False
    most: int = 0
    spelled: Callable[[Any], Any] | None = None


def _time(value: datetime | None) -> str | None:
    return None if value is None else rendering.timestamp(value)


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _raw(value: bytes | None) -> msgspec.Raw | None:
    return None if value is None else msgspec.Raw(value)


def _list(value: bytes | None) -> msgspec.Raw:
    return msgspec.Raw(b"[%b]" % (value or b""))


def _tenancy(value: bytes | None) -> msgspec.Raw | None:
    return None if value is None else msgspec.Raw(rendering.served_tenancy(value))


_ENVELOPE: Final = Column("envelope", "envelope", is_large=True, is_stored=True)
_STATUS: Final = Column("status", "status", is_large=True, is_stored=True, most=16, spelled=_raw)
_VERSION: Final = Column("resource_version", "resource_version")
# Eight dimensions with keys and values of the greatest length.
_TENANCY: Final = Column("tenancy", "tenancy", most=1600, spelled=_tenancy)
_ADAPTERS: Final = Column(SUMMARIES, "id", is_large=True, most=32, spelled=_list)

_SPELLED: Final[dict[SqlType, Callable[[Any], Any] | None]] = {
    "text": None,
    "uuid": _text,
    "integer": None,
    # JSON parsers round whole numbers that are this large.
    "bigint": _text,
    "timestamptz": _time,
    "json": _raw,
}
"""How the value of a column is served, by its type."""

_CUT: Final = -1
_Tree = dict[str, "int | _Tree"]


@dataclass(frozen=True, slots=True)
class Projection:
    """A SELECT list, and `render`, which makes the bytes of a resource from a row that begins with these columns."""

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
        """How many bytes a resource adds to a response at most, without its large columns."""
        return _LEAST + sum(part.most for part in self.parts)


def _whole(row: Row) -> bytes:
    # The same as rendering.resource() without adapters, but inlined: this runs for every row of every list.
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
    """How to read a whole resource; its tenancy is read only if it is shown."""
    if with_adapters:
        return WHOLE_OF_TENANT_WITH_ADAPTERS if shows_tenancy else WHOLE_WITH_ADAPTERS
    return WHOLE_OF_TENANT if shows_tenancy else WHOLE


def projection(selection: Selection | None, parameters: Parameters, *, shows_tenancy: bool = False) -> Projection:
    """How to read the members of `selection`; None is the whole resource without its adapters, as in lists."""
    if selection is None:
        return whole(with_adapters=False, shows_tenancy=shows_tenancy)
    if selection.everything:
        with_adapters = any(member.field.place == "adapters" for member in selection.members)
        return whole(with_adapters=with_adapters, shows_tenancy=shows_tenancy)
    tree: _Tree = {}
    parts: list[Column] = []
    inside: list[tuple[str, ...]] = []
    for path, field in _shortest([_ID, *selection.members]):
        if field.place == "tenancy" and not shows_tenancy:
            continue
        select = _SELECTED.get(field.place)
        if select is None:
            inside.append(path)
            tree[path[0]] = _CUT
            continue
        branch = tree
        for part in path[:-1]:
            branch = branch.setdefault(part, {})  # type: ignore[assignment]
        branch[path[-1]] = len(parts)
        parts.append(select(path, field, parameters))
    place = len(parts)
    if inside:
        most = sum(len(part) + 8 for path in inside for part in path)
        parts.append(Column(cuts.cut("envelope", inside, parameters), "envelope", is_large=True, most=most))

    spelled = [part.spelled for part in parts]

    def render(row: Row) -> bytes:
        return _encode(_grown(tree, row, spelled, _members(row[place] or b"{}") if inside else {}))

    return Projection(tuple(parts), render)


def _shortest(members: Sequence[Member]) -> list[Member]:
    """The members that are not inside another one, in the order given: `spec` and `spec.region` give `spec`."""
    unique = {member.path: member for member in members}
    return [
        member for path, member in unique.items() if not any(path[:length] in unique for length in range(1, len(path)))
    ]


def _column(_path: tuple[str, ...], field: Field, _parameters: Parameters) -> Column:
    return Column(field.column, field.column, most=field.width, spelled=_SPELLED[field.sql_type])


def _inside(path: tuple[str, ...], field: Field, parameters: Parameters) -> Column:
    """A member of a stored JSON text that is read on its own, because some of its siblings have their own columns."""
    steps = path[1:] if path[0] == field.column else path
    arrows = "".join(f" -> {parameters.add(part, 'text')}" for part in steps)
    return Column(field.column + arrows, field.column, is_large=True, most=field.width, spelled=_raw)


_ID: Final = Member(("id",), FIELDS.by_name["id"])
_SELECTED: Final[dict[Place, Callable[[tuple[str, ...], Field, Parameters], Column]]] = {
    "column": _column,
    "inside": _inside,
    "status": lambda _path, _field, _parameters: _STATUS,
    "adapters": lambda _path, _field, _parameters: _ADAPTERS,
    "tenancy": lambda _path, _field, _parameters: _TENANCY,
}
"""How to select a member, by the place of its field; members in other places are cut out of the envelope."""


def _grown(
    tree: _Tree,
    row: Row,
    spelled: Sequence[Callable[[Any], Any] | None],
    cut: Mapping[str, msgspec.Raw],
) -> dict[str, Any]:
    """The selected members of a row, without missing values and without objects that would be empty.

    `cut` has the members that were cut out of the envelope.
    """
    members: dict[str, Any] = {}
    for name, branch in tree.items():
        if isinstance(branch, dict):
            inside = _grown(branch, row, spelled, cut)
            if inside:
                members[name] = inside
            continue
        if branch == _CUT:
            if name in cut:
                members[name] = cut[name]
            continue
        spell = spelled[branch]
        value = row[branch] if spell is None else spell(row[branch])
        if value is not None:
            members[name] = value
    return members
