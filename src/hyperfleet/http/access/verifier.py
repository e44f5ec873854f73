"""Verifies JSON Web Tokens (RFC 7519, 7515) and reads the caller from their claims.

PyJWT parses a token and checks everything that needs no key, so an expired token costs neither a fetch nor a signature
check. A token cannot choose how it is verified: its issuer publishes the key, and the key decides the algorithm. This
file checks only what PyJWT does not check; a comment at each such place says why.
"""

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from typing import Any, Final, NamedTuple

import jwt
from jwt.types import Options
from jwt.utils import base64url_decode

from hyperfleet.errors import Unauthenticated
from hyperfleet.http.access.claims import claim, is_unverified_email, kept
from hyperfleet.http.access.issuer_keys import IssuerKeys
from hyperfleet.http.access.key_sets import ALGORITHMS, Key, json_object
from hyperfleet.http.access.memory import Memory
from hyperfleet.model.caller import Attributes, Caller

LONGEST: Final = 16_384
LEEWAY_SECONDS: Final = 30.0
LONGEST_IDENTITY: Final = 256
REMEMBERED: Final = 1000
DEFAULT_IDENTITY_CLAIMS: Final = ("email", "sub")

# The signature is verified last, and with it off PyJWT checks only what is named here. `sub` and `jti` are not checked,
# because an issuer may put numbers there.
_CHECKS: Final[Options] = {
    "require": ["exp", "iss"],
    "verify_signature": False,
    "verify_exp": True,
    "verify_nbf": True,
    "verify_iat": True,
    "verify_iss": True,
}
_REFUSALS: Final = {
    jwt.ExpiredSignatureError: ("AUT-003", "The token has expired; get a new one."),
    jwt.ImmatureSignatureError: ("AUT-002", "The token is not valid yet (nbf, iat)."),
    jwt.InvalidIssuerError: ("AUT-002", "The token's issuer (iss) is not trusted by this service."),
    jwt.MissingRequiredClaimError: ("AUT-002", "The token must have an expiry (exp) and an issuer (iss)."),
}
_MALFORMED: Final = (
    "The token is not a signed JSON Web Token: three base64url parts separated by dots, with a JSON header and"
    " JSON claims. Critical extensions (crit) are not supported."
)


@dataclass(frozen=True)
class Issuer:
    """A trusted issuer: its URL, its keys, and the claims that identify a caller (operations: Callers)."""

    url: str
    keys: IssuerKeys
    audience: str = ""
    identity_claims: tuple[str, ...] = DEFAULT_IDENTITY_CLAIMS
    identity_pattern: re.Pattern[str] | None = None
    groups_claim: str = "groups"
    header: str = "authorization"
    identity_header: str = ""

    def caller(self, claims: Mapping[str, Any]) -> Caller:
        """The caller with these claims; its identity is empty when no claim gives one. Raises Unauthenticated."""
        attributes = self.attributes(claims)
        return Caller(self._identity(claims), self.url, lambda: attributes)

    def attributes(self, claims: Mapping[str, Any]) -> Attributes:
        """The caller's groups and claims."""
        groups = claim(claims, self.groups_claim)
        named = [groups] if isinstance(groups, str) else groups if isinstance(groups, list) else []
        return Attributes(tuple(group for group in named if isinstance(group, str)), claims)

    def _identity(self, claims: Mapping[str, Any]) -> str:
        """The first claim that gives an identity, empty without one.

        An e-mail address that the issuer has not verified is skipped; as the last claim it raises Unauthenticated.
        """
        for name in self.identity_claims:
            value = claim(claims, name)
            if not isinstance(value, str) or not value.strip():
                continue
            if not is_unverified_email(claims, name):
                return self.identity(value)
            if name == self.identity_claims[-1]:
                raise invalid(
                    "The e-mail address in the token is not verified (email_verified), so it cannot be used as "
                    "an identity."
                )
        return ""

    def identity(self, text: str) -> str:
        """The identity in a claim or a header, empty when that is blank; raises Unauthenticated."""
        identity = printable_identity(text)
        if identity and self.identity_pattern and not self.identity_pattern.fullmatch(identity):
            raise invalid("The identity is not accepted by this service.")
        return identity


def printable_identity(text: str) -> str:
    """The identity without surrounding whitespace; raises Unauthenticated when it is too long or not printable."""
    identity = text.strip()
    if len(identity) > LONGEST_IDENTITY or not identity.isprintable():
        raise invalid(
            f"The identity must be at most {LONGEST_IDENTITY} characters long and contain no control characters."
        )
    return identity


def header_identity(lines: Sequence[bytes]) -> str:
    """The identity in a gateway's header, empty when there is none; raises Unauthenticated."""
    if len(lines) > 1:
        raise invalid("The identity header appears twice; the gateway must send it once.")
    try:
        return printable_identity(lines[0].decode()) if lines else ""
    except UnicodeDecodeError:
        raise invalid("The identity header must be UTF-8.") from None


