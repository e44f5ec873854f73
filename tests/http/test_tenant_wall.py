"""Tenant isolation: every route, verb and list parameter as another tenant, with and without authorization.

`WALL` has the other tenant's response for each route and method; a route that is missing fails the test. Except for the
id, the response for another tenant's resource must equal the response for one that never existed.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, Final
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from hyperfleet.http.access.tenants import Dimension, Tenants
from hyperfleet.http.app import application
from hyperfleet.http.exchange import Route
from hyperfleet.http.middleware import Middleware
from hyperfleet.http.reading import queries
from hyperfleet.http.routes import ROWS, Row, routes
from hyperfleet.model.catalog import Catalog
from hyperfleet.model.kind import ReferenceRule
from hyperfleet.model.resource import ANY
from hyperfleet.model.rules.permission import DEFAULT, Permissions
from hyperfleet.store.database import Database, Statement
from hyperfleet.telemetry import metrics
from testbed import fleet
from tests.http import asgi
from tests.http.conftest import SETTINGS
from tests.http.issuing import issuer, token

API: Final = "/api/hyperfleet/v1"
SECRET: Final = "very-secret"
REPORT: Final = {
    "adapter": "secret-adapter",
    "observed_generation": 1,
    "conditions": [{"type": "Available", "status": "True", "message": SECRET}],
}
MISSING: Final = 404
OWN: Final = "own"
"""What the other tenant does at this address concerns its own resources only."""

WALL: Final[dict[tuple[str, str], Any]] = {
    **{(f"{API}/{{plural}}", method): OWN for method in ("GET", "POST")},
    **{(f"{API}/{{plural}}/{{id}}", method): MISSING for method in ("GET", "PATCH", "DELETE")},
    (f"{API}/{{plural}}/{{id}}/force-delete", "POST"): MISSING,
    **{(f"{API}/{{plural}}/{{id}}/statuses", method): MISSING for method in ("GET", "POST", "PUT")},
    **{(f"{API}/{{owner_plural}}/{{owner_id}}/{{plural}}", method): MISSING for method in ("GET", "POST")},
    **{
        (f"{API}/{{owner_plural}}/{{owner_id}}/{{plural}}/{{id}}", method): MISSING
        for method in ("GET", "PATCH", "DELETE")
    },
    (f"{API}/{{owner_plural}}/{{owner_id}}/{{plural}}/{{id}}/force-delete", "POST"): MISSING,
    **{
        (f"{API}/{{owner_plural}}/{{owner_id}}/{{plural}}/{{id}}/statuses", method): MISSING
        for method in ("GET", "POST", "PUT")
    },
}
CLUSTER: Final = replace(fleet.CLUSTER, references=(ReferenceRule("twin", "Cluster"),))
CATALOG: Final = Catalog([CLUSTER, fleet.NODE_POOL])


@dataclass(frozen=True)
class Town:
    """A service with two tenants, red and blue; the ids are red's resources, `token` is for page two of its list."""

    app: Middleware
    db: Database
    cluster: str = ""
    pool: str = ""
    token: str = ""

    async def ask(self, tenant: str, method: str, path: str, body: Any = None) -> asgi.Response:
        headers: list[tuple[str, str | bytes]] = [("x-org", tenant)]
        headers += [("authorization", b"Bearer " + token("ES256-one", groups=["hyperfleet-admin"]))]
        sent = b"" if body is None else json.dumps(body).encode()
        return await asgi.send(self.app, method, path, pieces=[sent], headers=headers)

    async def made(self, tenant: str, path: str, **body: Any) -> str:
        answer = await self.ask(tenant, "POST", path, {"spec": {"secret": SECRET}, **body})
        assert answer.status == 201, answer.body
        return str(answer.problem["id"])

    async def rows(self) -> list[Any]:
        """Everything that red has stored."""
        found = []
        for table, column in (("resources", "id"), ("adapter_statuses", "resource_id"), ("resource_references", "*")):
            where = "" if column == "*" else f" WHERE {column} = ANY ($1::uuid[])"
            arguments = [] if column == "*" else [[self.cluster, self.pool]]
            text = f"SELECT row_to_json(t)::text FROM {table} AS t{where} ORDER BY 1"
            found += [row[0] for row in await self.db.fetch(Statement("ROWS", text), *arguments)]
        return found


