"""The listener for probes and scrapes, with connections that send nothing, too little, or too much."""

import contextlib
import http.client
import resource
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from hyperfleet import settings
from hyperfleet.errors import Unavailable
from hyperfleet.serving.addresses import Address
from hyperfleet.serving.probing import probe_listeners
from hyperfleet.serving.probing.probe_listeners import MOST_CONNECTIONS, PAGE_THREADS, Page, Source
from testbed import calls, ports
from testbed.waiting import eventually

PAGE: Final = Page(200, "application/json", b'{"status":"ok"}\n')
QUICK: Final = {"/healthz": Source(lambda: PAGE)}


@contextmanager
def listener(pages: Mapping[str, Source] = QUICK) -> Iterator[int]:
    """The port of a listener."""
    [port] = ports.free_ports(1)
    with probe_listeners.listening(Address("127.0.0.1", port), "health", pages, settings.Tls()):
        yield port


def asked(port: int, sent: bytes, seconds: float = 10) -> bytes:
    """The received bytes until the listener closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        connection.sendall(sent)
        answered = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := connection.recv(65536):
                answered += piece
        return answered


@pytest.mark.parametrize(
    ("sent", "status", "has_body"),
    [
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", b"200 OK", True),
        (b"GET /healthz?verbose HTTP/1.0\r\n\r\n", b"200 OK", True),
        (b"GET /healthz HTTP/1.0\n\n", b"200 OK", True),
        (b"HEAD /healthz HTTP/1.0\r\n\r\n", b"200 OK", False),
        (b"GET /nowhere HTTP/1.0\r\n\r\n", b"404 Not Found", True),
        (b"POST /healthz HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", b"405 Method Not Allowed", True),
        (b"GET /healthz HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", b"200 OK", True),
        (b"GET /healthz HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"200 OK", True),
        (b"GET /healthz\r\n\r\n", b"400 Bad Request", True),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", b"400 Bad Request", True),
        (b"GET /healthz HTTP/2.0\r\n\r\n", b"400 Bad Request", True),
    ],
)
def test_a_request_gets_a_response_and_a_connection_that_is_not_kept_alive_is_closed(
    sent: bytes, status: bytes, has_body: bool
) -> None:
    with listener() as port:
        head, _, body = asked(port, sent).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 " + status + b"\r\n")
    assert b"Connection: close" in head
    assert (b"Allow: GET, HEAD" in head) is status.startswith(b"405")
    assert bool(body) is has_body


def test_a_connection_serves_several_requests() -> None:
    with listener() as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        with contextlib.closing(connection):
            for method, path, status, body in (
                ("GET", "/healthz", 200, PAGE.body),
                ("HEAD", "/healthz", 200, b""),
                ("GET", "/nowhere", 404, b'{"paths": ["/healthz"]}\n'),
            ):
                connection.request(method, path)
                answer = connection.getresponse()
                assert (answer.status, answer.getheader("Cache-Control")) == (status, "no-store")
                assert answer.read() == body


@contextmanager
def trickling(port: int, count: int) -> Iterator[list[socket.socket]]:
    """This many connections, each of which occasionally sends a byte of its request."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 4096), hard), hard))
    enough = threading.Event()
    sockets: list[socket.socket] = []

    def trickle() -> None:
        while not enough.wait(0.2):
            for each in sockets:
                with contextlib.suppress(OSError):
                    each.send(b"a", socket.MSG_DONTWAIT)

    thread = threading.Thread(target=trickle, daemon=True)
    try:
        for _ in range(count):
            sockets.append(socket.create_connection(("127.0.0.1", port), timeout=10))
            sockets[-1].sendall(b"GET /healthz HTTP/1.1\r\nX-Filling: ")
        thread.start()
        yield sockets
    finally:
        enough.set()
        if thread.ident is not None:
            thread.join()
        for each in sockets:
            each.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_600_slow_connections_occupy_no_thread_and_delay_no_probe() -> None:
    with listener() as port:
        assert calls.fetched(port, "/healthz")[0] == 200
        threads, files = threading.active_count(), open_files()
        with trickling(port, 600) as sockets:
            for _ in range(20):
                begun = time.monotonic()
                assert calls.fetched(port, "/healthz") == (200, PAGE.body)
                assert time.monotonic() - begun < 5
            assert threading.active_count() - threads <= 1 + PAGE_THREADS
            assert open_files() - files <= len(sockets) + MOST_CONNECTIONS + 2


def test_a_request_must_arrive_within_a_total_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_listeners, "REQUEST_SECONDS", 0.5)
    with listener() as port, trickling(port, 3) as sockets:
        begun = time.monotonic()
        for each in sockets:
            with contextlib.suppress(ConnectionResetError):
                assert each.recv(1) == b""
        assert 0.3 < time.monotonic() - begun < 5


def test_a_request_that_is_too_large_is_dropped() -> None:
    with listener() as port:
        for filling in (b"X: " + b"a" * 100_000 + b"\r\n", b"X: a\r\n" * 20_000):
            with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                assert asked(port, b"GET /healthz HTTP/1.1\r\n" + filling + b"\r\n") == b""
        assert calls.fetched(port, "/healthz")[0] == 200


def test_a_response_must_be_read_within_a_total_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_listeners, "ANSWER_SECONDS", 0.5)
    large = Page(200, "text/plain", b"x" * 50_000_000)
    with (
        listener({"/metrics": Source(lambda: large)}) as port,
        socket.create_connection(("127.0.0.1", port), timeout=10) as connection,
    ):
        connection.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        time.sleep(1.5)
        taken = 0
        with contextlib.suppress(ConnectionResetError):
            while piece := connection.recv(1 << 20):
                taken += len(piece)
    assert taken < len(large.body)


def test_pages_that_block_delay_only_each_other() -> None:
    goes_on = threading.Event()

    def held() -> Page:
        goes_on.wait(30)
        return PAGE

    def ask() -> None:
        calls.fetched(port, "/readyz")

    with listener({**QUICK, "/readyz": Source(held, blocks=True)}) as port:
        before = threading.active_count()
        asking = [threading.Thread(target=ask, daemon=True) for _ in range(40)]
        for thread in asking:
            thread.start()
        eventually(lambda: threading.active_count() - before >= 40 + PAGE_THREADS, "all threads", 10)
        begun = time.monotonic()
        assert calls.fetched(port, "/healthz")[0] == 200
        assert time.monotonic() - begun < 5
        assert threading.active_count() - before <= 40 + PAGE_THREADS
        goes_on.set()
        for thread in asking:
            thread.join(10)


def failing() -> Page:
    raise RuntimeError("no such page")


def test_a_page_that_fails_is_500_and_the_next_one_works() -> None:
    for blocks in (True, False):
        with listener({**QUICK, "/metrics": Source(failing, blocks)}) as port:
            assert calls.fetched(port, "/metrics")[0] == 500
            assert calls.fetched(port, "/healthz")[0] == 200


def test_a_port_in_use_is_refused_and_released_at_the_end() -> None:
    with listener() as port:
        address = Address("127.0.0.1", port)
        taken = probe_listeners.listening(address, "health", QUICK, settings.Tls())
        with pytest.raises(Unavailable, match=str(port)), taken:
            pass
    with probe_listeners.listening(Address("127.0.0.1", port), "health", QUICK, settings.Tls()):
        assert calls.fetched(port, "/healthz")[0] == 200
    assert calls.fetched(port, "/healthz")[0] == 0
