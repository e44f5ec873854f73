"""The keys of an issuer that rotates, hangs, lies and dies while requests flow: no valid request fails, and however
many wait, the issuer gets at most one fetch per cooldown."""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import pytest

from hyperfleet.errors import Unauthenticated, Unavailable
from hyperfleet.http.access import downloads, issuer_keys
from hyperfleet.http.access.issuer_keys import IssuerKeys
from hyperfleet.http.access.key_sets import MOST_KEYS
from hyperfleet.http.access.verifier import Issuer, Verifier
from tests.http.issuing import ISSUER, LocalIssuer, Request, jwk, key_set, local_issuer, token

COOLDOWN: Final = 0.2
PATIENCE: Final = 0.5
TRUST: Final = ssl.create_default_context()


@asynccontextmanager
async def keys_of(
    issuer: LocalIssuer, *, refresh: float = 60.0, cooldown: float = COOLDOWN
) -> AsyncIterator[IssuerKeys]:
    """The keys of a local issuer, not fetched yet, with intervals short enough for a test."""
    source = partial(downloads.get, issuer.url, TRUST)
    keys = IssuerKeys(ISSUER, source, cooldown=cooldown, refresh=refresh, patience=PATIENCE)
    yield keys
    await keys.close()


@asynccontextmanager
async def verifier_of(issuer: LocalIssuer, *, remembers: int = 100) -> AsyncIterator[Verifier]:
    async with keys_of(issuer) as keys:
        yield Verifier([Issuer(ISSUER, keys)], remembers=remembers)


async def passes(verifier: Verifier, value: bytes) -> bool:
    """Checks a token like a request does."""
    return (verifier.remembered(value) or await verifier.verified(value)).caller.issuer == ISSUER


async def outcome(verifier: Verifier, value: bytes) -> str:
    try:
        await passes(verifier, value)
    except Unauthenticated as refused:
        return refused.row.name
    except Unavailable as away:
        return away.row.name
    return "passed"


async def test_a_hundred_concurrent_requests_share_the_first_fetch() -> None:
    with local_issuer("RS256-one") as issuer:
        async with verifier_of(issuer) as verifier:
            tokens = [token(sub=f"user-{number}") for number in range(100)]
            assert all(await asyncio.gather(*(passes(verifier, value) for value in tokens)))
        assert issuer.requests == 1


async def test_a_rotation_fails_no_request_and_costs_one_fetch() -> None:
    with local_issuer("RS256-one") as issuer:
        async with verifier_of(issuer) as verifier:
            assert await passes(verifier, token())
            await asyncio.sleep(COOLDOWN)
            issuer.publishes = key_set("RS256-one", "RS256-two")
            mixed = [token(f"RS256-{key}", sub=f"u{number}") for number in range(40) for key in ("one", "two")]
            assert all(await asyncio.gather(*(passes(verifier, value) for value in mixed)))
        assert issuer.requests == 2


async def test_rotations_faster_than_the_cooldown_fail_no_request_and_cause_no_storm() -> None:
    with local_issuer("RS256-one") as issuer:
        async with verifier_of(issuer) as verifier:
            began = time.monotonic()
            for name in ("RS256-one", "RS256-two", "RS256-three", "ES256-one"):
                issuer.publishes = key_set(name)
                assert await passes(verifier, token(name))
            assert issuer.requests <= 1 + (time.monotonic() - began) / COOLDOWN


async def test_tokens_that_name_unknown_keys_are_refused_with_one_fetch_per_cooldown() -> None:
    with local_issuer("RS256-one") as issuer:
        async with verifier_of(issuer) as verifier:
            began = time.monotonic()
            for _ in range(3):
                junk = [token("RS256-attacker", header={"kid": f"none-{number}"}) for number in range(60)]
                assert set(await asyncio.gather(*(outcome(verifier, value) for value in junk))) == {"AUT-002"}
            assert issuer.requests <= 1 + (time.monotonic() - began) / COOLDOWN
            before = issuer.requests
            assert await passes(verifier, token())
            assert issuer.requests == before


