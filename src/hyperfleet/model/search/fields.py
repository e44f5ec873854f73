"""The table of a resource's fields: the name and type of each, and what callers may do with it.

Search, `order` and `fields` accept only the names in these rows. From the rows, the store derives how to compare, sort
and select, and the documentation's tables are generated: a field needs only one row. A name with a placeholder in angle
brackets covers every name of that form; the path of a reference fills the placeholder.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from hyperfleet.model.search import lexer
from hyperfleet.model.spelling import nearest_name

Type = Literal["text", "integer", "time", "any"]
"""The type of the values that callers compare a field with; `any` is text, number or boolean, as in the document."""

SqlType = Literal["text", "uuid", "integer", "bigint", "timestamptz", "json"]

_TYPES: Final[dict[SqlType, Type]] = {
    "text": "text",
    "uuid": "text",
    "integer": "integer",
    "bigint": "integer",
    "timestamptz": "time",
    "json": "any",
}

Place = Literal["column", "label", "spec", "condition", "detail", "envelope", "inside", "status", "adapters", "tenancy"]
"""Where the database has a value. The place decides how the value is compared and selected (store/clauses/).

`column`: a column of its own. `label`, `spec`: a member of that jsonb column, selected from the served text.
`condition`, `detail`: a condition's status, and its other members. `envelope`: a member of the served text. `inside`: a
member of the served text whose neighbours have columns. `status`, `adapters`, `tenancy`: the whole of each.
"""

PATH_PARTS: Final = 100
REPEATED: Final = 100
"""The most characters of a name that an error repeats."""


@dataclass(frozen=True, eq=False, slots=True)
class Field:
    """A row of the table. Compared by identity, so that it is a cheap key.

    `column` is its column in `resources`, of `sql_type`; `member` is the key inside the column for the details of
    conditions. `is_nullable`: a row may lack it. `is_indexed`: an index serves lists in its order. `width` is the most
    bytes that it takes in a response, including its name and punctuation. `choices` are all values that a text can
    have, empty if they are unlimited; `holds_kind`: the values are the names of kinds.
    """

    name: str
    sql_type: SqlType
    column: str = ""
    place: Place = "column"
    member: str = ""
    is_nullable: bool = False
    is_indexed: bool = False
    searchable: bool = False
    sortable: bool = False
    selectable: bool = False
    width: int = 320
    note: str = ""
    choices: tuple[str, ...] = ()
    holds_kind: bool = False

    @property
    def type(self) -> Type:
        """The type of the values that callers compare it with."""
        return _TYPES[self.sql_type]

    @property
    def names_condition(self) -> bool:
        """Whether the path of a reference to it is a condition's type."""
        return self.place in ("condition", "detail")


_IDENTITY: Final = 2200

_ROWS: Final = (
    Field("id", "uuid", "id", searchable=True, sortable=True, selectable=True, note="a lower-case UUID"),
    Field("name", "text", "name", searchable=True, sortable=True, selectable=True),
    Field("kind", "text", "kind", searchable=True, sortable=True, selectable=True, holds_kind=True),
    Field("href", "text", "href", searchable=True, selectable=True, width=1024),
    Field(
        "owner_id",
        "uuid",
        "owner_id",
        is_nullable=True,
        searchable=True,
        note="the owner's UUID; absent for top-level kinds",
    ),
    Field(
        "owner_kind",
        "text",
        "owner_kind",
        is_nullable=True,
        searchable=True,
        note="absent for top-level kinds",
        holds_kind=True,
    ),
    Field("generation", "integer", "generation", searchable=True, sortable=True, selectable=True),
    Field(
        "created_time", "timestamptz", "created_time", is_indexed=True, searchable=True, sortable=True, selectable=True
    ),
    Field("updated_time", "timestamptz", "updated_time", searchable=True, sortable=True, selectable=True),
    Field(
        "deleted_time",
        "timestamptz",
        "deleted_time",
        is_nullable=True,
        searchable=True,
        sortable=True,
        selectable=True,
        note="absent unless the resource is being deleted",
    ),
    Field("created_by", "text", "created_by", searchable=True, sortable=True, selectable=True, width=_IDENTITY),
    Field("updated_by", "text", "updated_by", searchable=True, sortable=True, selectable=True, width=_IDENTITY),
    Field(
        "deleted_by",
        "text",
        "deleted_by",
        is_nullable=True,
        searchable=True,
        selectable=True,
        width=_IDENTITY,
        note="absent unless the resource is being deleted",
    ),
    Field(
        "labels.<key>",
        "text",
        "labels",
        "label",
        searchable=True,
        selectable=True,
        note="the key follows `labels.`",
    ),
    Field(
        "spec.<path>", "json", "spec", "spec", searchable=True, selectable=True, note="members of objects, at any depth"
    ),
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
    Field("status.last_updated_time", "timestamptz", "last_updated_time", searchable=True, selectable=True),
    Field("status.last_transition_time", "timestamptz", "last_transition_time", searchable=True, selectable=True),
    Field(
        "status.conditions.<Type>",
        "text",
        "condition_status",
        "condition",
        searchable=True,
        note="`True`, `False` or `Unknown`",
        choices=("True", "False", "Unknown"),
    ),
    Field("status.conditions.<Type>.last_updated_time", "timestamptz", "conditions", "detail", "u", searchable=True),
    Field("status.conditions.<Type>.last_transition_time", "timestamptz", "conditions", "detail", "t", searchable=True),
    Field("status.conditions.<Type>.observed_generation", "integer", "conditions", "detail", "g", searchable=True),
    Field("status.conditions.<Type>.reason", "text", "conditions", "detail", "r", searchable=True),
    Field("owner_references", "json", "envelope", "inside", selectable=True),
    Field("owner_references.kind", "text", "owner_kind", is_nullable=True, selectable=True),
    Field("owner_references.id", "uuid", "owner_id", is_nullable=True, selectable=True),
    Field("owner_references.href", "json", "envelope", "inside", selectable=True),
    Field("resource_version", "bigint", "resource_version", selectable=True),
    Field("tenancy", "json", "tenancy", "tenancy", selectable=True, note="absent unless tenancy is enabled"),
    Field("spec", "json", "envelope", "envelope", selectable=True),
    Field("labels", "json", "envelope", "envelope", selectable=True),
    Field("references", "json", "envelope", "envelope", selectable=True),
    Field("status", "json", "status", "status", selectable=True),
    Field("status.conditions", "json", "status", "inside", selectable=True),
    Field("status.adapters", "json", place="adapters", selectable=True, note="omitted from lists unless selected"),
)

