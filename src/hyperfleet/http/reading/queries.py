"""Query strings to what is asked for: a listing, a selection, a page of reports. Whatever is not known is refused.

Pollers send the same query over and over, and everything here is immutable, so parsed queries are kept.
"""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from typing import Final, NamedTuple, TypeVar
from urllib.parse import unquote_to_bytes
from uuid import UUID

from msgspec import UNSET

from hyperfleet.errors import BadSearch, FieldError, Given, HyperFleetError, InvalidInput
from hyperfleet.model.identifier import uuid
from hyperfleet.model.search import fields, parser
from hyperfleet.model.search.fields import Selection
from hyperfleet.model.search.vocabulary import ANYTHING, Vocabulary
from hyperfleet.model.spelling import nearest_name
from hyperfleet.store.lists.pages import Listing

LARGEST_PAGE: Final = 2**31 - 1
LARGEST_SIZE: Final = 1000
DEFAULT_SIZE: Final = 100
MOST_IDS: Final = 1000
# Guessing the nearest name costs 50 µs, and a query has room for 30,000 wrong ones.
MOST_MISTAKES: Final = 20

LIST_PARAMETERS: Final = (
    *("page", "pageSize", "size", "search", "order", "orderBy", "fields", "page_token", "count", "id"),
    *("ref_type", "ref_target_id"),
)
READ_PARAMETERS: Final = ("fields",)
REPORT_PARAMETERS: Final = ("page", "pageSize", "size")
REPEATABLE: Final = frozenset({"id"})

_BAD_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_WHOLE: Final = re.compile(r"-?[0-9]+")
_LONGEST_SHORT: Final = 4096
"""Bytes of the queries of which hundreds are kept. Of longer ones a few are: each may take as much as 100 of these."""

_T = TypeVar("_T")


class PageOfReports(NamedTuple):
    """Which reports on a resource are asked for; `page` counts from 1."""

    page: int
    size: int


def listing(
    query: bytes,
    *,
    references: tuple[str, ...] = (),
    kinds: tuple[str, ...] = (),
    vocabulary: Vocabulary = ANYTHING,
) -> Listing:
    """What a list's query asks for (contract: List); raises InvalidInput or BadSearch with every mistake in it.

    `references` are the types of reference that the listed kinds declare; `kinds` the names among which the parameter
    `kind` chooses, empty for a list of one kind, which does not take it; `vocabulary` is what may be searched for.
    """
    parse = _kept_listing if len(query) <= _LONGEST_SHORT else _kept_long_listing
    return parse(query, references, kinds, vocabulary)


def selection(query: bytes) -> Selection | None:
    """What the query of a read of one selects, None for all; raises InvalidInput."""
    if not query:
        return None
    return _kept_selection(query) if len(query) <= _LONGEST_SHORT else _selection(query)


def page_of_reports(query: bytes) -> PageOfReports:
    """Which page of reports a query asks for; raises InvalidInput."""
    if not query:
        return PageOfReports(1, DEFAULT_SIZE)
    mistakes = _Mistakes()
    given = _parameters(query, REPORT_PARAMETERS, mistakes)
    page = mistakes.collect(_page, given, otherwise=1)
    size = mistakes.collect(_size, given, otherwise=DEFAULT_SIZE)
    mistakes.tell()
    return PageOfReports(page, size)


def nothing(query: bytes) -> None:
    """For paths that take no parameter: raises InvalidInput when there is one."""
    if query:
        mistakes = _Mistakes()
        _parameters(query, (), mistakes)
        mistakes.tell()


class _Mistakes:
    """Collects what is wrong, so that a caller hears of everything at once."""

    def __init__(self) -> None:
        self.found: list[HyperFleetError] = []

    def add(self, code: str, field: str, message: str, value: Given = UNSET) -> None:
        self.found.append(InvalidInput(FieldError(code, field, message, value=value)))

    def collect(self, parse: Callable[[dict[str, list[str]]], _T], given: dict[str, list[str]], *, otherwise: _T) -> _T:
        """What `parse` makes of the parameters, `otherwise` when it raises, which is kept."""
        try:
            return parse(given)
        except (InvalidInput, BadSearch) as wrong:
            self.found.append(wrong)
            return otherwise

    def tell(self) -> None:
        if len(self.found) == 1:
            raise self.found[0]
        if self.found:
            raise InvalidInput(*(error for wrong in self.found for error in wrong.errors))


