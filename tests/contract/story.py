"""One life of a fleet, told by requests to the real application: where the examples of the API's document come from.

Every step names the operation of the document and what the example shows. Order counts: later steps see what earlier
ones made.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import httpx2

from hyperfleet import settings
from hyperfleet.model.catalog import Catalog
from hyperfleet.model.kind import BUILT_IN
from hyperfleet.model.rendering import API_ROOT
from hyperfleet.store.database import Database, Statement
from tests.http.conftest import SETTINGS, client_of, impatient

Json = Any
UNKNOWN_ID: Final = "019abcde-0000-7000-8000-000000000000"
RENAMED: Final = Statement("RENAMED", "ALTER TABLE resources RENAME TO hidden")
RESTORED: Final = Statement("RESTORED", "ALTER TABLE hidden RENAME TO resources")

CLUSTER: Final = {
    "kind": "Cluster",
    "name": "demo-cluster",
    "spec": {"region": "us-east-1", "version": "4.16", "nodes": 5},
    "labels": {"env": "production", "team": "platform"},
}
NODE_POOL: Final = {
    "kind": "NodePool",
    "name": "demo-pool",
    "spec": {"instance_type": "m5.2xlarge", "replicas": 10, "disk_size": 200},
    "labels": {"pool_type": "worker"},
}
WRONG_CLUSTER: Final = {
    "kind": "Cluster",
    "name": "Production",
    "labels": {"env": "the production"},
    "provider": "aws",
}
REPORT: Final = {
    "adapter": "dns-adapter",
    "observed_generation": 1,
    "conditions": [
        {"type": "Available", "status": "True", "reason": "RecordsCreated", "message": "All records are there"},
        {"type": "Health", "status": "True"},
    ],
    "data": {"zone": "demo-cluster.example.com", "records": 3},
    "metadata": {"job_name": "dns-1"},
}
WAITING: Final = {
    "adapter": "node-adapter",
    "observed_generation": 1,
    "conditions": [{"type": "Available", "status": "False", "reason": "Scaling", "message": "7 of 10 nodes are ready"}],
}


@dataclass(frozen=True, slots=True)
class Step:
    """A request and its answer. `operation` is the name in typespec/, `title` what the example is called."""

    operation: str
    title: str
    method: str
    path: str
    body: Json
    status: int
    headers: httpx2.Headers
    content: bytes
    answer: Json
    sent_type: str

    @property
    def url_path(self) -> str:
        """The whole path of the request, without its query."""
        path = self.path.partition("?")[0]
        return path if path == "/" or path.startswith("/api/") else API_ROOT + path

    @property
    def query(self) -> str:
        """What the path says behind the question mark."""
        return self.path.partition("?")[2]


class Teller:
    """Sends requests and keeps them as steps."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self.client = client
        self.steps: list[Step] = []

    async def tell(
        self,
        operation: str,
        title: str,
        request: str,
        body: Json = None,
        *,
        client: httpx2.AsyncClient | None = None,
        **more: Any,
    ) -> Json:
        """The answer to a request such as `GET /clusters`, which becomes the next step."""
        method, _, path = request.partition(" ")
        url = f"http://test{path}" if path.startswith("/api/") else path
        if body is not None:
            more["json"] = body
        response = await (client or self.client).request(method, url, **more)
        answer = json.loads(response.content) if response.content else None
        self.steps.append(
            Step(
                operation,
                title,
                method,
                path,
                body,
                response.status_code,
                response.headers,
                response.content,
                answer,
                response.request.headers.get("content-type", ""),
            )
        )
        return answer


