"""Tokens from attackers and broken clients: each is refused with the right code, and no part of it is repeated or
obeyed. The issuers are realistic: their keys are parsed, and signatures are verified."""

import hmac
import json
import re
import time
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from jwt.utils import raw_to_der_signature

from hyperfleet import settings
from hyperfleet.http.access.issuer_keys import IssuerKeys
from hyperfleet.http.access.verifier import LEEWAY_SECONDS, LONGEST, Issuer
from hyperfleet.http.app import application
from hyperfleet.http.middleware import Middleware
from hyperfleet.store.database import Database
from testbed.fleet import CATALOG
from tests.http import asgi
from tests.http.issuing import (
    EMAIL,
    ISSUER,
    OTHER_ISSUER,
    claims,
    jwk,
    key_set,
    part,
    pem,
    private_key,
    token,
)

PATH: Final = "/api/hyperfleet/v1/clusters/no-id"
"""A resource that there cannot be: who gets as far as that has passed."""

PUBLISHED: Final = ("RS256-one", "ES256-one", "ES384-one", "EdDSA-one", "PS256-one")
SETTINGS: Final = settings.Settings()


def issuer(url: str, *keys: str, audience: str = "") -> Issuer:
    async def source() -> bytes:
        return key_set(*keys)

    return Issuer(url, IssuerKeys(url, source, cooldown=0.01), audience=audience)


@pytest.fixture
def app() -> Middleware:
    """An application that trusts two issuers; one of them requires an audience."""
    trusted = (issuer(ISSUER, *PUBLISHED), issuer(OTHER_ISSUER, "RS256-other", audience="hyperfleet"))
    return application(Database(SETTINGS.database), CATALOG, SETTINGS, issuers=trusted)


async def sent(app: Middleware, *values: bytes, method: str = "GET") -> asgi.Response:
    """The response to a request with these `Authorization` lines."""
    return await asgi.send(app, method, PATH, headers=[("authorization", value) for value in values])


def unsigned(algorithm: Any, **changed: Any) -> bytes:
    return part({"alg": algorithm, "typ": "JWT", "kid": "RS256-one"}) + b"." + part(claims(**changed)) + b"."


def by_hmac(secret: bytes, algorithm: str = "HS256", **header: Any) -> bytes:
    """A token whose signature is an HMAC with the public key, which anyone has, as the secret."""
    signed = part({"alg": algorithm, "typ": "JWT", "kid": "RS256-one", **header}) + b"." + part(claims())
    return signed + b"." + part(hmac.digest(secret, signed, "sha" + algorithm[2:]))


def relabelled(whole: bytes, **header: Any) -> bytes:
    """The same token with another header and the original signature."""
    _, payload, signed = whole.split(b".")
    return part({"alg": "RS256", "typ": "JWT", "kid": "RS256-one", **header}) + b"." + payload + b"." + signed


def with_other_claims(whole: bytes, **changed: Any) -> bytes:
    head, _, signed = whole.split(b".")
    return head + b"." + part(claims(**changed)) + b"." + signed


def last_character_changed(whole: bytes) -> bytes:
    """The same signature in another spelling: some bits of the last character have no meaning."""
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return whole[:-1] + bytes([alphabet[alphabet.index(whole[-1]) ^ 1]])


NOW: Final = int(time.time())
VALID: Final = token()
HEAD, PAYLOAD, SIGNATURE = VALID.split(b".")


@dataclass(frozen=True)
class Attack:
    """`Authorization` lines, and the code with which they are refused."""

    name: str
    values: tuple[bytes, ...]
    code: str = "AUT-002"


