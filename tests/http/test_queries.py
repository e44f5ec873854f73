"""Query strings: the value of each parameter, and that every mistyped one is refused under its own name."""

from typing import Final
from uuid import UUID

import pytest

from hyperfleet.errors import HyperFleetError
from hyperfleet.http.reading import queries
from hyperfleet.model.search.fields import FIELDS
from hyperfleet.model.search.order import parse_order
from hyperfleet.model.search.parser import FieldRef, Membership, parse
from hyperfleet.model.search.selection import parse_selection
from hyperfleet.store.clauses.filters import Filter
from hyperfleet.store.lists.pages import Listing

ID: Final = "018f0000-0000-7000-8000-000000000001"
OTHER_ID: Final = "018f0000-0000-7000-8000-000000000002"


def refusal(query: str) -> tuple[str, tuple[str, ...]]:
    """The code of a refused list, and the parameters that it names."""
    with pytest.raises(HyperFleetError) as refused:
        queries.listing(query.encode())
    return refused.value.row.name, tuple(wrong.field for wrong in refused.value.errors)


def searched(query: bytes) -> object:
    (found,) = queries.listing(query).filters
    return found.term


def ids(query: str) -> tuple[object, ...]:
    term = searched(query.encode())
    assert isinstance(term, Membership)
    return term.values


def test_no_query_means_the_first_hundred_newest_first() -> None:
    assert queries.listing(b"") == Listing(size=100, page=1)


def test_every_parameter_of_a_list_is_read() -> None:
    query = f"page=3&pageSize=7&search=name%20%3D%20'a'&order=name+desc&fields=id,spec.region&count=none&id={ID}"
    assert queries.listing(query.encode()) == Listing(
        size=7,
        page=3,
        ends_early=False,
        filters=(
            Filter("search", parse("name = 'a'"), "name = 'a'"),
            Filter("id", Membership(FieldRef(FIELDS.by_name["id"]), (ID,)), ID, is_selective=True),
        ),
        order=parse_order("name desc", None),
        selection=parse_selection("id,spec.region"),
        count=False,
    )


@pytest.mark.parametrize("query", ["search=", "order=", "orderBy=", "fields=", "page_token=", "search=%20", "&", "&&"])
def test_an_empty_text_counts_as_absent(query: str) -> None:
    assert queries.listing(query.encode()) == Listing()


@pytest.mark.parametrize("query", ["page_token=", "page_token=&page=1"])
def test_an_empty_token_keeps_numbered_pages(query: str) -> None:
    assert queries.listing(query.encode()).page == 1


@pytest.mark.parametrize(
    ("query", "ends_early"), [("", True), ("pageSize=7", True), ("page=1", False), ("page=2", False)]
)
def test_only_a_page_requested_by_number_must_not_end_early(query: str, ends_early: bool) -> None:
    assert queries.listing(query.encode()).ends_early is ends_early


def test_a_token_has_no_page_number() -> None:
    listing = queries.listing(b"page_token=abc")
    assert (listing.page, listing.page_token, listing.count) == (None, "abc", None)


def test_id_may_be_repeated_and_duplicates_count_once() -> None:
    assert ids(f"id={ID}&id={OTHER_ID}&id={ID}") == (ID, OTHER_ID)


@pytest.mark.parametrize(("name", "most"), [("page", 2**31 - 1), ("pageSize", 1000), ("size", 1000)])
def test_a_number_stays_within_its_limits_on_both_sides(name: str, most: int) -> None:
    queries.listing(f"{name}=1".encode())
    queries.listing(f"{name}={most}".encode())
    assert refusal(f"{name}=0") == ("VAL-004", (name,))
    assert refusal(f"{name}=-1") == ("VAL-004", (name,))
    assert refusal(f"{name}={most + 1}") == ("VAL-004", (name,))
    assert refusal(f"{name}={'9' * 5000}") == ("VAL-004", (name,))


@pytest.mark.parametrize("text", ["", "x", "1.0", "1e2", "+1", "%2B1", "0x1", "1_0", "%D9%A1", "1%00", "1 ", "true"])
def test_anything_but_a_whole_number_is_refused(text: str) -> None:
    assert refusal(f"page={text}") == ("VAL-003", ("page",))


def test_both_spellings_of_the_size_must_agree() -> None:
    assert queries.listing(b"size=5&pageSize=5").size == 5
    assert refusal("size=5&pageSize=6") == ("VAL-003", ("size",))


def test_a_page_and_a_token_exclude_each_other() -> None:
    assert refusal("page=1&page_token=abc") == ("VAL-002", ("page",))