async def play(db: Database) -> list[Step]:
    """The whole story on an empty database."""
    async with client_of(db) as client:
        teller = Teller(client)
        tell = teller.tell
        await tell("TheService.service", "The service", "GET /api/hyperfleet")
        await tell("TheService.serviceOfVersion", "The service", "GET /api/hyperfleet/v1")
        await tell("TheService.entrance", "The service", "GET /")
        await tell("TheService.compatibility", "The features", "GET /api/hyperfleet/v1/compatibility")
        await tell("TheService.compatibility", "An unknown parameter", "GET /api/hyperfleet/v1/compatibility?v=2")
        cluster = (await tell("Clusters.create", "A cluster", "POST /clusters", CLUSTER))["id"]
        await _refused_clusters(tell)
        await _node_pools(tell, cluster)
        await _reports(tell, cluster)
        await _reads(tell, cluster)
        await _changes(tell, cluster)
        await _everything(tell)
        await _deletions(tell, cluster)
        async with client_of(db, catalog=REQUIRING) as client:
            await _forced_deletions(tell, client)
        await _failures(tell, db)
    return teller.steps


Tell = Callable[..., Any]


async def _refused_clusters(tell: Tell) -> None:
    create = ("Clusters.create", "POST /clusters")
    for title, more in (
        ("Several mistakes", {"json": WRONG_CLUSTER}),
        ("A missing member", {"json": {"name": "staging-cluster"}}),
        ("No JSON document", {"content": b'{"name": "staging-cluster",}'}),
        ("A name that is taken", {"json": CLUSTER}),
        ("A body of another type", {"content": b"name: staging-cluster", "headers": {"Content-Type": "text/yaml"}}),
        ("A body that is too large", {"content": b" " * (1 << 20) + b"{}"}),
        ("An answer that cannot be had", {"json": CLUSTER, "headers": {"Accept": "text/html"}}),
    ):
        await tell(create[0], title, create[1], **more)


async def _node_pools(tell: Tell, cluster: str) -> None:
    pools = f"/clusters/{cluster}/nodepools"
    pool = (await tell("NodePoolsOfCluster.create", "A node pool", f"POST {pools}", NODE_POOL))["id"]
    await tell("NodePoolsOfCluster.create", "A name that is taken", f"POST {pools}", json=NODE_POOL)
    missing = f"/clusters/{UNKNOWN_ID}/nodepools"
    await tell("NodePoolsOfCluster.create", "No such cluster", f"POST {missing}", json=NODE_POOL)
    await tell("NodePools.create", "A node pool without a cluster", "POST /nodepools", json=NODE_POOL)
    await tell("NodePoolsOfCluster.list", "The node pools of a cluster", f"GET {pools}")
    await tell("NodePoolsOfCluster.list", "No such cluster", f"GET {missing}")
    await tell(
        "NodePools.list", "Node pools with many replicas", "GET /nodepools?search=spec.replicas >= 10&count=none"
    )
    for operation, path in (("NodePoolsOfCluster.read", pools), ("NodePools.read", "/nodepools")):
        await tell(operation, "A node pool", f"GET {path}/{pool}")
        await tell(operation, "No such node pool", f"GET {path}/{UNKNOWN_ID}")
    for operation, path in (("ReportsOnNodePoolOfCluster", pools), ("ReportsOnNodePool", "/nodepools")):
        await tell(f"{operation}.report", "A report of work in progress", f"POST {path}/{pool}/statuses", WAITING)
        await tell(f"{operation}.putReport", "The same report again", f"PUT {path}/{pool}/statuses", WAITING)
        await tell(f"{operation}.list", "The reports on a node pool", f"GET {path}/{pool}/statuses")
        await tell(f"{operation}.list", "No such node pool", f"GET {path}/{UNKNOWN_ID}/statuses")


