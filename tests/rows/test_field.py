"""A row is all that a field needs: four more are searched, sorted, paged by token, selected and documented."""

import re
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final
from urllib.parse import urlencode

import pytest

from hyperfleet.http import endpoints
from hyperfleet.http.app import application
from hyperfleet.http.exchange import Endpoint
from hyperfleet.http.middleware import Middleware
from hyperfleet.http.routes import ROWS, Row
from hyperfleet.model.search.fields import FIELDS, Field, Fields
from hyperfleet.model.search.parser import OPERATORS
from hyperfleet.store.database import Database, Statement
from testbed.fleet import CATALOG, create
from tests.contract.conformity import OPERATIONS
from tests.house import search_tables
from tests.http import asgi
from tests.http.conftest import SETTINGS

API: Final = "/api/hyperfleet/v1/clusters"
field_of: Final = partial(Field, searchable=True, sortable=True, selectable=True)
ADDED: Final = (
    field_of("priority", "integer", "priority", note="the higher the sooner"),
    field_of("expires_time", "timestamptz", "expires_time", is_nullable=True, note="absent when it never does"),
    field_of("zone", "text", "zone", is_nullable=True),
    field_of("weight", "bigint", "weight", is_nullable=True),
)
TABLE: Final = Fields((*FIELDS.rows, *ADDED))
COLUMNS: Final = 'priority integer, expires_time timestamptz, zone text COLLATE "C", weight bigint'
VALUES: Final[dict[str, list[Any]]] = {
    "priority": [3, -1, 0, 3, 2**31 - 1, 7, -(2**31)],
    "expires_time": [None, *(datetime(2026, 1, day, 12, tzinfo=UTC) for day in (3, 1, 2, 3)), None, None],
    "zone": ["a", None, "b", "A", "a%", "ä", "a"],
    "weight": [1, None, 2**63 - 1, -(2**63), 0, None, 1],
}
EXAMPLES: Final[dict[str, tuple[Any, Any]]] = {
    "integer": (0, 3),
    "time": (datetime(2026, 1, 2, 12, tzinfo=UTC), datetime(2026, 1, 3, 12, tzinfo=UTC)),
    "text": ("a", "b"),
}


def table() -> list[Row]:
    """The route table, whose lists and reads know the fields."""
    known: dict[Endpoint, Endpoint] = {
        endpoints.list_resources: partial(endpoints.list_resources, fields=TABLE),
        endpoints.read: partial(endpoints.read, fields=TABLE),
    }
    return [
        row._replace(
            methods={
                method: use._replace(endpoint=known.get(use.endpoint, use.endpoint))
                for method, use in row.methods.items()
            }
        )
        for row in ROWS
    ]


@pytest.fixture
async def app(db: Database) -> AsyncIterator[Middleware]:
    """A service with the fields, and seven clusters that have them."""
    columns = [column.split() for column in COLUMNS.split(", ")]
    for name, *rest in columns:
        await db.fetch(Statement("ADD", f"ALTER TABLE resources ADD COLUMN {name} {' '.join(rest)}"))
    for position in range(len(VALUES["priority"])):
        await create(db, f"c-{position}", at=position)
        for name, type, *_ in columns:
            text = f"UPDATE resources SET {name} = $1::{type} WHERE name = $2"
            await db.fetch(Statement("SET", text), VALUES[name][position], f"c-{position}")
    yield application(db, CATALOG, SETTINGS, rows=table())
    for name, *_ in columns:
        await db.fetch(Statement("DROP", f"ALTER TABLE resources DROP COLUMN {name}"))


async def ask(app: Middleware, **parameters: Any) -> dict[str, Any]:
    answer = await asgi.send(app, "GET", f"{API}?{urlencode(parameters)}")
    assert answer.status == 200, answer.body
    return answer.problem


def written(value: Any) -> str:
    if isinstance(value, datetime):
        return f"'{value:%Y-%m-%dT%H:%M:%SZ}'"
    return repr(value)


