"""The gauges over the whole fleet, read by the parent process at most every half minute, however many scrapes come.

A reading that fails is counted and leaves its gauges out; the rest of the scrape goes on.
"""

import asyncio
import threading
from collections.abc import Iterable, Iterator
from time import monotonic
from typing import Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from hyperfleet import settings
from hyperfleet.store import backlog
from hyperfleet.store.backlog import Waiting
from hyperfleet.telemetry import logging, metrics

SECONDS: Final = 30.0
TIMEOUT: Final = 5.0

_log = logging.get("metrics")


class BacklogGauges(Collector):
    """Pending and stuck resources of `kinds`; a resource is stuck after `threshold` seconds.

    Nothing is read before `database` is set, which the start does once it has one.
    """

    def __init__(self, kinds: list[str], *, threshold: float) -> None:
        self.database: settings.Database | None = None
        self._kinds = kinds
        self._threshold = threshold
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._rows: list[Waiting] = []
        self._errors = 0

    def collect(self) -> Iterator[Metric]:
        """The gauges of the last reading, or of a new one when that is too old, and how many readings failed."""
        with self._lock:
            if self.database is not None and monotonic() - self._read_at > SECONDS:
                self._rows = self._read(self.database)
                self._read_at = monotonic()
            rows, errors = self._rows, self._errors
        for row in metrics.BACKLOG:
            labels = [*metrics.COMMON_LABELS, *row.labels]
            if row.name == metrics.COLLECTOR_ERRORS:
                yield _with(CounterMetricFamily(row.name, row.help, labels=labels), [((), errors)])
                continue
            values = [((each.kind, str(each.is_delete).lower()), _value(row.name, each)) for each in rows]
            family = _with(GaugeMetricFamily(row.name, row.help, labels=labels), [v for v in values if v[1]])
            if family.samples:
                yield family

    def _read(self, database: settings.Database) -> list[Waiting]:
        try:
            return asyncio.run(backlog.waiting(database, self._kinds, threshold=self._threshold, timeout=TIMEOUT))
        except Exception as failure:  # noqa: BLE001 - whatever it is, the scrape goes on
            self._errors += 1
            _log.warning("the fleet's backlog cannot be read", driver=type(failure).__name__, text=str(failure))
            return []

    def exposition(self) -> bytes:
        """The gauges as Prometheus reads them."""
        registry = CollectorRegistry()
        registry.register(self)
        return metrics.exposition(registry)


def _with(family: Any, values: Iterable[tuple[tuple[str, ...], float]]) -> Any:
    """The family, of whatever type, with these values by the labels of their own."""
    for own, value in values:
        family.add_metric([*metrics.COMMON_VALUES, *own], value)
    return family


def _value(name: str, row: Waiting) -> float:
    return {metrics.PENDING: row.pending, metrics.STUCK: row.stuck, metrics.STUCK_SECONDS: row.longest}[name]
