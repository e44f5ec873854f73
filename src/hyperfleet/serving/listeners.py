"""Sets a socket option on a worker's listener, which the HTTP server opens itself and cannot fully configure.

A caller that does not read its response keeps the response in memory and the connection open, because the HTTP server
waits indefinitely. TCP_USER_TIMEOUT makes the kernel close a connection whose sent data is not accepted or acknowledged
in time. Connections inherit the option from the listener.
"""

import contextlib
import socket
import threading
import time
from typing import Final

from hyperfleet.http import sockets
from hyperfleet.telemetry import logging

START_SECONDS: Final = 30.0
"""How long to wait for the listener to open."""

_log = logging.get("workers")


def limit_unread(port: int, seconds: float) -> None:
    """Makes the kernel close connections to this process's listener whose caller reads nothing for this long.

    Returns at once; the listener may open later. Does nothing where the system has no such option.
    """
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        threading.Thread(target=_limit, args=(port, round(seconds * 1000)), daemon=True).start()


def _limit(port: int, milliseconds: int) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if set_on_listener(port, milliseconds):
            return
        time.sleep(0.02)
    _log.warning(
        "the listener was not found; callers that do not read their responses will not be disconnected", port=port
    )


def set_on_listener(port: int, milliseconds: int) -> bool:
    """Sets the option on this process's listener of the port and its connections; returns whether it has a listener."""
    found = False
    for each in sockets.own():
        with contextlib.suppress(OSError):
            if each.getsockname()[1] == port:
                # Connections that were accepted earlier did not inherit the option.
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
                found = found or each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
    return found
