"""Which of the known names a mistyped one means: what every error offers.

Callers choose both the names and how many there are, so both are bounded: a guess takes about 50 µs.
"""

from collections.abc import Iterable
from difflib import SequenceMatcher
from itertools import islice
from typing import Final

MOST_KNOWN: Final = 100
"""Names among which the nearest is looked for; of more, the first."""

_LONGEST_GUESS: Final = 80
_NEAR: Final = 0.7
_NEAR_LAST_PARTS: Final = 0.6
"""Less, because the parts before them have been compared already."""
_BEFORE_AN_END: Final = 0.001
"""Of two names that are as near, a whole one comes before the end of a path."""


def nearest_name(name: str, known: Iterable[str], *, most: int = MOST_KNOWN) -> str | None:
    """The known name that a mistyped one most likely means, None when none is near; case, `_` and `-` are set aside.

    Of dotted paths the last parts must be near to each other, too: what two paths share before it says nothing. A known
    last part such as `<key>` is near to every word. Of a longer path a name may be the end: `phase` is `status.phase`.
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
    """How alike they are, from `least` to 1; 0 when they are less alike."""
    matcher.set_seq1(_folded(candidate))
    if matcher.real_quick_ratio() < least or matcher.quick_ratio() < least:
        return 0.0
    ratio = matcher.ratio()
    return ratio if ratio >= least else 0.0
