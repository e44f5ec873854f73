"""If-Match and If-None-Match: which versions they name, and what is malformed in them."""

import pytest

from hyperfleet.errors import BadRequest, StaleVersion
from hyperfleet.http.reading import preconditions


def holds(header: bytes, *, version: int = 1842, generation: int = 3) -> bool:
    """Whether `If-Match` lets a resource of this version and generation be written."""
    demanded = preconditions.if_match(header)
    assert demanded is not None
    return demanded(version, generation)


def is_known(header: bytes, *, version: int = 1842) -> bool:
    """Whether `If-None-Match` names this version."""
    known = preconditions.if_none_match(header)
    assert known is not None
    return known(version)


def test_without_the_header_there_is_no_precondition() -> None:
    assert preconditions.if_match(None) is None
    assert preconditions.if_none_match(None) is None


@pytest.mark.parametrize(
    "header",
    [
        *(b'"1842"', b'"g3"', b"*", b' "1842" ', b'\t"g3"', b'"1","1842"', b'"1" , "g3"', b'"1842","1842"'),
        *(b'"","1842"', b'"a,b","g3"', b'W/"1842", "1842"', b',"1842"', b'"1842",', b'"1",,"1842"', b'"\xe4","g3"'),
    ],
)
def test_if_match_accepts_the_version_and_the_generation(header: bytes) -> None:
    assert holds(header)


@pytest.mark.parametrize(
    "header",
    [
        *(b'"1841"', b'"1843"', b'"g2"', b'"g4"', b'"3"', b'"g1842"', b'"01842"', b'"G3"', b'""'),
        *(b'"*"', b'"g03"', b'"184"', b'"18420"', b'"-1842"', b'"1,1842"'),
    ],
)
def test_if_match_fails_for_any_other_tag(header: bytes) -> None:
    assert not holds(header)


@pytest.mark.parametrize("header", [b'W/"1842"', b'W/"g3"', b'W/"7"', b'W/"7", W/"8"', b'"7", W/"1842"'])
def test_a_weak_tag_never_matches_in_if_match_and_the_refusal_says_so(header: bytes) -> None:
    with pytest.raises(
        StaleVersion, match="Weak entity tags never match in If-Match; send the tag of a read without W/"
    ):
        holds(header)


def test_a_weak_tag_beside_strong_tags_of_other_versions_is_not_mentioned() -> None:
    assert not holds(b'"7", W/"8"')


@pytest.mark.parametrize("header", [b'"1842"', b'W/"1842"', b"*", b'"7", W/"1842"', b'"1842",', b'"7","1842"'])
def test_if_none_match_matches_the_version_even_as_a_weak_tag(header: bytes) -> None:
    assert is_known(header)


@pytest.mark.parametrize("header", [b'"1841"', b'"g3"', b'W/"g3"', b'""', b'"*"', b'"01842"'])
def test_if_none_match_matches_no_other_version_and_no_generation(header: bytes) -> None:
    # A generation stays the same while reports arrive, so it identifies no representation.
    assert not is_known(header)


@pytest.mark.parametrize(
    "header",
    [
        *(b"", b" ", b",", b"1842", b"g3", b'"1842', b'1842"', b"'1842'", b'w/"1842"', b'W/ "1842"', b"W/1842"),
        *(b'"1842" "1843"', b'"1842";"1843"', b'*, "1842"', b'"1842", *', b"**", b'"a"b"', b'"\x01"', b'"a b"'),
        *(b'"1842"x', b'"' + b"a" * 4095 + b'"', b'"1842",' * 1000),
    ],
    ids=lambda header: ascii(header[:20]),
)
def test_anything_but_a_list_of_entity_tags_is_refused_with_what_to_send(header: bytes) -> None:
    for parse, name in ((preconditions.if_match, "If-Match"), (preconditions.if_none_match, "If-None-Match")):
        with pytest.raises(BadRequest) as refused:
            parse(header)
        assert (refused.value.status, refused.value.row.name) == (400, "VAL-005")
        assert refused.value.detail.startswith(f"{name} must be *")
        assert '"1842"' in refused.value.detail


def test_a_header_of_4096_bytes_is_read() -> None:
    assert holds(b'"' + b"a" * 4088 + b'","g3",')
    with pytest.raises(BadRequest):
        holds(b'"' + b"a" * 4089 + b'","g3",')
