"""Edge cases of verification: times to the second, what is cached and for how long, the identity of a token."""

import re
from datetime import datetime, tzinfo
from types import SimpleNamespace
from typing import Any, Final

import jwt
import pytest

from hyperfleet.errors import CODES, Unauthenticated
from hyperfleet.http.access.claims import claim
from hyperfleet.http.access.issuer_keys import IssuerKeys
from hyperfleet.http.access.verifier import LONGEST, Issuer, Verifier
from tests.http.issuing import EMAIL, ISSUER, claims, key_set, token

NOW: Final = 1_800_000_000


class Clock:
    """A clock that a test sets, for the service and PyJWT."""

    def __init__(self) -> None:
        self.now = float(NOW)

    def __call__(self) -> float:
        return self.now

    def of_library(self, tz: tzinfo) -> datetime:
        return datetime.fromtimestamp(self.now, tz)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(jwt.api_jwt, "datetime", SimpleNamespace(now=clock.of_library))
    return clock


async def _published() -> bytes:
    return key_set("RS256-one", "ES256-one")


def issuer(**changed: Any) -> Issuer:
    return Issuer(ISSUER, IssuerKeys(ISSUER, _published, cooldown=0.01), **changed)


def at(**changed: Any) -> bytes:
    """A token issued at the clock's start time."""
    return token("ES256-one", **{"iat": NOW, "exp": NOW + 600, **changed})


async def refused(verifier: Verifier, value: bytes) -> str:
    with pytest.raises(Unauthenticated) as caught:
        await verifier.verified(value)
    return caught.value.row.name


@pytest.mark.parametrize(
    ("changed", "now", "code"),
    [
        ({"exp": NOW}, NOW + 29.9, None),
        ({"exp": NOW}, NOW + 30, "AUT-003"),
        ({"exp": NOW + 0.9}, NOW + 29.9, None),
        ({"exp": NOW + 0.9}, NOW + 30, "AUT-003"),
        ({"nbf": NOW + 30}, NOW, None),
        ({"nbf": NOW + 31}, NOW, "AUT-002"),
        ({"iat": NOW + 30}, NOW, None),
        ({"iat": NOW + 31}, NOW, "AUT-002"),
        ({"nbf": None, "iat": None}, NOW, None),
    ],
)
async def test_a_clock_may_be_at_most_30_seconds_off(
    changed: dict[str, Any], now: float, code: str | None, clock: Clock
) -> None:
    clock.now = now
    verifier = Verifier([issuer()], clock=clock)
    if code:
        assert await refused(verifier, at(**changed)) == code
    else:
        assert (await verifier.verified(at(**changed))).caller.identity == EMAIL


def of_length(length: int) -> bytes:
    """A token of exactly that many characters; lengths that base64 cannot give in one part are split over two."""
    about = (length - len(at())) * 3 // 4
    for in_header in range(4):
        for in_claims in range(about - 40, about + 1):
            value = at(header={"filling": "x" * in_header}, filling="x" * in_claims)
            if len(value) == length:
                return value
    raise AssertionError(length)


async def test_a_token_has_at_most_16_384_characters(clock: Clock) -> None:
    verifier = Verifier([issuer()], clock=clock)
    assert await verifier.verified(of_length(LONGEST))
    assert await refused(verifier, of_length(LONGEST + 1)) == "AUT-002"


async def test_a_token_is_cached_until_it_expires(clock: Clock) -> None:
    verifier = Verifier([issuer()], clock=clock)
    value = at(exp=NOW + 600)
    assert verifier.remembered(value) is None
    found = await verifier.verified(value)
    clock.now = NOW + 629.9
    again = verifier.remembered(value)
    assert again is not None
    assert again == found
    assert again.caller.claims == found.caller.claims
    clock.now = NOW + 630
    assert verifier.remembered(value) is None
    assert await refused(verifier, value) == "AUT-003"


async def test_the_cache_is_bounded_and_drops_the_least_recently_used_token_first(clock: Clock) -> None:
    verifier = Verifier([issuer()], clock=clock, remembers=3)
    first, second, third, fourth = (at(sub=f"user-{number}") for number in range(4))
    for value in (first, second, third):
        await verifier.verified(value)
    assert verifier.remembered(first)
    await verifier.verified(fourth)
    assert [verifier.remembered(value) is not None for value in (first, second, third, fourth)] == [
        True,
        False,
        True,
        True,
    ]


async def test_refused_tokens_are_not_cached(clock: Clock) -> None:
    verifier = Verifier([issuer()], clock=clock)
    value = at(exp=1)
    await refused(verifier, value)
    assert verifier.remembered(value) is None


async def test_a_cached_token_must_match_to_the_last_bit(clock: Clock) -> None:
    verifier = Verifier([issuer()], clock=clock)
    value = at()
    await verifier.verified(value)
    assert verifier.remembered(value[:-1]) is None
    assert verifier.remembered(value + b" ") is None


