"""Key sets as issuers publish them: which entries become keys, for which algorithms, and which are left out."""

import json
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from jwt.algorithms import RSAAlgorithm

from hyperfleet.http.access.key_sets import MOST_KEYS, BadKeySet, Key, KeySet, key_set
from tests.http.issuing import jwk, private_key, signature

RSA: Final = ("RS256", "RS384", "RS512", "PS256")


def published(*entries: Any) -> bytes:
    return json.dumps({"keys": entries}).encode()


def parsed(*entries: Any, before: KeySet | None = None) -> KeySet:
    return key_set(published(*entries), before or KeySet())


def only(entry: Any) -> Key | None:
    """The key made from an entry that is beside a valid one."""
    found = [key for key in parsed(entry, jwk("EdDSA-beside")).keys if key.id != "EdDSA-beside"]
    return found[0] if found else None


@pytest.mark.parametrize(
    ("entry", "algorithms"),
    [
        (jwk("RS256-one", alg=None), RSA),
        (jwk("RS256-one"), ("RS256",)),
        (jwk("RS256-one", alg="PS256"), ("PS256",)),
        (jwk("RS256-one", use=None), ("RS256",)),
        (jwk("RS256-one", key_ops=["verify"]), ("RS256",)),
        (jwk("RS256-one", kid=None), ("RS256",)),
        (jwk("RS256-one", x5c=["MIIB"], x5t="abc", further={}), ("RS256",)),
        (jwk("ES256-one", alg=None), ("ES256",)),
        (jwk("ES384-one", alg=None), ("ES384",)),
        (jwk("EdDSA-one", alg=None), ("EdDSA",)),
    ],
    # Each process generates new keys, and all processes must agree on the names of the tests.
    ids=lambda given: given if isinstance(given, str) else "keys",
)
def test_a_key_has_the_algorithms_of_its_type_or_the_one_that_it_names(
    entry: dict[str, Any], algorithms: tuple[str, ...]
) -> None:
    key = only(entry)
    assert key
    assert key.algorithms == algorithms


@pytest.mark.parametrize(
    "entry",
    [
        jwk("RS256-one", use="enc"),
        jwk("RS256-one", key_ops=["encrypt"]),
        jwk("RS256-one", key_ops="verify"),
        jwk("RS256-one", alg="RSA-OAEP"),
        jwk("RS256-one", alg="HS256"),
        jwk("RS256-one", alg="none"),
        jwk("RS256-one", alg="ES256"),
        jwk("RS256-one", alg=["RS256"]),
        jwk("RS256-one", kid=5),
        jwk("RS256-one", kty="EC"),
        jwk("RS256-one", kty="oct"),
        jwk("RS256-one", kty=None),
        jwk("RS256-one", kty={}),
        jwk("RS256-one", n=5),
        jwk("RS256-one", n="!!!"),
        jwk("RS256-one", e="AA"),
        jwk("RS256-one", e="AQ"),
        jwk("RS256-one", n=None),
        jwk("RS256-weak"),
        jwk("RS256-one", n="_" * 2000),
        jwk("ES256-one", crv="P-384"),
        jwk("ES256-one", crv="secp256k1"),
        jwk("ES256-one", crv=5),
        jwk("ES256-one", x="AAAA"),
        jwk("ES256-one", y=jwk("ES256-two")["y"]),
        jwk("EdDSA-one", crv="X25519"),
        jwk("EdDSA-one", x="AAAA"),
        {"kty": "oct", "k": "c2VjcmV0", "alg": "HS256", "kid": "RS256-one"},
        {},
        [],
        None,
        "key",
    ],
    # Each process generates new keys, and all processes must agree on the names of the tests.
    ids=lambda given: given if isinstance(given, str) else "keys",
)
def test_entries_for_other_uses_and_invalid_keys_are_left_out(entry: Any) -> None:
    assert only(entry) is None


