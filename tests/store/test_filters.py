"""Filters on a real PostgreSQL: a tree's SQL is TRUE exactly for the rows that satisfy the tree, and never fails."""

import itertools
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from hyperfleet.model.search.fields import FIELDS
from hyperfleet.model.search.parser import (
    OPERATORS,
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
from hyperfleet.store.clauses.filters import CONTAINED_AT_MOST, Parameters, condition
from hyperfleet.store.database import Database, Statement
from tests import searches

FLEET = searches.fleet()
ACCEPTED = [case for case in searches.cases() if case.finds is not None]
INSERT = Statement(
    "INSERT",
    f"INSERT INTO resources ({', '.join(searches.ROW_COLUMNS)}, status, envelope, rules)"
    f" VALUES ({', '.join(f'${number + 1}' for number in range(len(searches.ROW_COLUMNS)))}, '{{}}', '{{}}', '')",
)
_FILLER = {"id": "gen_random_uuid()", "name": "'filler-' || n", "labels": "'{}'", "condition_status": "'{}'"}
FILL = Statement(
    "FILL",
    f"INSERT INTO resources ({', '.join(searches.ROW_COLUMNS)}, status, envelope, rules)"
    f" SELECT {', '.join(_FILLER.get(column, column) for column in searches.ROW_COLUMNS)}, status, envelope, rules"
    " FROM resources, generate_series(1, 2000) n WHERE name = 'alpha'",
)


@pytest.fixture
async def stored(db: Database) -> Database:
    """A database with only the golden fleet."""
    for resource in FLEET:
        await db.fetch(INSERT, *searches.row(resource))
    return db


async def found(db: Database, tree: Expression) -> set[str]:
    parameters = Parameters()
    text = f"SELECT name FROM resources WHERE {condition(tree, parameters)}"
    return {row["name"] for row in await db.fetch(Statement("FOUND", text), *parameters.values)}


def expected(tree: Expression) -> set[str]:
    return {resource["name"] for resource in FLEET if searches.is_true(tree, resource)}


async def plan(db: Database, search: str) -> str:
    """How PostgreSQL finds the rows among many others that have no labels and no conditions."""
    parameters = Parameters()
    where = condition(parse(search), parameters)

    async def explained(tx: Any) -> str:
        rows = await tx.fetch(Statement("EXPLAIN", f"EXPLAIN SELECT FROM resources WHERE {where}"), *parameters.values)
        return "\n".join(row[0] for row in rows)

    return await db.in_transaction(explained)


@pytest.mark.parametrize("behaviour", dict.fromkeys(case.behaviour for case in ACCEPTED))
async def test_a_golden_search_finds_the_rows_of_its_case(stored: Database, behaviour: str) -> None:
    for case in ACCEPTED:
        if case.behaviour == behaviour:
            assert frozenset(await found(stored, parse(case.search))) == case.finds, case.search


async def test_random_trees_find_the_same_rows_as_plain_python(stored: Database) -> None:
    trees: list[Expression] = []

    # Only generates the trees: code inside it cannot be awaited.
    @hypothesis_settings(max_examples=300, phases=[Phase.generate], database=None, suppress_health_check=[*HealthCheck])
    @given(st.lists(searches.TREES, min_size=1, max_size=4))
    def collect(more: list[Expression]) -> None:
        trees.extend(more)

    collect()
    for tree in trees:
        assert await found(stored, tree) == expected(tree), tree


async def test_a_tree_and_its_negation_split_the_fleet(stored: Database) -> None:
    everybody = {resource["name"] for resource in FLEET}
    for case in ACCEPTED:
        tree = parse(case.search)
        assert await found(stored, Not(tree)) == everybody - await found(stored, tree), case.search


async def test_every_operator_works_on_every_field_that_accepts_it(stored: Database) -> None:
    paths: dict[str, list[tuple[str, ...]]] = {
        "labels.<key>": [("environment",)],
        "spec.<path>": [("replicas",), ("note",), ("ha",), ("network", "cidr")],
    }
    values: dict[str, list[Any]] = {
        "text": ["", "True", "prod", "alpha", FLEET[0]["id"], FLEET[0]["id"].upper()],
        "integer": [3, Decimal("2.5"), -(10**20), 10**20],
        "time": [FLEET[2]["created_time"], searches.FIRST_DAY.replace(year=1), searches.FIRST_DAY.replace(year=9999)],
    }
    values["any"] = ["", "12", 3, 0, 10**900, Decimal("1E-900")]
    searched = [field for field in FIELDS.rows if field.searchable]
    for field in searched:
        for path in paths.get(field.name, [("Reconciled",), ("DnsSuccessful",)] if "<" in field.name else [()]):
            ref, given_values = FieldRef(field, path), values[field.type]
            trees: list[Expression] = [Absence(ref), Membership(ref, tuple(given_values))]
            for operator in ("=", "<", "<=", ">", ">="):
                trees += [Comparison(ref, operator, value) for value in given_values]
            trees += [Membership(ref, (value,)) for value in given_values]
            trees += [
                Range(ref, low, high)
                for low, high in itertools.product(given_values, repeat=2)
                if isinstance(low, str) == isinstance(high, str)
            ]
            if "like" in OPERATORS[field.type]:
                patterns = ("%", "", "_%", "A%", "%\\%%")
                trees += [Match(ref, pattern, ignore) for pattern in patterns for ignore in (True, False)]
            if field.type == "any":
                trees += [Comparison(ref, "=", True), Comparison(ref, "=", False), Membership(ref, (True, 3, "12"))]
            for tree in trees:
                assert await found(stored, tree) == expected(tree), tree


async def test_an_empty_conjunction_is_true_and_an_empty_disjunction_false(stored: Database) -> None:
    assert len(await found(stored, And(()))) == len(FLEET)
    assert await found(stored, Or(())) == set()


async def test_a_search_joined_as_a_tree_cannot_escape_its_scope(stored: Database) -> None:
    scope = Comparison(FieldRef(FIELDS.by_name["kind"]), "=", "NodePool")
    for search in (
        "name = 'alpha' or name != 'alpha'",
        "not (name = 'x' and name = 'y')",
        "kind = 'Cluster' or kind like '%'",
    ):
        assert await found(stored, And((scope, parse(search)))) == {"pool-a", "pool-b"}


async def test_the_longest_searches_are_answered(stored: Database) -> None:
    chain = " or ".join(["spec.a=1"] * 340)
    mixed = " and ".join(["id!='a'"] * 340)
    deep = "not " * 50 + "(" * 50 + "name='alpha'" + ")" * 50
    mixed_deep = "name='a' or name > 'b' and (" * 100 + "name='c'" + ")" * 100
    path = "spec" + ".a" * 99 + " = 1"
    assert await found(stored, parse(mixed_deep)) == set()
    assert await found(stored, parse(chain)) == set()
    assert len(await found(stored, parse(mixed))) == len(FLEET)
    assert await found(stored, parse(deep)) == {"alpha"}
    assert await found(stored, parse(path)) == set()
    assert await found(stored, parse("not " * 99 + "name='alpha'")) == {row["name"] for row in FLEET} - {"alpha"}


async def test_a_list_of_a_thousand_values_is_answered(stored: Database) -> None:
    texts, numbers, statuses = (
        ",".join([value] * many) for value, many in (("'-'", 1000), ("7", 1000), ("'True'", 500))
    )
    for name in ("name", "labels.a"):
        assert await found(stored, parse(f"{name} in ({texts})")) == set()
    for name in ("status.conditions.Reconciled", "status.conditions.A"):
        assert await found(stored, parse(f"{name} in ({statuses})")) == await found(stored, parse(f"{name} = 'True'"))
    assert await found(stored, parse(f"spec.replicas in ({numbers})")) == {"pool-b"}


async def test_a_number_of_a_thousand_digits_is_compared_exactly(stored: Database) -> None:
    assert await found(stored, parse("spec.replicas < 1e999 and spec.replicas > 1e307")) == {"omicron"}
    assert await found(stored, parse("generation > 1e-1000 and generation < 1e999")) == {row["name"] for row in FLEET}
    assert await found(stored, parse("spec.quota > 1e-1000 and spec.quota = 1e-7")) == {"chi", "psi"}


async def test_indexes_find_labels_and_conditions(stored: Database) -> None:
    await stored.fetch(FILL)
    await stored.fetch(Statement("ANALYZE", "ANALYZE resources"))
    many = ", ".join(f"'{number}'" for number in range(CONTAINED_AT_MOST))
    for search, index in {
        "labels.environment = 'prod'": "resources_labels",
        f"labels.environment in ({many})": "resources_labels",
        "status.conditions.DnsSuccessful = 'False'": "resources_condition_status",
        "kind = 'Cluster' and status.conditions.Reconciled = 'False'": "resources_reconciled",
        "kind = 'Cluster' and status.conditions.Reconciled in ('False', 'Unknown')": "resources_reconciled",
        f"id = '{FLEET[0]['id']}'": "resources_pkey",
        f"id in ('{FLEET[0]['id']}', '{FLEET[1]['id']}')": "resources_pkey",
    }.items():
        assert index in await plan(stored, search), search


def test_values_keys_and_paths_never_appear_in_the_statement() -> None:
    for search in (
        "name = 'MARK' or name like 'MARK%' or name in ('MARK')",
        "labels.MARK = 'MARK' or labels['MARK''; --'] > 'MARK'",
        "spec.MARK.MARK = 'MARK' or spec['MARK\"'] is null or spec.MARK between 'MARK' and 'MARK'",
        "status.conditions.MARK > 'MARK' or status.conditions.MARK.reason ilike 'MARK'",
    ):
        parameters = Parameters()
        assert "MARK" not in condition(parse(search), parameters)
        assert parameters.values
    parameters = Parameters()
    assert condition(parse("generation = 3"), parameters) == "generation = $1::integer"
    bound = parameters.bound("id = :id OR owner_id = :id OR kind = :kind", {"kind": "Cluster", "id": "x"})
    assert bound == "id = $2 OR owner_id = $2 OR kind = $3"
    assert parameters.values == [3, "x", "Cluster"]
