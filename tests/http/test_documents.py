"""A body is one JSON object that can be stored and returned unchanged, or is refused with a message in JSON terms."""

import json
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperfleet.errors import HyperFleetError
from hyperfleet.http.reading.json_text import DEEPEST, decoded

HUGE: Final = 10**999
"""The largest power of ten of 1000 digits."""

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(texts, inside, max_size=4),
    max_leaves=20,
)


def refusal(body: bytes) -> tuple[str, tuple[str, ...]]:
    """The code of a refused body, and the fields that it names."""
    with pytest.raises(HyperFleetError) as refused:
        decoded(body)
    assert "msgspec" not in refused.value.detail
    return refused.value.row.name, tuple(wrong.field for wrong in refused.value.errors)


def nested(depth: int, open: str = "[", close: str = "]") -> bytes:
    """A body of this depth, including the body itself."""
    return ('{"a":' + open * (depth - 1) + close * (depth - 1) + "}").encode()


@given(st.dictionaries(texts, values, max_size=5))
def test_an_object_is_returned_as_sent(document: dict[str, Any]) -> None:
    found = decoded(json.dumps(document).encode())
    assert json.dumps(found) == json.dumps(document)
    assert json.loads(msgspec.json.encode(found)) == document


def test_the_last_of_two_equal_members_counts_and_members_keep_their_order() -> None:
    assert list(decoded(b'{"b":1,"a":2,"b":3}').items()) == [("b", 3), ("a", 2)]


def test_whole_numbers_are_exact_up_to_1000_digits() -> None:
    assert decoded(b'{"a":%d}' % HUGE) == {"a": HUGE}
    assert decoded(b'{"a":-%d}' % (HUGE * 10 - 1)) == {"a": 1 - HUGE * 10}
    assert refusal(b'{"a":%d}' % (HUGE * 10)) == ("VAL-004", ("a",))
    assert refusal(b'{"a":[1,{"b":-%d}]}' % (HUGE * 10)) == ("VAL-004", ("a[1].b",))
    assert refusal(b'{"a":%b}' % (b"9" * 5000))[0] == "VAL-004"


def test_a_thousand_digits_in_a_string_or_a_fraction_are_not_a_whole_number() -> None:
    digits = b"7" * 1500
    assert decoded(b'{"a":"%b"}' % digits) == {"a": digits.decode()}
    assert decoded(b'{"a":0.%b}' % digits) == {"a": float(b"0." + digits)}


@pytest.mark.parametrize("number", ["1e309", "-1e309", "1e131071", "123456789e999999", "1.5e400"])
def test_a_number_beyond_a_double_is_refused(number: str) -> None:
    code, fields = refusal(b'{"a":%b}' % number.encode())
    assert code == "VAL-004"
    assert len(fields) == 1


@pytest.mark.parametrize("number", ["1e308", "-1.7976931348623157e308", "1e-400", "5e-324", "1E5", "0.1e+2", "-0.0"])
def test_a_double_is_accepted(number: str) -> None:
    assert decoded(b'{"a":%b}' % number.encode()) == {"a": float(number)}


@pytest.mark.parametrize(("open", "close"), [("[", "]"), ('{"a":', "}")])
def test_a_body_may_be_nested_100_levels_deep_and_no_deeper(open: str, close: str) -> None:
    innermost = nested(DEEPEST, open, close).replace(b"{}", b'{"a":1}').replace(b'"a":}', b'"a":1}')
    assert decoded(innermost)
    deeper = nested(DEEPEST + 1, open, close).replace(b'"a":}', b'"a":1}')
    assert refusal(deeper)[0] == "VAL-004"


@pytest.mark.parametrize("depth", [1000, 1023, 1024, 1025, 5000, 100_000, 500_000])
def test_a_body_nested_absurdly_deep_is_refused(depth: int) -> None:
    assert refusal(b'{"a":' + b"[" * depth + b"]" * depth + b"}")[0] == "VAL-004"
    assert refusal(b'{"a":' * depth + b"1" + b"}" * depth)[0] == "VAL-004"
    assert refusal(b"[" * depth)[0] in ("VAL-004", "VAL-006")