@pytest.mark.parametrize(("text", "count"), [("exact", True), ("none", False)])
def test_a_count_is_exact_or_none(text: str, count: bool) -> None:
    assert queries.listing(f"count={text}".encode()).count is count
    assert refusal(f"count={text.upper()}") == ("VAL-002", ("count",))


def test_an_empty_count_means_no_count() -> None:
    assert refusal("count=") == ("VAL-002", ("count",))


@pytest.mark.parametrize("id", ["", "x", ID.upper(), f"{{{ID}}}", ID.replace("-", ""), f"urn:uuid:{ID}", ID + "%00"])
def test_an_id_has_one_form(id: str) -> None:
    assert refusal(f"id={id}") == ("VAL-003", ("id",))


def test_a_thousand_ids_are_accepted_and_one_more_is_refused() -> None:
    given = [f"id={UUID(int=number)}" for number in range(1001)]
    assert len(ids("&".join(given[:1000]))) == 1000
    assert refusal("&".join(given)) == ("VAL-004", ("id",))


@pytest.mark.parametrize("name", ["Page", "pagesize", "page_size", "filter", "limit", "", "p%61ge%00", "search%5B%5D"])
def test_an_unknown_parameter_is_refused_under_its_name(name: str) -> None:
    code, fields = refusal(f"{name}=1")
    assert (code, len(fields)) == ("VAL-002", 1)


def test_a_mistyped_parameter_gets_the_nearest_name() -> None:
    with pytest.raises(HyperFleetError, match="the nearest is `pageSize`"):
        queries.listing(b"page_size=3")


@pytest.mark.parametrize("name", ["page", "pageSize", "size", "search", "order", "orderBy", "fields", "page_token"])
def test_a_repeated_parameter_is_refused_even_with_equal_values(name: str) -> None:
    code, fields = refusal(f"{name}=1&{name}=1")
    assert code in ("VAL-000", "VAL-002")
    assert name in fields


def test_a_name_is_decoded_before_it_is_looked_up() -> None:
    assert queries.listing(b"p%61ge=2").page == 2
    assert refusal("page=1&p%61ge=1") == ("VAL-002", ("page",))


@pytest.mark.parametrize("text", ["%", "%2", "%zz", "a%ff", "%c3", "%ed%a0%80", "%f5%80%80%80"])
def test_anything_but_percent_encoded_utf8_is_refused(text: str) -> None:
    assert refusal(f"search={text}") == ("VAL-003", ("search",))


def test_raw_bytes_are_utf8_or_refused() -> None:
    assert searched("search=name='é'".encode()) == parse("name='é'")
    with pytest.raises(HyperFleetError):
        queries.listing(b"search=name='\xff'")


def test_a_plus_is_a_space_and_an_encoded_plus_a_plus() -> None:
    assert searched(b"search=name+%3D+'a%2Bb'") == parse("name = 'a+b'")


def test_every_mistake_has_its_entry() -> None:
    code, fields = refusal("page=0&size=x&order=nothing&fields=nothing&count=some&nothing=1&search=((")
    assert code == "VAL-000"
    assert set(fields) == {"page", "size", "order", "fields", "count", "nothing", "search"}


def test_a_query_full_of_mistakes_gets_only_a_few_errors() -> None:
    code, fields = refusal("&".join(f"unknown{number}=1" for number in range(5000)))
    assert code == "VAL-000"
    assert len(fields) <= 20


def test_an_invalid_search_as_the_only_mistake_has_the_code_of_searches() -> None:
    assert refusal("search=name%20%3D") == ("VAL-007", ("search",))
    assert refusal("search=name%20%3D%20'%00'")[0] == "VAL-007"


def test_a_read_of_one_resource_accepts_only_fields() -> None:
    assert queries.selection(b"") is None
    assert queries.selection(b"fields=*") is None
    assert queries.selection(b"fields=name") == parse_selection("name")
    with pytest.raises(HyperFleetError):
        queries.selection(b"page=1")


def test_a_list_of_reports_accepts_only_pages() -> None:
    assert queries.page_of_reports(b"") == (1, 100)
    assert queries.page_of_reports(b"page=2&size=3") == (2, 3)
    with pytest.raises(HyperFleetError):
        queries.page_of_reports(b"search=name='a'")


def test_a_write_accepts_no_parameter() -> None:
    queries.nothing(b"")
    queries.nothing(b"&")
    with pytest.raises(HyperFleetError):
        queries.nothing(b"fields=id")


def test_a_query_too_long_to_be_cached_is_still_read() -> None:
    long = "search=name='" + "a" * 4096 + "'"
    assert refusal(long)[0] == "VAL-007"
    assert len(ids("&".join(f"id={UUID(int=number)}" for number in range(200)))) == 200
