"""The probes with a database that misbehaves, without a service."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from hyperfleet.postgres import embedded
from hyperfleet.serving.probing import probes
from testbed import waiting
from testbed.sessions import value


@pytest.fixture
def silent(postgres: embedded.Server) -> Iterator[int]:
    """The port of a proxy to the database that accepts connections but never answers a query."""
    enough = threading.Event()
    sockets: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def begin(work: Callable[..., None], *arguments: object) -> None:
        threads.append(threading.Thread(target=work, args=arguments, daemon=True))
        threads[-1].start()

    def pass_on(source: socket.socket, target: socket.socket, asks: bool) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                if asks and b"SELECT 1" in piece:
                    enough.wait()
                target.sendall(piece)

    def serve(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.socket(socket.AF_UNIX)
                sockets.extend((client, server))
                server.connect(str(postgres.socket_dir / f".s.PGSQL.{postgres.port}"))
                begin(pass_on, client, server, True)
                begin(pass_on, server, client, False)

    sockets.append(socket.create_server(("127.0.0.1", 0)))
    begin(serve, sockets[0])
    yield sockets[0].getsockname()[1]
    enough.set()
    for each in sockets:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
    for thread in threads:
        thread.join()
    for each in sockets:
        each.close()


def test_a_database_that_stops_responding_delays_no_probe_beyond_the_setting(
    postgres: embedded.Server, silent: int
) -> None:
    readiness = probes.Readiness(0.5)
    readiness.stage = None
    readiness.database = replace(postgres.settings(), host="127.0.0.1", port=silent)
    answers: list[list[str]] = []
    for _ in range(2):
        begun = time.monotonic()
        # A thread of its own, so that a probe that never ends fails this test instead of stopping the run.
        asking = threading.Thread(target=lambda: answers.append(readiness.reasons()), daemon=True)
        asking.start()
        asking.join(5)
        assert time.monotonic() - begun < 4
        time.sleep(probes.SHARED_SECONDS)
    assert answers == [["The database did not respond within 0.5 s."]] * 2


async def connections_of_probes(server: embedded.Server) -> int:
    counted = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'hyperfleet-api probe'"
    return int(await value(server.settings(), counted))


def test_a_probe_leaves_no_connection_behind(postgres: embedded.Server) -> None:
    readiness = probes.Readiness(2.0)
    readiness.stage = None
    readiness.database = postgres.settings()
    assert readiness.reasons() == []
    waiting.eventually(lambda: asyncio.run(connections_of_probes(postgres)) == 0, "closed", 5)
