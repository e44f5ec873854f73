"""What can go wrong, as a caller sees it: one table of codes, one tree of errors.

A code's row fixes its HTTP status and title; `http/problems.py` renders an error from its row and nothing else does.
Texts in `detail` and `errors` reach callers: they never carry SQL, driver texts or names of the implementation.

    HyperFleetError
    ├── InvalidInput        one or several fields are wrong            400 VAL-000 … VAL-004
    ├── BadDocument         the body is not one JSON document          400 VAL-006
    ├── BadSearch           the search text is wrong                   400 VAL-007
    ├── BadRequest          the request itself is wrong                VAL-005, status of its own
    ├── Unauthenticated     no token, or none that is right            401 AUT-…, WWW-Authenticate
    ├── Forbidden           the caller may not do this                 403 AUZ-001
    ├── NotFound            no such path or resource                   404 NTF-…
    ├── AlreadyExists       the name is taken                          409 CNF-001
    ├── StaleVersion        the version that the caller expects is gone 412 CNF-002
    ├── WrongState          the resource's state does not allow it     409 CNF-003
    ├── DatabaseFailure     the database answered with an error        500 INT-002
    ├── Unavailable         database away, starting or overloaded      503 SVC-001, Retry-After
    └── DeadlineExceeded    the request took too long                  504 SVC-002, Retry-After

What an operator wrote is refused at the start by a Mistakes, with everything that is wrong with it at once.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Final

from msgspec import UNSET, UnsetType


@dataclass(frozen=True, slots=True)
class Code:
    """A row of the error table: `name` without its prefix, the HTTP statuses it comes with, its title, what to do."""

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
"""What callers are asked to show a token for."""

MOST_FIELDS: Final = 100
"""Field errors that an answer lists at most."""


Given = str | int | float | bool | UnsetType | None
"""A scalar as a caller sent it, in its JSON type, where it is repeated to them. UNSET is none, since null is one."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with one field: `field` is a path such as `spec.nodes`.

    `code` is VAL-001 … VAL-004, or VAL-000 for a fault in a `spec` against its schema. `value` is what was sent.
    """

    code: str
    field: str
    message: str
    constraint: str | None = None
    value: Given = UNSET


@dataclass(frozen=True, slots=True)
class Conflict:
    """The resource whose name was asked for."""

    member: ClassVar[str] = "conflict"

    kind: str
    id: str
    href: str


Extension = Conflict
"""A member that a problem document has beyond those of every problem: `member` names it, its fields are the value."""


class HyperFleetError(Exception):
    """Any error of this project: a row of the table, a detail, perhaps headers, field errors and extensions."""

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
    """One or several fields are wrong; with one its own code is the problem's, with several it is VAL-000."""

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
    """The search text is wrong; the detail names the position or the field and what is allowed there."""

    code = "VAL-007"

    def __init__(self, detail: str, *, position: int | None = None) -> None:
        super().__init__(detail, errors=(FieldError("VAL-003", "search", detail),))
        self.position = position


class BadRequest(HyperFleetError):
    """The request itself is wrong: its method, media type, size, encoding, or path for this kind."""

    code = "VAL-005"


class Unauthenticated(HyperFleetError):
    """Who is calling is not known: no token (AUT-001), none that is right (AUT-002), an expired one (AUT-003).

    The detail goes into a header as well, as its `error_description` (RFC 6750, section 3): printable ASCII without
    quotation marks and backslashes, and nothing of what was sent.
    """

    code = "AUT-001"

    def __init__(self, detail: str, *, code: str = "AUT-001") -> None:
        challenge = f'Bearer realm="{REALM}"'
        if code != "AUT-001":
            challenge += f', error="invalid_token", error_description="{detail}"'
        super().__init__(detail, code=code, headers=(("WWW-Authenticate", challenge),))


class Forbidden(HyperFleetError):
    """No rule allows the caller to do this, or its request lacks what says whose tenant it is of."""

    code = "AUZ-001"


class NotFound(HyperFleetError):
    """No such path (NTF-000), or no such resource (the code of its kind)."""

    code = "NTF-001"


class AlreadyExists(HyperFleetError):
    """A live resource has that name already; `conflict` is that resource, where the caller may see it."""

    code = "CNF-001"

    def __init__(self, detail: str, *, conflict: Conflict | None = None) -> None:
        super().__init__(detail, extensions=() if conflict is None else (conflict,))


class StaleVersion(HyperFleetError):
    """The resource has another version, or generation, than the caller expects."""

    code = "CNF-002"


class WrongState(HyperFleetError):
    """The state of the resource, or of its owner, does not allow this."""

    code = "CNF-003"


class DatabaseFailure(HyperFleetError):
    """The database answered with an error that no retry cures; the driver's text is in the log only."""

    code = "INT-002"


class Unavailable(HyperFleetError):
    """The database is away, starting, read-only or has no connection free, or the load limit is reached."""

    code = "SVC-001"

    def __init__(self, detail: str, *, retry_after: int = 1) -> None:
        super().__init__(detail, headers=(("Retry-After", str(retry_after)),))


class DeadlineExceeded(HyperFleetError):
    """The request's deadline passed before its answer was there; a write may have been stored all the same."""

    code = "SVC-002"

    def __init__(self, detail: str, *, retry_after: int = 1) -> None:
        super().__init__(detail, headers=(("Retry-After", str(retry_after)),))


class Mistakes(ValueError):
    """What an operator wrote cannot be used; `mistakes` lists everything that is wrong, one sentence each."""

    def __init__(self, mistakes: Iterable[str]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(self.mistakes))