def test_a_key_verifies_its_own_signatures_with_its_own_algorithms() -> None:
    (key,) = parsed(jwk("RS256-one", alg=None)).keys
    for algorithm in RSA:
        good = signature(b"said", "RS256-one", algorithm)
        assert key.verifies(algorithm, b"said", good)
        assert not key.verifies(algorithm, b"Said", good)
        assert not key.verifies(algorithm, b"said", good[:-1])
        assert not key.verifies(algorithm, b"said", b"")
    (narrow,) = parsed(jwk("RS256-one")).keys
    assert not narrow.verifies("RS512", b"said", signature(b"said", "RS256-one", "RS512"))
    assert not narrow.verifies("none", b"said", b"")


def test_a_private_key_published_by_mistake_is_kept_as_a_public_key() -> None:
    private = private_key("RS256-one")
    assert isinstance(private, RSAPrivateKey)
    numbers = RSAAlgorithm.to_jwk(private, as_dict=True)
    key = only(jwk("RS256-one", **{name: numbers[name] for name in ("d", "p", "q", "dp", "dq", "qi")}))
    assert key
    assert not hasattr(key.public, "private_numbers")


def test_keys_are_found_by_id_and_algorithm() -> None:
    keys = parsed(jwk("RS256-one"), jwk("ES256-one"), jwk("ES256-two", kid="RS256-one"))
    for name, algorithm, is_there in (
        ("RS256-one", "RS256", True),
        ("RS256-one", "ES256", True),
        ("ES256-one", "ES256", True),
        ("ES256-one", "RS256", False),
        ("nobody", "RS256", False),
        (None, "RS256", True),
        (None, "ES256", False),
        (None, "EdDSA", False),
    ):
        assert (keys.find(name, algorithm) is not None) is is_there, (name, algorithm)


def test_two_different_keys_with_one_id_and_algorithm_are_both_unusable() -> None:
    assert parsed(jwk("ES256-one"), jwk("ES256-two", kid="ES256-one")).find("ES256-one", "ES256") is None


def test_the_same_key_twice_counts_once() -> None:
    assert len(parsed(jwk("ES256-one"), jwk("ES256-one")).keys) == 1


def test_the_same_key_in_a_later_set_is_the_same_object() -> None:
    before = parsed(jwk("RS256-one"), jwk("ES256-one"))
    after = parsed(jwk("ES256-one"), jwk("EdDSA-one"), before=before)
    assert [key.id for key in after.keys & before.keys] == ["ES256-one"]
    renamed = parsed(jwk("ES256-two", kid="ES256-one"), before=before)
    assert renamed.keys.isdisjoint(before.keys)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a JSON Web Key Set"),
        (b"<html>", "not a JSON Web Key Set"),
        (b"[" * 100_000, "not a JSON Web Key Set"),
        (b'"\xff"', "not a JSON Web Key Set"),
        (b"[]", "not a JSON Web Key Set"),
        (b"{}", "not a JSON Web Key Set"),
        (b'{"keys":{}}', "not a JSON Web Key Set"),
        (b'{"keys":null}', "not a JSON Web Key Set"),
        (published({"kty": "oct"}), "none of the 1 keys"),
        (published(*[jwk("ES256-one")] * (MOST_KEYS + 1)), "more than 100"),
    ],
    # Each process generates new keys, and all processes must agree on the names of the tests.
    ids=lambda given: given if isinstance(given, str) else "keys",
)
def test_an_invalid_key_set_is_refused_with_the_reason(content: bytes, words: str) -> None:
    with pytest.raises(BadKeySet, match=words):
        key_set(content, KeySet())


def test_a_key_set_without_keys_is_valid() -> None:
    before = parsed(jwk("ES256-one"))
    assert key_set(b'{"keys":[]}', before).keys == frozenset()


def test_a_key_set_may_have_100_keys() -> None:
    assert len(parsed(*[jwk("ES256-one", kid=str(number)) for number in range(MOST_KEYS)]).keys) == MOST_KEYS
