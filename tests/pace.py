"""What an action costs, told so that it is the same on a slow machine as on a fast one."""

import gc
import json
from collections.abc import Callable
from time import process_time
from typing import Any, Final

_LISTS: Final = "[" + "[]," * 34_000 + "[]]"
_TRIES: Final = 3


def cost(action: Callable[[], Any]) -> float:
    """The action's CPU time over that of the standard library reading 100 KiB of empty lists, some milliseconds.

    Both without the collector, whose work depends on what else the process holds; each is the least of three turns.
    """
    gc.disable()
    try:
        taken = [(_seconds(action), _seconds(lambda: json.loads(_LISTS))) for _ in range(_TRIES)]
    finally:
        gc.enable()
    own, others = (min(seconds) for seconds in zip(*taken, strict=True))
    return float(own / others)


def unit() -> float:
    """The CPU time of the standard library's part of `cost`, in seconds."""
    return min(_seconds(lambda: json.loads(_LISTS)) for _ in range(_TRIES))


def _seconds(action: Callable[[], Any]) -> float:
    began = process_time()
    action()
    return process_time() - began
