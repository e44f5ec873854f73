"""Takes the caller's identity from a gateway in front of the service that has already authenticated the caller.

Anyone who can send the gateway's header can claim any identity, so the header is trusted only from the gateway's own
addresses.
"""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from hyperfleet.errors import Unauthenticated
from hyperfleet.http.access.verifier import header_identity
from hyperfleet.http.exchange import Exchange
from hyperfleet.model.caller import Caller

LOOPBACK: Final = ("127.0.0.0/8", "::1/128")
_PEERS_REMEMBERED: Final = 4096


class Gateway:
    """A trusted gateway. It sends the caller's identity in `header` (lower case) from an address in `networks`."""

    def __init__(self, header: str, networks: Sequence[str] = LOOPBACK) -> None:
        self.header = header
        self._networks = tuple(ip_network(network, strict=False) for network in networks)
        self._is_allowed = lru_cache(maxsize=_PEERS_REMEMBERED)(self._within)

    def caller(self, exchange: Exchange) -> Caller | None:
        """The caller that the gateway identifies, or None if it names none. Raises Unauthenticated for other peers."""
        peer = exchange.scope.get("client")
        if not peer or not self._is_allowed(peer[0]):
            raise Unauthenticated(
                "This service accepts requests only from its gateway; this request came from another address."
            )
        identity = header_identity(exchange.header_lines(self.header.encode()))
        return Caller(identity) if identity else None

    def missing(self) -> Unauthenticated:
        """The error for a request without the gateway's identity header."""
        return Unauthenticated(
            f"This request requires an identity: the gateway must send it in the {self.header} header."
        )

    def _within(self, host: str) -> bool:
        try:
            address = ip_address(host.partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)
