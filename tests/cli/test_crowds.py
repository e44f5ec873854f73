"""Thousands of connections that say nothing do not keep a service from the callers that do."""

import contextlib
import resource
import socket
from collections.abc import Iterator

import pytest

from tests.cli.serving import CLUSTERS, Service, eventually, folder

WORKERS = 2
CROWD = 4_600
"""More than two workers take at a time as the HTTP server would have it."""


@pytest.fixture
def crowd_size() -> Iterator[int]:
    """How many connections the crowd has: fewer only where this process may not open as many files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield CROWD if hard == resource.RLIM_INFINITY else min(CROWD, hard - 600)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("said", [b"", b"GET /api/hyp"])
def test_a_silent_crowd_shuts_out_nobody_and_is_sent_away(said: bytes, crowd_size: int) -> None:
    with folder() as place, contextlib.ExitStack() as crowd:
        service = Service(place, HYPERFLEET_SERVER_WORKERS=str(WORKERS)).start()
        crowd.callback(service.stop)
        service.ready()
        sockets = []
        for _ in range(crowd_size):
            each = crowd.enter_context(socket.create_connection(("127.0.0.1", service.api), 10))
            each.sendall(said)
            sockets.append(each)
        for _ in range(20):
            assert service.status(service.api, f"{CLUSTERS}?pageSize=1") == 200
        last = sockets[-1]
        last.setblocking(False)

        def is_closed() -> bool:
            try:
                return last.recv(1000) == b""
            except BlockingIOError:
                return False
            except ConnectionResetError:
                return True

        eventually(is_closed, "a silent connection is closed")