@pytest.fixture(params=[True, False], ids=["by rules", "without rules"])
async def town(request: pytest.FixtureRequest, db: Database) -> Town:
    permissions = Permissions(DEFAULT, [kind.name for kind in CATALOG.kinds]) if request.param else None
    tenants = Tenants([Dimension("org", "x-org", "", is_required=True)], system_header="x-system")
    app = application(db, CATALOG, SETTINGS, issuers=[issuer()], tenants=tenants, permissions=permissions)
    town = Town(app, db)
    cluster = await town.made("red", f"{API}/clusters", name="red-cluster", labels={"secret": SECRET})
    pool = await town.made("red", f"{API}/clusters/{cluster}/nodepools", name="red-pool", labels={"secret": SECRET})
    await town.made("red", f"{API}/clusters", name="red-twin", references={"twin": [{"id": cluster}]})
    assert (await town.ask("red", "POST", f"{API}/clusters/{cluster}/statuses", REPORT)).status == 201
    await town.made("blue", f"{API}/clusters", name="blue-cluster")
    page = await town.ask("red", "GET", f"{API}/clusters?pageSize=1")
    return replace(town, cluster=cluster, pool=pool, token=page.problem["next_page_token"])


def walked(rows: Sequence[Row] = ROWS) -> Iterator[tuple[str, str, Route]]:
    """Each path of the table with each of its methods, for each kind."""
    for row in rows:
        if not row.is_open:
            for route in routes(row, CATALOG):
                for method in route.methods:
                    yield row.path, method, route


def test_the_table_covers_every_route_and_every_list_parameter() -> None:
    assert {(path, method) for path, method, _ in walked()} == set(WALL)
    assert set(VALUES) == set(queries.names(queries.LIST_PARAMETERS, queries.Listable(of_all=True)))


def path_of(row: str, route: Route, cluster: str, pool: str) -> str:
    assert route.kind is not None
    id = pool if route.kind.name == "NodePool" else cluster
    filled = row.replace("{owner_plural}", "clusters").replace("{owner_id}", cluster)
    return filled.replace("{plural}", route.kind.plural).replace("{id}", id)


def body_of(path: str, method: str) -> Any:
    if method in ("GET", "DELETE"):
        return None
    if method == "PATCH":
        return {"labels": {"a": "b"}}
    if path.endswith("/force-delete"):
        return {"reason": "test"}
    return REPORT if path.endswith("/statuses") else {"kind": "NodePool", "name": "intruder", "spec": {}}


def told(answer: asgi.Response, *ids: str) -> str:
    """A response without the requested ids and without values that differ each time."""
    text = json.dumps([answer.status, dict(answer.headers), answer.body.decode()])
    for id in ids:
        text = text.replace(id, "ID")
    return re.sub(r'\\"timestamp\\":\\"[^"]*"|"(x-request-id|content-length)": "[^"]*"', "", text)


async def test_another_tenants_resource_looks_like_one_that_never_existed(town: Town) -> None:
    before = await town.rows()
    for row, method, route in walked():
        if WALL[row, method] != MISSING:
            continue
        strangers = str(uuid4()), str(uuid4())
        mine = path_of(row, route, town.cluster, town.pool)
        nobodys = path_of(row, route, *strangers)
        foreign = await town.ask("blue", method, mine, body_of(mine, method))
        missing = await town.ask("blue", method, nobodys, body_of(nobodys, method))
        assert foreign.status == MISSING, (method, mine)
        assert told(foreign, town.cluster, town.pool) == told(missing, *strangers), (method, mine)
        assert SECRET not in told(foreign)
    assert await town.rows() == before