def _parameters(query: bytes, known: Iterable[str], mistakes: _Mistakes) -> dict[str, list[str]]:
    """The known parameters with their values, decoded; what is unknown, repeated or badly encoded is a mistake."""
    given: dict[str, list[str]] = {}
    for piece in query.split(b"&"):
        if len(mistakes.found) >= MOST_MISTAKES:
            break
        if not piece:
            continue
        raw_name, _, raw_value = piece.partition(b"=")
        name, value = _decoded(raw_name), _decoded(raw_value)
        if name is None or name not in known:
            shown = name if name is not None else raw_name.decode("latin-1")
            mistakes.add("VAL-002", shown, _unknown(shown, known))
        elif value is None:
            mistakes.add("VAL-003", name, f"`{name}` must be percent-encoded UTF-8", raw_value.decode("latin-1"))
        elif name in given and name not in REPEATABLE:
            mistakes.add("VAL-002", name, f"`{name}` must not be repeated", value)
        else:
            given.setdefault(name, []).append(value)
    return given


def _decoded(raw: bytes) -> str | None:
    if b"%" not in raw and b"+" not in raw and raw.isascii():
        return raw.decode()
    if _BAD_ESCAPE.search(raw):
        return None
    try:
        return unquote_to_bytes(raw.replace(b"+", b" ")).decode()
    except UnicodeDecodeError:
        return None


def _unknown(name: str, known: Iterable[str]) -> str:
    names = tuple(known)
    if not names:
        return "this path takes no parameters"
    nearest = nearest_name(name, names)
    if nearest is not None:
        return f"is not a parameter of this path; the nearest is `{nearest}`"
    return f"is not a parameter of this path; use one of {', '.join(names)}"


def _one(given: dict[str, list[str]], name: str) -> str | None:
    values = given.get(name)
    return values[0] if values else None


def _filled(given: dict[str, list[str]], name: str) -> str | None:
    """The value of a parameter that is as absent when it is empty."""
    text = _one(given, name)
    return text if text and not text.isspace() else None


def _whole_number(name: str, text: str, largest: int) -> int:
    if not _WHOLE.fullmatch(text):
        raise InvalidInput(FieldError("VAL-003", name, f"`{name}` must be a whole number", value=text))
    number = int(text) if len(text) <= 100 else 0
    if not 1 <= number <= largest:
        raise InvalidInput(
            FieldError("VAL-004", name, f"`{name}` must be from 1 to {largest}", f"1 to {largest}", value=text)
        )
    return number


def _page(given: dict[str, list[str]]) -> int:
    text = _one(given, "page")
    return 1 if text is None else _whole_number("page", text, LARGEST_PAGE)


def _size(given: dict[str, list[str]]) -> int:
    texts = {name: _one(given, name) for name in ("pageSize", "size")}
    sizes = [_whole_number(name, text, LARGEST_SIZE) for name, text in texts.items() if text is not None]
    if len(set(sizes)) > 1:
        message = "`pageSize` and `size` differ; send only one of them"
        raise InvalidInput(FieldError("VAL-003", "size", message, value=str(sizes[1])))
    return sizes[0] if sizes else DEFAULT_SIZE


def _count(given: dict[str, list[str]]) -> bool | None:
    text = _one(given, "count")
    if text is None:
        return None
    if text not in ("exact", "none"):
        raise InvalidInput(FieldError("VAL-002", "count", "`count` must be `exact` or `none`", "exact, none", text))
    return text == "exact"


def _ids(given: dict[str, list[str]]) -> tuple[UUID, ...] | None:
    texts = given.get("id")
    if texts is None:
        return None
    if len(texts) > MOST_IDS:
        message = f"`id` may be repeated at most {MOST_IDS} times"
        raise InvalidInput(FieldError("VAL-004", "id", message, f"at most {MOST_IDS}", len(texts)))
    ids = {text: uuid(text) for text in texts}
    wrong = [text for text, id in ids.items() if id is None]
    if wrong:
        message = "`id` must be a lower-case UUID"
        raise InvalidInput(*(FieldError("VAL-003", "id", message, value=text) for text in wrong))
    return tuple(id for id in ids.values() if id is not None)


