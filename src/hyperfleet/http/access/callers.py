"""Identifies the caller from the request's headers, before the body is read (operations: Callers).

Without issuers and without a gateway there is no authentication: every caller is the system and may do everything,
except that writes from pages of other sites are refused. Otherwise only open routes are served without an identity.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final

from hyperfleet.errors import DeadlineExceeded, Unauthenticated
from hyperfleet.http.access import origins
from hyperfleet.http.access.gateways import Gateway
from hyperfleet.http.access.tenants import Tenants
from hyperfleet.http.access.verifier import Issuer, Verified, Verifier, header_identity, invalid
from hyperfleet.http.exchange import Exchange
from hyperfleet.model.caller import SYSTEM, Caller
from hyperfleet.store.database import DEADLINE

AUTHORIZATION: Final = "authorization"
_SCHEMES: Final = frozenset({b"bearer", b"serviceaccount"})
_READING: Final = frozenset({"GET", "HEAD"})


class Callers:
    """Identifies callers. The issuers' headers are checked in the order of `issuers`.

    `tenants` finds the caller's tenancy; it is None on a service without tenants. A `gateway` identifies callers that
    send no token; with a gateway, requests from any other peer are rejected.
    """

    def __init__(
        self, issuers: Sequence[Issuer] = (), tenants: Tenants | None = None, gateway: Gateway | None = None
    ) -> None:
        self._issuers = tuple(issuers)
        self._tenants = tenants
        self._gateway = gateway
        by_header: dict[str, list[Issuer]] = {}
        for issuer in issuers:
            by_header.setdefault(issuer.header.lower(), []).append(issuer)
        claims = tenants.claims if tenants is not None else ()
        # A token is valid only for the issuers that are configured for the header it arrived in.
        self._verifiers = {header: Verifier(those, claims=claims) for header, those in by_header.items()}

    @property
    def headers(self) -> tuple[str, ...]:
        """The lower-case names of the headers that carry tokens; empty where no token is needed."""
        return tuple(self._verifiers)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keeps the issuers' keys fresh for as long as the context lasts."""
        tasks = [asyncio.create_task(issuer.keys.keep_fresh()) for issuer in self._issuers]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.gather(*(issuer.keys.close() for issuer in self._issuers))

    async def caller(self, exchange: Exchange) -> Caller:
        """The caller of a request.

        Raises Unauthenticated, Unavailable when an issuer's keys cannot be fetched, Forbidden for a caller without a
        valid tenancy.
        """
        caller = await self._identified(exchange)
        return caller if self._tenants is None else self._tenants.placed(caller, exchange)

    async def _identified(self, exchange: Exchange) -> Caller:
        if self._gateway is not None:
            vouched = self._gateway.caller(exchange)
            if vouched is not None:
                return vouched
            if not self._verifiers:
                raise self._gateway.missing()
        elif not self._verifiers:
            if exchange.method not in _READING:
                origins.refuse_foreign(exchange)
            return SYSTEM
        for header, verifier in self._verifiers.items():
            lines = exchange.header_lines(header.encode())
            if lines:
                token = _token(lines, header)
                verified = verifier.remembered(token) or await _found_out(verifier, token)
                caller = _with_identity_header(verified, exchange)
                if not caller.identity and exchange.method not in _READING:
                    raise invalid("The token does not identify the caller. Writes require an identity.")
                return caller
        raise _no_token(next(iter(self._verifiers)))


async def _found_out(verifier: Verifier, token: bytes) -> Verified:
    try:
        async with asyncio.timeout_at(DEADLINE.get(None)):
            return await verifier.verified(token)
    except TimeoutError:
        raise DeadlineExceeded("Timed out waiting for the token issuer's keys; try again.") from None


def _with_identity_header(verified: Verified, exchange: Exchange) -> Caller:
    caller, issuer, _ = verified
    if not issuer.identity_header:
        return caller
    identity = issuer.identity(header_identity(exchange.header_lines(issuer.identity_header.lower().encode())))
    return replace(caller, identity=identity) if identity else caller


def _token(lines: list[bytes], header: str) -> bytes:
    """The token in a header's lines; raises Unauthenticated when there is none, or when the header is repeated."""
    if len(lines) > 1:
        raise invalid(f"The {_shown(header)} header appears twice; send it once.")
    scheme, _, token = lines[0].partition(b" ")
    if scheme.lower() in _SCHEMES:
        # RFC 9110, section 11.4, allows several spaces after the scheme; anything else is part of the token.
        token = token.strip(b" ")
    elif header == AUTHORIZATION:
        token = b""
    else:
        token = lines[0]
    if not token:
        raise _no_token(header)
    return token


def _shown(header: str) -> str:
    return "-".join(word.capitalize() for word in header.split("-"))


def _no_token(header: str) -> Unauthenticated:
    if header == AUTHORIZATION:
        return Unauthenticated("This request requires a token: send it as Authorization: Bearer TOKEN.")
    return Unauthenticated(f"This request requires a token: send it in the {header} header.")
