"""Restarts a PgBouncer in transaction mode between the service and the database, while callers write.

This version of PgBouncer does not support prepared statements, so `database.statement_cache` is off. The restart may
fail the writes in flight with 503, and must have no other effect.
"""

import time
from contextlib import ExitStack
from pathlib import Path

from drills.proxies import pgbouncer
from drills.writers import SEEN_HEAD, Writers, seen
from hyperfleet.postgres import embedded, roles
from testbed.ports import free_ports
from testbed.programs import run
from testbed.serving import Service
from testbed.waiting import eventually

HEAD = ("restarts", *SEEN_HEAD)
WRITERS = 8


def drill(folder: Path) -> list[list[str]]:
    """The result's row; raises AssertionError for a missing write or an unexpected answer."""
    server_port, port = free_ports(2)
    server = embedded.start(folder / "data", port=server_port)
    here = server.settings()
    password = roles.password(server.data_dir)
    variables = {
        "HYPERFLEET_DATABASE_HOST": "127.0.0.1",
        "HYPERFLEET_DATABASE_PORT": str(port),
        "HYPERFLEET_DATABASE_NAME": here.name,
        "HYPERFLEET_DATABASE_USERNAME": here.username,
        "HYPERFLEET_DATABASE_STATEMENT_CACHE": "false",
        "HYPERFLEET_DATABASE_EMBEDDED_DATA_DIR": "",
    }
    service = Service(folder, variables=variables)
    try:
        with ExitStack() as stack:
            stack.enter_context(pgbouncer(folder, port, server_port=server_port, user=here.username, password=password))
            migrated = run("migrate", variables=variables)
            assert migrated.returncode == 0, migrated.stderr
            service.start().ready()
            writers = Writers(service.api, WRITERS)
            time.sleep(3)
            assert {told[0] for told in writers.answers()} == {"2"}, writers.answers()
        time.sleep(1)
        with pgbouncer(folder, port, server_port=server_port, user=here.username, password=password):
            before = writers.acknowledged
            eventually(lambda: writers.acknowledged > before + 50 * WRITERS, "writes again")
            writers.stop()
            return [["1", *seen(service.api, writers, expected=("503 with Retry-After", "409"))]]
    finally:
        service.stop()
        embedded.stop(server)
