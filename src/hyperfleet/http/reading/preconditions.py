"""If-Match and If-None-Match: versions that a caller names, as entity tags (RFC 9110, section 13; contract: Versions).

A resource has two tags at a time: `"<resource_version>"` changes with everything, a report included, `"g<generation>"`
with the desired state only, so that a writer is not refused because an adapter reported meanwhile.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from hyperfleet.errors import BadRequest, StaleVersion
from hyperfleet.model.resource import Precondition

LONGEST: Final = 4096

# An entity tag, weak or strong; a comma may stand inside the quotes.
_TAG: Final = re.compile(rb'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
_LIST: Final = re.compile(rb"[ \t]*,[ \t,]*")


def if_match(header: bytes | None) -> Precondition | None:
    """What `If-Match` demands, None without it; raises BadRequest for a value that is malformed.

    `*` demands nothing but the resource itself. Weak tags never match: the comparison is the strong one, and
    StaleVersion says so to a caller that has no other tag, or has the present one.
    """
    if header is None:
        return None
    tags = _tags("If-Match", header)
    if tags is None:
        return _anything

    def holds(resource_version: int, generation: int) -> bool:
        present = (b'"%d"' % resource_version, b'"g%d"' % generation)
        if not tags.isdisjoint(present):
            return True
        if any(b"W/" + tag in tags for tag in present) or all(tag.startswith(b"W/") for tag in tags):
            raise StaleVersion("A weak tag never matches in If-Match; send the tag of a read without W/.")
        return False

    return holds


def if_none_match(header: bytes | None) -> Callable[[int], bool] | None:
    """Whether the caller has a version already, by `If-None-Match`; None without it.

    Raises BadRequest for a value that is malformed. Weak tags match like strong ones.
    """
    if header is None:
        return None
    tags = _tags("If-None-Match", header)
    if tags is None:
        return _anything
    known = {tag.removeprefix(b"W/") for tag in tags}

    def is_known(resource_version: int) -> bool:
        return b'"%d"' % resource_version in known

    return is_known


def _anything(*_: int) -> bool:
    return True


def _tags(name: str, header: bytes) -> frozenset[bytes] | None:
    """The tags of a list, None for `*`."""
    tags = _parsed(header) if len(header) <= LONGEST else None
    if tags is None:
        raise BadRequest(
            f"{name} must be *, or entity tags in double quotes with commas between them, such as"
            ' "1842" for a resource_version or "g3" for a generation.',
            status=400,
        )
    return None if tags == {b"*"} else tags


@lru_cache(maxsize=1024)
def _parsed(header: bytes) -> frozenset[bytes] | None:
    """None when the value is malformed."""
    text = header.strip(b" \t,")
    if text == b"*":
        return frozenset({b"*"})
    tags: set[bytes] = set()
    position = 0
    while True:
        tag = _TAG.match(text, position)
        if tag is None:
            return None
        tags.add(tag[0])
        if tag.end() == len(text):
            return frozenset(tags)
        comma = _LIST.match(text, tag.end())
        if comma is None:
            return None
        position = comma.end()
