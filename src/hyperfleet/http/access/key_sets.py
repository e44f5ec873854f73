"""Parses an issuer's JSON Web Key Set (RFC 7517) into keys that verify signatures.

The key decides the algorithm: its own members say which algorithms it supports, and a token's `alg` must be one of
them. A secret is never accepted as a key, so HMAC signatures and unsigned tokens can never be verified.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from jwt.algorithms import Algorithm, ECAlgorithm, OKPAlgorithm, RSAAlgorithm, get_default_algorithms
from jwt.exceptions import InvalidKeyError

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA")
MOST_KEYS: Final = 100
SHORTEST_RSA: Final = 2048
LONGEST_RSA: Final = 8192

_SIGNATURES: Final[Mapping[str, Algorithm]] = {name: get_default_algorithms()[name] for name in ALGORITHMS}
_OF_CURVE: Final = {"P-256": "ES256", "P-384": "ES384", "Ed25519": "EdDSA", "Ed448": "EdDSA"}
_OF_RSA: Final = tuple(name for name in ALGORITHMS if name[:2] in ("RS", "PS"))
# Only the public members are used. If an issuer publishes private keys by mistake, this process does not load them.
_PUBLIC: Final = {"RSA": ("kty", "n", "e"), "EC": ("kty", "crv", "x", "y"), "OKP": ("kty", "crv", "x")}

_decode: Final = msgspec.json.Decoder().decode


class BadKeySet(ValueError):
    """The issuer's document is not a key set, or none of its keys is usable; the message gives the reason."""


@dataclass(frozen=True, slots=True, eq=False)
class Key:
    """A public key: its `kid` or None, the algorithms it supports, and the values of its public members."""

    id: str | None
    algorithms: tuple[str, ...]
    made_of: tuple[str, ...]
    public: Any

    def verifies(self, algorithm: str, signed: bytes, signature: bytes) -> bool:
        """Whether this key made the signature; False for an algorithm that the key does not support."""
        return algorithm in self.algorithms and _SIGNATURES[algorithm].verify(signed, self.public, signature)


class KeySet:
    """The usable keys of an issuer."""

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self.keys: Final = frozenset(keys)
        self._by_id: dict[str | None, list[Key]] = {}
        for key in self.keys:
            self._by_id.setdefault(key.id, []).append(key)

    def find(self, id: str | None, algorithm: str) -> Key | None:
        """The key for this id and algorithm, or without an id, for the algorithm; None unless exactly one matches."""
        among: Iterable[Key] = self.keys if id is None else self._by_id.get(id, ())
        found = [key for key in among if algorithm in key.algorithms]
        return found[0] if len(found) == 1 else None


def json_object(text: bytes) -> dict[str, Any] | None:
    """Parses an untrusted text; None when it is not a JSON object, or is nested too deeply."""
    try:
        found = _decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    return found if isinstance(found, dict) else None


def key_set(published: bytes, before: KeySet) -> KeySet:
    """The published keys; a key that is also in `before` stays the same object. Raises BadKeySet."""
    entries = (json_object(published) or {}).get("keys")
    if not isinstance(entries, list):
        raise BadKeySet("it is not a JSON Web Key Set: a JSON object with a list `keys`")
    if len(entries) > MOST_KEYS:
        raise BadKeySet(f"the key set has more than {MOST_KEYS} keys")
    known = {(key.id, key.algorithms, key.made_of): key for key in before.keys}
    found = {(key.id, key.algorithms, key.made_of): key for key in _usable(entries)}
    # An empty key set is valid: the issuer has revoked all of its keys.
    if entries and not found:
        raise BadKeySet(f"none of the {len(entries)} keys can verify a signature with {', '.join(ALGORITHMS)}")
    return KeySet(known.get(same, key) for same, key in found.items())


def _usable(entries: list[Any]) -> Iterator[Key]:
    for entry in entries:
        key = _key(entry) if isinstance(entry, dict) else None
        if key is not None:
            yield key


def _key(entry: Mapping[str, Any]) -> Key | None:
    """Parses one entry; None when it is malformed, or is not a key for verifying signatures."""
    kind, uses = entry.get("kty"), entry.get("key_ops", ["verify"])
    members = _PUBLIC.get(kind) if isinstance(kind, str) else None
    if members is None or not all(isinstance(entry.get(member), str) for member in members):
        return None
    if entry.get("use", "sig") != "sig" or not isinstance(uses, list) or "verify" not in uses:
        return None
    id = entry.get("kid")
    if not (id is None or isinstance(id, str)):
        return None
    algorithms = _OF_RSA if kind == "RSA" else tuple(filter(None, [_OF_CURVE.get(entry["crv"])]))
    if "alg" in entry:
        algorithms = tuple(name for name in algorithms if name == entry["alg"])
    public = _public({member: entry[member] for member in members}) if algorithms else None
    return None if public is None else Key(id, algorithms, tuple(entry[member] for member in members), public)


def _public(members: dict[str, Any]) -> Any | None:
    """The key as an object of the library; None when its numbers are invalid, or make a weak or slow key."""
    try:
        if members["kty"] == "EC":
            return ECAlgorithm.from_jwk(members)
        if members["kty"] == "OKP":
            return OKPAlgorithm.from_jwk(members)
        key = RSAAlgorithm.from_jwk(members)
    except (InvalidKeyError, ValueError, TypeError):
        return None
    return key if SHORTEST_RSA <= key.key_size <= LONGEST_RSA else None
