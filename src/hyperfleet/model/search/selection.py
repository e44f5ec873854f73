"""The members of a resource to return, as selected by `fields`."""

from dataclasses import dataclass
from typing import Final, cast

from msgspec import UNSET

from hyperfleet.errors import FieldError, InvalidInput
from hyperfleet.model.search import lexer
from hyperfleet.model.search.fields import FIELDS, REPEATED, Fields, Member, UnknownField

SELECTED: Final = 200


@dataclass(frozen=True, slots=True)
class Selection:
    """The members of a resource to return, in the order given; `id` is always included.

    `everything`: `*` is among them, and `members` holds the members beyond that.
    """

    members: tuple[Member, ...]
    everything: bool = False


def parse_selection(text: str, fields: Fields = FIELDS) -> Selection | None:
    """The selection in `fields`; None if it is what a list returns by default. Raises InvalidInput on `fields`."""
    if not text.strip():
        return None
    try:
        lexer.refuse_unstorable(text)
        members, everything = _members(text, fields)
    except lexer.Misread as wrong:
        raise _bad_selection("VAL-003", f"at position {wrong.position}: {wrong.message}", text) from None
    if len(members) > SELECTED:
        raise _bad_selection("VAL-004", f"must select at most {SELECTED} members", None)
    return None if everything and not members else Selection(tuple(members), everything)


def _members(text: str, fields: Fields) -> tuple[dict[Member, None], bool]:
    """Each member once, in order, and whether `*` is among them."""
    members: dict[Member, None] = {}
    everything = False
    position = 0
    while True:
        position = _without_space(text, position)
        if text.startswith("*", position):
            everything = True
            position += 1
        else:
            member, position = _member(text, position, fields)
            members[member] = None
        position = _without_space(text, position)
        if position == len(text):
            return members, everything
        if text[position] != ",":
            raise lexer.Misread(position + 1, "expected a comma or the end")
        position += 1


def _without_space(text: str, position: int) -> int:
    while position < len(text) and text[position].isspace():
        position += 1
    return position


def _member(text: str, position: int, fields: Fields) -> tuple[Member, int]:
    """The member named at `position`, and the end of its name."""
    token = lexer.name(text, position)
    if token is None:
        raise lexer.Misread(position + 1, "expected a member name or `*`")
    try:
        return fields.selectable(cast(tuple[str, ...], token.value)), token.end
    except UnknownField as wrong:
        raise _bad_selection("VAL-002", str(wrong), text[position : token.end]) from None


def _bad_selection(code: str, message: str, value: str | None) -> InvalidInput:
    return InvalidInput(FieldError(code, "fields", message, value=value[:REPEATED] if value else UNSET))
