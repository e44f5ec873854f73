"""The grammar of searches: shapes of trees, limits, and that a tree's text parses to the same tree."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hyperfleet.errors import BadSearch
from hyperfleet.model.search.fields import FIELDS
from hyperfleet.model.search.parser import (
    LISTED,
    LONGEST,
    NESTED,
    Absence,
    And,
    Comparison,
    Expression,
    FieldRef,
    Match,
    Membership,
    Not,
    Or,
    Range,
    parse,
)
from tests.pace import cost
from tests.search_texts import text
from tests.searches import TREES

NAME = FieldRef(FIELDS.by_name["name"])
A, B, C = (Comparison(NAME, "=", value) for value in "abc")
# A grammar of loose words: most of its sentences have a mistake somewhere.
WORDS = st.sampled_from(
    [
        "name",
        "generation",
        "spec.a",
        "labels.b",
        "created_time",
        "=",
        "!=",
        "<",
        "in",
        "like",
        "between",
        "is",
        "null",
        "not",
        "and",
        "or",
        "(",
        ")",
        "[",
        "]",
        ",",
        "'a'",
        "3",
        "true",
        "2026-01-01",
        "nmae",
        "status.conditions.Reconciled",
        "'\\%'",
        "'",
        "$1",
        ";",
    ]
)


@pytest.mark.parametrize(
    ("search", "tree"),
    [
        ("name='a' or name='b' and name='c'", Or((A, And((B, C))))),
        ("(name='a' or name='b') and name='c'", And((Or((A, B)), C))),
        ("name='a' and name='b' and name='c'", And((A, B, C))),
        ("(name='a' and name='b') and name='c'", And((And((A, B)), C))),
        ("not name='a' and name='b'", And((Not(A), B))),
        ("not (name='a' and name='b')", Not(And((A, B)))),
        ("not not name != 'a'", Not(Not(Not(A)))),
        ("name <> 'a'", Not(A)),
        ("name not in ['a']", Not(Membership(NAME, ("a",)))),
        ("name not between 'a' and 'b'", Not(Range(NAME, "a", "b"))),
        ("name not ilike 'a%'", Not(Match(NAME, "a%", True))),
        ("name is not null", Not(Absence(NAME))),
        (
            "spec['x.y'].z >= 1.5",
            Comparison(FieldRef(FIELDS.by_name["spec.<path>"], ("x.y", "z")), ">=", Decimal("1.5")),
        ),
        ("labels.a.b/c < 'x'", Comparison(FieldRef(FIELDS.by_name["labels.<key>"], ("a.b/c",)), "<", "x")),
        (
            "status.conditions.Ready.reason = 'x'",
            Comparison(FieldRef(FIELDS.by_name["status.conditions.<Type>.reason"], ("Ready",)), "=", "x"),
        ),
        (
            "created_time > '2026-01-01'",
            Comparison(FieldRef(FIELDS.by_name["created_time"]), ">", datetime(2026, 1, 1, tzinfo=UTC)),
        ),
    ],
)
def test_a_search_parses_to_this_tree(search: str, tree: Expression) -> None:
    assert repr(parse(search)) == repr(tree)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(TREES)
def test_the_text_of_a_tree_parses_to_the_same_tree(tree: Expression) -> None:
    written = text(tree)
    if len(written) <= LONGEST:
        # Compares representations, because 1 equals true.
        assert parse(written) == tree
        assert repr(parse(written)) == repr(tree)


@settings(max_examples=300, deadline=None)
@given(st.lists(WORDS, max_size=14).map(" ".join))
def test_a_sentence_is_parsed_or_refused_at_a_position_in_it(search: str) -> None:
    position, detail = 1, ""
    try:
        tree = parse(search)
    except BadSearch as wrong:
        position, detail = wrong.position or 0, wrong.detail
    else:
        assert parse(text(tree)) == tree
    assert 1 <= position <= len(search) + 1
    assert not detail or detail.isprintable()


def test_a_search_may_be_as_long_as_the_limit_and_no_longer() -> None:
    longest = "name = '" + "x" * (LONGEST - 9) + "'"
    assert parse(longest)
    with pytest.raises(BadSearch, match=str(LONGEST)):
        parse(longest + " ")


@pytest.mark.parametrize(
    ("before", "after"), [("not ", ""), ("(", ")"), ("not(", ")"), ("(not ", ")")], ids=["not", "()", "not()", "(not)"]
)
def test_parentheses_and_not_nest_to_the_limit_and_no_deeper(before: str, after: str) -> None:
    depth = NESTED // (before.count("(") + before.count("not"))
    search = before * depth + "name = 'a'" + after * depth
    assert parse(search)
    assert parse(f"name = 'b' and {search} or {search}")
    with pytest.raises(BadSearch, match=f"{NESTED} levels"):
        parse(before + search + after)


def test_the_deepest_search_leaves_room_on_the_stack() -> None:
    deepest = "name='a' or name='b' and (" * NESTED + "name='c'" + ")" * NESTED

    def below(frames: int) -> Expression:
        if frames:
            return below(frames - 1)
        tree = parse(deepest)
        assert repr(parse(text(tree))) == repr(tree)
        return tree

    assert below(300)


def test_negative_forms_do_not_count_as_nesting() -> None:
    tree = parse("not " * NESTED + "name != 'a'")
    assert parse(text(tree)) == tree


def test_chains_may_be_as_long_as_the_text() -> None:
    tree = parse(" and ".join(["id='a'"] * 370))
    assert isinstance(tree, And)
    assert len(tree.terms) == 370
    tree = parse(" or ".join(["spec.a=1 and spec.b=2"] * 160))
    assert isinstance(tree, Or)
    assert len(tree.terms) == 160


def test_lists_hold_a_thousand_values_and_no_more() -> None:
    tree = parse(f"spec.a in ({','.join(['1'] * LISTED)})")
    assert isinstance(tree, Membership)
    assert len(tree.values) == LISTED
    with pytest.raises(BadSearch, match=f"limited to {LISTED} values"):
        parse(f"spec.a in ({','.join(['1'] * (LISTED + 1))})")


def test_a_name_has_at_most_a_hundred_parts() -> None:
    assert parse("spec" + ".a" * 99 + "=1")
    with pytest.raises(BadSearch, match="100 parts"):
        parse("spec" + ".a" * 100 + "=1")


def test_a_hundred_ids_fit_into_one_search() -> None:
    ids = ",".join(f"'018f0000-0000-7000-8000-{number:012d}'" for number in range(100))
    assert parse(f"id in ({ids})")


def test_a_callers_text_is_quoted_safely() -> None:
    for search in ("spec['a\nb\x1b'] > true", "name = \x1b", "%s%n{0} = 'a'", "spec['%(x)s{y}'] = 2026-01-01"):
        with pytest.raises(BadSearch) as refused:
            parse(search)
        assert refused.value.detail.isprintable()
        assert len(refused.value.detail) < 1000
    with pytest.raises(BadSearch) as refused:
        parse(f"name = {'x' * 4000}")
    assert len(refused.value.detail) < 400


@pytest.mark.parametrize(
    ("search", "says"),
    [
        ("nmae = 'x'", "`nmae`; the nearest is `name`"),
        ("phase = 'Ready'", "`phase`; the nearest is `status.phase`"),
        ("conditions.Ready = 'True'", "`conditions.Ready`; the nearest is `status.conditions.<Type>`"),
        ("reason = 'x'", "`reason`; the nearest is `status.conditions.<Type>.reason`"),
        ("lables.env = 'x'", "`lables.env`; the nearest is `labels.<key>`"),
        ("specs.region = 'x'", "`specs.region`; the nearest is `spec.<path>`"),
        ("status.conditons.Ready = 'x'", "`status.conditons.Ready`; the nearest is `status.conditions.<Type>`"),
        (
            "statuses.something = 'x'",
            "`statuses.something`; the nearest are `status.phase`, `status.observed_generation`,",
        ),
        ("foo.bar = 'x'", "`foo.bar`; the fields are id, name, kind,"),
    ],
)
def test_a_mistyped_field_gets_the_nearest_name(search: str, says: str) -> None:
    with pytest.raises(BadSearch) as refused:
        parse(search)
    assert f"unknown field {says}" in refused.value.detail


@pytest.mark.parametrize(
    "search",
    [
        "(" * 4096,
        "not " * 1024,
        "a" * 4096,
        "a." * 2048,
        "name = 'a' and " * 270,
        "spec.a in (" + "1," * 2040,
        "x" * 200 + "=1",
    ],
)
def test_hostile_searches_are_refused_quickly(search: str) -> None:
    def refused() -> None:
        with pytest.raises(BadSearch):
            parse(search)

    assert cost(refused) < 30
