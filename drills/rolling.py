"""Restarts two services on one database behind a proxy, in turn, while callers write: no request may fail."""

import time
from pathlib import Path

from drills.proxies import Server, haproxy
from drills.writers import SEEN_HEAD, Writers, seen
from hyperfleet.postgres import embedded
from testbed.ports import free_ports
from testbed.programs import run
from testbed.serving import Service, on

HEAD = ("restarts", *SEEN_HEAD)
WRITERS = 8
ROUNDS = 3


def drill(folder: Path, *, rounds: int = ROUNDS) -> list[list[str]]:
    """The result's row; raises AssertionError for a failed request or a missing write."""
    server = embedded.start(folder / "data", connections=120)
    services: list[Service] = []
    try:
        variables = on(server.settings())
        assert run("migrate", variables=variables).returncode == 0
        services += [Service(folder, variables=variables).start().ready() for _ in range(2)]
        [port] = free_ports(1)
        behind = [Server("127.0.0.1", each.api, each.health) for each in services]
        with haproxy(folder, port, behind, http=True):
            time.sleep(1)
            writers = Writers(port, WRITERS)
            time.sleep(2)
            for _ in range(rounds):
                for each in services:
                    each.signal()
                    assert each.wait() == 0
                    each.start().ready()
                    time.sleep(1)
            writers.stop()
            return [[str(2 * rounds), *seen(port, writers)]]
    finally:
        for each in services:
            each.stop()
        embedded.stop(server)
