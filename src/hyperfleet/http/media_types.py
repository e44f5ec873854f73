"""Reads the media types in `Content-Type` and `Accept`.

Errors are sent as problem documents whatever `Accept` says: a caller that cannot read the document still gets the
status. Only a caller that accepts plain JSON and nothing else gets the document as `application/json`.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

# Parsed headers are cached. A header may have 400 KB, and hundreds of those must not stay in memory.
LONGEST: Final = 1000

JSON: Final = "application/json"
YAML: Final = "application/yaml"
HTML: Final = "text/html"
MERGE_PATCH: Final = "application/merge-patch+json"
_PROBLEM: Final = "application/problem+json"

_QUALITY: Final = re.compile(r"q\s*=\s*([01]?\.?[0-9]*)")


def is_json(content_type: bytes) -> bool:
    """Whether a Content-Type value is JSON in UTF-8, or empty; parameters other than the charset are ignored."""
    return len(content_type) <= LONGEST and (not content_type.strip() or _named(content_type) == JSON)


def is_merge_patch(content_type: bytes) -> bool:
    """Whether a Content-Type value is a merge patch in UTF-8 (RFC 7396)."""
    return len(content_type) <= LONGEST and _named(content_type) == MERGE_PATCH


def preferred(accept: bytes, media_types: tuple[str, ...]) -> str | None:
    """The offered media type that an Accept value prefers (RFC 9110, section 12.5.1); the first offered on a tie.

    None when the value excludes all of them. Any JSON type, such as `application/vnd.x+json`, matches plain JSON.
    Parameters other than the quality are ignored. The most specific entry decides: the type itself, then a range such
    as `application/*`, then `*/*`. A value that is too long excludes nothing.
    """
    if len(accept) > LONGEST:
        return media_types[0]
    qualities = {media_type: _quality(accept, media_type) for media_type in media_types}
    best = max(media_types, key=qualities.__getitem__)
    return best if qualities[best] > 0 else None


def takes_plain_json_only(accept: bytes) -> bool:
    """Whether an Accept value accepts `application/json`, but not `application/problem+json`."""
    return len(accept) <= LONGEST and _takes_plain_json_only(accept)


@lru_cache(maxsize=256)
def _takes_plain_json_only(accept: bytes) -> bool:
    taken = {name for name, quality in _entries(accept) if quality > 0}
    return JSON in taken and taken.isdisjoint((_PROBLEM, "application/*", "*/*", "*"))


@lru_cache(maxsize=256)
def _named(content_type: bytes) -> str | None:
    """The type of a Content-Type value, in lower case; None for a charset other than UTF-8."""
    name, *parameters = _parts(content_type.decode("latin-1").lower())
    charsets = [value.strip('"') for key, _, value in (part.partition("=") for part in parameters) if key == "charset"]
    return name if all(charset in ("utf-8", "utf8") for charset in charsets) else None


@lru_cache(maxsize=256)
def _quality(accept: bytes, media_type: str) -> float:
    """The quality that an Accept value gives to a media type, from 0 to 1; 1 when the value names no type."""
    qualities: dict[str, float] = {}
    for entry, quality in _entries(accept):
        name = JSON if entry.endswith("+json") else entry
        qualities[name] = max(qualities.get(name, 0.0), quality)
    if not qualities:
        return 1.0
    names = (media_type, media_type.partition("/")[0] + "/*", "*/*", "*")
    return next((qualities[name] for name in names if name in qualities), 0.0)


def _entries(accept: bytes) -> Iterator[tuple[str, float]]:
    """The media types of an Accept value, each with its quality, which is 1 by default."""
    for name, *parameters in elements(accept):
        if name:
            yield name, _given_quality(parameters)


def elements(header: bytes) -> Iterator[list[str]]:
    """The elements of a header such as Accept or Accept-Encoding, in lower case: each a name and its parameters."""
    yield from map(_parts, header.decode("latin-1").lower().split(","))


def _given_quality(parameters: list[str]) -> float:
    given = next((found[1] for found in map(_QUALITY.fullmatch, parameters) if found), "")
    return min(float(given), 1.0) if given.strip(".") else 1.0


def _parts(value: str) -> list[str]:
    return [part.strip() for part in value.split(";")]