def attacks() -> Iterator[Attack]:
    yield from without_a_token()
    for name, hostile in [*signatures(), *headers(), *times(), *other_claims(), *shapes()]:
        yield Attack(name, (b"Bearer " + hostile,))
    for name, expired in past():
        yield Attack(name, (b"Bearer " + expired,), "AUT-003")
    yield Attack("two headers with the same token", (b"Bearer " + VALID, b"Bearer " + VALID))
    yield Attack("a second header with another scheme", (b"Bearer " + VALID, b"Basic bWFyeTpzZWNyZXQ="))
    yield Attack("two tokens with a comma between", (b"Bearer " + VALID + b", Bearer " + VALID,))
    yield Attack("a parameter behind the token", (b"Bearer " + VALID + b' realm="x"',))
    yield Attack("a tab within the token", (b"Bearer " + HEAD + b"\t." + PAYLOAD + b"." + SIGNATURE,))
    yield Attack("a tab behind the token", (b"Bearer " + VALID + b"\t",))
    yield Attack("a NUL behind the token", (b"Bearer " + VALID + b"\0",))


def without_a_token() -> Iterator[Attack]:
    for name, values in {
        "no header": (),
        "an empty header": (b"",),
        "a header of blanks": (b"   ",),
        "the scheme alone": (b"Bearer",),
        "the scheme and a blank": (b"Bearer ",),
        "the scheme and blanks": (b"Bearer     ",),
        "Basic": (b"Basic bWFyeTpzZWNyZXQ=",),
        "Negotiate": (b"Negotiate YIIZ",),
        "a token without its scheme": (VALID,),
        "a tab behind the scheme": (b"Bearer\t" + VALID,),
        "a scheme that begins like it": (b"BearerX " + VALID,),
        "AccessToken": (b"AccessToken 1:abc",),
    }.items():
        yield Attack(name, values, "AUT-001")


