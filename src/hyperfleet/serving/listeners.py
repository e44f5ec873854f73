"""The socket that a worker listens on: the HTTP server opens it by itself, and cannot be told all of what it should be.

Whoever does not read an answer keeps the answer in memory and its connection open; the HTTP server waits for ever. The
kernel does not have to: what is sent and neither taken nor acknowledged for too long ends the connection, and
connections inherit that from the listener.
"""

import contextlib
import socket
import threading
import time
from typing import Final

from hyperfleet.http import sockets
from hyperfleet.telemetry import logging

START_SECONDS: Final = 30.0
"""How long the listener may take to come."""

_log = logging.get("workers")


def limit_unread(port: int, seconds: float) -> None:
    """Has the system end connections of this process's listener whose caller takes nothing for so long.

    Returns at once; the listener need not be there yet. Does nothing where the system has no such limit.
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
    """Sets the limit on the port's listener in this process and on its connections; whether there is a listener."""
    found = False
    for each in sockets.own():
        with contextlib.suppress(OSError):
            if each.getsockname()[1] == port:
                # Connections that were quicker than this have inherited nothing.
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
                found = found or each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
    return found
