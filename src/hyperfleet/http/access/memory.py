"""A bounded cache of what was decided about callers; each entry expires with the token it was derived from."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

SWEEP_SECONDS: Final = 60.0
"""How long an expired entry that is not requested again may stay."""


class Memory(Generic[K, V]):
    """Keeps at most `most` values and evicts the least recently used; `clock` returns seconds since the epoch."""

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        self._most = most
        self._clock = clock
        self._entries: OrderedDict[K, tuple[V, float]] = OrderedDict()
        self._sweep_at = clock() + SWEEP_SECONDS

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K) -> V | None:
        """The value, or None when it is not cached or has expired."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry[1] <= self._clock():
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def put(self, key: K, value: V, *, expires_at: float) -> None:
        """Caches the value until `expires_at`."""
        now = self._clock()
        if now >= self._sweep_at:
            self._sweep_at = now + SWEEP_SECONDS
            for expired in [each for each, (_, until) in self._entries.items() if until <= now]:
                del self._entries[expired]
        self._entries[key] = (value, expires_at)
        self._entries.move_to_end(key)
        if len(self._entries) > self._most:
            self._entries.popitem(last=False)

    def forget(self, key: K) -> None:
        """Drops the value."""
        self._entries.pop(key, None)