async def _reports(tell: Tell, cluster: str) -> None:
    path = f"/clusters/{cluster}/statuses"
    await tell("ReportsOnCluster.report", "A report of success", f"POST {path}", REPORT)
    await tell(
        "ReportsOnCluster.report",
        "A report for a newer generation",
        f"POST {path}",
        REPORT | {"observed_generation": 2},
    )
    wrong = {"adapter": "dns-adapter", "observed_generation": 0, "conditions": [{"type": "Available", "status": True}]}
    await tell("ReportsOnCluster.report", "Several mistakes", f"POST {path}", json=wrong)
    missing = f"/clusters/{UNKNOWN_ID}/statuses"
    await tell("ReportsOnCluster.report", "No such cluster", f"POST {missing}", json=REPORT)
    await tell("ReportsOnCluster.putReport", "The report again", f"PUT {path}", REPORT)
    await tell("ReportsOnCluster.list", "The reports on a cluster", f"GET {path}")
    await tell("ReportsOnCluster.list", "No such cluster", f"GET {missing}")


async def _reads(tell: Tell, cluster: str) -> None:
    staging = {"name": "staging-cluster", "spec": {"region": "eu-central-1"}, "labels": {"env": "staging"}}
    await tell("Clusters.create", "A cluster without its kind", "POST /clusters", staging)
    await tell("Clusters.read", "A cluster with a report", f"GET /clusters/{cluster}")
    await tell("Clusters.read", "What is selected", f"GET /clusters/{cluster}?fields=name,status.phase,spec.region")
    await tell("Clusters.read", "No such cluster", f"GET /clusters/{UNKNOWN_ID}")
    await tell("Clusters.read", "An unknown field", f"GET /clusters/{cluster}?fields=nam")
    await tell("Clusters.list", "All clusters", "GET /clusters")
    await tell("Clusters.list", "A first page", "GET /clusters?pageSize=1&fields=name&order=name")
    await tell(
        "Clusters.list",
        "Clusters that are not ready",
        "GET /clusters?search=labels.env = 'staging' and status.phase != 'Ready'&fields=name,labels.env,status.phase",
    )
    await tell("Clusters.list", "A search with a mistake", "GET /clusters?search=name ~ 'a'")
    await tell("Clusters.list", "An unknown parameter", "GET /clusters?serach=name = 'a'")
    await tell("Clusters.list", "Several mistakes", "GET /clusters?page=0&count=yes")


MERGE: Final = {"headers": {"Content-Type": "application/merge-patch+json"}}


async def _changes(tell: Tell, cluster: str) -> None:
    path = f"/clusters/{cluster}"
    changed = await tell("Clusters.change", "Other labels", f"PATCH {path}", {"labels": {"env": "staging"}})
    await tell("Clusters.change", "One member of the spec", f"PATCH {path}", {"spec": {"nodes": 7}}, **MERGE)
    stale = {"headers": {"If-Match": f'"{changed["resource_version"]}"'}}
    await tell("Clusters.change", "A version that is gone", f"PATCH {path}", json={"spec": {}}, **stale)
    await tell("Clusters.change", "A name, which never changes", f"PATCH {path}", json={"name": "other"})
    text = {"content": b"nodes: 7", "headers": {"Content-Type": "text/yaml"}}
    await tell("Clusters.change", "A body of another type", f"PATCH {path}", **text)
    await tell("Clusters.change", "No such cluster", f"PATCH /clusters/{UNKNOWN_ID}", json={"labels": {}})
    current = await tell("Clusters.read", "The cluster as it is now", f"GET {path}")
    known = {"headers": {"If-None-Match": f'"{current["resource_version"]}"'}}
    await tell("Clusters.read", "What the caller has already", f"GET {path}", **known)


