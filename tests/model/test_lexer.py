"""Tokens: their values, their positions, and texts that start no token."""

import contextlib
import itertools
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperfleet.model.search import lexer
from hyperfleet.model.search.lexer import DIGITS, Misread, tokens
from tests.pace import cost


def read(text: str) -> list[tuple[str, object]]:
    return [(token.kind, token.value) for token in tokens(text)[:-1]]


def value(text: str) -> object:
    ((_, found),) = read(text)
    return found


def refusal(text: str) -> Misread:
    with pytest.raises(Misread) as refused:
        tokens(text)
    return refused.value


def test_every_token_has_its_position() -> None:
    text = "  name  in ( 'a' , 3 )"
    assert [text[token.start : token.end] for token in tokens(text)] == ["name", "in", "(", "'a'", ",", "3", ")", ""]


def test_a_keyword_is_a_whole_word() -> None:
    assert [kind for kind, _ in read("not Not nothing in.a spec.in AND and-b")] == [
        "not",
        "not",
        *["name"] * 3,
        "and",
        "name",
    ]


def test_only_brackets_split_a_name() -> None:
    assert value("spec.a['b.c'].d") == ("spec.a", "b.c", ".d")
    assert value("spec['a'][\"b\"]") == ("spec", "a", "", "b", "")
    assert value("labels.app.kubernetes.io/name-x_y") == ("labels.app.kubernetes.io/name-x_y",)


def test_a_list_may_follow_its_keyword_without_a_space() -> None:
    assert [kind for kind, _ in read("in['a']")] == ["in", "[", "text", "]"]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("3", 3),
        ("-0", 0),
        ("+7", 7),
        ("1e3", 1000),
        ("1.50", Decimal("1.5")),
        (".5", Decimal("0.5")),
        ("25e-1", Decimal("2.5")),
        ("2.0", 2),
        ("1e999", 10**999),
        ("9" * DIGITS, 10**DIGITS - 1),
        ("1e-1000", Decimal("1e-1000")),
        ("0e99999", 0),
    ],
)
def test_numbers_are_exact_and_whole_numbers_are_integers(text: str, meant: int | Decimal) -> None:
    found = value(text)
    assert found == meant
    assert type(found) is type(meant)


@pytest.mark.parametrize(
    "text", ["1e1000", "9" * (DIGITS + 1), "1e-1001", "0." + "0" * DIGITS + "1", "1e" + "9" * 4000]
)
def test_a_number_beyond_a_thousand_digits_is_refused(text: str) -> None:
    assert str(DIGITS) in refusal(text).message


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T12:30:15Z", datetime(2026, 1, 31, 12, 30, 15, tzinfo=UTC)),
        ("2026-01-31t12:30:15z", datetime(2026, 1, 31, 12, 30, 15, tzinfo=UTC)),
        ("2026-01-31T12:30:15.1234567Z", datetime(2026, 1, 31, 12, 30, 15, 123456, tzinfo=UTC)),
        ("2026-01-31T12:30:15.5-01:30", datetime(2026, 1, 31, 14, 0, 15, 500000, tzinfo=UTC)),
        ("9999-12-31T23:59:59.999999Z", datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
    ],
)
def test_a_time_is_an_instant_cut_to_microseconds(text: str, meant: datetime) -> None:
    assert value(text) == lexer.time(text) == meant


def test_escapes_in_a_string_are_decoded() -> None:
    assert value(r"""'\\\'\"\/\b\f\n\r\t\u00e9\ud83d\ude80'""") == "\\'\"/\b\f\n\r\té🚀"
    assert value("''''") == "'"
    assert value("\"''\"") == "''"
    assert value("'a\tb\nc'") == "a\tb\nc"


def test_an_escaped_wildcard_makes_a_pattern() -> None:
    assert read(r"'a\%b\_' 'a%b_'") == [("pattern", r"a\%b\_"), ("text", "a%b_")]


@pytest.mark.parametrize(
    "text", ["a\0", "'\0'", "a['\0']", "'\\u0000'", "\ud800", "'\udfff'", r"'\ud800'", r"'\udc00\ud800'"]
)
def test_nul_and_lone_surrogates_are_refused_everywhere(text: str) -> None:
    assert refusal(text).position >= 1


def test_a_message_quotes_a_callers_text_on_one_line_and_cut() -> None:
    assert lexer.shown("a\nb\x1b[0m\u202e") == "`a\\nb\\x1b[0m\\u202e`"
    assert len(lexer.shown("x" * 5000)) < 100
    assert lexer.shown("%s {} Ä") == "`%s {} Ä`"


@given(st.text(max_size=60) | st.text("'\"\\[]().ab1-:TZ=<> \n", max_size=40))
def test_any_text_is_read_or_refused_at_a_position_in_it(text: str) -> None:
    try:
        found = tokens(text)
    except Misread as wrong:
        position = wrong.position
    else:
        assert all(one.end <= other.start for one, other in itertools.pairwise(found))
        position = len(text)
    assert 0 <= position <= len(text) + 1


@pytest.mark.parametrize(
    "text", ["'" * 4095, "'" + "\\'" * 2047, "a['" * 1365, '"\\' * 2048, "1" * 4096, "2026-01-01" * 409, "-" * 4096]
)
def test_hostile_texts_are_read_quickly(text: str) -> None:
    def read_it() -> None:
        with contextlib.suppress(Misread):
            tokens(text)

    assert cost(read_it) < 30
