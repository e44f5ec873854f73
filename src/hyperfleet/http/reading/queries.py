"""Parses query strings into a listing, a selection or a page of reports. Unknown parameters are refused.

Pollers send the same query again and again, and parsed queries are immutable, so they are cached.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from msgspec import UNSET
from msgspec.structs import replace

from hyperfleet.errors import BadSearch, FieldError, Given, HyperFleetError, InvalidInput
from hyperfleet.model.identifier import uuid
from hyperfleet.model.search import parser
from hyperfleet.model.search.order import parse_order
from hyperfleet.model.search.parser import FieldRef, Membership
from hyperfleet.model.search.selection import Selection, parse_selection
from hyperfleet.model.search.vocabulary import ANYTHING, Vocabulary
from hyperfleet.model.spelling import nearest_name
from hyperfleet.store.clauses.filters import Filter, RefersTo
from hyperfleet.store.lists.pages import Listing

LARGEST_PAGE: Final = 2**31 - 1
LARGEST_SIZE: Final = 1000
DEFAULT_SIZE: Final = Listing().size
MOST_IDS: Final = 1000
# Finding the nearest name takes 50 µs, and a query has room for 30,000 wrong names.
MOST_MISTAKES: Final = 20

_BAD_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_WHOLE: Final = re.compile(r"-?[0-9]+")
_LONGEST_SHORT: Final = 4096
"""Queries up to this many bytes have a cache of hundreds. A longer one may take 100 times the memory, so a smaller
cache holds those."""

Values = dict[str, list[str]]
"""The values of each parameter in a query."""


class PageOfReports(NamedTuple):
    """The requested page of reports on a resource; `page` counts from 1."""

    page: int
    size: int


@dataclass(frozen=True, eq=False, slots=True)
class Listable:
    """What queries to a path may use: reference types, and the vocabulary of searches, orders and selections.

    `of_all` marks a path that lists all kinds, and so takes parameters that choose among kinds. Instances compare by
    identity, which makes them cheap cache keys.
    """

    references: tuple[str, ...] = ()
    vocabulary: Vocabulary = ANYTHING
    of_all: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class Parameter:
    """One parameter, or several that are read together, in the order in which messages name them.

    `read` takes the listing from the parameters before, and returns it with this parameter applied; it raises
    InvalidInput or BadSearch. It is called only when the query has the parameter. `note` is its text in the docs.
    """

    names: tuple[str, ...]
    read: Callable[[Values, Listable, Listing], Listing]
    note: str
    is_repeatable: bool = False
    of_all: bool = False


_ANY: Final = Listable()


def names(parameters: Iterable[Parameter], listable: Listable = _ANY) -> tuple[str, ...]:
    """The names of the parameters that the path takes."""
    return tuple(name for row in parameters if listable.of_all or not row.of_all for name in row.names)


class _Mistakes:
    """Collects the mistakes in a query, so that one error reports them all."""

    def __init__(self) -> None:
        self.found: list[HyperFleetError] = []

    def add(self, code: str, field: str, message: str, value: Given = UNSET) -> None:
        self.found.append(InvalidInput(FieldError(code, field, message, value=value)))

    def tell(self) -> None:
        if len(self.found) == 1:
            raise self.found[0]
        if self.found:
            raise InvalidInput(*(error for wrong in self.found for error in wrong.errors))


def _parameters(query: bytes, rows: tuple[Parameter, ...], listable: Listable, mistakes: _Mistakes) -> Values:
    """The known parameters with their decoded values; unknown, repeated and badly encoded ones become mistakes."""
    known = names(rows, listable)
    repeatable = {name for row in rows if row.is_repeatable for name in row.names}
    given: Values = {}
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
        elif name in given and name not in repeatable:
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


def _one(given: Values, name: str) -> str | None:
    values = given.get(name)
    return values[0] if values else None


def _filled(given: Values, name: str) -> str | None:
    """A parameter's value; None when it is absent, empty or blank."""
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


def _page(given: Values, _listable: Listable, asked: Listing) -> Listing:
    page = _whole_number("page", given["page"][0], LARGEST_PAGE)
    return replace(asked, page=page, ends_early=False)


def _size(given: Values, _listable: Listable, asked: Listing) -> Listing:
    sizes = [_whole_number(name, given[name][0], LARGEST_SIZE) for name in ("pageSize", "size") if name in given]
    if len(set(sizes)) > 1:
        message = "`pageSize` and `size` differ; send only one of them"
        raise InvalidInput(FieldError("VAL-003", "size", message, value=str(sizes[1])))
    return replace(asked, size=sizes[0])


def _count(given: Values, _listable: Listable, asked: Listing) -> Listing:
    text = given["count"][0]
    if text not in ("exact", "none"):
        raise InvalidInput(FieldError("VAL-002", "count", "`count` must be `exact` or `none`", "exact, none", text))
    return replace(asked, count=text == "exact")


