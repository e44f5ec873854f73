"""Kills the database's leader while callers write, once behind a proxy and once with all hosts configured.

Replication is synchronous, so every acknowledged write must be there afterwards.
"""

import time
from pathlib import Path

from drills import patroni
from drills.proxies import Server, haproxy
from drills.writers import SEEN_HEAD, Writers, seen
from testbed.ports import free_ports
from testbed.programs import run
from testbed.serving import Service
from testbed.waiting import eventually

HEAD = ("database", *SEEN_HEAD)
WRITERS = 8
MOST_SECONDS_AWAY = 60.0


def drill(folder: Path) -> list[list[str]]:
    """A row for each way to reach the leader; raises AssertionError when an acknowledged write is missing."""
    rows: list[list[str]] = []
    with patroni.patroni(folder) as cluster:
        [port] = free_ports(1)
        nodes = [Server(node.host, patroni.PORT, patroni.REST_PORT) for node in cluster.nodes]
        with haproxy(folder, port, nodes, http=False):
            rows.append(_row("HAProxy before three nodes", folder, cluster, _on("127.0.0.1", port)))
        hosts = ",".join(node.host for node in cluster.nodes)
        rows.append(_row("`database.host` with three hosts", folder, cluster, _on(hosts, patroni.PORT)))
        _replica_is_refused(folder, cluster)
    return rows


def _on(host: str, port: int) -> dict[str, str]:
    return {
        "HYPERFLEET_DATABASE_HOST": host,
        "HYPERFLEET_DATABASE_PORT": str(port),
        "HYPERFLEET_DATABASE_NAME": patroni.USER,
        "HYPERFLEET_DATABASE_USERNAME": patroni.USER,
        "HYPERFLEET_DATABASE_PASSWORD": patroni.PASSWORD,
        "HYPERFLEET_DATABASE_EMBEDDED_DATA_DIR": "",
    }


def _row(name: str, folder: Path, cluster: patroni.Cluster, variables: dict[str, str]) -> list[str]:
    migrated = run("migrate", variables=variables)
    assert migrated.returncode == 0, migrated.stderr
    service = Service(folder, variables=variables).start()
    try:
        service.ready()
        writers = Writers(service.api, WRITERS, name=f"on-port-{variables['HYPERFLEET_DATABASE_PORT']}")
        time.sleep(3)
        leader = cluster.leader()
        assert leader is not None
        leader.kill()
        before = writers.acknowledged
        # Answers from before the kill may still arrive.
        time.sleep(1)
        until = time.monotonic() + MOST_SECONDS_AWAY
        while writers.acknowledged < before + 50 * WRITERS:
            assert time.monotonic() < until, "no writes again"
            time.sleep(0.1)
        assert service.status(service.health, "/readyz") == 200
        time.sleep(3)
        writers.stop()
        row = [name, *seen(service.api, writers, expected=("503 with Retry-After", "504", "409"))]
    finally:
        service.stop()
    leader.revive()
    eventually(lambda: cluster.has_standbys(patroni.NODES - 1), "the node that was killed follows")
    return row


def _replica_is_refused(folder: Path, cluster: patroni.Cluster) -> None:
    """Checks that a service with only a standby does not start, and so cannot serve stale reads."""
    standby = next(node for node in cluster.nodes if node.role() == "replica")
    variables = _on(standby.host, patroni.PORT) | {
        "HYPERFLEET_DATABASE_POOL_CONN_RETRY_ATTEMPTS": "1",
        "HYPERFLEET_DATABASE_POOL_CONN_RETRY_INTERVAL": "100ms",
    }
    service = Service(folder, variables=variables).start()
    try:
        assert service.wait() == 1, "a service started on a standby"
        assert "standby" in service.text(), service.text()
    finally:
        service.stop()
