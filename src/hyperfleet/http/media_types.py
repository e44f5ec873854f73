"""Media types as headers name them: what a body is, and what a caller takes for an answer.

Errors go out as problem documents whatever the caller takes: an error that cannot be read still has its status. Only to
callers that take plain JSON and nothing else they go as that.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

# What is read is kept; a header may have 400 KB, and hundreds of those must not stay in memory.
LONGEST: Final = 1000

JSON: Final = "application/json"
MERGE_PATCH: Final = "application/merge-patch+json"
_PROBLEM: Final = "application/problem+json"

_NO_QUALITY: Final = re.compile(r"q\s*=\s*0(\.0*)?")


def is_json(content_type: bytes) -> bool:
    """Whether a value of Content-Type is JSON in UTF-8, or empty; parameters besides the charset say nothing."""
    return len(content_type) <= LONGEST and _named(content_type) in ("", JSON)


def is_merge_patch(content_type: bytes) -> bool:
    """Whether a value of Content-Type is a merge patch in UTF-8 (RFC 7396)."""
    return len(content_type) <= LONGEST and _named(content_type) == MERGE_PATCH


def accepts(accept: bytes, media_type: str = JSON) -> bool:
    """Whether a value of Accept leaves room for a media type (RFC 9110, section 12.5.1); only a clear no is one.

    Any type of JSON is taken for ours, `application/vnd.x+json` too; parameters besides a quality of 0 say nothing. The
    most specific entry decides: the type itself, then `application/*` or what it is else, then `*/*`.
    """
    return len(accept) > LONGEST or _accepts(accept, media_type)


def takes_plain_json_only(accept: bytes) -> bool:
    """Whether a value of Accept leaves room for `application/json`, and none for a problem document of its own type."""
    return len(accept) <= LONGEST and _takes_plain_json_only(accept)


@lru_cache(maxsize=256)
def _takes_plain_json_only(accept: bytes) -> bool:
    taken = {name for name, is_taken in _entries(accept) if is_taken}
    return JSON in taken and taken.isdisjoint((_PROBLEM, "application/*", "*/*", "*"))


@lru_cache(maxsize=256)
def _named(content_type: bytes) -> str | None:
    """The type that a value of Content-Type names, in small letters; None for one that is not in UTF-8."""
    name, *parameters = _parts(content_type.decode("latin-1").lower())
    charsets = [value.strip('"') for key, _, value in (part.partition("=") for part in parameters) if key == "charset"]
    return name if all(charset in ("utf-8", "utf8") for charset in charsets) else None


@lru_cache(maxsize=256)
def _accepts(accept: bytes, media_type: str) -> bool:
    taken: dict[str, bool] = {}
    for entry, is_taken in _entries(accept):
        name = JSON if entry.endswith("+json") else entry
        taken[name] = taken.get(name, False) or is_taken
    deciding = next(
        (name for name in (media_type, media_type.partition("/")[0] + "/*", "*/*", "*") if name in taken), None
    )
    return not taken or (deciding is not None and taken[deciding])


def _entries(accept: bytes) -> Iterator[tuple[str, bool]]:
    """The media types that an Accept names, each with whether it is taken: its quality is not 0."""
    for entry in accept.decode("latin-1").lower().split(","):
        name, *parameters = _parts(entry)
        if name:
            yield name, not any(_NO_QUALITY.fullmatch(part) for part in parameters)


def _parts(value: str) -> list[str]:
    return [part.strip() for part in value.split(";")]