def questions(field: Field) -> list[tuple[str, Callable[[Any], bool]]]:
    """A search with each operator of the field's type, and of which values it is true."""
    low, high = EXAMPLES[field.type]
    low_text, high_text = written(low), written(high)
    asked: dict[str, tuple[str, Callable[[Any], bool]]] = {
        "=": (f"= {high_text}", lambda value: value == high),
        "!=": (f"!= {high_text}", lambda value: value != high),
        "<": (f"< {high_text}", lambda value: value is not None and value < high),
        "<=": (f"<= {high_text}", lambda value: value is not None and value <= high),
        ">": (f"> {low_text}", lambda value: value is not None and value > low),
        ">=": (f">= {low_text}", lambda value: value is not None and value >= low),
        "in": (f"in ({low_text}, {high_text})", lambda value: value in (low, high)),
        "between": (f"between {low_text} and {high_text}", lambda value: value is not None and low <= value <= high),
        "like": ("like 'a%'", lambda value: value is not None and value.startswith("a")),
        "ilike": ("ilike 'a'", lambda value: value is not None and value.lower() == "a"),
        "is null": ("is null", lambda value: value is None),
    }
    return [(f"{field.name} {asked[operator][0]}", asked[operator][1]) for operator in OPERATORS[field.type]]


@pytest.mark.parametrize("field", ADDED, ids=lambda field: field.name)
async def test_it_is_searched_with_every_operator_of_its_type(app: Middleware, field: Field) -> None:
    for search, holds in questions(field):
        expected = {f"c-{position}" for position, value in enumerate(VALUES[field.name]) if holds(value)}
        assert {item["name"] for item in (await ask(app, search=search))["items"]} == expected, search
        negated = await ask(app, search=f"not ({search})")
        assert len(negated["items"]) == len(VALUES[field.name]) - len(expected), search


@pytest.mark.parametrize("field", ADDED, ids=lambda field: field.name)
@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("size", [1, 2, 3])
async def test_it_sorts_lists_and_pages_by_token_continue_them(
    app: Middleware, field: Field, direction: str, size: int
) -> None:
    order = f"{field.name} {direction}"
    whole = [item["name"] for item in (await ask(app, order=order))["items"]]
    values = VALUES[field.name]
    there = sorted((value for value in values if value is not None), reverse=direction == "desc")
    assert [values[int(name.removeprefix("c-"))] for name in whole] == [*there, *[None] * values.count(None)]
    found: list[str] = []
    more: dict[str, str] = {}
    while True:
        page = await ask(app, order=order, pageSize=size, **more)
        found += [item["name"] for item in page["items"]]
        if "next_page_token" not in page:
            break
        more = {"page_token": page["next_page_token"]}
    assert found == whole


async def test_it_is_selected_as_json_has_it_and_left_out_where_it_is_absent(app: Middleware) -> None:
    page = await ask(app, fields=",".join(field.name for field in ADDED), order="created_time asc")
    spelled: dict[str, Callable[[Any], Any]] = {
        "expires_time": lambda time: f"{time:%Y-%m-%dT%H:%M:%S}.000000Z",
        "weight": str,
    }
    for position, item in enumerate(page["items"]):
        there = {name: values[position] for name, values in VALUES.items() if values[position] is not None}
        expected = {name: spelled.get(name, lambda value: value)(value) for name, value in there.items()}
        assert item == {"id": item["id"], **expected}
        one = await asgi.send(app, "GET", f"{API}/{item['id']}?fields={','.join(VALUES)}")
        assert one.problem == item


@pytest.mark.parametrize(
    ("parameter", "text"), [("order", "priorty"), ("fields", "expires_tiem"), ("search", "weigth = 1")]
)
async def test_it_is_the_nearest_name_of_a_mistyped_one(app: Middleware, parameter: str, text: str) -> None:
    answer = await asgi.send(app, "GET", f"{API}?{urlencode({parameter: text})}")
    assert answer.status == 400
    near = {"order": "priority", "fields": "expires_time", "search": "weight"}[parameter]
    assert f"`{near}`" in answer.problem["detail"]


def test_the_tables_of_the_documentation_have_it() -> None:
    page = search_tables.written(search_tables.PAGE.read_text(), TABLE)
    for row in (
        "| `priority` | integer | the higher the sooner |",
        "| `expires_time` | time | absent when it never does |",
    ):
        assert row in page
    assert "`updated_by` `priority` `expires_time` `zone` `weight`\n" in page
    assert "| `priority` | the higher the sooner |" in page


def test_the_document_names_every_field_that_lists_are_sorted_by() -> None:
    (lists,) = (operation for operation in OPERATIONS if operation.id == "listClusters")
    (order,) = (each["description"] for each in lists.described["parameters"] if each["name"] == "order")
    named = order.partition("The fields are ")[2].partition(".")[0]
    assert re.findall("`([a-z_]+)`", named) == [field.name for field in FIELDS.rows if field.sortable]
