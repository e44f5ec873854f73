"""Thousands of silent connections do not keep a service from its other callers."""

import contextlib
import resource
import socket
import time
from collections.abc import Iterator

import pytest

from drills.crowds import UNREAD, held
from testbed.calls import CLUSTERS
from testbed.serving import Service, folder
from testbed.waiting import eventually

WORKERS = 2
ANSWER = b"HTTP/1.1 200 OK"
CROWD = 4_600
"""More than two workers take at a time as the HTTP server would have it."""


@pytest.fixture
def crowd_size() -> Iterator[int]:
    """The size of the crowd: smaller only if this process may not open as many files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield CROWD if hard == resource.RLIM_INFINITY else min(CROWD, hard - 600)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_response_that_is_not_read_is_abandoned() -> None:
    with folder() as place, socket.socket() as caller:
        service = Service(place, HYPERFLEET_SERVER_TIMEOUTS_WRITE="2s").start()
        try:
            service.ready()
            # A small window, so that responses wait in the service.
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            caller.connect(("127.0.0.1", service.api))
            caller.sendall(UNREAD * 5)
            eventually(lambda: held(service.api) == 1, "the connection is held")
            eventually(lambda: held(service.api) == 0, "the connection is given up", 20)
            assert service.status(service.api, f"{CLUSTERS}?pageSize=1") == 200
        finally:
            service.stop()


def test_responses_that_are_read_slowly_arrive_complete() -> None:
    with folder() as place, socket.socket() as caller:
        service = Service(place, HYPERFLEET_SERVER_TIMEOUTS_WRITE="2s").start()
        try:
            service.ready()
            caller.connect(("127.0.0.1", service.api))
            caller.sendall(UNREAD * 3)
            whole = b""
            began = time.monotonic()
            while whole.count(ANSWER) < UNREAD.count(b"GET ") * 3 or not whole.endswith(b"}"):
                part = caller.recv(65_536)
                assert part, f"cut after {len(whole):,} bytes"
                whole += part
                time.sleep(0.05)
        finally:
            service.stop()
    assert time.monotonic() - began > 4


@pytest.mark.parametrize("said", [b"", b"GET /api/hyp"])
def test_a_silent_crowd_blocks_no_caller_and_is_disconnected(said: bytes, crowd_size: int) -> None:
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