async def test_a_token_without_a_key_id_never_causes_a_fetch_once_there_are_keys() -> None:
    with local_issuer("RS256-one", "RS256-two") as issuer:
        async with verifier_of(issuer) as verifier:
            assert await passes(verifier, token())
            for _ in range(20):
                assert await outcome(verifier, token(header={"kid": None})) == "AUT-002"
        assert issuer.requests == 1


async def test_an_issuer_that_dies_goes_unnoticed_until_a_token_names_an_unknown_key() -> None:
    with local_issuer("RS256-one") as issuer:
        async with verifier_of(issuer, remembers=0) as verifier:
            assert await passes(verifier, token())
            issuer.stop()
            assert all([await passes(verifier, token(sub=f"user-{number}")) for number in range(50)])
            await asyncio.sleep(COOLDOWN)
            assert await outcome(verifier, token("RS256-two")) == "SVC-001"
            assert await passes(verifier, token(sub="after"))
            issuer.publishes = key_set("RS256-two")
            issuer.start()
            await asyncio.sleep(COOLDOWN)
            assert await passes(verifier, token("RS256-two"))
            assert await outcome(verifier, token()) == "AUT-002"


async def test_an_issuer_down_at_first_use_is_503_within_the_cooldown_and_retried_after_it() -> None:
    with local_issuer("RS256-one") as issuer:
        issuer.stop()
        async with verifier_of(issuer) as verifier:
            others = [token(sub=str(number)) for number in range(50)]
            with pytest.raises(Unavailable) as away:
                await verifier.verified(token())
            assert dict(away.value.headers)["Retry-After"] == "1"
            began = time.monotonic()
            assert {await outcome(verifier, value) for value in others} == {"SVC-001"}
            assert time.monotonic() - began < COOLDOWN
            issuer.start()
            await asyncio.sleep(COOLDOWN)
            assert await passes(verifier, token())
            assert issuer.requests == 1


async def test_an_issuer_that_hangs_delays_no_caller_with_a_known_key() -> None:
    with local_issuer("RS256-one") as issuer:
        async with verifier_of(issuer, remembers=0) as verifier:
            assert await passes(verifier, token())
            known = [token(sub=f"user-{number}") for number in range(50)]
            issuer.page = Request.hang
            await asyncio.sleep(COOLDOWN)
            strangers = [asyncio.create_task(outcome(verifier, token(f"RS256-{name}"))) for name in ("two", "three")]
            await asyncio.sleep(0.05)
            began = time.monotonic()
            assert all([await passes(verifier, value) for value in known])
            assert time.monotonic() - began < PATIENCE
            assert await asyncio.gather(*strangers) == ["SVC-001", "SVC-001"]
            assert issuer.requests == 2
            issuer.page = None
            issuer.release.set()


async def test_a_caller_that_stops_waiting_does_not_end_the_shared_fetch() -> None:
    with local_issuer("RS256-one") as issuer:
        issuer.page = Request.answer_late
        async with verifier_of(issuer) as verifier:
            first, second = (asyncio.create_task(passes(verifier, token(sub=sub))) for sub in ("first", "second"))
            await asyncio.sleep(0.05)
            first.cancel()
            assert await second
        assert issuer.requests == 1


async def test_a_caller_beyond_the_limit_of_waiters_is_told_to_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issuer_keys, "MOST_WAITING", 3)
    with local_issuer("RS256-one") as issuer:
        issuer.page = Request.answer_late
        async with verifier_of(issuer) as verifier:
            outcomes = await asyncio.gather(*(outcome(verifier, token(sub=str(number))) for number in range(5)))
        assert sorted(outcomes) == ["SVC-001"] * 2 + ["passed"] * 3


