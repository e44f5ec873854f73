"""The TCP sockets of this process, found without having a handle of them."""

import contextlib
import socket
from collections.abc import Iterator

import pytest

from hyperfleet.http import sockets


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as each:
        yield each


def ports() -> list[int]:
    return [each.getsockname()[1] for each in sockets.own()]


def test_listeners_and_both_ends_of_a_connection_are_found_but_no_other_sockets(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    left, right = socket.socketpair()
    with left, right, socket.create_connection(("127.0.0.1", port)) as near, listener.accept()[0] as far:
        found = ports()
        assert found.count(port) == 2
        assert near.getsockname()[1] in found
        assert all(each.family in (socket.AF_INET, socket.AF_INET6) for each in sockets.own())
        assert far.getpeername() == near.getsockname()


def test_a_handle_is_closed_after_its_use_but_the_socket_is_not(listener: socket.socket) -> None:
    handles = list(sockets.own())
    assert handles
    assert {each.fileno() for each in handles} == {-1}
    assert listener.getsockname()[1] in ports()


def test_shutting_a_handle_down_ends_the_connection(listener: socket.socket) -> None:
    with socket.create_connection(listener.getsockname()) as near, listener.accept()[0] as far:
        for each in sockets.own():
            with contextlib.suppress(OSError):
                if each.getpeername() == near.getsockname():
                    each.shutdown(socket.SHUT_RDWR)
        near.settimeout(5)
        assert near.recv(1) == b""
        assert far.fileno() >= 0
