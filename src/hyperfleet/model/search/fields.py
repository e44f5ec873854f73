"""The table of a resource's fields: what each is called, its type, and what callers may do with it.

Search, `order` and `fields` know no other names than these rows; the documentation's tables are made from them. A name
with a placeholder in angle brackets stands for every name of that form; what fills it is the path of a reference.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, cast

from msgspec import UNSET

from hyperfleet.errors import FieldError, InvalidInput
from hyperfleet.model.search import lexer
from hyperfleet.model.spelling import nearest_name

Type = Literal["text", "integer", "time", "any"]

PATH_PARTS: Final = 100
SELECTED: Final = 200
_REPEATED: Final = 100


@dataclass(frozen=True, slots=True)
class Field:
    """A row of the table.

    `column` is the column of `resources` that search and order read, empty for what can only be selected; `member` the
    key inside it for the details of conditions. Type `any` is whatever a document holds: text, number or boolean.
    `choices` are all values that a text can have, empty when there is no end of them; `holds_kind`: they are the names
    of kinds.
    """

    name: str
    type: Type
    column: str = ""
    member: str = ""
    searchable: bool = False
    sortable: bool = False
    selectable: bool = False
    note: str = ""
    choices: tuple[str, ...] = ()
    holds_kind: bool = False

    @property
    def names_condition(self) -> bool:
        """Whether the path of a reference to it is a condition's type."""
        return self.column in ("condition_status", "conditions")


_ROWS: Final = (
    Field("id", "text", "id", searchable=True, sortable=True, selectable=True, note="a lower-case UUID"),
    Field("name", "text", "name", searchable=True, sortable=True, selectable=True),
    Field("kind", "text", "kind", searchable=True, sortable=True, selectable=True, holds_kind=True),
    Field("href", "text", "href", searchable=True, selectable=True),
    Field("owner_id", "text", "owner_id", searchable=True, note="the owner's UUID; absent for top-level kinds"),
    Field("owner_kind", "text", "owner_kind", searchable=True, note="absent for top-level kinds", holds_kind=True),
    Field("generation", "integer", "generation", searchable=True, sortable=True, selectable=True),
    Field("created_time", "time", "created_time", searchable=True, sortable=True, selectable=True),
    Field("updated_time", "time", "updated_time", searchable=True, sortable=True, selectable=True),
    Field(
        "deleted_time",
        "time",
        "deleted_time",
        searchable=True,
        sortable=True,
        selectable=True,
        note="absent unless the resource is being deleted",
    ),
    Field("created_by", "text", "created_by", searchable=True, sortable=True, selectable=True),
    Field("updated_by", "text", "updated_by", searchable=True, sortable=True, selectable=True),
    Field("deleted_by", "text", "deleted_by", searchable=True, selectable=True, note="absent like `deleted_time`"),
    Field("labels.<key>", "text", "labels", searchable=True, selectable=True, note="the key follows `labels.`"),
    Field("spec.<path>", "any", "spec", searchable=True, selectable=True, note="members of objects, at any depth"),
    Field(
        "status.phase",
        "text",
        "phase",
        searchable=True,
        selectable=True,
        note="`NotReady`, `Ready` or `Failed`",
        choices=("NotReady", "Ready", "Failed"),
    ),
    Field("status.observed_generation", "integer", "observed_generation", searchable=True, selectable=True),
    Field("status.last_updated_time", "time", "last_updated_time", searchable=True, selectable=True),
    Field("status.last_transition_time", "time", "last_transition_time", searchable=True, selectable=True),
    Field(
        "status.conditions.<Type>",
        "text",
        "condition_status",
        searchable=True,
        note="`True`, `False` or `Unknown`",
        choices=("True", "False", "Unknown"),
    ),
    Field("status.conditions.<Type>.last_updated_time", "time", "conditions", "u", searchable=True),
    Field("status.conditions.<Type>.last_transition_time", "time", "conditions", "t", searchable=True),
    Field("status.conditions.<Type>.observed_generation", "integer", "conditions", "g", searchable=True),
    Field("status.conditions.<Type>.reason", "text", "conditions", "r", searchable=True),
    Field("owner_references", "any", selectable=True),
    Field("owner_references.kind", "text", selectable=True),
    Field("owner_references.id", "text", selectable=True),
    Field("owner_references.href", "text", selectable=True),
    Field("resource_version", "text", selectable=True),
    Field("tenancy", "any", selectable=True, note="absent unless tenancy is enabled"),
    Field("spec", "any", selectable=True),
    Field("labels", "any", selectable=True),
    Field("references", "any", selectable=True),
    Field("status", "any", selectable=True),
    Field("status.conditions", "any", selectable=True),
    Field("status.adapters", "any", selectable=True, note="omitted from lists unless selected"),
)

FIELDS: Final = MappingProxyType({row.name: row for row in _ROWS})

