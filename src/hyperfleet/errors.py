"""The errors that callers see: a table of codes and a tree of exceptions.

A code's row fixes its HTTP status and title. Only `http/problems.py` renders errors, each from its row.
Texts in `detail` and `errors` reach callers: they never contain SQL, driver messages or internal names.

    HyperFleetError
    ├── InvalidInput        one or more fields are invalid             400 VAL-000 … VAL-004
    ├── BadDocument         the body is not one JSON document          400 VAL-006
    ├── BadSearch           the search text is invalid                 400 VAL-007
    ├── BadRequest          the request itself is invalid              VAL-005, various statuses
    ├── Unauthenticated     no token, or an invalid one                401 AUT-…, WWW-Authenticate
    ├── Forbidden           the caller may not do this                 403 AUZ-001
    ├── NotFound            no such path or resource                   404 NTF-…
    ├── AlreadyExists       the name is taken                          409 CNF-001
    ├── StaleVersion        the expected version is out of date        412 CNF-002
    ├── WrongState          the resource's state does not allow it     409 CNF-003
    ├── DatabaseFailure     the database returned an error             500 INT-002
    ├── Unavailable         database unreachable or overloaded         503 SVC-001, Retry-After
    └── DeadlineExceeded    the request took too long                  504 SVC-002, Retry-After

Mistakes rejects an operator's settings, kinds, rules or schemas at startup, and lists every error in them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Final

from msgspec import UNSET, UnsetType


@dataclass(frozen=True, slots=True)
class Code:
    """A row of the error table: `name` without its prefix, the HTTP statuses, the title, and advice on what to do."""

    name: str
    statuses: tuple[int, ...]
    title: str
    advice: str

    @property
    def full_name(self) -> str:
        """The code as callers see it, `HYPERFLEET-VAL-000`."""
        return f"HYPERFLEET-{self.name}"


_ROWS = (
    Code("VAL-000", (400,), "Invalid input", "Correct every field listed in `errors`."),
    Code("VAL-001", (400,), "Missing field", "Send the field named in `errors`."),
    Code("VAL-002", (400,), "Not allowed", "Use one of the names or values listed in `errors`."),
    Code("VAL-003", (400,), "Wrong type or syntax", "Send a value of the type or format given in `errors`."),
    Code("VAL-004", (400,), "Out of range", "Stay within the limit given in `errors`."),
    Code(
        "VAL-005",
        (400, 405, 406, 413, 415, 422, 431, 501),
        "Bad request",
        "Change the request as described in `detail`.",
    ),
    Code("VAL-006", (400,), "Not a JSON document", "Send one JSON document as the body."),
    Code("VAL-007", (400,), "Bad search", "Correct the search at the position or field named in `detail`."),
    Code("AUT-001", (401,), "No credentials", "Send a token in the header named in `WWW-Authenticate`."),
    Code("AUT-002", (401,), "Invalid credentials", "Send a valid token; `detail` says what is wrong with this one."),
    Code("AUT-003", (401,), "Expired credentials", "Get a new token from the issuer."),
    Code("AUZ-001", (403,), "Not allowed", "Ask the service's operator for access, or use another identity."),
    Code("NTF-000", (404,), "No such path", "Check the path against the OpenAPI document."),
    Code("NTF-001", (404,), "Resource not found", "Check the id; the resource may have been deleted."),
    Code("NTF-002", (404,), "Cluster not found", "Check the cluster's id; the cluster may have been deleted."),
    Code("NTF-003", (404,), "Node pool not found", "Check the node pool's id; the node pool may have been deleted."),
    Code("CNF-001", (409,), "Already exists", "Choose another name, or use the existing resource."),
    Code("CNF-002", (412,), "Stale version", "Read the resource again and reapply your change."),
    Code("CNF-003", (409,), "Wrong state", "Read the resource and act on its current state."),
    Code("INT-001", (500,), "Unexpected error", "Give the X-Request-Id to the service's operator."),
    Code("INT-002", (500,), "Database error", "Give the X-Request-Id to the service's operator."),
    Code("SVC-001", (503,), "Service unavailable", "Try again after the number of seconds in Retry-After."),
    Code(
        "SVC-002",
        (504,),
        "Deadline exceeded",
        "A write may have been stored: read before you repeat it. If the error persists, request less at once.",
    ),
)

CODES: Final[dict[str, Code]] = {row.name: row for row in _ROWS}


REALM: Final = "hyperfleet-api"
"""The realm in `WWW-Authenticate`."""

MOST_FIELDS: Final = 100
"""The most field errors that a response lists."""


Given = str | int | float | bool | UnsetType | None
"""A scalar that an error repeats, in the JSON type in which it was sent. UNSET means no value; None is a JSON null."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One error in one field; `field` is a path such as `spec.nodes`.

    `code` is VAL-001 … VAL-004, or VAL-000 where a `spec` does not match its schema. `value` is the value sent.
    """

    code: str
    field: str
    message: str
    constraint: str | None = None
    value: Given = UNSET


@dataclass(frozen=True, slots=True)
class Conflict:
    """The resource that already has the requested name."""

    member: ClassVar[str] = "conflict"

    kind: str
    id: str
    href: str


Extension = Conflict
"""A member of a problem document beyond the common ones: `member` is its name, and its fields are the value."""


class HyperFleetError(Exception):
    """The base of all errors: a row of the table and a detail, optionally headers, field errors and extensions."""

    code: str = "INT-001"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        status: int | None = None,
        errors: tuple[FieldError, ...] = (),
        headers: tuple[tuple[str, str], ...] = (),
        extensions: tuple[Extension, ...] = (),
    ) -> None:
        super().__init__(detail)
        self.row = CODES[code or self.code]
        self.status = status or self.row.statuses[0]
        self.detail = detail
        self.errors = errors
        self.headers = headers
        self.extensions = extensions


class InvalidInput(HyperFleetError):
    """One or more fields are invalid. A single error gives the problem its code; several make it VAL-000."""

    def __init__(self, *errors: FieldError) -> None:
        first = errors[0]
        detail = f"{len(errors)} fields are invalid; see errors."
        if len(errors) >= MOST_FIELDS:
            detail = f"At least {MOST_FIELDS} fields are invalid; see errors."
        if len(errors) == 1:
            detail = first.message if first.message.startswith("`") else f"{first.field}: {first.message}"
        super().__init__(detail, code=first.code if len(errors) == 1 else "VAL-000", errors=errors)


class BadDocument(HyperFleetError):
    """The body is not one JSON document."""

    code = "VAL-006"


class BadSearch(HyperFleetError):
    """The search text is invalid; the detail names the position or the field, and what is allowed there."""

    code = "VAL-007"

    def __init__(self, detail: str, *, position: int | None = None) -> None:
        super().__init__(detail, errors=(FieldError("VAL-003", "search", detail),))
        self.position = position


class BadRequest(HyperFleetError):
    """The request itself is invalid: its method, media type, size, encoding, or path for this kind."""

    code = "VAL-005"


class Unauthenticated(HyperFleetError):
    """The caller is unknown: no token (AUT-001), an invalid one (AUT-002) or an expired one (AUT-003).

    The detail is also the header's `error_description` (RFC 6750, section 3): it must be printable ASCII without
    quotation marks and backslashes, and must not repeat anything that was sent.
    """

    code = "AUT-001"

    def __init__(self, detail: str, *, code: str = "AUT-001") -> None:
        challenge = f'Bearer realm="{REALM}"'
        if code != "AUT-001":
            challenge += f', error="invalid_token", error_description="{detail}"'
        super().__init__(detail, code=code, headers=(("WWW-Authenticate", challenge),))


class Forbidden(HyperFleetError):
    """No access rule allows the request, its tenant is missing or invalid, or another site's page sent it."""

    code = "AUZ-001"


