"""The deadline of the current request. It is a context variable, because every wait within a request depends on it."""

import asyncio
from contextvars import ContextVar

DEADLINE: ContextVar[float] = ContextVar("DEADLINE")
"""The deadline of the current request, in seconds of the event loop's clock; unset outside requests."""


def within(seconds: float) -> float:
    """The end of a wait of at most `seconds`, on the event loop's clock; never after the request's deadline."""
    end = asyncio.get_running_loop().time() + seconds
    return min(end, DEADLINE.get(end))