LIES: Final[dict[str, Callable[[Request], None]]] = {
    "a page for people": lambda request: request.answer(b"<html>Sign in</html>", Content_Type="text/html"),
    "nothing": lambda request: request.answer(b""),
    "an error": lambda request: request.answer(key_set("RS256-one"), 500),
    "a list": lambda request: request.answer(b"[]"),
    "keys that are none": lambda request: request.answer(b'{"keys":[1,null,"a",{},{"kty":"RSA"},{"kty":["RSA"]}]}'),
    "secrets": lambda request: request.answer(
        b'{"keys":[{"kty":"oct","k":"c2VjcmV0","kid":"RS256-one","alg":"HS256"}]}'
    ),
    "more keys than anybody has": lambda request: request.answer(
        b'{"keys":[' + b",".join([b"{}"] * (MOST_KEYS + 1)) + b"]}"
    ),
    "a body without end": lambda request: request.answer(b'{"keys":[' + b" " * (downloads.LARGEST + 1)),
    "a body shorter than it says": lambda request: request.answer(b"{", Content_Length="100"),
    "deeply nested nonsense": lambda request: request.answer(b"[" * 100_000),
    "another encoding": lambda request: request.answer(key_set("RS256-one"), Content_Encoding="gzip"),
    "a way to elsewhere": lambda request: request.answer(b"", 302, Location="http://example.com/keys"),
    "a way in a circle": lambda request: request.answer(b"", 302, Location="/keys"),
    "a way to a file": lambda request: request.answer(b"", 302, Location="file:///etc/passwd"),
    "no HTTP": lambda request: request.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    "a head without end": lambda request: request.write(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 20_000),
    "a connection that closes": lambda request: None,
}


@pytest.mark.parametrize("lie", LIES)
async def test_no_response_of_an_issuer_removes_its_last_keys(lie: str) -> None:
    with local_issuer("RS256-one") as issuer:
        async with verifier_of(issuer, remembers=0) as verifier:
            assert await passes(verifier, token())
            issuer.page = LIES[lie]
            await asyncio.sleep(COOLDOWN)
            assert await outcome(verifier, token("RS256-two")) == "SVC-001"
            assert await passes(verifier, token(sub="still"))
            issuer.page = None
            issuer.publishes = key_set("RS256-one", "RS256-two")
            await asyncio.sleep(COOLDOWN)
            assert await passes(verifier, token("RS256-two"))


@pytest.mark.parametrize("lie", LIES)
async def test_after_any_first_response_an_issuer_is_retried_at_most_once_per_cooldown(lie: str) -> None:
    with local_issuer("RS256-one") as issuer:
        issuer.page = LIES[lie]
        async with verifier_of(issuer) as verifier:
            began = time.monotonic()
            assert {await outcome(verifier, token(sub=str(number))) for number in range(20)} == {"SVC-001"}
            asked_at_once = issuer.requests
            assert asked_at_once <= (1 + downloads.MOST_REDIRECTS) * (1 + int((time.monotonic() - began) / COOLDOWN))
            issuer.page = None
            await asyncio.sleep(COOLDOWN)
            assert await passes(verifier, token())
        assert issuer.requests == asked_at_once + 1


async def test_a_key_that_changes_its_type_under_its_id_counts_with_its_new_type() -> None:
    with local_issuer() as issuer:
        issuer.publishes = b'{"keys":[%b]}' % _entry("RS256-one", kid="main")
        async with verifier_of(issuer) as verifier:
            before, after = token(header={"kid": "main"}), token("ES256-one", header={"kid": "main"})
            assert await passes(verifier, before)
            issuer.publishes = b'{"keys":[%b]}' % _entry("ES256-one", kid="main")
            await asyncio.sleep(COOLDOWN)
            assert await passes(verifier, after)
            assert await outcome(verifier, before) == "AUT-002"


