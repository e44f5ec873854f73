"""Renders errors as problem documents (RFC 9457); no other file does.

Problem documents repeat text that callers sent, so all text is truncated and cleaned of control characters here.
"""

from datetime import datetime
from typing import Any, Final
from urllib.parse import quote_from_bytes

import msgspec
from msgspec import UNSET

from hyperfleet.errors import MOST_FIELDS, FieldError, Given, HyperFleetError
from hyperfleet.http.exchange import JSON, Answer
from hyperfleet.http.media_types import takes_plain_json_only
from hyperfleet.model import rendering
from hyperfleet.model.excerpt import printable

MEDIA_TYPE: Final = b"application/problem+json"
TYPE_ROOT: Final = "urn:hyperfleet:problem:"
LONGEST_DETAIL: Final = 2000
LONGEST_VALUE: Final = 200
LONGEST_PATH: Final = 1000

_encode: Final = msgspec.json.Encoder().encode
# Printable ASCII that a URI may contain literally; `%` stays, because the path is already encoded.
_URI: Final = "!#$%&'()*+,/:;=?@[]~"


def answer(
    error: HyperFleetError, *, instance: bytes, now: datetime, accept: bytes | None = None, trace_id: str = ""
) -> Answer:
    """The problem document for an error; `instance` is the request's raw path without its query.

    `trace_id` is empty for a request that is not traced, and is then left out. A caller whose `accept` takes only plain
    JSON gets `application/json`, because some clients read nothing else.
    """
    row = error.row
    document: dict[str, Any] = {
        "type": TYPE_ROOT + row.full_name,
        "title": row.title,
        "status": error.status,
        "detail": printable(error.detail, LONGEST_DETAIL),
        "instance": quote_from_bytes(instance[:LONGEST_PATH], safe=_URI),
        "code": row.full_name,
        "timestamp": rendering.timestamp(now),
    }
    if trace_id:
        document["trace_id"] = trace_id
    if error.errors:
        document["errors"] = [_field_error(wrong) for wrong in error.errors[:MOST_FIELDS]]
    document.update({extension.member: extension for extension in error.extensions})
    headers = tuple((name.lower().encode(), value.encode()) for name, value in error.headers)
    media_type = JSON if accept is not None and takes_plain_json_only(accept) else MEDIA_TYPE
    return Answer(error.status, _encode(document), media_type, headers)


def _field_error(wrong: FieldError) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "field": printable(wrong.field, LONGEST_VALUE),
        "message": printable(wrong.message, LONGEST_DETAIL),
    }
    if wrong.constraint is not None:
        entry["constraint"] = printable(wrong.constraint, LONGEST_VALUE)
    if wrong.value is not UNSET:
        entry["value"] = _shown(wrong.value)
    return entry


def _shown(value: Given) -> Given:
    """The value in its own type. Long strings are truncated; numbers with too many digits become truncated strings."""
    if isinstance(value, str):
        return printable(value, LONGEST_VALUE)
    if isinstance(value, int) and abs(value) >= 10**LONGEST_VALUE:
        return printable(_encode(value).decode(), LONGEST_VALUE)
    return value