def _search(given: dict[str, list[str]], vocabulary: Vocabulary) -> parser.Expression | None:
    text = _filled(given, "search")
    return parser.parse(text, vocabulary) if text else None


def _order(given: dict[str, list[str]]) -> tuple[fields.OrderKey, ...]:
    return fields.parse_order(_one(given, "order"), _one(given, "orderBy"))


def _fields(given: dict[str, list[str]]) -> Selection | None:
    text = _filled(given, "fields")
    return fields.parse_selection(text) if text else None


def _token(given: dict[str, list[str]]) -> str | None:
    token = _filled(given, "page_token")
    if token is not None and "page" in given:
        message = "`page` and `page_token` are mutually exclusive; send only one of them"
        raise InvalidInput(FieldError("VAL-002", "page", message))
    return token


def _kind(given: dict[str, list[str]], kinds: tuple[str, ...]) -> str | None:
    text = _one(given, "kind")
    if text is None or text in kinds:
        return text
    choices = ", ".join(kinds)
    raise InvalidInput(FieldError("VAL-002", "kind", f"`kind` must be one of {choices}", choices, text))


def _reference(given: dict[str, list[str]], types: tuple[str, ...]) -> tuple[str, UUID] | None:
    type, target = _one(given, "ref_type"), _one(given, "ref_target_id")
    if type is None and target is None:
        return None
    wrong = []
    if type is None or target is None:
        missing = "ref_type" if type is None else "ref_target_id"
        wrong.append(FieldError("VAL-001", missing, "`ref_type` and `ref_target_id` must be used together; send both"))
    if type is not None and type not in types:
        choices = f"one of {', '.join(types)}" if types else "omitted: no kind here declares references"
        wrong.append(FieldError("VAL-002", "ref_type", f"`ref_type` must be {choices}", ", ".join(types) or None, type))
    id = None if target is None else uuid(target)
    if target is not None and id is None:
        wrong.append(FieldError("VAL-003", "ref_target_id", "`ref_target_id` must be a lower-case UUID", value=target))
    if wrong or type is None or id is None:
        raise InvalidInput(*wrong)
    return type, id


def _listing(query: bytes, references: tuple[str, ...], kinds: tuple[str, ...], vocabulary: Vocabulary) -> Listing:
    mistakes = _Mistakes()
    given = _parameters(query, (*LIST_PARAMETERS, "kind") if kinds else LIST_PARAMETERS, mistakes)
    page = mistakes.collect(_page, given, otherwise=1)
    token = mistakes.collect(_token, given, otherwise=None)
    parsed = Listing(
        size=mistakes.collect(_size, given, otherwise=DEFAULT_SIZE),
        page=page if token is None else None,
        ends_early="page" not in given,
        page_token=token,
        search=mistakes.collect(partial(_search, vocabulary=vocabulary), given, otherwise=None),
        search_text=_filled(given, "search") or "",
        order=mistakes.collect(_order, given, otherwise=()),
        selection=mistakes.collect(_fields, given, otherwise=None),
        count=mistakes.collect(_count, given, otherwise=None),
        ids=mistakes.collect(_ids, given, otherwise=None),
        reference=mistakes.collect(partial(_reference, types=references), given, otherwise=None),
        kind=mistakes.collect(partial(_kind, kinds=kinds), given, otherwise=None),
    )
    mistakes.tell()
    return parsed


def _selection(query: bytes) -> Selection | None:
    mistakes = _Mistakes()
    selected = mistakes.collect(_fields, _parameters(query, READ_PARAMETERS, mistakes), otherwise=None)
    mistakes.tell()
    return selected


_kept_listing: Final = lru_cache(maxsize=512)(_listing)
_kept_long_listing: Final = lru_cache(maxsize=16)(_listing)
_kept_selection: Final = lru_cache(maxsize=512)(_selection)