def _ids(given: Values, listable: Listable, asked: Listing) -> Listing:
    texts = given["id"]
    if len(texts) > MOST_IDS:
        message = f"`id` may be repeated at most {MOST_IDS} times"
        raise InvalidInput(FieldError("VAL-004", "id", message, f"at most {MOST_IDS}", len(texts)))
    ids = tuple(dict.fromkeys(texts))
    wrong = [text for text in ids if uuid(text) is None]
    if wrong:
        message = "`id` must be a lower-case UUID"
        raise InvalidInput(*(FieldError("VAL-003", "id", message, value=text) for text in wrong))
    term = Membership(FieldRef(listable.vocabulary.fields.by_name["id"]), ids)
    return _filtered(asked, Filter("id", term, ",".join(ids), is_selective=True))


def _filtered(asked: Listing, by: Filter) -> Listing:
    return replace(asked, filters=(*asked.filters, by))


def _search(given: Values, listable: Listable, asked: Listing) -> Listing:
    text = _filled(given, "search")
    return _filtered(asked, Filter("search", parser.parse(text, listable.vocabulary), text)) if text else asked


def _order(given: Values, listable: Listable, asked: Listing) -> Listing:
    keys = parse_order(_one(given, "order"), _one(given, "orderBy"), listable.vocabulary.fields)
    return replace(asked, order=keys)


def _fields(given: Values, listable: Listable, asked: Listing) -> Listing:
    text = _filled(given, "fields")
    return replace(asked, selection=parse_selection(text, listable.vocabulary.fields)) if text else asked


def _token(given: Values, _listable: Listable, asked: Listing) -> Listing:
    token = _filled(given, "page_token")
    if token is None:
        return asked
    if "page" in given:
        message = "`page` and `page_token` are mutually exclusive; send only one of them"
        raise InvalidInput(FieldError("VAL-002", "page", message))
    return replace(asked, page_token=token, page=None)


def _kind(given: Values, listable: Listable, asked: Listing) -> Listing:
    text, kinds = given["kind"][0], listable.vocabulary.kinds
    if text in kinds:
        return replace(asked, kind=text)
    choices = ", ".join(kinds)
    raise InvalidInput(FieldError("VAL-002", "kind", f"`kind` must be one of {choices}", choices, text))


def _reference(given: Values, listable: Listable, asked: Listing) -> Listing:
    type, target, types = _one(given, "ref_type"), _one(given, "ref_target_id"), listable.references
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
    return _filtered(asked, Filter("ref_type", RefersTo(type, id), f"{type} {id}", is_selective=True))


_PAGE: Final = Parameter(("page",), _page, "which page, from 1; not together with `page_token`")
_SIZE: Final = Parameter(("pageSize", "size"), _size, "how many resources a page has")
_FIELDS: Final = Parameter(("fields",), _fields, "the members to answer with")

LIST_PARAMETERS: Final = (
    _PAGE,
    _SIZE,
    Parameter(("search",), _search, "only resources of which this is true"),
    Parameter(("order", "orderBy"), _order, "how the list is sorted"),
    _FIELDS,
    Parameter(("page_token",), _token, "the `next_page_token` of the page before"),
    Parameter(("count",), _count, "`exact` or `none`: whether `total` comes with the page"),
    Parameter(("id",), _ids, "only the resource with this id; may be repeated", is_repeatable=True),
    Parameter(("ref_type", "ref_target_id"), _reference, "only resources with a reference of this type to this target"),
    Parameter(("kind",), _kind, "only resources of this kind, in lists of all kinds", of_all=True),
)
READ_PARAMETERS: Final = (_FIELDS,)
REPORT_PARAMETERS: Final = (_PAGE, _SIZE)


def _listing(query: bytes, listable: Listable, rows: tuple[Parameter, ...]) -> Listing:
    mistakes = _Mistakes()
    given = _parameters(query, rows, listable, mistakes)
    asked = Listing()
    for row in rows:
        if given.keys().isdisjoint(row.names):
            continue
        try:
            asked = row.read(given, listable, asked)
        except (InvalidInput, BadSearch) as wrong:
            mistakes.found.append(wrong)
    mistakes.tell()
    return asked


_kept_listing: Final = lru_cache(maxsize=512)(_listing)
_kept_long_listing: Final = lru_cache(maxsize=16)(_listing)


def listing(query: bytes, listable: Listable = _ANY, parameters: tuple[Parameter, ...] = LIST_PARAMETERS) -> Listing:
    """Parses a list's query (contract: List); raises InvalidInput or BadSearch with every mistake."""
    parse = _kept_listing if len(query) <= _LONGEST_SHORT else _kept_long_listing
    return parse(query, listable, parameters)


def selection(query: bytes, listable: Listable = _ANY) -> Selection | None:
    """The selection in the query of a read of one resource, or None for everything; raises InvalidInput."""
    return listing(query, listable, READ_PARAMETERS).selection


def page_of_reports(query: bytes) -> PageOfReports:
    """The page of reports that a query requests; raises InvalidInput."""
    asked = listing(query, parameters=REPORT_PARAMETERS)
    return PageOfReports(asked.page or 1, asked.size)


def nothing(query: bytes) -> None:
    """Raises InvalidInput for any parameter, on paths that take none."""
    if query:
        listing(query, parameters=())
