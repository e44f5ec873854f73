"""A JSON Web Key Set (RFC 7517), as an issuer publishes it, to keys that check signatures.

The algorithm belongs to the key: what it is for follows from its own members, and a token's word only has to be among
that. Nothing secret is ever a key here, so a signature by HMAC, or none, has nothing to be checked with.
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
# Only what is public is handed on, so that a set which holds private keys by mistake gives none to this process.
_PUBLIC: Final = {"RSA": ("kty", "n", "e"), "EC": ("kty", "crv", "x", "y"), "OKP": ("kty", "crv", "x")}

_decode: Final = msgspec.json.Decoder().decode


class BadKeySet(ValueError):
    """What an issuer publishes is not a key set, or none of its keys can be used; the text says why."""


@dataclass(frozen=True, slots=True, eq=False)
class Key:
    """A public key: its `kid`, or None, the algorithms that it is for, and what it is made of."""

    id: str | None
    algorithms: tuple[str, ...]
    made_of: tuple[str, ...]
    public: Any

    def verifies(self, algorithm: str, signed: bytes, signature: bytes) -> bool:
        """Whether the signature is this key's; never for an algorithm that it is not for."""
        return algorithm in self.algorithms and _SIGNATURES[algorithm].verify(signed, self.public, signature)


class KeySet:
    """The usable keys of an issuer."""

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self.keys: Final = frozenset(keys)
        self._by_id: dict[str | None, list[Key]] = {}
        for key in self.keys:
            self._by_id.setdefault(key.id, []).append(key)

    def find(self, id: str | None, algorithm: str) -> Key | None:
        """The key of this id and algorithm. Without an id the only key of that algorithm, None when it is not clear."""
        among: Iterable[Key] = self.keys if id is None else self._by_id.get(id, ())
        found = [key for key in among if algorithm in key.algorithms]
        return found[0] if len(found) == 1 else None


def json_object(text: bytes) -> dict[str, Any] | None:
    """The JSON object that a text from elsewhere is; None for any other text, however deep it is nested."""
    try:
        found = _decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    return found if isinstance(found, dict) else None


def key_set(published: bytes, before: KeySet) -> KeySet:
    """The published keys; known keys stay the same objects. Raises BadKeySet."""
    entries = (json_object(published) or {}).get("keys")
    if not isinstance(entries, list):
        raise BadKeySet("it is not a JSON Web Key Set: a JSON object with a list `keys`")
    if len(entries) > MOST_KEYS:
        raise BadKeySet(f"the key set has more than {MOST_KEYS} keys")
    known = {(key.id, key.algorithms, key.made_of): key for key in before.keys}
    found = {(key.id, key.algorithms, key.made_of): key for key in _usable(entries)}
    # A set without keys is an answer: its issuer has revoked them all.
    if entries and not found:
        raise BadKeySet(f"none of the {len(entries)} keys can verify a signature with {', '.join(ALGORITHMS)}")
    return KeySet(known.get(same, key) for same, key in found.items())


def _usable(entries: list[Any]) -> Iterator[Key]:
    for entry in entries:
        key = _key(entry) if isinstance(entry, dict) else None
        if key is not None:
            yield key


def _key(entry: Mapping[str, Any]) -> Key | None:
    """The key that an entry is; None for one that is for something else, or is none."""
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
    """The key in the library's form; None when its numbers do not make a key, or make a weak or slow one."""
    try:
        if members["kty"] == "EC":
            return ECAlgorithm.from_jwk(members)
        if members["kty"] == "OKP":
            return OKPAlgorithm.from_jwk(members)
        key = RSAAlgorithm.from_jwk(members)
    except (InvalidKeyError, ValueError, TypeError):
        return None
    return key if SHORTEST_RSA <= key.key_size <= LONGEST_RSA else None
