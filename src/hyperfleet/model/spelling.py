"""Which of the known names a mistyped one means: what errors offer to callers.

Callers choose both the names and how many there are, so both are bounded: a guess takes about 50 µs.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice
from typing import Final

MOST_KNOWN: Final = 100
"""Names among which the nearest is looked for; of more, the first."""

_LONGEST_GUESS: Final = 80


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """The known name that a mistyped one most likely means, None when none is near; case and `_` are set aside."""
    folded = {_folded(candidate): candidate for candidate in islice(known, MOST_KNOWN)}
    near = get_close_matches(_folded(name[:_LONGEST_GUESS]), folded, n=1, cutoff=0.7)
    return folded[near[0]] if near else None


def _folded(name: str) -> str:
    return name.lower().replace("_", "")
