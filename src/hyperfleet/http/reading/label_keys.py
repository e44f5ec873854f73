"""Checks label keys by the rules of Kubernetes, because a request schema cannot constrain member names."""

import re
from collections.abc import Iterable
from typing import Final

from hyperfleet.errors import FieldError
from hyperfleet.model.schemas import wording

MOST: Final = 64
LONGEST_KEY: Final = 255

_NAME: Final = re.compile("[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_PREFIX: Final = re.compile("[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*")
_SENTENCE: Final = (
    "must have a key of up to 63 letters, digits, `-`, `_` and `.` that starts and ends with a "
    "letter or digit, with an optional domain name and `/` as prefix"
)


def check_keys(keys: Iterable[str], wrong: list[FieldError]) -> None:
    """Adds an error for each invalid key."""
    for key in keys:
        prefix, slash, name = key.rpartition("/")
        field = wording.member("labels", key)
        if not 1 <= len(key) <= LONGEST_KEY:
            limit = f"1 to {LONGEST_KEY} characters"
            wrong.append(FieldError("VAL-004", field, f"`{field}` must have a key of {limit}", limit, key))
        elif not _NAME.fullmatch(name) or (slash and not (len(prefix) <= 253 and _PREFIX.fullmatch(prefix))):
            wrong.append(FieldError("VAL-003", field, f"`{field}` {_SENTENCE}", value=key))


def too_many(number: int) -> FieldError:
    """The error for `number` labels, which are too many."""
    return wording.leaf("labels", "maxProperties", {"maxProperties": MOST}, str(number))
