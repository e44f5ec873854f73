"""The gateway that says who is calling, where one in front of the service has asked for credentials already.

Whoever can send its header can be anybody, so it counts only from the gateway's own addresses.
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
    """A trusted gateway: it sends the caller's identity in `header`, in small letters, from one of `networks`."""

    def __init__(self, header: str, networks: Sequence[str] = LOOPBACK) -> None:
        self.header = header
        self._networks = tuple(ip_network(network, strict=False) for network in networks)
        self._is_allowed = lru_cache(maxsize=_PEERS_REMEMBERED)(self._within)

    def caller(self, exchange: Exchange) -> Caller | None:
        """The caller that the gateway identifies, None if it names none; raises Unauthenticated for any other peer."""
        peer = exchange.scope.get("client")
        if not peer or not self._is_allowed(peer[0]):
            raise Unauthenticated(
                "This service accepts requests only from its gateway; this request came from another address."
            )
        identity = header_identity(exchange.header_lines(self.header.encode()))
        return Caller(identity) if identity else None

    def missing(self) -> Unauthenticated:
        """The refusal of a request in which the gateway does not say who is calling."""
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
