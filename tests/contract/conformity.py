"""Whether an answer is what the API's document says of its operation: status, headers, media type, body."""

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final, NamedTuple

import jsonschema_rs

from hyperfleet.http.description import document, entrance, publications

DOCUMENT: Final[dict[str, Any]] = document.packaged()
JSON_TYPES: Final = ("application/json", "application/problem+json")
UNDESCRIBED: Final = {*publications.PARTS, *(path for path in entrance.ADDRESSES if path.endswith("/") and path != "/")}
"""Paths that the document leaves out: the files of its page, and a second spelling of what it describes."""

EVERYWHERE: Final = {404: "HYPERFLEET-NTF-000", 405: "HYPERFLEET-VAL-005"}
"""What the document says once, for all paths: an unknown path, and a known one with another method."""


class Operation(NamedTuple):
    """An operation of the document."""

    path: str
    method: str
    described: Mapping[str, Any]

    @property
    def id(self) -> str:
        """Its name."""
        return str(self.described["operationId"])


OPERATIONS: Final = tuple(
    Operation(path, method.upper(), described)
    for path, item in DOCUMENT["paths"].items()
    for method, described in item.items()
)
_PATTERNS: Final = tuple(
    (re.compile(re.sub(r"\\\{[a-z_]+\\\}", "[^/]+", re.escape(operation.path))), operation) for operation in OPERATIONS
)


def operation_of(method: str, path: str) -> Operation | None:
    """The operation that a request asks for; None for an unknown path or another method."""
    wanted = "GET" if method == "HEAD" else method
    found = (operation for pattern, operation in _PATTERNS if operation.method == wanted and pattern.fullmatch(path))
    return next(found, None)


def translated(schema: Any) -> Any:
    """A schema of OpenAPI 3.0 in the words of JSON Schema."""
    if isinstance(schema, list):
        return [translated(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    words = {word: translated(value) for word, value in schema.items() if word not in ("nullable", "example")}
    if schema.get("nullable") and "type" in words:
        words["type"] = [words["type"], "null"]
    return words


_SCHEMAS: Final = translated(DOCUMENT["components"]["schemas"])


@cache
def _validator(schema: str) -> jsonschema_rs.Draft202012Validator:
    whole = translated(json.loads(schema)) | {"components": {"schemas": _SCHEMAS}}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True, offline=True)


def faults(schema: Mapping[str, Any], value: Any) -> list[str]:
    """What is wrong with a value, one line each; empty when it is as the schema says."""
    errors = _validator(json.dumps(schema)).iter_errors(value)
    return [f"{'/'.join(map(str, error.instance_path)) or 'body'}: {error.message[:300]}" for error in errors]


def mistakes(method: str, path: str, status: int, headers: Mapping[str, str], body: bytes) -> Iterable[str]:
    """What in an answer is other than the document says. `headers` by small name, `body` as it was sent, decoded."""
    operation = operation_of(method, path)
    if operation is None:
        code = json.loads(body).get("code") if body else None
        if method not in ("OPTIONS", "HEAD") and EVERYWHERE.get(status) != code:
            yield f"{status} {code} for a path or method that the document does not have"
        return
    described = operation.described["responses"].get(str(status))
    if described is None:
        yield f"{operation.id} has no status {status}"
        return
    for name, header in described.get("headers", {}).items():
        if header.get("required") and name.lower() not in headers:
            yield f"{operation.id}, {status}: the header {name} is missing"
    media_type = headers.get("content-type", "").partition(";")[0]
    content = described.get("content", {})
    if bool(content) != bool(media_type) or (content and media_type not in content):
        yield f"{operation.id}, {status}: the media type is {media_type!r}, not one of {list(content)}"
    elif media_type in JSON_TYPES and method != "HEAD":
        for fault in faults(content[media_type]["schema"], json.loads(body)):
            yield f"{operation.id}, {status}: {fault}"