@pytest.mark.parametrize(
    ("changed", "identity"),
    [
        ({}, EMAIL),
        ({"email": None}, "f:42:mary"),
        ({"email": ""}, "f:42:mary"),
        ({"email": "   "}, "f:42:mary"),
        ({"email": 5}, "f:42:mary"),
        ({"email": None, "sub": None}, ""),
        ({"email": " Mary Ann "}, "Mary Ann"),
        ({"email": "no-e-mail-address"}, "no-e-mail-address"),
        ({"email": "märy@example.com"}, "märy@example.com"),
        ({"email_verified": True}, EMAIL),
        ({"email_verified": "true"}, EMAIL),
        ({"email_verified": False}, "f:42:mary"),
        ({"email_verified": "false"}, "f:42:mary"),
        ({"email_verified": "False"}, "f:42:mary"),
        ({"email_verified": False, "email": ""}, "f:42:mary"),
        ({"email_verified": False, "sub": None}, ""),
    ],
)
def test_the_identity_is_the_email_or_else_the_subject(changed: dict[str, Any], identity: str) -> None:
    assert issuer().caller(claims(**changed)).identity == identity


def test_the_identity_can_be_another_claim_and_then_has_no_fallback() -> None:
    by_name = issuer(identity_claims=("preferred_username",))
    assert by_name.caller(claims(preferred_username="mary")).identity == "mary"
    assert by_name.caller(claims()).identity == ""


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("email", {}),
        ("/email", {}),
        ("user.email", {"user": {"email": EMAIL, "email_verified": False}, "email_verified": True}),
        ("/user/email", {"user": {"email": EMAIL, "email_verified": "false"}, "email_verified": True}),
    ],
)
def test_an_unverified_email_that_is_configured_as_the_identity_is_refused(name: str, changed: dict[str, Any]) -> None:
    by_email = issuer(identity_claims=(name,))
    with pytest.raises(Unauthenticated) as refused:
        by_email.caller(claims(**{"email_verified": False, **changed}))
    assert refused.value.row.name == "AUT-002"
    assert "email_verified" in refused.value.detail


def test_another_claim_is_an_identity_even_if_the_email_is_unverified() -> None:
    assert issuer(identity_claims=("sub",)).caller(claims(email_verified=False)).identity == "f:42:mary"


SERVICE_ACCOUNT: Final = {"kubernetes.io": {"serviceaccount": {"name": "sentinel"}, "groups": ["a", "b"]}}


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("/kubernetes.io/serviceaccount/name", "sentinel"),
        ("/kubernetes.io/groups/1", "b"),
        ("/kubernetes.io/groups/2", None),
        ("/kubernetes.io/groups/01", None),
        ("/kubernetes.io/groups/-", None),
        ("/kubernetes.io/nothing/name", None),
        ("kubernetes.io.serviceaccount.name", None),
        ("/https:~1~1example.com~1groups", "slashes"),
        ("/a~0b", "tilde"),
        ("/literal", "as it is written"),
        ("/", "empty"),
    ],
)
def test_a_json_pointer_can_name_a_claim(name: str, found: str | None) -> None:
    others = {"https://example.com/groups": "slashes", "a~b": "tilde", "/literal": "as it is written", "": "empty"}
    assert claim(SERVICE_ACCOUNT | others, name) == found


@pytest.mark.parametrize(
    ("pattern", "is_right"), [(r"[a-z]+@example\.com", True), (r"[a-z]+@example", False), ("mary", False), (".*", True)]
)
def test_the_whole_identity_must_match_its_pattern(pattern: str, is_right: bool) -> None:
    with_pattern = issuer(identity_pattern=re.compile(pattern))
    if is_right:
        assert with_pattern.caller(claims()).identity == EMAIL
        return
    with pytest.raises(Unauthenticated):
        with_pattern.caller(claims())


@pytest.mark.parametrize(
    ("name", "changed", "groups"),
    [
        ("groups", {"groups": ["admins", "fleet"]}, ("admins", "fleet")),
        ("groups", {"groups": "admins"}, ("admins",)),
        ("groups", {"groups": ["admins", 5, None, {"a": 1}]}, ("admins",)),
        ("groups", {"groups": {"admins": True}}, ()),
        ("groups", {}, ()),
        ("realm_access.roles", {"realm_access": {"roles": ["admins"]}}, ("admins",)),
        ("realm_access.roles", {"realm_access": ["roles"]}, ()),
        ("https://example.com/groups", {"https://example.com/groups": ["admins"]}, ("admins",)),
    ],
)
def test_groups_come_from_their_claim(name: str, changed: dict[str, Any], groups: tuple[str, ...]) -> None:
    assert issuer(groups_claim=name).caller(claims(**changed)).groups == groups


def test_a_caller_has_all_its_claims_and_shows_none_of_them() -> None:
    caller = issuer().caller(claims(secret="do-not-print"))
    assert caller.claims["secret"] == "do-not-print"
    assert "do-not-print" not in repr(caller)
    assert claim(caller.claims, "nothing.at.all") is None


@pytest.mark.parametrize("code", [name for name in CODES if name.startswith("AUT-")])
def test_a_refusal_without_a_token_names_no_error_and_any_other_does(code: str) -> None:
    (_, challenge) = Unauthenticated("Why.", code=code).headers[0]
    assert ("error=" in challenge) is (code != "AUT-001")
