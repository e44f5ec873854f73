"""Two services on one database behind a proxy, restarted in turn while callers write: no request may fail."""

import time
from pathlib import Path

from drills.proxies import Server, haproxy
from drills.writers import SEEN_HEAD, Writers, seen
from hyperfleet.postgres import embedded
from tests.cli.programs import run
from tests.cli.serving import Service, free_ports

HEAD = ("restarts", *SEEN_HEAD)
WRITERS = 8
ROUNDS = 3


def on(server: embedded.Server) -> dict[str, str]:
    """The settings of a service on this PostgreSQL."""
    here = server.settings()
    return {
        "HYPERFLEET_DATABASE_HOST": here.host,
        "HYPERFLEET_DATABASE_PORT": str(here.port),
        "HYPERFLEET_DATABASE_NAME": here.name,
        "HYPERFLEET_DATABASE_USERNAME": here.username,
        "HYPERFLEET_DATABASE_EMBEDDED_DATA_DIR": "",
    }


def drill(folder: Path, *, rounds: int = ROUNDS) -> list[list[str]]:
    """The row of the result; raises AssertionError when a request failed or a write is missing."""
    server = embedded.start(folder / "data", connections=120)
    services: list[Service] = []
    try:
        variables = on(server)
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
