"""JSON Web Tokens (RFC 7519, 7515): what a token's issuer says of its bearer, once the token is known to be its own.

Nothing that a token says of how it is to be checked is obeyed: the key is the one that its issuer publishes, the
algorithm is the key's, and a header that must be understood (`crit`) is refused. What needs no key is checked first, so
that tokens which are past anyway cost neither a fetch nor a signature.
"""

import re
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, NamedTuple

import msgspec

from hyperfleet.errors import Unauthenticated
from hyperfleet.http.issuer_keys import IssuerKeys
from hyperfleet.http.key_sets import ALGORITHMS, Key
from hyperfleet.model.resource import Caller

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
        texts = (value for name in self.identity_claims if isinstance(value := claim(claims, name), str))
        identity = next(filter(None, map(self.identity, texts)), "")
        groups = claim(claims, self.groups_claim)
        named = [groups] if isinstance(groups, str) else groups if isinstance(groups, list) else []
        return Caller(identity, self.url, tuple(group for group in named if isinstance(group, str)), claims)

    def identity(self, text: str) -> str:
        """The identity that a claim or a header gives, empty when it says nothing; raises Unauthenticated."""
        identity = text.strip()
        if len(identity) > LONGEST_IDENTITY or not identity.isprintable():
            raise invalid(f"The identity must be at most {LONGEST_IDENTITY} characters without control characters.")
        if identity and self.identity_pattern and not self.identity_pattern.fullmatch(identity):
            raise invalid("The identity is not one of those that are accepted here.")
        return identity


class Verified(NamedTuple):
    """A token that was found right: whose it is, until when, and the key that proved it."""

    caller: Caller
    issuer: Issuer
    key: Key
    expires_at: float


def invalid(detail: str) -> Unauthenticated:
    """The refusal of a token that will never be right."""
    return Unauthenticated(detail, code="AUT-002")


def claim(claims: Mapping[str, Any], name: str) -> Any:
    """The claim of this name; None without one. A name that no claim has leads into objects at its dots."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for step in name.split("."):
        found = found.get(step) if isinstance(found, dict) else None
    return found


class Verifier:
    """Tells whose tokens are right; `clock` gives the seconds of the epoch, `remembers` how many tokens it keeps."""

    def __init__(
        self, issuers: Iterable[Issuer], *, clock: Callable[[], float] = time.time, remembers: int = REMEMBERED
    ) -> None:
        self._issuers = {issuer.url: issuer for issuer in issuers}
        self._clock = clock
        self._remembers = remembers
        # By digest, so that no token stays in memory; the one used last stands last.
        self._remembered: OrderedDict[bytes, Verified] = OrderedDict()

    def remembered(self, token: bytes) -> Verified | None:
        """Whose a token is that was found right before and still is; None when that must be found out."""
        digest = sha256(token).digest()
        known = self._remembered.get(digest)
        if known is None:
            return None
        if known.issuer.keys.hold(known.key) and self._clock() < known.expires_at:
            self._remembered.move_to_end(digest)
            return known
        del self._remembered[digest]
        return None

    async def verified(self, token: bytes) -> Verified:
        """Whose the token is. Raises Unauthenticated, or Unavailable when its issuer's keys cannot be had."""
        found = await self._checked(token)
        self._remembered[sha256(token).digest()] = found
        if len(self._remembered) > self._remembers:
            self._remembered.popitem(last=False)
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
        if not key.verifies(algorithm, token[: parts.end(2)], signature):
            raise invalid("The token's signature is wrong.")
        return Verified(issuer.caller(claims), issuer, key, expires_at)


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