_PLAIN: Final = {row.name: row for row in _ROWS if "<" not in row.name}
_LABEL: Final = FIELDS["labels.<key>"]
_SPEC: Final = FIELDS["spec.<path>"]
_CONDITION: Final = FIELDS["status.conditions.<Type>"]
_CONDITION_DETAILS: Final = {row.name.rpartition(".")[2]: row for row in _ROWS if row.member}
_NEEDS_MORE: Final = {
    "labels": "search `labels` by key, such as `labels.environment`",
    "spec": "search `spec` by member, such as `spec.region`",
    "status.conditions": "search `status.conditions` by type, such as `status.conditions.Reconciled`",
}


class UnknownField(ValueError):
    """No field has that name; the message says what is allowed instead, in words for the caller."""


@dataclass(frozen=True, slots=True)
class OrderKey:
    """A field that a list is sorted by; missing values come last in both directions."""

    field: Field
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Selection:
    """What a caller wants to see of a resource: paths of members, in the order given; `id` goes without saying.

    `everything`: `*` is among them, so `paths` holds what is wanted beyond that.
    """

    paths: tuple[tuple[str, ...], ...]
    everything: bool = False


def searchable(pieces: tuple[str, ...]) -> tuple[Field, tuple[str, ...]]:
    """The field that a name of the search language means, and what fills its placeholders; raises UnknownField.

    `pieces` are those of a name token: dotted text at even indexes, bracketed parts at odd ones.
    """
    head = pieces[0]
    if len(pieces) == 1:
        plain = _PLAIN.get(head)
        if plain is not None and plain.searchable:
            return plain, ()
    if _is_label(head):
        return _LABEL, (_label_key(pieces),)
    parts = _parts(pieces)
    if parts[0] == "spec" and len(parts) > 1:
        return _SPEC, parts[1:]
    if parts[:2] == ("status", "conditions") and len(parts) > 2:
        return _condition_field(parts)
    name = ".".join(parts)
    plain = _PLAIN.get(name)
    if plain is None or not plain.searchable:
        raise UnknownField(_NEEDS_MORE.get(name) or _unknown(name, (row.name for row in _ROWS if row.searchable)))
    return plain, ()


def _condition_field(parts: tuple[str, ...]) -> tuple[Field, tuple[str, ...]]:
    if len(parts) == 3:
        return _CONDITION, parts[2:]
    detail = _CONDITION_DETAILS.get(parts[3])
    if detail is None or len(parts) > 4:
        raise UnknownField(
            f"a condition has no {lexer.shown('.'.join(parts[3:]))}; besides its status it has "
            f"{', '.join(sorted(_CONDITION_DETAILS))}; put a type with a dot in brackets, `status.conditions['a.b']`"
        )
    return detail, parts[2:3]


def _is_label(head: str) -> bool:
    return head == "labels" or head.startswith("labels.")


def _label_key(pieces: tuple[str, ...]) -> str:
    if len(pieces) == 1 and len(pieces[0]) > len("labels."):
        return pieces[0].removeprefix("labels.")
    if len(pieces) == 3 and pieces[0] == "labels" and not pieces[2]:
        return pieces[1]
    if pieces in (("labels",), ("labels.",)):
        raise UnknownField(_NEEDS_MORE["labels"])
    raise UnknownField("a label has a single key: write `labels.environment` or `labels['app.kubernetes.io/name']`")


def _parts(pieces: tuple[str, ...]) -> tuple[str, ...]:
    """The name cut at its dots, which bracketed parts keep."""
    parts: list[str] = []
    for position, piece in enumerate(pieces):
        if position % 2:
            parts.append(piece)
        elif piece:
            dotted = (piece if position == 0 else piece[1:]).split(".")
            if "" in dotted:
                raise UnknownField("a field name must have a part on each side of every dot")
            parts += dotted
    if len(parts) > PATH_PARTS:
        raise UnknownField(f"a field name is limited to {PATH_PARTS} parts")
    return tuple(parts)


def _unknown(name: str, known: Iterable[str]) -> str:
    names = list(known)
    nearest = nearest_name(name, names)
    alike = [nearest] if nearest is not None else []
    if not alike:
        # What follows the first dot may be a caller's own word, which is near to nothing.
        head = nearest_name(name.partition(".")[0], dict.fromkeys(each.partition(".")[0] for each in names))
        alike = [each for each in names if head is not None and each.startswith(f"{head}.")]
    if not alike:
        return f"unknown field {lexer.shown(name)}; the fields are {', '.join(names)}"
    verb = "is" if len(alike) == 1 else "are"
    return f"unknown field {lexer.shown(name)}; the nearest {verb} {', '.join(f'`{each}`' for each in alike)}"


_DIRECTIONS: Final = {"asc": False, "desc": True}
_SORTABLE: Final = tuple(row.name for row in _ROWS if row.sortable)


