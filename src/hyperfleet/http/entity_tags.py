"""Reads and writes the entity tags of `ETag`, `If-Match` and `If-None-Match` (RFC 9110, section 8.8.3)."""

import re
from functools import lru_cache
from typing import Final

LONGEST: Final = 4096
ANY: Final = b"*"

# A weak or strong entity tag; the quoted part may contain a comma.
_TAG: Final = re.compile(rb'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
_COMMA: Final = re.compile(rb"[ \t]*,[ \t,]*")


def strong(text: bytes) -> bytes:
    """The strong entity tag with this text."""
    return b'"%b"' % text


def listed(header: bytes) -> frozenset[bytes] | None:
    """The tags in a header, or only ANY for `*`; None for a value that is malformed or too long."""
    return _listed(header) if len(header) <= LONGEST else None


def without_weakness(tags: frozenset[bytes]) -> frozenset[bytes]:
    """The tags without `W/`, for the weak comparison, in which a weak tag equals the strong one."""
    return frozenset(tag.removeprefix(b"W/") for tag in tags)


@lru_cache(maxsize=1024)
def _listed(header: bytes) -> frozenset[bytes] | None:
    text = header.strip(b" \t,")
    if text == ANY:
        return frozenset({ANY})
    tags: set[bytes] = set()
    position = 0
    while True:
        tag = _TAG.match(text, position)
        if tag is None:
            return None
        tags.add(tag[0])
        if tag.end() == len(text):
            return frozenset(tags)
        comma = _COMMA.match(text, tag.end())
        if comma is None:
            return None
        position = comma.end()
