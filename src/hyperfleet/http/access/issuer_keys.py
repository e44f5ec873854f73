"""The keys of one issuer, kept at hand: fetched ahead, again at regular times, and when a token names an unknown one.

However many requests wait, one fetch runs at a time and begins at most once a cooldown. What was fetched last stays in
force while the issuer is away or answers nonsense, so that it may be down without a request failing.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import Final

from hyperfleet.errors import Unavailable
from hyperfleet.http.access.downloads import DownloadFailed
from hyperfleet.http.access.key_sets import BadKeySet, Key, KeySet, key_set
from hyperfleet.telemetry import logging

COOLDOWN_SECONDS: Final = 5.0
REFRESH_SECONDS: Final = 300.0
FETCH_SECONDS: Final = 5.0
MOST_WAITING: Final = 500
MOST_DOUBTED: Final = 100
"""With so many requests waiting, a token with a wrong signature is rejected at once: forged tokens must leave room for
tokens that name a new key."""

_log = logging.get("issuers")

Source = Callable[[], Awaitable[bytes]]
"""Gets what the issuer publishes; raises DownloadFailed or OSError."""


class IssuerKeys:
    """The keys of an issuer; `issuer` is its name in logs. Times are in seconds."""

    def __init__(
        self,
        issuer: str,
        source: Source,
        *,
        cooldown: float = COOLDOWN_SECONDS,
        refresh: float = REFRESH_SECONDS,
        patience: float = FETCH_SECONDS,
    ) -> None:
        self.issuer = issuer
        self._source = source
        self._cooldown, self._refresh, self._patience = cooldown, refresh, patience
        self._keys = KeySet()
        self._asked_at = float("-inf")
        self._answered_at = float("-inf")
        self._is_away = False
        self._fetch: asyncio.Task[None] | None = None
        self._waiting = 0

    def hold(self, key: Key) -> bool:
        """Whether the issuer still publishes this key, as far as is known."""
        return key in self._keys.keys

    async def find(self, id: str | None, algorithm: str) -> Key | None:
        """The key that a token names; None when the issuer does not publish it.

        An unknown key is looked up in keys fetched after this call; without a key id, any published key is returned.
        Raises Unavailable when there are none to be had: the issuer is away, or too many wait already.
        """
        wanted_at = time.monotonic()
        while (key := self._keys.find(id, algorithm)) is None and self._answered_at < wanted_at:
            if id is None and self._keys.keys:
                return None
            if self._rests():
                break
            await self._wait()
        if key is None and self._is_away:
            raise self._unavailable("The token issuer's keys cannot be fetched")
        return key

    async def find_other(self, wrong: Key, id: str | None, algorithm: str) -> Key | None:
        """The key that a token names, after `wrong` under the same name did not fit its signature.

        An issuer may change a key without changing its id, so keys fetched after this call are looked at, at most one
        fetch a cooldown for all callers. None when they have no other, or cannot be had.
        """
        wanted_at = time.monotonic()
        while (key := self._keys.find(id, algorithm)) is wrong and self._answered_at < wanted_at:
            if self._waiting >= MOST_DOUBTED or self._rests():
                return None
            await self._wait()
        return None if key is wrong else key

    async def keep_fresh(self) -> None:
        """Fetches now and at regular times, sooner while the issuer is away; never returns."""
        pause = self._cooldown
        while True:
            await asyncio.shield(self._next())
            pause = min(2 * pause, self._refresh) if self._is_away else self._cooldown
            await asyncio.sleep(pause if self._is_away else self._refresh)

    async def close(self) -> None:
        """Gives up the fetch under way."""
        if self._fetch is not None:
            self._fetch.cancel()
            await asyncio.wait([self._fetch])

    def _rests(self) -> bool:
        """Whether the issuer is away and was asked only just now."""
        return self._fetch is None and self._is_away and time.monotonic() < self._asked_at + self._cooldown

    async def _wait(self) -> None:
        if self._waiting >= MOST_WAITING:
            raise self._unavailable("Too many requests are waiting for the token issuer's keys")
        self._waiting += 1
        try:
            # Who gives up waiting does not end the fetch that others wait for.
            await asyncio.shield(self._next())
        finally:
            self._waiting -= 1

    def _unavailable(self, what: str) -> Unavailable:
        return Unavailable(f"{what}; try again soon.", retry_after=max(1, round(self._cooldown)))

    def _next(self) -> asyncio.Task[None]:
        """The fetch under way, else one that begins as soon as the cooldown is over."""
        if self._fetch is None or self._fetch.done():
            # In a context of its own: it is nobody's request, whose id and deadline would go along.
            self._fetch = asyncio.get_running_loop().create_task(self._fetched(), context=Context())
        return self._fetch

    async def _fetched(self) -> None:
        try:
            await asyncio.sleep(max(0.0, self._asked_at + self._cooldown - time.monotonic()))
            self._asked_at = asked_at = time.monotonic()
            try:
                async with asyncio.timeout(self._patience):
                    self._take(key_set(await self._source(), self._keys))
            except TimeoutError:
                self._miss(f"the issuer did not respond within {self._patience:g} s")
            except (DownloadFailed, BadKeySet, OSError) as failure:
                self._miss(str(failure))
            except Exception:  # noqa: BLE001 - whatever a stranger's answer does, fetching goes on
                _log.exception("fetching issuer keys failed unexpectedly", issuer=self.issuer)
                self._miss("unexpected error")
            # A response describes the time of its request, not the present.
            self._answered_at = asked_at
        finally:
            self._fetch = None

    def _take(self, found: KeySet) -> None:
        if self._is_away or found.keys != self._keys.keys:
            _log.info("issuer keys fetched", issuer=self.issuer, keys=len(found.keys))
        self._keys, self._is_away = found, False

    def _miss(self, reason: str) -> None:
        self._is_away = True
        _log.warning("issuer keys cannot be fetched", issuer=self.issuer, reason=reason, kept=len(self._keys.keys))