class Verified(NamedTuple):
    """A valid token: its caller, its issuer, and the key that verified it."""

    caller: Caller
    issuer: Issuer
    key: Key


def invalid(detail: str) -> Unauthenticated:
    """The error for a token that can never become valid."""
    return Unauthenticated(detail, code="AUT-002")


class Verifier:
    """Verifies tokens and caches the result.

    The cache holds up to `remembers` tokens; `clock` returns seconds since the epoch. It keeps a digest of the token,
    the identity and the named `claims`, so an entry does not grow with the token.
    """

    def __init__(
        self,
        issuers: Iterable[Issuer],
        *,
        claims: Iterable[str] = (),
        clock: Callable[[], float] = time.time,
        remembers: int = REMEMBERED,
    ) -> None:
        self._issuers = {issuer.url: issuer for issuer in issuers}
        self._claims = tuple(claims)
        self._remembered: Memory[bytes, Verified] = Memory(remembers, clock)

    def remembered(self, token: bytes) -> Verified | None:
        """The cached result for a token that is still valid; None when the token must be verified."""
        digest = sha256(token).digest()
        known = self._remembered.get(digest)
        if known is None:
            return None
        caller, issuer, key = known
        if issuer.keys.hold(key):
            return Verified(replace(caller, attributes=partial(_attributes, issuer, token)), issuer, key)
        self._remembered.forget(digest)
        return None

    async def verified(self, token: bytes) -> Verified:
        """Verifies a token. Raises Unauthenticated, or Unavailable when its issuer's keys cannot be fetched."""
        found = await self._checked(token)
        small = found._replace(caller=replace(found.caller, attributes=Attributes))
        self._remembered.put(found.caller.digest, small, expires_at=found.caller.expires_at)
        return found

    async def _checked(self, token: bytes) -> Verified:
        if len(token) > LONGEST:
            raise invalid(f"The token is longer than {LONGEST} characters.")
        read = self._read(token)
        header, claims = read["header"], read["payload"]
        algorithm, key_id = header.get("alg"), header.get("kid")
        # No key would be found for another algorithm, but the lookup would fetch the keys again.
        if algorithm not in ALGORITHMS:
            raise invalid(f"The token's algorithm must be one of {', '.join(ALGORITHMS)}.")
        issuer = self._issuers[claims["iss"]]
        # The expected audience depends on the issuer, which PyJWT does not know until it has read the claims.
        if issuer.audience and issuer.audience not in _audiences(claims):
            raise invalid("The token's audience (aud) is not this service.")
        key = await issuer.keys.find(key_id, algorithm)
        if key is None:
            raise invalid("The token is signed with a key that its issuer does not publish.")
        signed, signature = token.rpartition(b".")[0], read["signature"]
        if not key.verifies(algorithm, signed, signature):
            # The issuer may have published another key under the same id.
            key = await issuer.keys.find_other(key, key_id, algorithm)
            if key is None or not key.verifies(algorithm, signed, signature):
                raise invalid("The token's signature is invalid.")
        caller = replace(
            issuer.caller(claims),
            digest=sha256(token).digest(),
            expires_at=int(claims["exp"]) + LEEWAY_SECONDS,
            tenant_claims={name: kept(claim(claims, name)) for name in self._claims},
        )
        return Verified(caller, issuer, key)

    def _read(self, token: bytes) -> dict[str, Any]:
        """The header, claims and signature of a token, all checked but the signature; raises Unauthenticated."""
        # PyJWT also accepts padding, but the cache must see only one spelling of each token.
        if b"=" in token:
            raise invalid(_MALFORMED)
        try:
            return _tokens.decode_complete(token, options=_CHECKS, issuer=self._issuers, leeway=LEEWAY_SECONDS)
        except jwt.InvalidTokenError as wrong:
            # Our own message: the library's may contain the token.
            code, detail = _REFUSALS.get(type(wrong), ("AUT-002", _MALFORMED))
            raise Unauthenticated(detail, code=code) from None


class _Tokens(jwt.PyJWT):
    """PyJWT with strict checks of the claims' types."""

    def _decode_payload(self, decoded: dict[str, Any]) -> dict[str, Any]:
        """The claims. PyJWT itself accepts any encoding, and strings, booleans and infinite numbers as times."""
        claims = json_object(decoded["payload"])
        if claims is None:
            raise jwt.DecodeError
        for name in ("exp", "nbf", "iat"):
            given = claims.get(name, 0)
            if isinstance(given, bool) or not isinstance(given, int | float) or not -1e15 < given < 1e15:
                raise invalid(f"The token's {name} must be a number of seconds.")
        return claims


_tokens: Final = _Tokens()


def _attributes(issuer: Issuer, token: bytes) -> Attributes:
    """The attributes of a verified token, read from the token again."""
    return issuer.attributes(json_object(base64url_decode(token.split(b".")[1])) or {})


def _audiences(claims: Mapping[str, Any]) -> list[Any]:
    audience = claims.get("aud")
    return audience if isinstance(audience, list) else [audience]