def _entry(name: str, **members: str | None) -> bytes:
    return json.dumps(jwk(name, **members)).encode()


async def test_a_cached_token_is_dropped_with_its_key() -> None:
    with local_issuer("RS256-one", "RS256-two") as issuer:
        async with verifier_of(issuer) as verifier:
            first, second = token(), token("RS256-two")
            assert await passes(verifier, first)
            assert await passes(verifier, second)
            assert verifier.remembered(first)
            issuer.publishes = key_set("RS256-two", "RS256-three")
            await asyncio.sleep(COOLDOWN)
            assert await passes(verifier, token("RS256-three"))
            assert verifier.remembered(first) is None
            assert verifier.remembered(second)
            assert await outcome(verifier, first) == "AUT-002"


async def test_a_key_set_without_keys_revokes_all_keys() -> None:
    with local_issuer("RS256-one") as issuer:
        async with verifier_of(issuer) as verifier:
            first = token()
            assert await passes(verifier, first)
            issuer.publishes = b'{"keys":[]}'
            await asyncio.sleep(COOLDOWN)
            assert await outcome(verifier, token("RS256-two")) == "AUT-002"
            assert verifier.remembered(first) is None
            assert await outcome(verifier, first) == "AUT-002"
            assert await outcome(verifier, token(header={"kid": None})) == "AUT-002"
            issuer.publishes = key_set("RS256-one")
            assert await passes(verifier, first)


@pytest.mark.parametrize("kid", ["main", None])
async def test_a_key_that_changes_under_its_id_is_noticed_at_the_first_signature_with_the_new_key(
    kid: str | None,
) -> None:
    with local_issuer() as issuer:
        issuer.publishes = b'{"keys":[%b]}' % _entry("ES256-one", kid=kid)
        async with verifier_of(issuer) as verifier:
            before = token("ES256-one", header={"kid": kid})
            assert await passes(verifier, before)
            issuer.publishes = b'{"keys":[%b]}' % _entry("ES256-two", kid=kid)
            after = [token("ES256-two", header={"kid": kid}, sub=str(number)) for number in range(20)]
            assert all(await asyncio.gather(*(passes(verifier, value) for value in after)))
            assert issuer.requests == 2
            assert verifier.remembered(before) is None
            assert await outcome(verifier, before) == "AUT-002"


async def test_wrong_signatures_cost_one_fetch_per_cooldown_and_do_not_affect_valid_ones() -> None:
    with local_issuer("RS256-one") as issuer:
        async with verifier_of(issuer, remembers=0) as verifier:
            assert await passes(verifier, token())
            began = time.monotonic()
            for _ in range(3):
                forged = [token("RS256-attacker", header={"kid": "RS256-one"}, sub=str(number)) for number in range(50)]
                outcomes = [asyncio.create_task(outcome(verifier, value)) for value in forged]
                assert await passes(verifier, token(sub="right"))
                assert set(await asyncio.gather(*outcomes)) == {"AUT-002"}
            assert issuer.requests <= 2 + (time.monotonic() - began) / COOLDOWN


async def test_a_wrong_signature_is_refused_at_once_while_its_issuer_is_down() -> None:
    with local_issuer("RS256-one") as issuer:
        async with verifier_of(issuer) as verifier:
            assert await passes(verifier, token())
            issuer.stop()
            await asyncio.sleep(COOLDOWN)
            forged = token("RS256-attacker", header={"kid": "RS256-one"})
            assert await outcome(verifier, forged) == "AUT-002"
            began = time.monotonic()
            assert await outcome(verifier, forged) == "AUT-002"
            assert time.monotonic() - began < COOLDOWN / 2


async def test_forged_tokens_beyond_the_limit_of_waiters_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issuer_keys, "MOST_DOUBTED", 3)
    with local_issuer("RS256-one") as issuer:
        async with verifier_of(issuer) as verifier:
            assert await passes(verifier, token())
            forged = [token("RS256-attacker", header={"kid": "RS256-one"}, sub=str(number)) for number in range(9)]
            assert set(await asyncio.gather(*(outcome(verifier, value) for value in forged))) == {"AUT-002"}


