"""docs/limits.md: every limit that a caller can meet, with its reason; the figures are read from the code."""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from hyperfleet.cli import workers
from hyperfleet.http import bodies, documents, issuer_keys, key_sets, kind_schemas, labels, queries, tokens
from hyperfleet.model import expression, fields, mapping, report, search
from hyperfleet.model.kind import ADAPTERS_PER_RESOURCE, MOST_CONDITIONS
from hyperfleet.services import reporting
from hyperfleet.settings import IN_FLIGHT_PER_CONNECTION, rows

FIXED: Final = "fixed"


class Limit(NamedTuple):
    """A row: what is limited, by how much, the setting or `fixed`, why, and what the caller gets beyond it."""

    what: str
    limit: str
    setting: str
    why: str
    answer: str


def _default(path: str) -> str:
    """The default of a setting, as the settings page writes it."""
    (row,) = (row for row in rows() if row.path == path)
    return row.form.write(row.default)


def _set(what: str, path: str, why: str, answer: str, *, limit: str = "") -> Limit:
    """A limit that is a setting; `limit` replaces its default where that says too little."""
    return Limit(what, limit or _default(path), f"`{path}`", why, answer)


def _bytes(size: int) -> str:
    return f"{size >> 20:,} MiB" if size % (1 << 20) == 0 else f"{size >> 10:,} KiB"