def test_brackets_in_strings_do_not_count_as_depth() -> None:
    body = json.dumps({"a": "[{" * 500, "\\": '"[' * 500, "b": '\\"[['}).encode()
    assert decoded(body)["a"] == "[{" * 500
    assert decoded(json.dumps({"a": [[]] * 500}).encode()) == {"a": [[]] * 500}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"a":"\\u0000"}', "a"),
        (b'{"a":{"b":["x","y\\u0000"]}}', "a.b[1]"),
        (b'{"a":{"b\\u0000":1}}', "a.b\0"),
        (b'{"\\u0000":1}', "\0"),
        (b'{"a":"\\\\\\u0000"}', "a"),
    ],
)
def test_nul_is_refused_wherever_it_appears(body: bytes, field: str) -> None:
    assert refusal(body) == ("VAL-003", (field,))


def test_a_backslash_before_u0000_is_a_string_like_any_other() -> None:
    assert decoded(b'{"a":"\\\\u0000"}') == {"a": "\\u0000"}


@pytest.mark.parametrize(
    "escape", ["\\ud800", "\\udfff", "\\ude00\\ud83d", "\\ud83d", "\\ud83dx", "\\ud83d\\u0041", "\\uD83D\\uD83D"]
)
def test_a_lone_surrogate_is_refused(escape: str) -> None:
    assert refusal(b'{"a":"%b"}' % escape.encode())[0] == "VAL-006"
    assert refusal(b'{"%b":1}' % escape.encode())[0] == "VAL-006"


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert decoded(b'{"a":"\\ud83d\\ude00"}') == {"a": "\U0001f600"}
    assert decoded(b'{"a":"\\\\ud83d"}') == {"a": "\\ud83d"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" \n\t",
        b"{",
        b'{"a"}',
        b'{"a":}',
        b'{"a":1,}',
        b"{'a':1}",
        b"{a:1}",
        b'{"a":1}}',
        b'{"a":1} {"b":2}',
        b'{"a":1}\n\nx',
        b'{"a":01}',
        b'{"a":+1}',
        b'{"a":1.}',
        b'{"a":.5}',
        b'{"a":0x1}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":-Infinity}',
        b'{"a":True}',
        b'{"a":nul}',
        b'{"a":"\n"}',
        b'{"a":"\x00"}',
        b'{"a":"\\x41"}',
        b'{"a":"\\u12"}',
        b'{"a":"',
        b"// comment\n{}",
        b"\xef\xbb\xbf{}",
        b'{"a":"\xff"}',
        b'{"a":"\xc3"}',
        b'{"a":"\xed\xa0\x80"}',
        b'{"a":"\xc0\x80"}',
        b'{"a":"\xf5\x80\x80\x80"}',
        b"\x00",
        b'{"a":1}\x00',
        '{"a":1}'.encode("utf-16"),
        '{"a":1}'.encode("utf-32-le"),
        b"a=1&b=2",
        b"<xml/>",
        b"kind: Cluster\n",
        b"\x1f\x8b\x08\x00",
    ],
)
def test_anything_but_one_json_document_is_refused(body: bytes) -> None:
    assert refusal(body)[0] == "VAL-006"


@pytest.mark.parametrize("body", [b"null", b"true", b"1", b'"text"', b"[]", b'[{"kind":"Cluster"}]', b"-0"])
def test_a_document_that_is_not_an_object_is_refused(body: bytes) -> None:
    assert refusal(body) == ("VAL-003", ("body",))


def test_whitespace_around_the_document_is_ignored() -> None:
    assert decoded(b' \r\n\t{"a":1} \r\n\t') == {"a": 1}