async def _everything(tell: Tell) -> None:
    made = await tell("Everything.create", "A resource", "POST /resources", CLUSTER | {"name": "another-cluster"})
    one = f"/resources/{made['id']}"
    await tell("Everything.create", "An unknown kind", "POST /resources", json=CLUSTER | {"kind": "Clutser"})
    await tell("Everything.create", "A kind that has an owner", "POST /resources", json=NODE_POOL)
    await tell("Everything.list", "All resources", "GET /resources?fields=kind,name&order=name")
    await tell("Everything.list", "Those of one kind", "GET /resources?kind=NodePool&fields=kind,name")
    await tell("Everything.read", "A resource", f"GET {one}")
    await tell("Everything.read", "No such resource", f"GET /resources/{UNKNOWN_ID}")
    await tell("Everything.change", "Other labels", f"PATCH {one}", {"labels": {"env": "test"}})
    await tell("ReportsOnResource.report", "A report of success", f"POST {one}/statuses", REPORT)
    await tell("ReportsOnResource.putReport", "The report again", f"PUT {one}/statuses", REPORT)
    await tell("ReportsOnResource.list", "The reports on a resource", f"GET {one}/statuses")
    await tell("Everything.delete", "A resource", f"DELETE {one}")
    await tell("Everything.forceDelete", "No such resource", f"POST {one}/force-delete", json=FORCED)


FORCED: Final = {"reason": "its account is closed, so nothing can be cleaned up"}


async def _deletions(tell: Tell, cluster: str) -> None:
    path = f"/clusters/{cluster}"
    await tell("Clusters.forceDelete", "What is not being deleted", f"POST {path}/force-delete", json=FORCED)
    pools = await tell("NodePoolsOfCluster.list", "Before they go", f"GET {path}/nodepools")
    pool = f"{path}/nodepools/{pools['items'][0]['id']}"
    await tell("NodePoolsOfCluster.change", "More nodes", f"PATCH {pool}", {"spec": {"replicas": 12}}, **MERGE)
    stale = {"headers": {"If-Match": '"g1"'}}
    await tell("NodePoolsOfCluster.delete", "A generation that is gone", f"DELETE {pool}", **stale)
    await tell("NodePoolsOfCluster.delete", "A node pool", f"DELETE {pool}")
    await tell("Clusters.delete", "A malformed version", f"DELETE {path}", headers={"If-Match": "1842"})
    await tell("Clusters.delete", "A cluster", f"DELETE {path}")
    await tell("Clusters.delete", "No such cluster", f"DELETE {path}")


REQUIRING: Final = Catalog([replace(kind, required_adapters=("dns-adapter",)) for kind in BUILT_IN])


async def _forced_deletions(tell: Tell, client: httpx2.AsyncClient) -> None:
    """What waits for its adapters is removed by force, at each address once."""
    cluster = (await client.post("/clusters", json=CLUSTER | {"name": "stuck-cluster"})).json()["id"]
    addresses = {
        "NodePoolsOfCluster": f"/clusters/{cluster}/nodepools",
        "NodePools": "/nodepools",
        "Everything": "/resources",
        "Clusters": "/clusters",
    }
    for operation, address in addresses.items():
        id = cluster
        if operation != "Clusters":
            body = NODE_POOL | {"name": f"stuck-{len(operation)}"}
            id = (await client.post(f"/clusters/{cluster}/nodepools", json=body)).json()["id"]
        path = f"{address}/{id}"
        if operation == "NodePools":
            await tell("NodePools.change", "More nodes", f"PATCH {path}", {"spec": {"replicas": 12}}, client=client)
        await tell(f"{operation}.delete", "What waits for its adapters", f"DELETE {path}", client=client)
        await tell(f"{operation}.change", "What is being deleted", f"PATCH {path}", json={"labels": {}}, client=client)
        await tell(f"{operation}.forceDelete", "What is stuck", f"POST {path}/force-delete", FORCED, client=client)


async def _failures(tell: Tell, db: Database) -> None:
    await db.fetch(RENAMED)
    try:
        await tell("Clusters.list", "An error of the database", "GET /clusters")
    finally:
        await db.fetch(RESTORED)
    unreachable = replace(SETTINGS.database, host="/nowhere")
    async with client_of(Database(unreachable)) as away:
        await tell("Clusters.list", "The database is away", "GET /clusters", client=away)
    async with client_of(db, impatient(timeouts=settings.Timeouts(write=0.0))) as late:
        await tell("Clusters.list", "The time is over", "GET /clusters", client=late)