def parse_order(order: str | None, order_by: str | None) -> tuple[OrderKey, ...]:
    """The keys that a list is sorted by, empty for the default; raises InvalidInput on `order` or `orderBy`.

    The two are two spellings of one parameter; beside `orderBy`, `order` may also be the direction of the keys that
    name none. A direction alone turns the default round (contract: List).
    """
    first = _order_keys("order", order or "")
    second = _order_keys("orderBy", order_by or "")
    direction = _DIRECTIONS.get((order or "").strip().lower())
    if not second or not first or first == second:
        keys = second or first
    elif direction is not None:
        if any(descending is not None for _, descending in second):
            raise _bad_order(
                "order", "VAL-003", "the direction appears in both `order` and `orderBy`; give it once", order
            )
        keys = [(field, direction) for field, _ in second]
    else:
        raise _bad_order("order", "VAL-003", "`order` and `orderBy` differ; send only one of them", order)
    return tuple(OrderKey(field, bool(descending)) for field, descending in keys)


def _order_keys(parameter: str, text: str) -> list[tuple[Field, bool | None]]:
    """Fields with their directions, None where none is named."""
    if not text.strip():
        return []
    alone = _DIRECTIONS.get(text.strip().lower())
    if alone is not None:
        return [(FIELDS["created_time"], alone)]
    keys: list[tuple[Field, bool | None]] = []
    for entry in text.split(","):
        words = entry.split()
        if not 1 <= len(words) <= 2:
            raise _bad_order(parameter, "VAL-003", "must be a list such as `name desc,created_time`", entry)
        field = _PLAIN.get(words[0])
        if field is None or not field.sortable:
            raise _bad_order(parameter, "VAL-002", _not_sortable(words[0]), words[0])
        if any(field is known for known, _ in keys):
            raise _bad_order(parameter, "VAL-003", f"names `{field.name}` twice", entry)
        descending = _DIRECTIONS.get(words[1].lower()) if len(words) == 2 else None
        if len(words) == 2 and descending is None:
            raise _bad_order(
                parameter, "VAL-002", f"the direction must be `asc` or `desc`, not {lexer.shown(words[1])}", entry
            )
        keys.append((field, descending))
    return keys


def _not_sortable(name: str) -> str:
    nearest = nearest_name(name, _SORTABLE)
    advice = f"the nearest name is `{nearest}`" if nearest else f"the sortable fields are {', '.join(_SORTABLE)}"
    return f"cannot sort by {lexer.shown(name)}; {advice}"


def _bad_order(parameter: str, code: str, message: str, value: str | None) -> InvalidInput:
    return InvalidInput(FieldError(code, parameter, message, value=value[:_REPEATED] if value else UNSET))


def parse_selection(text: str) -> Selection | None:
    """What `fields` asks for; None when that is everything a list gives by default. Raises InvalidInput on `fields`."""
    if not text.strip():
        return None
    try:
        lexer.refuse_unstorable(text)
        paths, everything = _selected_paths(text)
    except lexer.Misread as wrong:
        raise _bad_selection("VAL-003", f"at position {wrong.position}: {wrong.message}", text) from None
    if len(paths) > SELECTED:
        raise _bad_selection("VAL-004", f"must select at most {SELECTED} members", None)
    return None if everything and not paths else Selection(tuple(paths), everything)


def _selected_paths(text: str) -> tuple[dict[tuple[str, ...], None], bool]:
    """Every path once, in order, and whether `*` stands among them."""
    paths: dict[tuple[str, ...], None] = {}
    everything = False
    position = 0
    while True:
        position = _without_space(text, position)
        if text.startswith("*", position):
            everything = True
            position += 1
        else:
            path, position = _selected(text, position)
            paths[path] = None
        position = _without_space(text, position)
        if position == len(text):
            return paths, everything
        if text[position] != ",":
            raise lexer.Misread(position + 1, "expected a comma or the end")
        position += 1


def _without_space(text: str, position: int) -> int:
    while position < len(text) and text[position].isspace():
        position += 1
    return position


def _selected(text: str, position: int) -> tuple[tuple[str, ...], int]:
    """The path of the member that is named at `position`, and where its name ends."""
    token = lexer.name(text, position)
    if token is None:
        raise lexer.Misread(position + 1, "expected a member name or `*`")
    try:
        return _selected_path(cast(tuple[str, ...], token.value)), token.end
    except UnknownField as wrong:
        raise _bad_selection("VAL-002", str(wrong), text[position : token.end]) from None


def _selected_path(pieces: tuple[str, ...]) -> tuple[str, ...]:
    if _is_label(pieces[0]) and pieces != ("labels",):
        return "labels", _label_key(pieces)
    parts = _parts(pieces)
    name = ".".join(parts)
    plain = _PLAIN.get(name)
    if (plain is not None and plain.selectable) or (parts[0] == "spec" and len(parts) > 1):
        return parts
    raise UnknownField(_unknown(name, (row.name for row in _ROWS if row.selectable)))


def _bad_selection(code: str, message: str, value: str | None) -> InvalidInput:
    return InvalidInput(FieldError(code, "fields", message, value=value[:_REPEATED] if value else UNSET))