VALUES: Final = {
    "page": "1",
    "pageSize": "10",
    "size": "10",
    "search": "labels.secret = 'very-secret' or name like '%' or spec.secret is not null",
    "order": "name desc",
    "orderBy": "labels",
    "fields": "*,status.adapters",
    "page_token": "{token}",
    "count": "exact",
    "ref_type": "twin",
    "ref_target_id": "{cluster}",
    "id": "{cluster}",
    "kind": "Cluster",
}


async def test_no_list_shows_counts_or_continues_another_tenants_resources(town: Town) -> None:
    red = (town.cluster, town.pool, "red-", SECRET + "-pool", "secret-adapter")
    lists = [route for row, method, route in walked() if method == "GET" and WALL[row, method] == OWN]
    for route in lists:
        assert route.kind is not None
        for name, value in VALUES.items():
            if name == "kind" and route.kind is not ANY:
                continue
            given = {name: value.format(token=town.token, cluster=town.cluster)}
            if name.startswith("ref_"):
                given = {"ref_type": "twin", "ref_target_id": town.cluster}
            if name == "orderBy":
                given = {"orderBy": "name"}
            answer = await town.ask("blue", "GET", f"{API}/{route.kind.plural}?{urlencode(given)}")
            if answer.status == 400:
                assert name == "page_token" or route.kind.name == "NodePool", (route.template, given, answer.body)
                assert not any(word in answer.body.decode() for word in ("red-", SECRET))
                continue
            assert answer.status == 200
            listed = answer.problem
            assert not any(word in answer.body.decode() for word in red), (route.template, given)
            mine = {item.get("name", "blue-cluster") for item in listed["items"]}
            assert mine <= {"blue-cluster"}
            assert listed["total"] == len(listed["items"])


async def test_names_are_free_and_targets_unknown_whatever_other_tenants_have(town: Town) -> None:
    missing = str(uuid4())
    for path in ("clusters", "resources"):
        made = await town.ask(
            "blue", "POST", f"{API}/{path}", {"kind": "Cluster", "name": f"red-{path[:-1]}", "spec": {}}
        )
        assert made.status == 201
    answers = [
        await town.ask(
            "blue", "POST", f"{API}/clusters", {"name": "x-ref", "spec": {}, "references": {"twin": [{"id": id}]}}
        )
        for id in (town.cluster, missing)
    ]
    assert [answer.status for answer in answers] == [400, 400]
    assert told(answers[0], town.cluster) == told(answers[1], missing)


async def test_neither_log_lines_nor_metrics_reveal_another_tenant(town: Town) -> None:
    with capture_logs() as lines:
        for path in (f"{API}/clusters", f"{API}/clusters/{town.cluster}", f"{API}/resources"):
            await town.ask("blue", "GET", path)
        await town.made("blue", f"{API}/clusters", name="audited")
    assert not any("red" in str(line) or SECRET in str(line) for line in lines)
    [audit] = [line for line in lines if line.get("audit")]
    assert audit["tenant"] == {"org": "blue"}
    exposed = metrics.exposition().decode()
    assert not any(word in exposed for word in (town.cluster, "red-cluster", SECRET, "org="))


async def test_another_tenants_resource_takes_as_long_as_one_that_never_existed(town: Town) -> None:
    seconds: dict[str, list[float]] = {town.cluster: [], str(uuid4()): []}
    for _ in range(150):
        for id, taken in seconds.items():
            started = perf_counter()
            await town.ask("blue", "GET", f"{API}/clusters/{id}")
            taken.append(perf_counter() - started)
    # The minimum of each: the machine's other load does not count.
    foreign, missing = (min(taken) for taken in seconds.values())
    assert 0.7 < foreign / missing < 1.4
