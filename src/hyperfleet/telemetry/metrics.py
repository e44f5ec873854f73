"""The metrics, one row each, and the functions that update them.

All processes of a service share the directory named by PROMETHEUS_MULTIPROC_DIR; set it before this module is imported.
`exposition` sums the files in it. Children are cached by their labels: a look-up through the library costs three times
as much as the count itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from itertools import product
from typing import Any, Final, Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

REGISTRY: Final = CollectorRegistry()
OTHER: Final = "other"
ADAPTERS_TOLD_APART: Final = 100
_VERSION: Final = version("hyperfleet-api")
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_STATEMENT_SECONDS: Final = (0.0005, 0.001, 0.0025, *_SECONDS)


DatabaseError = Literal[
    "connection", "read_only", "disk_full", "timeout", "lock_timeout", "pool_exhausted", "rolled_back", "other"
]
SearchRefusal = Literal["deadline", "crowd"]


@dataclass(frozen=True, slots=True)
class Instrument:
    """A row: the metric's name, type, labels and meaning.

    `across` is how a gauge is combined over processes. `values` lists, for each label, all values that alerts and the
    dashboard watch. Their series start at zero: a counter that first appears with its first event would not be seen to
    increase. With None, a series appears with its first event.
    """

    name: str
    type: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    across: Literal["livesum", "mostrecent", "max"] = "livesum"
    values: tuple[tuple[str, ...], ...] | None = None


INSTRUMENTS: Final = (
    Instrument(
        "hyperfleet_api_build_info",
        "gauge",
        "Always 1; the labels identify the running build.",
        ("commit", "python_version"),
        across="max",
    ),
    Instrument("hyperfleet_api_requests_total", "counter", "Completed requests.", ("method", "path", "code")),
    Instrument(
        "hyperfleet_api_request_duration_seconds",
        "histogram",
        "Time from a request's headers until its response is ready to be sent.",
        ("method", "path", "code"),
        _SECONDS,
    ),
    Instrument(
        "hyperfleet_api_requests_in_flight", "gauge", "Requests in progress, including the sending of a large response."
    ),
    Instrument(
        "hyperfleet_api_unsent_bytes",
        "gauge",
        "Bytes of responses over 256 KiB not yet read by callers; `server.max_unsent_bytes` limits each worker.",
        values=(),
    ),
    Instrument(
        "hyperfleet_api_answers_abandoned_total",
        "counter",
        "Responses abandoned, and connections closed, because a caller read too slowly.",
        values=(),
    ),
    Instrument(
        "hyperfleet_api_reconciliation_started_total",
        "counter",
        "Creations, changes and deletions of desired state.",
        ("resource_type", "is_delete"),
    ),
    Instrument(
        "hyperfleet_api_reports_total", "counter", "Reports from adapters.", ("resource_type", "adapter", "result")
    ),
    Instrument(
        "hyperfleet_api_report_clock_skew_seconds",
        "gauge",
        "Age of an adapter's last report that was more than 30 minutes old on arrival.",
        ("adapter",),
        across="mostrecent",
    ),
    Instrument(
        "hyperfleet_db_query_duration_seconds",
        "histogram",
        "Duration of a statement.",
        ("statement",),
        _STATEMENT_SECONDS,
    ),
    Instrument(
        "hyperfleet_db_errors_total",
        "counter",
        "Statements and connections that failed.",
        ("error_type",),
        values=(get_args(DatabaseError),),
    ),
    Instrument("hyperfleet_db_connections_open", "gauge", "Connections to the database."),
    Instrument("hyperfleet_db_connections_in_use", "gauge", "Connections that run a statement or a transaction."),
    Instrument(
        "hyperfleet_db_pool_wait_seconds", "histogram", "Time spent waiting for a free connection.", (), _SECONDS
    ),
    Instrument(
        "hyperfleet_db_searches",
        "gauge",
        "Searches that are running, or waiting for others to finish.",
        ("state",),
        values=(("running", "waiting"),),
    ),
    Instrument(
        "hyperfleet_db_searches_refused_total",
        "counter",
        "Searches that timed out (`deadline`: 504) or found too many waiting (`crowd`: 503).",
        ("reason",),
        values=(get_args(SearchRefusal),),
    ),
    Instrument(
        "hyperfleet_db_writes_waiting", "gauge", "Writes waiting for another write of the same resource.", values=()
    ),
    Instrument(
        "hyperfleet_api_confined_total",
        "counter",
        "Evaluations of mapping rules (`conditions`) and validations of specs (`spec`) in a separate "
        "process: `done`, stopped by a limit (`time`, `memory`), `stopped` with their request, or "
        "timed out while they `waited`.",
        ("task", "result"),
        values=(("conditions", "spec"), ("done", "time", "memory", "stopped", "waited")),
    ),
    Instrument(
        "hyperfleet_api_workers_replaced_total", "counter", "Worker processes that died and were replaced.", values=()
    ),
)

COMMON_LABELS: Final = ("component", "version")
COMMON_VALUES: Final = ("api", _VERSION)


def _made(row: Instrument, registry: CollectorRegistry) -> Any:
    labels = (*COMMON_LABELS, *row.labels)
    if row.type == "counter":
        return Counter(row.name, row.help, labels, registry=registry)
    if row.type == "histogram":
        return Histogram(row.name, row.help, labels, registry=registry, buckets=row.buckets)
    return Gauge(row.name, row.help, labels, registry=registry, multiprocess_mode=row.across)


class Instruments:
    """The metrics of a table, in a registry."""

    def __init__(self, rows: Sequence[Instrument], registry: CollectorRegistry) -> None:
        self._rows = rows
        self._families = {row.name: _made(row, registry) for row in rows}
        self.child = cache(self._child)

    def _child(self, name: str, *labels: str) -> Any:
        return self._families[name].labels(*COMMON_VALUES, *labels)

    def start_at_zero(self) -> None:
        """Creates every series whose labels are known in advance."""
        for row in self._rows:
            for labels in product(*row.values) if row.values is not None else ():
                self.child(row.name, *labels)


_ALL: Final = Instruments(INSTRUMENTS, REGISTRY)
_child: Final = _ALL.child
start_at_zero: Final = _ALL.start_at_zero


def set_build_info(commit: str, python_version: str) -> None:
    """Sets the build information; `commit` is `unknown` for a build without one."""
    _child("hyperfleet_api_build_info", commit, python_version).set(1)


def request_started() -> None:
    """Counts a request in flight."""
    _child("hyperfleet_api_requests_in_flight").inc()


def request_finished() -> None:
    """Ends the count of a request in flight, answered or abandoned."""
    _child("hyperfleet_api_requests_in_flight").dec()


def add_unsent_bytes(amount: int) -> None:
    """Adds to the bytes of responses that callers have not read; negative when callers have read them."""
    _child("hyperfleet_api_unsent_bytes").inc(amount)


def count_abandoned_answer() -> None:
    """Counts a response that was abandoned because the caller read too slowly."""
    _child("hyperfleet_api_answers_abandoned_total").inc()


def observe_request(method: str, path: str, code: int, seconds: float) -> None:
    """Records a response; `path` is the route's template, `-` for an unknown one."""
    _child("hyperfleet_api_requests_total", method, path, str(code)).inc()
    _child("hyperfleet_api_request_duration_seconds", method, path, str(code)).observe(seconds)


