"""The cache of callers is small and bounded, and an entry ends when its token expires."""

import gc
import tracemalloc
from typing import Final

from hyperfleet.http.access import memory
from hyperfleet.http.access.memory import Memory
from hyperfleet.http.access.tenants import Dimension, Tenants
from hyperfleet.http.app import application
from hyperfleet.model.kind import BUILT_IN
from hyperfleet.model.rules.permission import Permissions, Rule
from hyperfleet.store.database import Database
from testbed.fleet import CATALOG
from tests.http import asgi
from tests.http.conftest import SETTINGS
from tests.http.issuing import issuer, token

NO_ID: Final = "/api/hyperfleet/v1/clusters/no-id"
NOW: Final = 1000.0


class Clock:
    """A time that a test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def test_a_value_is_kept_until_it_expires() -> None:
    clock = Clock()
    kept = Memory[str, int](10, clock)
    kept.put("a", 1, expires_at=NOW + 10)
    clock.now = NOW + 9.9
    assert kept.get("a") == 1
    clock.now = NOW + 10
    assert kept.get("a") is None
    assert len(kept) == 0


def test_the_least_recently_used_value_is_dropped_first() -> None:
    kept = Memory[str, int](2, Clock())
    kept.put("a", 1, expires_at=NOW + 10)
    kept.put("b", 2, expires_at=NOW + 10)
    assert kept.get("a") == 1
    kept.put("c", 3, expires_at=NOW + 10)
    assert [kept.get(key) for key in "abc"] == [1, None, 3]
    kept.forget("a")
    assert kept.get("a") is None


def test_expired_values_that_are_not_requested_are_removed() -> None:
    clock = Clock()
    kept = Memory[int, int](1000, clock)
    for number in range(100):
        kept.put(number, number, expires_at=NOW + 1)
    clock.now = NOW + memory.SWEEP_SECONDS - 0.1
    kept.put(-1, 0, expires_at=NOW + 1000)
    assert len(kept) == 101
    clock.now = NOW + memory.SWEEP_SECONDS
    kept.put(-2, 0, expires_at=NOW + 1000)
    assert len(kept) == 2


async def test_a_thousand_large_tokens_leave_almost_nothing_behind() -> None:
    rules = (Rule("members", ("*",), ("*",), "'fleet' in caller.groups && caller.claims.number >= 0"),)
    app = application(
        Database(SETTINGS.database),
        CATALOG,
        SETTINGS,
        issuers=[issuer()],
        tenants=Tenants([Dimension("org", "", "org", is_required=True)]),
        permissions=Permissions(rules, [kind.name for kind in BUILT_IN]),
    )

    async def ask(number: int) -> int:
        bearing = b"Bearer " + token(
            "ES256-one",
            number=number,
            org="red",
            groups=["fleet", *(f"group-{n}" for n in range(400))],
            filling="x" * 4000,
        )
        assert 10_000 < len(bearing) < 16_384
        first = await asgi.send(app, "GET", NO_ID, headers=[("authorization", bearing)])
        again = await asgi.send(app, "GET", NO_ID, headers=[("authorization", bearing)])
        assert first.status == again.status
        return first.status

    assert await ask(0) == 404
    gc.collect()
    tracemalloc.start()
    try:
        for number in range(1, 401):
            assert await ask(number) == 404
        gc.collect()
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 400 * 4096, f"{used / 400:.0f} bytes of a token of 15 KB"
