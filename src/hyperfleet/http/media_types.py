"""Media types as headers name them: what a body is, and what a caller takes for an answer.

Errors go out as problem documents whatever the caller takes: an error that cannot be read still has its status.
"""

import re
from functools import lru_cache
from typing import Final

_NO_QUALITY: Final = re.compile(r"q\s*=\s*0(\.0*)?")


@lru_cache(maxsize=256)
def is_json(content_type: bytes) -> bool:
    """Whether a value of Content-Type is JSON in UTF-8, or empty; parameters besides the charset say nothing."""
    name, *parameters = _parts(content_type.decode("latin-1").lower())
    charsets = [value.strip('"') for key, _, value in (part.partition("=") for part in parameters) if key == "charset"]
    return name in ("", "application/json") and all(charset in ("utf-8", "utf8") for charset in charsets)


@lru_cache(maxsize=256)
def accepts_json(accept: bytes) -> bool:
    """Whether a value of Accept leaves room for JSON (RFC 9110, section 12.5.1); read so that only a clear no is one.

    Any type of JSON is taken for ours, `application/vnd.x+json` too; parameters besides a quality of 0 say nothing. The
    most specific entry decides: JSON itself, then `application/*`, then `*/*`.
    """
    ranges: dict[str, bool] = {}
    for entry in accept.decode("latin-1").lower().split(","):
        name, *parameters = _parts(entry)
        if name:
            name = "json" if name == "application/json" or name.endswith("+json") else name
            refused = any(_NO_QUALITY.fullmatch(part) for part in parameters)
            ranges[name] = ranges.get(name, False) or not refused
    if not ranges:
        return True
    deciding = next((name for name in ("json", "application/*", "*/*", "*") if name in ranges), None)
    return deciding is not None and ranges[deciding]


def _parts(value: str) -> list[str]:
    return [part.strip() for part in value.split(";")]