def observe_statement(name: str, seconds: float) -> None:
    """Records the duration of a statement."""
    _child("hyperfleet_db_query_duration_seconds", name).observe(seconds)


def count_database_error(error_type: DatabaseError) -> None:
    """Counts a failed statement or connection."""
    _child("hyperfleet_db_errors_total", error_type).inc()


def set_connections(open: int, in_use: int) -> None:
    """Sets the number of this process's open and busy connections."""
    _child("hyperfleet_db_connections_open").set(open)
    _child("hyperfleet_db_connections_in_use").set(in_use)


def observe_pool_wait(seconds: float) -> None:
    """Records a wait for a free connection."""
    _child("hyperfleet_db_pool_wait_seconds").observe(seconds)


def set_searches(*, running: int, waiting: int) -> None:
    """Sets the number of this process's running and waiting searches."""
    _child("hyperfleet_db_searches", "running").set(running)
    _child("hyperfleet_db_searches", "waiting").set(waiting)


def count_search_refused(reason: SearchRefusal) -> None:
    """Counts a search that hit its deadline, or was rejected because too many wait."""
    _child("hyperfleet_db_searches_refused_total", reason).inc()


def add_writes_waiting(more: int) -> None:
    """Adds to the writes that wait for another write of the same resource; negative when fewer wait."""
    _child("hyperfleet_db_writes_waiting").inc(more)


_adapters: set[str] = set()


def _adapter(name: str, *, is_new: bool = True) -> str:
    """The adapter's label: its name for the first hundred, then a common one, because callers choose the names.

    With `is_new` false, an unknown name does not use up a place: names that appear only in refused reports must not.
    """
    if name not in _adapters:
        if not is_new or len(_adapters) >= ADAPTERS_TOLD_APART:
            return OTHER
        _adapters.add(name)
    return name


def count_report(resource_type: str, adapter: str, result: str) -> None:
    """Counts a report as stored, unchanged, outdated or invalid."""
    label = _adapter(adapter, is_new=result != "invalid")
    _child("hyperfleet_api_reports_total", resource_type, label, result).inc()


def observe_clock_skew(adapter: str, seconds: float) -> None:
    """Sets the age of a report that was more than 30 minutes old on arrival."""
    _child("hyperfleet_api_report_clock_skew_seconds", _adapter(adapter)).set(seconds)


def count_reconciliation_started(resource_type: str, *, is_delete: bool) -> None:
    """Counts a stored change of desired state; call it after the commit."""
    _child("hyperfleet_api_reconciliation_started_total", resource_type, str(is_delete).lower()).inc()


def count_confined(task: str, result: str) -> None:
    """Counts an evaluation or a check that ran outside the process that serves callers."""
    _child("hyperfleet_api_confined_total", task, result).inc()


def count_worker_replaced() -> None:
    """Counts a worker process that died."""
    _child("hyperfleet_api_workers_replaced_total").inc()


def exposition(registry: CollectorRegistry = REGISTRY) -> bytes:
    """The metrics in Prometheus's text format, summed over all processes if they share a directory."""
    return generate_latest(registry)
