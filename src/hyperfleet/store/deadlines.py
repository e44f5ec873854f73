"""When the present request ends. A context variable, because every wait below a request depends on it."""

import asyncio
from contextvars import ContextVar

DEADLINE: ContextVar[float] = ContextVar("DEADLINE")
"""When the present request is over, in the event loop's seconds; unset outside requests."""


def within(seconds: float) -> float:
    """The end of a wait that may last `seconds`, in the event loop's seconds; never after the end of the request."""
    end = asyncio.get_running_loop().time() + seconds
    return min(end, DEADLINE.get(end))