_NEEDS_MORE: Final = {
    "labels": "search `labels` by key, such as `labels.environment`",
    "spec": "search `spec` by member, such as `spec.region`",
    "status.conditions": "search `status.conditions` by type, such as `status.conditions.Reconciled`",
}


class UnknownField(ValueError):
    """No field has that name; the message is for the caller, and says what is allowed instead."""


class Member(NamedTuple):
    """A member to return, and the field that it is or that contains it."""

    path: tuple[str, ...]
    field: Field


class Fields:
    """The fields for searches, orders and selections, from the rows of a table."""

    def __init__(self, rows: Iterable[Field]) -> None:
        self.rows: Final = tuple(rows)
        self.by_name: Final = {row.name: row for row in self.rows}
        # Rows with placeholders are left out, because a caller may write a placeholder's text in brackets.
        self._plain: Final = {row.name: row for row in self.rows if "<" not in row.name}
        self._details: Final = {row.name.rpartition(".")[2]: row for row in self.rows if row.place == "detail"}

    def searchable(self, pieces: tuple[str, ...]) -> tuple[Field, tuple[str, ...]]:
        """The field that a name in a search refers to, and the values of its placeholders; raises UnknownField.

        `pieces` are the pieces of a name token: dotted text at even indexes, bracketed parts at odd ones.
        """
        head = pieces[0]
        if len(pieces) == 1:
            plain = self._plain.get(head)
            if plain is not None and plain.searchable:
                return plain, ()
        if _is_label(head):
            return self.by_name["labels.<key>"], (_label_key(pieces),)
        parts = _parts(pieces)
        if parts[0] == "spec" and len(parts) > 1:
            return self.by_name["spec.<path>"], parts[1:]
        if parts[:2] == ("status", "conditions") and len(parts) > 2:
            return self._of_condition(parts)
        name = ".".join(parts)
        plain = self._plain.get(name)
        if plain is None or not plain.searchable:
            raise UnknownField(
                _NEEDS_MORE.get(name) or _unknown(name, (row.name for row in self.rows if row.searchable))
            )
        return plain, ()

    def _of_condition(self, parts: tuple[str, ...]) -> tuple[Field, tuple[str, ...]]:
        if len(parts) == 3:
            return self.by_name["status.conditions.<Type>"], parts[2:]
        detail = self._details.get(parts[3])
        if detail is None or len(parts) > 4:
            raise UnknownField(
                f"a condition has no {lexer.shown('.'.join(parts[3:]))}; besides its status it has "
                f"{', '.join(sorted(self._details))}; put a type with a dot in brackets, `status.conditions['a.b']`"
            )
        return detail, parts[2:3]

    def sortable(self, name: str) -> Field:
        """The field of that name, by which lists can be sorted; raises UnknownField."""
        field = self._plain.get(name)
        if field is None or not field.sortable:
            known = [row.name for row in self.rows if row.sortable]
            nearest = nearest_name(name, known)
            advice = f"the nearest name is `{nearest}`" if nearest else f"the sortable fields are {', '.join(known)}"
            raise UnknownField(f"cannot sort by {lexer.shown(name)}; {advice}")
        return field

    def selectable(self, pieces: tuple[str, ...]) -> Member:
        """The member that a name in `fields` refers to, in pieces as in a search; raises UnknownField."""
        if _is_label(pieces[0]) and pieces != ("labels",):
            return Member(("labels", _label_key(pieces)), self.by_name["labels.<key>"])
        parts = _parts(pieces)
        if parts[0] == "spec" and len(parts) > 1:
            return Member(parts, self.by_name["spec.<path>"])
        name = ".".join(parts)
        plain = self._plain.get(name)
        if plain is None or not plain.selectable:
            raise UnknownField(_unknown(name, (row.name for row in self.rows if row.selectable)))
        return Member(parts, plain)


FIELDS: Final = Fields(_ROWS)


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
    """The parts of a name, split at its dots, except within bracketed parts."""
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
        # After the first dot may come a caller's own word, which is near no name, so only the first parts are compared.
        head = nearest_name(name.partition(".")[0], dict.fromkeys(each.partition(".")[0] for each in names))
        alike = [each for each in names if head is not None and each.startswith(f"{head}.")]
    if not alike:
        return f"unknown field {lexer.shown(name)}; the fields are {', '.join(names)}"
    verb = "is" if len(alike) == 1 else "are"
    return f"unknown field {lexer.shown(name)}; the nearest {verb} {', '.join(f'`{each}`' for each in alike)}"