async def test_forged_tokens_leave_room_for_callers_with_a_new_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issuer_keys, "MOST_WAITING", 4)
    monkeypatch.setattr(issuer_keys, "MOST_DOUBTED", 3)
    with local_issuer("RS256-one") as issuer:
        async with verifier_of(issuer) as verifier:
            assert await passes(verifier, token())
            forged = [token("RS256-attacker", header={"kid": "RS256-one"}, sub=str(number)) for number in range(9)]
            waiting = [asyncio.create_task(outcome(verifier, value)) for value in forged]
            await asyncio.sleep(0)
            issuer.publishes = key_set("RS256-one", "RS256-two")
            assert await outcome(verifier, token("RS256-two")) == "passed"
            assert set(await asyncio.gather(*waiting)) == {"AUT-002"}


async def test_keys_are_fetched_in_advance_and_at_regular_intervals() -> None:
    with local_issuer("RS256-one") as issuer:
        async with keys_of(issuer, refresh=0.1, cooldown=0.05) as keys:
            task = asyncio.create_task(keys.keep_fresh())
            await asyncio.sleep(0.05)
            assert issuer.requests == 1
            issuer.publishes = key_set("RS256-two")
            await asyncio.sleep(0.25)
            assert issuer.requests in (2, 3, 4)
            known = await keys.find("RS256-two", "RS256")
            assert known
            assert keys.hold(known)
            task.cancel()
            await asyncio.wait([task])


async def test_fetching_in_advance_continues_after_the_issuer_was_down() -> None:
    with local_issuer("RS256-one") as issuer:
        issuer.stop()
        async with keys_of(issuer, refresh=60, cooldown=0.02) as keys:
            task = asyncio.create_task(keys.keep_fresh())
            await asyncio.sleep(0.1)
            issuer.start()
            for _ in range(500):
                await asyncio.sleep(0.02 if issuer.requests == 0 else 0)
            assert issuer.requests == 1
            assert await keys.find("RS256-one", "RS256")
            assert issuer.requests == 1
            task.cancel()
            await asyncio.wait([task])


async def test_requests_flow_while_the_issuer_rotates_hangs_lies_and_dies() -> None:
    with local_issuer("RS256-one") as issuer:
        async with keys_of(issuer, refresh=0.1, cooldown=0.05) as keys:
            ahead = asyncio.create_task(keys.keep_fresh())
            verifier = Verifier([Issuer(ISSUER, keys)], remembers=10)
            failures: list[str] = []
            answered = 0
            name = "RS256-one"

            async def flow() -> None:
                nonlocal answered
                while True:
                    result = await outcome(verifier, token(name, sub=f"user-{answered % 50}"))
                    answered += 1
                    if result != "passed":
                        failures.append(result)
                    await asyncio.sleep(0)

            began = time.monotonic()
            flows = [asyncio.create_task(flow()) for _ in range(5)]
            for turn in ("rotates", "hangs", "lies", "dies", "rotates back"):
                if turn == "rotates":
                    issuer.publishes = key_set("RS256-one", "ES256-one")
                    name = "ES256-one"
                elif turn == "hangs":
                    issuer.page = Request.hang
                elif turn == "lies":
                    issuer.release.set()
                    issuer.page = LIES["a page for people"]
                elif turn == "dies":
                    issuer.stop()
                else:
                    issuer.page = None
                    issuer.start()
                    name = "RS256-one"
                await asyncio.sleep(0.4)
            for task in [*flows, ahead]:
                task.cancel()
            await asyncio.wait([*flows, ahead])
            assert failures == []
            assert answered > 200
            assert issuer.requests <= 1 + (time.monotonic() - began) / 0.05