class NotFound(HyperFleetError):
    """No such path (NTF-000), or no such resource (the code of its kind)."""

    code = "NTF-001"


class AlreadyExists(HyperFleetError):
    """A resource that is not being deleted has that name; `conflict` is that resource, if the caller may see it."""

    code = "CNF-001"

    def __init__(self, detail: str, *, conflict: Conflict | None = None) -> None:
        super().__init__(detail, extensions=() if conflict is None else (conflict,))


class StaleVersion(HyperFleetError):
    """The resource's version or generation is not the one that the caller expects."""

    code = "CNF-002"


class WrongState(HyperFleetError):
    """The state of the resource, or of its owner, does not allow this."""

    code = "CNF-003"


class DatabaseFailure(HyperFleetError):
    """The database returned an error that a retry does not cure; only the log has the driver's message."""

    code = "INT-002"


class Unavailable(HyperFleetError):
    """The database is unreachable, starting, read-only or out of connections, or the load limit is reached."""

    code = "SVC-001"

    def __init__(self, detail: str, *, retry_after: int = 1) -> None:
        super().__init__(detail, headers=(("Retry-After", str(retry_after)),))


class DeadlineExceeded(HyperFleetError):
    """The request's deadline passed before the response was ready; a write may have been stored anyway."""

    code = "SVC-002"

    def __init__(self, detail: str, *, retry_after: int = 1) -> None:
        super().__init__(detail, headers=(("Retry-After", str(retry_after)),))


class Mistakes(ValueError):
    """An operator's input is invalid; `mistakes` lists every error, one sentence each."""

    def __init__(self, mistakes: Iterable[str]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(self.mistakes))
