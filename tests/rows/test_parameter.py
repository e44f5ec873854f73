"""A row is all that a parameter of lists needs: two more are read, refused, applied, bound to tokens and documented."""

from functools import partial
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

import pytest
from msgspec.structs import replace

from hyperfleet.errors import FieldError, InvalidInput
from hyperfleet.http import endpoints
from hyperfleet.http.access.tenants import Dimension, Tenants
from hyperfleet.http.app import application
from hyperfleet.http.exchange import Use
from hyperfleet.http.middleware import Middleware
from hyperfleet.http.reading.queries import LIST_PARAMETERS, Listable, Parameter, Values, names
from hyperfleet.http.routes import ROWS
from hyperfleet.model.resource import Scope
from hyperfleet.model.search.fields import FIELDS
from hyperfleet.model.search.parser import Comparison, FieldRef, Match
from hyperfleet.store.clauses.filters import Filter
from hyperfleet.store.database import Database
from hyperfleet.store.lists.pages import Listing
from testbed.fleet import CATALOG, CLUSTER, below, create
from tests.contract.conformity import OPERATIONS
from tests.contract.test_document import parameters
from tests.house import search_tables
from tests.http import asgi
from tests.http.conftest import SETTINGS

API: Final = "/api/hyperfleet/v1"


def filtered(asked: Listing, by: Filter) -> Listing:
    return replace(asked, filters=(*asked.filters, by))


def read_prefix(given: Values, _listable: Listable, asked: Listing) -> Listing:
    (text,) = given["name_prefix"]
    if not text.isalnum():
        raise InvalidInput(FieldError("VAL-003", "name_prefix", "`name_prefix` must be letters and digits", value=text))
    term = Match(FieldRef(FIELDS.by_name["name"]), f"{text}%")
    return filtered(asked, Filter("name_prefix", term, text))


def read_owner(given: Values, _listable: Listable, asked: Listing) -> Listing:
    (text,) = given["owner"]
    term = Comparison(FieldRef(FIELDS.by_name["owner_id"]), "=", str(UUID(text)))
    return filtered(asked, Filter("owner", term, text, is_selective=True))


TABLE: Final = (
    *LIST_PARAMETERS,
    Parameter(("name_prefix",), read_prefix, "only resources whose names begin so"),
    Parameter(("owner",), read_owner, "only resources of this owner"),
)
LISTING: Final = Use(partial(endpoints.list_resources, parameters=TABLE), "read")
KNOWING: Final = [
    row._replace(methods={**row.methods, "GET": LISTING})
    if row.methods["GET" if "GET" in row.methods else "POST"].endpoint is endpoints.list_resources
    else row
    for row in ROWS
]


@pytest.fixture
async def app(db: Database) -> Middleware:
    for name in ("red-1", "red-2", "red-3", "blue-1", "blue-2"):
        await create(db, name)
    return application(db, CATALOG, SETTINGS, rows=KNOWING)


async def get(app: Middleware, path: str = "clusters", **given: Any) -> asgi.Response:
    return await asgi.send(app, "GET", f"{API}/{path}?{urlencode(given)}", headers=[("x-org", "green")])


async def listed(app: Middleware, **given: Any) -> set[str]:
    answer = await get(app, **given)
    assert answer.status == 200, answer.body
    return {item["name"] for item in answer.problem["items"]}


async def test_it_is_applied_and_counted_alone_and_beside_others(app: Middleware) -> None:
    assert await listed(app, name_prefix="red") == {"red-1", "red-2", "red-3"}
    assert await listed(app, name_prefix="red", search="name like '%-1'") == {"red-1"}
    assert await listed(app, name_prefix="red", order="name desc", fields="name") == {"red-1", "red-2", "red-3"}
    for page in (1, 2):
        assert (await get(app, name_prefix="red", pageSize=1, page=page)).problem["total"] == 3
    assert await listed(app) == {"red-1", "red-2", "red-3", "blue-1", "blue-2"}


async def test_one_that_an_index_serves_is_no_search(app: Middleware, db: Database) -> None:
    owner = (await get(app, name_prefix="red", search="name = 'red-1'")).problem["items"][0]["id"]
    await create(db, "pool", below(UUID(owner)))
    found = (await get(app, "nodepools", owner=owner)).problem
    assert ([item["name"] for item in found["items"]], found["total"]) == (["pool"], 1)
    asked = TABLE[-1].read({"owner": [owner]}, Listable(), Listing())
    assert not asked.is_search
    assert TABLE[-2].read({"name_prefix": ["red"]}, Listable(), Listing()).is_search


async def test_a_wrong_value_is_refused_by_its_name_beside_other_mistakes(app: Middleware) -> None:
    answer = await get(app, name_prefix="%")
    assert (answer.status, answer.problem["code"]) == (400, "HYPERFLEET-VAL-003")
    assert [error["field"] for error in answer.problem["errors"]] == ["name_prefix"]
    answer = await get(app, name_prefix="%", pageSize=0)
    assert {error["field"] for error in answer.problem["errors"]} == {"name_prefix", "pageSize"}


async def test_it_is_given_once_and_only_where_it_is_known(app: Middleware, db: Database) -> None:
    twice = await asgi.send(app, "GET", f"{API}/clusters?name_prefix=a&name_prefix=b")
    assert (twice.status, twice.problem["errors"][0]["field"]) == (400, "name_prefix")
    near = await get(app, name_prefx="red")
    assert "the nearest is `name_prefix`" in near.problem["detail"]
    without = await get(application(db, CATALOG, SETTINGS), name_prefix="red")
    assert (without.status, without.problem["errors"][0]["field"]) == (400, "name_prefix")


async def test_a_page_token_continues_the_list_with_the_same_value_only(app: Middleware) -> None:
    first = (await get(app, name_prefix="red", pageSize=2)).problem
    token = first["next_page_token"]
    names_of = [item["name"] for item in first["items"]]
    rest = (await get(app, name_prefix="red", pageSize=2, page_token=token)).problem
    assert sorted([*names_of, *(item["name"] for item in rest["items"])]) == ["red-1", "red-2", "red-3"]
    others: tuple[dict[str, str], ...] = ({}, {"name_prefix": "blue"}, {"search": "name = 'red'"})
    for other in others:
        answer = await get(app, pageSize=2, page_token=token, **other)
        assert (answer.status, answer.problem["errors"][0]["field"]) == (400, "page_token")


async def test_it_never_reaches_beyond_the_tenancy_of_the_caller(app: Middleware, db: Database) -> None:
    tenants = Tenants([Dimension("org", "x-org", "", is_required=True)])
    confined = application(db, CATALOG, SETTINGS, rows=KNOWING, tenants=tenants)
    await create(db, "red-4", Scope(CLUSTER, tenancy=(("org", "green"),)))
    assert await listed(confined, name_prefix="red") == {"red-4"}
    owner = (await get(app, name_prefix="red", search="name = 'red-1'")).problem["items"][0]["id"]
    await create(db, "pool", below(UUID(owner)))
    assert (await get(confined, "nodepools", owner=owner)).problem["items"] == []


def test_the_documentation_has_it_and_the_document_is_found_to_lack_it() -> None:
    page = search_tables.written(search_tables.PAGE.read_text(), parameters=TABLE)
    assert "| `name_prefix` | only resources whose names begin so |\n" in page
    (lists,) = (operation for operation in OPERATIONS if operation.id == "listClusters")
    assert set(names(TABLE)) - parameters(lists, "query") == {"name_prefix", "owner"}
    assert set(names(LIST_PARAMETERS)) == parameters(lists, "query")