def signatures() -> Iterator[tuple[str, bytes]]:
    yield "no signature at all", HEAD + b"." + PAYLOAD
    yield "an empty signature", HEAD + b"." + PAYLOAD + b"."
    for algorithm in ("none", "None", "NONE", "nOnE", ""):
        yield f"the algorithm {algorithm!r}", unsigned(algorithm)
        yield f"the algorithm {algorithm!r} with a signature", unsigned(algorithm) + SIGNATURE
    for algorithm in ("HS256", "HS384", "HS512"):
        yield f"{algorithm} with the public key in PEM", by_hmac(pem("RS256-one"), algorithm)
    yield "HS256 with the public key as it is published", by_hmac(json.dumps(jwk("RS256-one")).encode())
    yield "HS256 with the public key of an elliptic curve", by_hmac(pem("ES256-one"), kid="ES256-one")
    yield "HS256 with an empty secret", by_hmac(b"")
    yield "HS256 with the word secret", by_hmac(b"secret")
    yield "HMAC under the name of RS256", by_hmac(pem("RS256-one"), alg="RS256")
    yield "a key of nobody", token("RS256-attacker")
    yield "a key of nobody under the id of a known one", token("RS256-attacker", header={"kid": "RS256-one"})
    yield "a key of nobody and no id", token("RS256-attacker", header={"kid": None})
    yield "an elliptic key of nobody under a known id", token("ES256-attacker", header={"kid": "ES256-one"})
    yield "a signature of zeros", HEAD + b"." + PAYLOAD + b"." + part(bytes(256))
    yield (
        "an elliptic signature of zeros",
        part({"alg": "ES256", "kid": "ES256-one"}) + b"." + PAYLOAD + b"." + part(bytes(64)),
    )
    yield "half a signature", VALID[: -len(SIGNATURE) // 2]
    yield "a signature of another token", HEAD + b"." + PAYLOAD + b"." + token(sub="other").split(b".")[2]
    yield "other claims below the signature", with_other_claims(VALID, email="root@example.com")
    yield "a last character that stands for the same", last_character_changed(VALID)
    yield "a signature of the elliptic curve in DER", der_signed()


def der_signed() -> bytes:
    """A valid signature in the encoding of certificates, which differs from that of tokens."""
    head, payload, signed = token("ES256-one").split(b".")
    key = private_key("ES256-one")
    assert isinstance(key, EllipticCurvePrivateKey)
    return head + b"." + payload + b"." + part(raw_to_der_signature(urlsafe_b64decode(signed + b"=="), key.curve))


def headers() -> Iterator[tuple[str, bytes]]:
    own = jwk("RS256-attacker")
    evil = "https://attacker.example.com/keys"
    yield "an id that nobody has", token(header={"kid": "nobody"})
    yield "an id that is a path", token(header={"kid": "../../../../dev/null"})
    yield "an id that is SQL", token(header={"kid": "' UNION SELECT 'secret' --"})
    yield "an id that is a number", token(header={"kid": 1})
    yield "an id that is a list", token(header={"kid": ["RS256-one"]})
    yield "the key in the header, by its own id", token("RS256-attacker", header={"jwk": own})
    yield "the key in the header, by a known id", token("RS256-attacker", header={"jwk": own, "kid": "RS256-one"})
    yield "an address of keys", token("RS256-attacker", header={"jku": evil})
    yield "an address of keys, by a known id", token("RS256-attacker", header={"jku": evil, "kid": "RS256-one"})
    yield "an address of certificates", token("RS256-attacker", header={"x5u": evil, "kid": "RS256-one"})
    yield "a certificate in the header", token("RS256-attacker", header={"x5c": ["MIIB"], "kid": "RS256-one"})
    yield "an extension that must be understood", token(header={"crit": ["exp"], "exp": NOW + 60})
    yield "a detached payload", token(header={"crit": ["b64"], "b64": False})
    yield "a payload that is not encoded and says so nowhere", token(header={"b64": False})
    yield "an empty list of extensions", token(header={"crit": []})
    yield "another algorithm of the same key", relabelled(VALID, alg="RS512")
    yield "a right signature by an algorithm that is not the key's", token(algorithm="RS512")
    yield "RSA's word for the elliptic key", relabelled(token("ES256-one"), kid="ES256-one")
    yield "PS256's signature under the name of RS256", relabelled(token("PS256-one"), kid="PS256-one")
    yield "the other curve's key", token("ES256-one", header={"kid": "ES384-one"})
    yield "an algorithm that is a list", token(header={"alg": ["RS256"]})
    yield "an algorithm that is null", token(header={"alg": None})
    yield "an algorithm in small letters", token(header={"alg": "rs256"})
    yield "an algorithm with a blank", token(header={"alg": "RS256 "})
    yield "an encrypted token", part({"alg": "RSA-OAEP", "enc": "A256GCM"}) + b".AA.AA.AA.AA"
    yield "a header that is a list", token(header=b'["RS256"]')
    yield "a header that is no JSON", token(header=b"RS256")
    yield "a header in Latin-1", token(header='{"alg":"RS256","kid":"ü"}'.encode("latin-1"))
    yield "a header nested deep", token(header=b"[" * 6000)
    yield "a header with the algorithm twice", token(header=b'{"alg":"RS256","alg":"none","kid":"RS256-one"}')


def past() -> Iterator[tuple[str, bytes]]:
    yield "just expired", token(exp=NOW - LEEWAY_SECONDS - 1)
    yield "expired long ago", token(exp=1)
    yield "expires at 0", token(exp=0)
    yield "expires before the epoch", token(exp=-1e14)
    yield "expired in fractions", token(exp=NOW - LEEWAY_SECONDS - 0.5)
    yield "expired, by a key of nobody", token("RS256-attacker", exp=1)


def times() -> Iterator[tuple[str, bytes]]:
    yield "no expiry", token(exp=None)
    wrong: tuple[Any, ...] = ("9999999999", True, [], {}, 1e15, 10**400)
    for value in wrong:
        yield f"an expiry of {str(value)[:18]!r}", token(exp=value)
    yield "an expiry beyond all numbers", token(payload=part_of_claims(b'"exp":1e999'))
    yield "an expiry that is NaN", token(payload=part_of_claims(b'"exp":NaN'))
    yield "an expiry that is Infinity", token(payload=part_of_claims(b'"exp":Infinity'))
    yield "not before tomorrow", token(nbf=NOW + 86_400)
    yield "not before a text", token(nbf="soon")
    yield "not before null", token(payload=part_of_claims(b'"exp":9999999999,"nbf":null'))
    yield "not before a text of digits", token(nbf="1")
    yield "issued in the future", token(iat=NOW + 86_400)
    yield "issued at a text", token(iat="now")
    yield "issued at true", token(iat=True)


def part_of_claims(member: bytes) -> bytes:
    return b'{"iss":"' + ISSUER.encode() + b'","sub":"mary",' + member + b"}"


def other_claims() -> Iterator[tuple[str, bytes]]:
    yield "no issuer", token(iss=None)
    for value in ("https://attacker.example.com", ISSUER + "/", ISSUER.upper(), "", 1, [ISSUER], {"a": 1}):
        yield f"the issuer {str(value)[:30]}", token(iss=value)
    yield "the one issuer's name by the other's key", token("RS256-other")
    yield "the other's name by the one issuer's key", token(iss=OTHER_ISSUER, aud="hyperfleet")
    for audience in (
        None,
        "other",
        "",
        "hyperfleet ",
        "HYPERFLEET",
        ["other"],
        ["hyperfleet-other", 5],
        [],
        [["hyperfleet"]],
        {"hyperfleet": 1},
    ):
        yield f"the audience {audience}", token("RS256-other", iss=OTHER_ISSUER, aud=audience)
    yield "an identity of 257 characters", token(email="a" * 257)
    yield "an identity with a line break", token(email="mary\nadmin")
    yield "an identity with NUL", token(email="mary\0")
    yield "an identity that turns the text round", token(email="mary\u202eadmin")
    yield "claims that are a list", token(payload=b"[]")
    yield "claims that are a text", token(payload=b'"' + ISSUER.encode() + b'"')
    yield "claims that are no JSON", token(payload=b"iss=" + ISSUER.encode())
    yield "claims that go on after their end", token(payload=json.dumps(claims()).encode() + b"{}")
    yield "claims that are not UTF-8", token(payload=b'{"iss":"\xff"}')
    yield "claims in UTF-16", token(payload=json.dumps(claims()).encode("utf-16"))
    yield "claims nested deep", token(payload=b'{"a":' * 2500)


def shapes() -> Iterator[tuple[str, bytes]]:
    yield "a word", b"token"
    yield "dots", b".."
    yield "a hundred dots", b"." * 100
    yield "one part", HEAD
    yield "four parts", VALID + b".AAAA"
    yield "nothing before the first dot", b"." + PAYLOAD + b"." + SIGNATURE
    yield "empty claims", HEAD + b".." + SIGNATURE
    yield "cut in the middle", VALID[: len(VALID) // 2]
    yield "padding", VALID + b"=="
    yield "the alphabet of plain base64", HEAD + b"." + PAYLOAD + b"." + b"+/" * 171
    yield "a part of a length that base64 does not have", HEAD + b"A" * (5 - len(HEAD) % 4) + b"." + PAYLOAD + b".AAAA"
    yield "a blank within", HEAD + b" ." + PAYLOAD + b"." + SIGNATURE
    yield "letters that are not ASCII", HEAD + b"." + PAYLOAD + b"." + "ü".encode() + SIGNATURE
    yield "bytes that are no UTF-8", HEAD + b"." + PAYLOAD + b"." + b"\xff\xfe" + SIGNATURE
    yield "longer than any", token(filling="x" * LONGEST)
    yield "30 KB", b"A" * 30_000
    yield "quotation marks around it", b'"' + VALID + b'"'


ATTACKS: Final = tuple(attacks())


def test_the_corpus_is_no_smaller_than_it_claims() -> None:
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS) >= 100


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
async def test_a_hostile_token_is_refused(attack: Attack, app: Middleware) -> None:
    answer = await sent(app, *attack.values)
    assert (answer.status, answer.problem["code"]) == (401, f"HYPERFLEET-{attack.code}")
    assert answer.headers["content-type"] == "application/problem+json"
    challenge = answer.headers["www-authenticate"]
    if attack.code == "AUT-001":
        assert challenge == 'Bearer realm="hyperfleet-api"'
    else:
        described = re.fullmatch(
            r'Bearer realm="hyperfleet-api", error="invalid_token", error_description="([ !#-\[\]-~]+)"', challenge
        )
        assert described
        assert described[1] == answer.problem["detail"]
    told = answer.body + challenge.encode()
    for value in attack.values:
        for piece in re.findall(rb"[A-Za-z0-9_-]{16,}", value):
            assert piece not in told, "something of the token comes back"


@pytest.mark.parametrize("key", PUBLISHED)
async def test_a_token_signed_with_any_published_key_passes(key: str, app: Middleware) -> None:
    for _ in range(2):
        answer = await sent(app, b"Bearer " + token(key))
        assert (answer.status, answer.problem["code"]) == (404, "HYPERFLEET-NTF-002")


UNUSUAL: Final = {
    "the scheme in small letters": b"bearer " + VALID,
    "the scheme in capitals and blanks": b"BEARER   " + VALID + b" ",
    "no id of the key where one is of that algorithm": b"Bearer " + token("PS256-one", header={"kid": None}),
    "another type": b"Bearer " + token(header={"typ": "at+jwt"}),
    "no type": b"Bearer " + token(header={"typ": None}),
    "words on keys that nobody obeys": b"Bearer " + token(header={"jku": "https://attacker.example.com", "x5t": "abc"}),
    "a key in the header that nobody looks at": b"Bearer " + token(header={"jwk": {"kty": "oct", "k": "c2VjcmV0"}}),
    "an expiry in fractions": b"Bearer " + token(exp=NOW + 86_400.25),
    "no time of issue": b"Bearer " + token(iat=None),
    "an identity as long as may be": b"Bearer " + token(email="m" * 256),
    "blanks around the identity": b"Bearer " + token(email=f"  {EMAIL}  "),
    "a header in UTF-16": b"Bearer " + token("PS256-one", header='{"alg":"PS256"}'.encode("utf-16")),
    "a subject and an id that are numbers": b"Bearer " + token(sub=42, jti=7),
    "many claims": b"Bearer " + token(filling="x" * (LONGEST // 2)),
    "an audience": b"Bearer " + token("RS256-other", iss=OTHER_ISSUER, aud="hyperfleet"),
    "an audience among others": b"Bearer " + token("RS256-other", iss=OTHER_ISSUER, aud=["account", "hyperfleet"]),
}


@pytest.mark.parametrize("what", UNUSUAL)
async def test_an_unusual_but_valid_token_passes(what: str, app: Middleware) -> None:
    answer = await sent(app, UNUSUAL[what])
    assert (answer.status, answer.problem["code"]) == (404, "HYPERFLEET-NTF-002"), answer.problem


async def test_a_write_whose_token_names_nobody_is_refused_and_a_read_is_not(app: Middleware) -> None:
    nameless = b"Bearer " + token(email=None, sub="  ")
    assert (await sent(app, nameless)).status == 404
    assert (await sent(app, nameless, method="HEAD")).status == 404
    refused = await asgi.send(
        app, "POST", "/api/hyperfleet/v1/clusters", headers=[("authorization", nameless)], pieces=()
    )
    assert (refused.status, refused.problem["code"]) == (401, "HYPERFLEET-AUT-002")
    assert "does not identify the caller" in refused.problem["detail"]
