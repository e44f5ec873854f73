"""The gauges of the whole fleet: the parent process reads them at most every 30 seconds, however often it is scraped.

A failed reading is counted and omits its gauges; the rest of the scrape still succeeds.
"""

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from time import monotonic
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from hyperfleet import settings
from hyperfleet.model.kind import Kind
from hyperfleet.store.upkeep import backlog
from hyperfleet.store.upkeep.backlog import Backlog, Waiting
from hyperfleet.telemetry import logging, metrics
from hyperfleet.telemetry.metrics import Instrument

SECONDS: Final = 30.0
TIMEOUT: Final = 5.0

PENDING: Final = "hyperfleet_api_resource_pending_reconciliation"
STUCK: Final = f"{PENDING}_stuck"
STUCK_SECONDS: Final = f"{PENDING}_stuck_duration_seconds"
RESOURCES: Final = "hyperfleet_api_resources"
SET_ASIDE: Final = "hyperfleet_api_resources_set_aside"
COLLECTOR_ERRORS: Final = "hyperfleet_api_collector_errors_total"
_WAITING_LABELS: Final = ("resource_type", "is_delete")

Sample = tuple[tuple[str, ...], float]
"""The values of a metric's own labels, and its value."""


class Seen(NamedTuple):
    """The backlog that was read, and the number of failed readings so far."""

    backlog: Backlog
    errors: int


class Reading(NamedTuple):
    """One row: a metric of the whole fleet, and the function that yields its samples; without samples it is absent."""

    instrument: Instrument
    samples: Callable[[Seen], Iterable[Sample]]


def _waiting(measure: Callable[[Waiting], float]) -> Callable[[Seen], Iterator[Sample]]:
    """A function that yields the nonzero samples of a measure of waiting resources."""

    def samples(seen: Seen) -> Iterator[Sample]:
        for waiting in seen.backlog.waiting:
            if measure(waiting):
                yield (waiting.kind, str(waiting.is_delete).lower()), measure(waiting)

    return samples


READINGS: Final = (
    Reading(
        Instrument(
            PENDING,
            "gauge",
            "Resources that are not reconciled, or are being deleted; absent when zero.",
            _WAITING_LABELS,
        ),
        _waiting(lambda waiting: waiting.pending),
    ),
    Reading(
        Instrument(
            STUCK,
            "gauge",
            "Pending resources that have waited longer than `metrics.reconciliation_stuck_threshold`.",
            _WAITING_LABELS,
        ),
        _waiting(lambda waiting: waiting.stuck),
    ),
    Reading(
        Instrument(
            SET_ASIDE,
            "gauge",
            "Resources that could not be recomputed after a change of rules and have not been written "
            "since; absent when zero.",
            ("resource_type",),
        ),
        lambda seen: (((kind,), count) for kind, count in seen.backlog.set_aside.items()),
    ),
    Reading(
        Instrument(STUCK_SECONDS, "gauge", "How long the oldest stuck resource has waited.", _WAITING_LABELS),
        _waiting(lambda waiting: waiting.longest),
    ),
    Reading(
        Instrument(
            RESOURCES, "gauge", "Resources by phase, including those being deleted.", ("resource_type", "phase")
        ),
        lambda seen: seen.backlog.phases.items(),
    ),
    Reading(
        Instrument(COLLECTOR_ERRORS, "counter", "Failed readings of these gauges from the database."),
        lambda seen: [((), seen.errors)],
    ),
)
"""The gauges that the parent process reads from the database, for the whole fleet."""

_NOTHING: Final = Backlog([], {}, {})

_log = logging.get("metrics")


class BacklogGauges(Collector):
    """Counts the resources of `kinds`: by phase, pending, and stuck, which means pending for over `threshold` seconds.

    Reads nothing until startup sets `database`.
    """

    def __init__(self, kinds: Sequence[Kind], *, threshold: float, readings: Sequence[Reading] = READINGS) -> None:
        self._readings = readings
        self.database: settings.Database | None = None
        self._kinds = kinds
        self._threshold = threshold
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._backlog = _NOTHING
        self._errors = 0

    def collect(self) -> Iterator[Metric]:
        """The gauges and the number of failed readings; reads the gauges again if the last reading is too old."""
        with self._lock:
            if self.database is not None and monotonic() - self._read_at > SECONDS:
                self._backlog = self._read(self.database)
                self._read_at = monotonic()
            seen = Seen(self._backlog, self._errors)
        for row, samples in self._readings:
            type = CounterMetricFamily if row.type == "counter" else GaugeMetricFamily
            family = type(row.name, row.help, labels=[*metrics.COMMON_LABELS, *row.labels])
            for own, value in samples(seen):
                family.add_metric([*metrics.COMMON_VALUES, *own], value)
            if family.samples:
                yield family

    def _read(self, database: settings.Database) -> Backlog:
        try:
            return asyncio.run(backlog.read(database, self._kinds, threshold=self._threshold, timeout=TIMEOUT))
        except Exception as failure:  # noqa: BLE001 - no failure of a reading may fail the scrape
            self._errors += 1
            _log.warning("the fleet's backlog cannot be read", driver=type(failure).__name__, text=str(failure))
            return _NOTHING

    def exposition(self) -> bytes:
        """The gauges in Prometheus's text format."""
        registry = CollectorRegistry()
        registry.register(self)
        return metrics.exposition(registry)
