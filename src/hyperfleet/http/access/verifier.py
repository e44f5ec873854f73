"""JSON Web Tokens (RFC 7519, 7515): what a token's issuer says of its bearer, once the token is known to be its own.

Nothing that a token says of how it is to be checked is obeyed: the key is the one that its issuer publishes, the
algorithm is the key's, and a header that must be understood (`crit`) is refused. What needs no key is checked first, so
that tokens which are past anyway cost neither a fetch nor a signature.
"""

import re
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from typing import Any, Final, NamedTuple

import msgspec

from hyperfleet.errors import Unauthenticated
from hyperfleet.http.access.claims import claim, is_unverified_email, kept
from hyperfleet.http.access.issuer_keys import IssuerKeys
from hyperfleet.http.access.key_sets import ALGORITHMS, Key
from hyperfleet.http.access.memory import Memory
from hyperfleet.model.caller import Attributes, Caller

LONGEST: Final = 16_384
LEEWAY_SECONDS: Final = 30.0
LONGEST_IDENTITY: Final = 256
REMEMBERED: Final = 1000
DEFAULT_IDENTITY_CLAIMS: Final = ("email", "sub")

_COMPACT: Final = re.compile(rb"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_decode: Final = msgspec.json.Decoder().decode


@dataclass(frozen=True)
class Issuer:
    """Whose tokens are taken, by which keys, and which claims say who is calling (operations: Callers)."""

    url: str
    keys: IssuerKeys
    audience: str = ""
    identity_claims: tuple[str, ...] = DEFAULT_IDENTITY_CLAIMS
    identity_pattern: re.Pattern[str] | None = None
    groups_claim: str = "groups"
    header: str = "authorization"
    identity_header: str = ""

    def caller(self, claims: Mapping[str, Any]) -> Caller:
        """Who a token's bearer is, without an identity when no claim gives it; raises Unauthenticated for a bad one."""
        attributes = self.attributes(claims)
        return Caller(self._identity(claims), self.url, lambda: attributes)

    def attributes(self, claims: Mapping[str, Any]) -> Attributes:
        """What a token says beside who its bearer is."""
        groups = claim(claims, self.groups_claim)
        named = [groups] if isinstance(groups, str) else groups if isinstance(groups, list) else []
        return Attributes(tuple(group for group in named if isinstance(group, str)), claims)

    def _identity(self, claims: Mapping[str, Any]) -> str:
        """The first claim that gives an identity; an e-mail address that its issuer has not verified is none."""
        for name in self.identity_claims:
            value = claim(claims, name)
            if not isinstance(value, str) or not value.strip():
                continue
            if not is_unverified_email(claims, name):
                return self.identity(value)
            if name == self.identity_claims[-1]:
                raise invalid(
                    "The e-mail address in the token is not verified (email_verified), so it is not an identity."
                )
        return ""

    def identity(self, text: str) -> str:
        """The identity that a claim or a header gives, empty when it says nothing; raises Unauthenticated."""
        identity = printable_identity(text)
        if identity and self.identity_pattern and not self.identity_pattern.fullmatch(identity):
            raise invalid("The identity is not accepted here.")
        return identity


def printable_identity(text: str) -> str:
    """An identity without the blanks around it; raises Unauthenticated when it is none to be shown in a line."""
    identity = text.strip()
    if len(identity) > LONGEST_IDENTITY or not identity.isprintable():
        raise invalid(f"The identity must be at most {LONGEST_IDENTITY} characters without control characters.")
    return identity


def header_identity(lines: Sequence[bytes]) -> str:
    """The identity in a header of a gateway, empty when it says nothing; raises Unauthenticated."""
    if len(lines) > 1:
        raise invalid("The header that says who is calling appears twice.")
    try:
        return printable_identity(lines[0].decode()) if lines else ""
    except UnicodeDecodeError:
        raise invalid("The header that says who is calling must be UTF-8.") from None


class Verified(NamedTuple):
    """A token that was found right: whose it is, and the key that proved it."""

    caller: Caller
    issuer: Issuer
    key: Key


def invalid(detail: str) -> Unauthenticated:
    """The refusal of a token that will never be right."""
    return Unauthenticated(detail, code="AUT-002")


class Verifier:
    """Tells whose tokens are right.

    `clock` gives the seconds of the epoch, `remembers` how many tokens it keeps. Of each it keeps a digest, the
    identity and the claims of these names, nothing that grows with the token.
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
        self._clock = clock
        self._remembered: Memory[bytes, Verified] = Memory(remembers, clock)

    def remembered(self, token: bytes) -> Verified | None:
        """Whose a token is that was found right before and still is; None when that must be found out."""
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
        """Whose the token is. Raises Unauthenticated, or Unavailable when its issuer's keys cannot be had."""
        found = await self._checked(token)
        small = found._replace(caller=replace(found.caller, attributes=Attributes))
        self._remembered.put(found.caller.digest, small, expires_at=found.caller.expires_at)
        return found

    async def _checked(self, token: bytes) -> Verified:
        if len(token) > LONGEST:
            raise invalid(f"The token is longer than {LONGEST} characters.")
        parts = _COMPACT.fullmatch(token)
        if parts is None:
            raise invalid("The token is not a signed JSON Web Token: three parts of base64url with dots between.")
        header, claims = _object(parts[1], "header"), _object(parts[2], "claims")
        algorithm, key_id = header.get("alg"), header.get("kid")
        if algorithm not in ALGORITHMS:
            raise invalid(f"The token's algorithm must be one of {', '.join(ALGORITHMS)}.")
        if "crit" in header:
            raise invalid("The token's header demands extensions (crit), and none is known here.")
        if not (key_id is None or isinstance(key_id, str)):
            raise invalid("The token's key id (kid) must be a text.")
        issuer = self._issuers.get(claims["iss"]) if isinstance(claims.get("iss"), str) else None
        if issuer is None:
            raise invalid("The token's issuer (iss) is not one that is trusted here.")
        signature = _bytes(parts[3], "signature")
        expires_at = _expiry(claims, self._clock())
        if issuer.audience and issuer.audience not in _audiences(claims):
            raise invalid("The token is not for this service: its audience (aud) is another.")
        key = await issuer.keys.find(key_id, algorithm)
        if key is None:
            raise invalid("The token is signed with a key that its issuer does not publish.")
        signed = token[: parts.end(2)]
        if not key.verifies(algorithm, signed, signature):
            # Its issuer may have put another key under the same id.
            key = await issuer.keys.find_other(key, key_id, algorithm)
            if key is None or not key.verifies(algorithm, signed, signature):
                raise invalid("The token's signature is wrong.")
        caller = replace(
            issuer.caller(claims),
            digest=sha256(token).digest(),
            expires_at=expires_at,
            tenant_claims={name: kept(claim(claims, name)) for name in self._claims},
        )
        return Verified(caller, issuer, key)


def _attributes(issuer: Issuer, token: bytes) -> Attributes:
    """What a token that was found right says, read from it again."""
    return issuer.attributes(_object(token.split(b".")[1], "claims"))


def _expiry(claims: Mapping[str, Any], now: float) -> float:
    """When a token stops to be right, in seconds of the epoch; raises Unauthenticated when it is not right now."""
    expires, begins, issued = (_time(claims, name) for name in ("exp", "nbf", "iat"))
    if expires is None:
        raise invalid("The token must say when it expires (exp).")
    if expires + LEEWAY_SECONDS <= now:
        raise Unauthenticated("The token has expired; get a new one.", code="AUT-003")
    if max(begins or 0.0, issued or 0.0) - LEEWAY_SECONDS > now:
        raise invalid("The token is not valid yet (nbf, iat).")
    return expires + LEEWAY_SECONDS


def _time(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1e15 < value < 1e15:
        raise invalid(f"The token's {name} must be a number of seconds.")
    return float(value)


def _audiences(claims: Mapping[str, Any]) -> list[Any]:
    audience = claims.get("aud")
    return audience if isinstance(audience, list) else [audience]


def _object(part: bytes, what: str) -> dict[str, Any]:
    try:
        found = _decode(_bytes(part, what))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        found = None
    if not isinstance(found, dict):
        raise invalid(f"The token's {what} must be a JSON object.")
    return found


def _bytes(part: bytes, what: str) -> bytes:
    """What base64url stands for; refused unless it is the one way to write it."""
    try:
        found = urlsafe_b64decode(part + b"=" * (-len(part) % 4))
    except ValueError:
        found = b""
    if urlsafe_b64encode(found).rstrip(b"=") != part:
        raise invalid(f"The token's {what} is not base64url.")
    return found
