"""PgBouncer in transaction mode between service and database, old enough to know no prepared statements, and restarted.

`database.statement_cache` is off; a restart may cost writes under way a 503, and nothing else.
"""

import time
from contextlib import ExitStack
from pathlib import Path

from drills.programs import await_
from drills.proxies import pgbouncer
from drills.writers import Writers, check
from hyperfleet.store import embedded
from tests.cli.programs import run
from tests.cli.serving import Service, free_ports

HEAD = ("restarts", "sent", "acknowledged", "answers", "lost", "duplicates", "no write for s")
WRITERS = 8


def drill(folder: Path) -> list[list[str]]:
    """The row of the result; raises AssertionError when a write is missing or an answer is none of those to expect."""
    server_port, port = free_ports(2)
    server = embedded.start(folder / "data", port=server_port)
    here = server.settings()
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
            stack.enter_context(pgbouncer(folder, port, server_port=server_port, user=here.username))
            migrated = run("migrate", variables=variables)
            assert migrated.returncode == 0, migrated.stderr
            service.start().ready()
            writers = Writers(service.api, WRITERS)
            time.sleep(3)
            assert {told[0] for told in writers.answers()} == {"2"}, writers.answers()
        time.sleep(1)
        with pgbouncer(folder, port, server_port=server_port, user=here.username):
            before = writers.acknowledged
            await_(lambda: writers.acknowledged > before + 50 * WRITERS, "writes again")
            writers.stop()
            found = check(service.api, writers)
    finally:
        service.stop()
        embedded.stop(server)
    answers = writers.answers()
    wrong = {told for told in answers if told[0] != "2" and told not in ("503 with Retry-After", "409")}
    assert (found.lost, found.duplicates, found.counts_lost, wrong) == (0, 0, 0, set()), (found, answers)
    return [
        [
            "1",
            f"{sum(book.sent for book in writers.books):,}",
            f"{writers.acknowledged:,}",
            ", ".join(f"{many:,} × {told}" for told, many in answers.most_common()),
            str(found.lost + found.counts_lost),
            str(found.duplicates),
            f"{max(book.longest_silence for book in writers.books):.1f}",
        ]
    ]
