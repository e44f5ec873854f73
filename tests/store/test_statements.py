"""Parameters by name: how they are numbered, what is not a name, and which mistakes are refused."""

import pytest

from hyperfleet.store.database import Database
from hyperfleet.store.statements import Statement, numbered


def test_names_are_numbered_in_order_of_appearance_and_one_name_has_one_number() -> None:
    statement = Statement("PAIR", "SELECT :first, :second, :first")
    assert statement.sql == "SELECT $1, $2, $1"
    assert statement.names == ("first", "second")
    assert statement.values({"second": 2, "first": 1}) == (1, 2)


def test_numbers_may_start_after_those_of_bound_values() -> None:
    assert numbered("id = :id AND kind = :kind", after=3) == ("id = $4 AND kind = $5", ("id", "kind"))


@pytest.mark.parametrize(
    "text",
    [
        "SELECT '1'::text",
        "SELECT NULL::timestamptz::text",
        "SELECT ':name', 'it''s :name'",
        'SELECT id AS ":name"',
        "SELECT 1 -- of :name\n",
        "SELECT /* of\n:name */ 1",
        "SELECT (ARRAY[1, 2])[1:2]",
        "SELECT list[low:high] FROM lists",
        "SELECT list[f(1):high] FROM lists",
    ],
)
def test_casts_strings_comments_and_slices_contain_no_names(text: str) -> None:
    assert numbered(text) == (text, ())


def test_a_cast_may_follow_a_name() -> None:
    assert numbered("SELECT :id::uuid, ':id'::text")[0] == "SELECT $1::uuid, ':id'::text"


def test_unknown_unused_and_missing_names_are_refused() -> None:
    statement = Statement("PAIR", "SELECT :first, :second")
    with pytest.raises(TypeError, match=r"PAIR: missing parameters \['second'\], unknown parameters \['third'\]"):
        statement.values({"first": 1, "third": 3})
    with pytest.raises(TypeError, match=r"unknown parameters \['third'\]"):
        statement.values({"first": 1, "second": 2, "third": 3})
    with pytest.raises(TypeError, match=r"missing parameters \['second'\]"):
        statement.values({"first": 1})


async def test_values_by_name_reach_the_database(db: Database) -> None:
    statement = Statement(
        "DIFFERENCE", "SELECT :large::int - :small::int AS difference, ':small' AS text", is_read=True
    )
    row = await db.fetch_row(statement, small=2, large=7)
    assert row is not None
    assert dict(row) == {"difference": 5, "text": ":small"}
    with pytest.raises(TypeError, match="unknown parameters"):
        await db.fetch(statement, small=2, large=7, medium=5)
    with pytest.raises(TypeError, match="missing parameters"):
        await db.fetch(statement, 7, 2)
