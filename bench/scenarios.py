"""What is measured: each scenario is a request that wrk sends, and the statements of its ceiling."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from hyperfleet.model.resource import Scope
from hyperfleet.model.search.parser import parse
from hyperfleet.store.clauses.filters import Filter, Parameters
from hyperfleet.store.clauses.projections import WHOLE
from hyperfleet.store.lists import orders, pages
from hyperfleet.store.lists.pages import Listing
from testbed.fleet import CLUSTER

CLUSTERS: Final = "/api/hyperfleet/v1/clusters"
LABEL: Final = "labels.shard = 's7'"
FRESH: Final = 500
"""Clusters without reports: changes to the others would make the search for a condition match them."""

CONDITION: Final = "status.conditions.Reconciled = 'False'"


@dataclass(frozen=True, slots=True)
class Scenario:
    """A row of the result. `lua` is the body of wrk's `request` function; `listing` is the list it asks for, if any."""

    name: str
    lua: str
    listing: Listing | None = None
    ceiling: str = ""


def _get(path: str, headers: str = "") -> str:
    return f'return wrk.format("GET", "{path}", {{{headers}}})'


def _list(name: str, query: str, listing: Listing, headers: str = "") -> Scenario:
    return Scenario(name, _get(f"{CLUSTERS}?{query}", headers), listing, "list")


def _search(text: str) -> Listing:
    return Listing(size=20, filters=(Filter("search", parse(text), text),))


_REPORT: Final = """
n = n + 1
local id = {id}
local body = string.format('{{"adapter":"%s","observed_generation":1,"observed_time":"%s","conditions":[' ..
  '{{"type":"Available","status":"%s","reason":"AsExpected","message":"What was asked for is there"}},' ..
  '{{"type":"Applied","status":"True","reason":"AppliedManifest","message":"The manifest was applied"}},' ..
  '{{"type":"Health","status":"True","reason":"Healthy","message":"All probes succeed"}}],' ..
  '"data":{{"attempts":3,"endpoint":"https://api.example.com"}}}}', {adapter}, {time}, {status})
return wrk.format("POST", "{clusters}/" .. id .. "/statuses", json, body)
"""


def _report(*, id: str = "ids[math.random(#ids)]", adapter: str, time: str = "now()", status: str = '"True"') -> str:
    return _REPORT.format(id=id, adapter=adapter, time=time, status=status, clusters=CLUSTERS)


_CREATE: Final = f"""
n = n + 1
local body = string.format('{{"kind":"Cluster","name":"new-%d-%d-%d","labels":{{"env":"production","shard":"s%d",' ..
  '"team":"platform","region":"eu"}},"spec":%s}}', round, seed, n, n % 50, spec)
return wrk.format("POST", "{CLUSTERS}", json, body)
"""

_CHANGE: Final = f"""
n = n + 1
local body = string.format('{{"spec":{{"revision":"%d-%d-%d","was":%s}}}}', round, seed, n, spec)
return wrk.format("PATCH", "{CLUSTERS}/" .. fresh[math.random(#fresh)], json, body)
"""

SCENARIOS: Final = (
    Scenario("GET", f'return wrk.format("GET", "{CLUSTERS}/" .. ids[math.random(#ids)])', ceiling="get"),
    _list("LIST(20), page 1", "pageSize=20", Listing(size=20)),
    _list("LIST(20), middle page", "pageSize=20&page=250", Listing(size=20, page=250)),
    _list("LIST(100), page 1", "pageSize=100", Listing(size=100)),
    _list("LIST(200), page 1", "pageSize=200", Listing(size=200)),
    _list("LIST(100), gzip", "pageSize=100", Listing(size=100), '["Accept-Encoding"]="gzip"'),
    _list("LIST(20), label, 2 % match", f"pageSize=20&search={quote(LABEL)}", _search(LABEL)),
    _list("LIST(20), condition, 2 % match", f"pageSize=20&search={quote(CONDITION)}", _search(CONDITION)),
    Scenario("create", _CREATE, ceiling="create"),
    Scenario("change of a spec", _CHANGE, ceiling="change"),
    Scenario(
        "report that changes something",
        _report(adapter='"adapter-" .. (n % 5)', status='(n % 50 < 25) and "True" or "False"'),
        ceiling="report",
    ),
    Scenario("repeated report, newer time", _report(adapter='"adapter-" .. (n % 5)'), ceiling="report"),
    Scenario(
        "the same report again",
        _report(id="same[math.random(#same)]", adapter='"repeater"', time="started"),
        ceiling="read",
    ),
    Scenario("ten adapters on one resource", _report(id="ids[1]", adapter='"crowd-" .. (n % 10)'), ceiling=""),
)


def list_statement(listing: Listing) -> str:
    """The statement of a list with its values inlined, for pgbench."""
    parameters = Parameters()
    order = orders.completed(orders.NEWEST_FIRST)
    text = pages.statement(Scope(CLUSTER), listing, order, parameters, projected=WHOLE, bound="").text
    for position in range(len(parameters.values), 0, -1):
        value = parameters.values[position - 1]
        if isinstance(value, bytes):
            shown = value.decode()
        elif isinstance(value, list):
            shown = "{" + ",".join(value) + "}"
        else:
            shown = str(value)
        text = text.replace(f"${position}", "'" + shown.replace("'", "''") + "'")
    return " ".join(text.split())