LIMITS: Final[Mapping[str, tuple[Limit, ...]]] = {
    "Requests": (
        _set("a body", "server.max_body_size", "a body is held in memory", "413 VAL-005"),
        _set("the time until a body has arrived", "server.timeouts.read", "a slow sender holds a place", "400 VAL-005"),
        _set(
            "a request, from its first byte to its answer",
            "server.timeouts.write",
            "nobody waits for longer; the deadline reaches the database",
            "504 SVC-002",
        ),
        _set(
            "requests that a worker works on at once",
            "server.max_in_flight",
            "a queue would make all of them late",
            "503 SVC-001 with `Retry-After`",
            limit=f"{IN_FLIGHT_PER_CONNECTION} for each database connection",
        ),
        Limit(
            "connections of a worker",
            f"{workers.MOST_CONNECTIONS:,}",
            FIXED,
            "each takes memory and a file",
            "further ones wait to be accepted",
        ),
        Limit("nesting of a JSON body", f"{documents.DEEPEST}", FIXED, "parsers recurse", "400 VAL-006"),
        Limit(
            "a whole number in a body",
            f"{documents.DIGITS:,} digits",
            FIXED,
            "longer ones take time that grows with the square of their length",
            "400 VAL-006",
        ),
    ),
    "Resources": (
        Limit("labels of a resource", f"{labels.MOST}", FIXED, "they are indexed", "400 VAL-004"),
        Limit("a label's key", f"{labels.LONGEST_KEY} characters", FIXED, "as in Kubernetes", "400 VAL-004"),
        Limit(
            "targets of one reference type",
            f"{kind_schemas.MOST_TARGETS:,}",
            FIXED,
            "each is locked when the reference is written",
            "400 VAL-004",
        ),
    ),
    "Lists and searches": (
        Limit("`pageSize`", f"{queries.LARGEST_SIZE:,}", FIXED, "a page is built in memory", "400 VAL-004"),
        Limit("`id` parameters", f"{queries.MOST_IDS:,}", FIXED, "each is looked up", "400 VAL-004"),
        Limit("paths in `fields`", f"{fields.SELECTED}", FIXED, "each is a column of the statement", "400 VAL-004"),
        Limit("a search", f"{search.LONGEST:,} characters", FIXED, "a statement is made of it", "400 VAL-007"),
        Limit("nesting of a search", f"{search.NESTED}", FIXED, "the parser recurses", "400 VAL-007"),
        Limit("values in a list of a search", f"{search.LISTED:,}", FIXED, "each is compared", "400 VAL-007"),
    ),
    "Reports": (
        Limit(
            "`conditions`, together",
            f"{_bytes(bodies.MOST_CONDITION_BYTES)} as the service encodes them",
            FIXED,
            "every read of the resource and every later report carries them",
            "413 VAL-005",
        ),
        Limit(
            "`data` and `metadata`, together",
            f"{_bytes(bodies.MOST_REPORT_DATA)} as the service encodes them",
            FIXED,
            "each adapter's last report is stored with them",
            "413 VAL-005",
        ),
        Limit("conditions of a report", f"1 to {MOST_CONDITIONS}", FIXED, "as above", "400 VAL-004"),
        Limit(
            "adapters that report on one resource",
            f"{ADAPTERS_PER_RESOURCE}",
            FIXED,
            "each report reads the summaries of all",
            "409 CNF-003",
        ),
        Limit(
            "a message in `status.adapters` and in conditions that are made of reports",
            f"{report.LONGEST_SUMMARY:,} characters",
            FIXED,
            "lists stay small; `/statuses` has the whole message",
            "the message is cut",
        ),
        Limit(
            "`observed_time`",
            f"from {bodies.EARLIEST:%Y-%m-%d} to {bodies.FUTURE.seconds // 60} minutes ahead of the service",
            FIXED,
            "an older time is a value that was never set, and no clock is off by more",
            "400 VAL-004",
        ),
        Limit(
            "names of adapters that no kind requires, each logged once",
            f"{reporting.NAMES_REMEMBERED:,} remembered",
            FIXED,
            "callers choose the names",
            "a name may be logged again",
        ),
    ),
    "Rules": (
        Limit("an expression", f"{expression.LONGEST:,} characters", FIXED, "it is compiled", "the start is refused"),
        Limit(
            "a mapped condition's `reason`",
            f"{mapping.LONGEST_REASON} characters",
            FIXED,
            "lists carry it",
            "it is left out",
        ),
        Limit(
            "a mapped condition's `message`",
            f"{mapping.LONGEST_MESSAGE:,} characters",
            FIXED,
            "lists carry it",
            "it is cut",
        ),
    ),
    "Callers": (
        Limit("a token", _bytes(tokens.LONGEST), FIXED, "it is decoded before anything is known", "401 AUT-002"),
        Limit("an identity", f"{tokens.LONGEST_IDENTITY} characters", FIXED, "every write stores it", "401 AUT-002"),
        Limit(
            "tokens that a worker remembers",
            f"{tokens.REMEMBERED:,}",
            FIXED,
            "checking a signature again is slow, memory is finite",
            "the oldest is checked again",
        ),
        Limit("keys of an issuer", f"{key_sets.MOST_KEYS}", FIXED, "they are parsed", "its tokens: 401 AUT-002"),
        Limit(
            "requests that wait for an issuer's keys",
            f"{issuer_keys.MOST_WAITING}",
            FIXED,
            "an issuer that is away must not hold all places",
            "503 SVC-001",
        ),
    ),
    "Database": (
        _set(
            "connections of a worker",
            "database.pool.max_connections",
            "all workers share what the server allows",
            "requests wait, then 503 SVC-001",
        ),
        _set(
            "a statement outside a request",
            "database.pool.request_timeout",
            "nothing waits for ever",
            "it is tried again later",
        ),
    ),
}


def page() -> str:
    """The page."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield from (
        "# Limits",
        "",
        "No answer, wait or memory grows without a limit. This page lists each one, with its default, the setting that",
        "changes it, and what a caller gets who meets it. `make docs` writes it from the code.",
        "",
    )
    for area, found in LIMITS.items():
        yield from (f"## {area}", "", "| what | limit | setting | why | beyond it |", "|---|---|---|---|---|")
        for row in found:
            yield f"| {row.what} | {row.limit} | {row.setting} | {row.why} | {row.answer} |"
        yield ""
