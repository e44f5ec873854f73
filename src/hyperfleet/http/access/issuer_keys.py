"""Caches the keys of one issuer. They are fetched in advance, at intervals, and when a token names an unknown key.

However many requests wait, only one fetch runs at a time, and at most one begins per cooldown. While the issuer is
unreachable or returns nonsense, the last fetched keys remain valid, so an outage fails no request with a known key.
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
"""When this many requests wait, a token with a wrong signature is rejected at once, so that forged tokens leave room
for tokens that name a new key."""

_log = logging.get("issuers")

Source = Callable[[], Awaitable[bytes]]
"""Fetches the issuer's published key set; raises DownloadFailed or OSError."""


class IssuerKeys:
    """The keys of one issuer; `issuer` is its name in logs. Times are in seconds."""

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
        """Whether the issuer published this key at the last successful fetch."""
        return key in self._keys.keys

    async def find(self, id: str | None, algorithm: str) -> Key | None:
        """The key that a token names; None when the issuer does not publish it.

        An unknown key id waits for keys fetched after this call. A token without a key id matches the issuer's only key
        for that algorithm. Raises Unavailable when the issuer is unreachable, or when too many requests wait already.
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
        """The key that a token names, after `wrong`, which has the same id, did not verify its signature.

        An issuer may change a key without changing its id, so this waits for keys fetched after this call, with at most
        one fetch per cooldown for all callers. None when there is no other key, or when the keys cannot be fetched.
        """
        wanted_at = time.monotonic()
        while (key := self._keys.find(id, algorithm)) is wrong and self._answered_at < wanted_at:
            if self._waiting >= MOST_DOUBTED or self._rests():
                return None
            await self._wait()
        return None if key is wrong else key

    async def keep_fresh(self) -> None:
        """Fetches now and at intervals, more often while the issuer is unreachable; never returns."""
        pause = self._cooldown
        while True:
            await asyncio.shield(self._next())
            pause = min(2 * pause, self._refresh) if self._is_away else self._cooldown
            await asyncio.sleep(pause if self._is_away else self._refresh)

    async def close(self) -> None:
        """Cancels the running fetch, if there is one."""
        if self._fetch is not None:
            self._fetch.cancel()
            await asyncio.wait([self._fetch])

    def _rests(self) -> bool:
        """Whether the issuer is unreachable and the cooldown since the last fetch has not ended."""
        return self._fetch is None and self._is_away and time.monotonic() < self._asked_at + self._cooldown

    async def _wait(self) -> None:
        if self._waiting >= MOST_WAITING:
            raise self._unavailable("Too many requests are waiting for the token issuer's keys")
        self._waiting += 1
        try:
            # A request that stops waiting must not cancel the fetch that other requests wait for.
            await asyncio.shield(self._next())
        finally:
            self._waiting -= 1

    def _unavailable(self, what: str) -> Unavailable:
        return Unavailable(f"{what}; try again soon.", retry_after=max(1, round(self._cooldown)))

    def _next(self) -> asyncio.Task[None]:
        """The running fetch, else a new one that begins when the cooldown ends."""
        if self._fetch is None or self._fetch.done():
            # In a new context: the fetch belongs to no request, so it must not inherit a request's id and deadline.
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
            except Exception:  # noqa: BLE001 - no response may stop the fetching
                _log.exception("fetching issuer keys failed unexpectedly", issuer=self.issuer)
                self._miss("unexpected error")
            # The response shows the issuer's keys as of the request, not as of now.
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
