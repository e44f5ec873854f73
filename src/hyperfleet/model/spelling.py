"""The known name that a mistyped one most likely means, for suggestions in errors.

Callers choose both the names and their number, so both are bounded: a guess takes about 50 µs.
"""

from collections.abc import Iterable
from difflib import SequenceMatcher
from itertools import islice
from typing import Final

MOST_KNOWN: Final = 100
"""The most known names that are compared; any further ones are skipped."""

_LONGEST_GUESS: Final = 80
_NEAR: Final = 0.7
_NEAR_LAST_PARTS: Final = 0.6
"""Lower, because the parts before have been compared already."""
_BEFORE_AN_END: Final = 0.001
"""Subtracted from the likeness of a path's end, so that a whole name that is equally near comes first."""


def nearest_name(name: str, known: Iterable[str], *, most: int = MOST_KNOWN) -> str | None:
    """The known name that a mistyped one most likely means, None if none is near. Case, `_` and `-` are ignored.

    The last parts of dotted paths must also be near each other: a shared beginning is not enough. A known last part
    such as `<key>` is near every word. A name may match the end of a longer path: `phase` matches `status.phase`.
    """
    name = name[:_LONGEST_GUESS]
    parts = name.count(".") + 1
    whole, last = SequenceMatcher(b=_folded(name)), SequenceMatcher(b=_folded(_last_part(name)))
    nearest, highest = None, 0.0
    for candidate in islice(known, most):
        likeness = _likeness(whole, candidate)
        if candidate.count(".") >= parts:
            likeness = max(likeness, _likeness(whole, ".".join(candidate.split(".")[-parts:])) - _BEFORE_AN_END)
        if likeness > highest and _ends_alike(last, candidate):
            nearest, highest = candidate, likeness
    return nearest


def did_you_mean(nearest: str | None, *, quote: str = "") -> str:
    """The end of a sentence about an unknown name."""
    return "." if nearest is None else f"; did you mean {quote}{nearest}{quote}?"


def _folded(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def _ends_alike(last: SequenceMatcher[str], candidate: str) -> bool:
    end = _last_part(candidate)
    return end.startswith("<") or _likeness(last, end, _NEAR_LAST_PARTS) > 0


def _last_part(name: str) -> str:
    return name.rpartition(".")[2]


def _likeness(matcher: SequenceMatcher[str], candidate: str, least: float = _NEAR) -> float:
    """The likeness of two names, from `least` to 1; 0 if it is lower."""
    matcher.set_seq1(_folded(candidate))
    if matcher.real_quick_ratio() < least or matcher.quick_ratio() < least:
        return 0.0
    ratio = matcher.ratio()
    return ratio if ratio >= least else 0.0
