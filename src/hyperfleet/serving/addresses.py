"""Addresses to listen on: resolves a host name, and reserves ports for as long as the service runs.

The HTTP server lets several processes share a port, so a second service would start without an error, and both would
receive requests. `held` makes the second start fail.
"""

import contextlib
import errno
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from hyperfleet import settings
from hyperfleet.errors import Unavailable

LEAVING_SECONDS: Final = 2.0
"""How long to wait for a port that is in use: the workers of a service that was killed need a moment to release it."""


Listener = settings.Server | settings.Metrics | settings.Health


class Address(NamedTuple):
    """Where to listen: a numeric address, never a name, and a port; `scheme` is the protocol."""

    host: str
    port: int
    scheme: str = "http"

    @property
    def family(self) -> socket.AddressFamily:
        """The address family, IPv4 or IPv6."""
        return socket.AF_INET6 if ":" in self.host else socket.AF_INET

    @property
    def url(self) -> str:
        """The URL of this address from the same machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return f"{self.scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"


def resolved(listener: Listener, setting: str) -> Address:
    """The address of a listener, IPv4 if its name has both families; raises Unavailable, which names the setting."""
    try:
        found = socket.getaddrinfo(listener.host, listener.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as failure:
        raise Unavailable(f"{setting}: cannot resolve {listener.host}: {failure}") from failure
    numbers = [str(entry[4][0]) for entry in sorted(found, key=lambda entry: entry[0] != socket.AF_INET)]
    return Address(numbers[0], listener.port, "https" if listener.tls.enabled else "http")


@contextmanager
def held(address: Address, setting: str) -> Iterator[None]:
    """Reserves the port for our own workers; raises Unavailable when the port cannot be bound."""
    with socket.socket(address.family, socket.SOCK_STREAM) as holder:
        # Allows binding a port whose last connections are still closing.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _bind(holder, address, setting)
        # The port was bound exclusively and becomes shareable only now. Our workers bind it with SO_REUSEPORT. Another
        # service cannot: it first binds exclusively, and sharing is limited to processes of one user.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        with contextlib.suppress(AttributeError):
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        yield


def _bind(holder: socket.socket, address: Address, setting: str) -> None:
    until = time.monotonic() + LEAVING_SECONDS
    while True:
        try:
            holder.bind((address.host, address.port))
        except OSError as failure:
            if failure.errno != errno.EADDRINUSE or time.monotonic() > until:
                raise Unavailable(refusal(failure, address, setting)) from failure
            time.sleep(0.05)
        else:
            return


def refusal(failure: OSError, address: Address, setting: str) -> str:
    """The sentence that explains why a port cannot be bound."""
    if failure.errno == errno.EADDRINUSE:
        flag = f"--{setting}-port=PORT"
        return (
            f"Port {address.port} on {address.host} is in use. Stop the program that uses it, or choose "
            f"another port: {flag}, or ARGS={flag} with make."
        )
    return f"{setting}: cannot listen on {address.host}, port {address.port}: {failure.strerror or failure}"
