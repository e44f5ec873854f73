"""The gauges over the whole fleet, read by the parent process at most every half minute, however many scrapes come.

A reading that fails is counted and leaves its gauges out; the rest of the scrape goes on.
"""

import asyncio
import threading
from collections.abc import Iterable, Iterator, Sequence
from time import monotonic
from typing import Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from hyperfleet import settings
from hyperfleet.model.kind import Kind
from hyperfleet.store.upkeep import backlog
from hyperfleet.store.upkeep.backlog import Backlog
from hyperfleet.telemetry import logging, metrics

SECONDS: Final = 30.0
TIMEOUT: Final = 5.0

_NOTHING: Final = Backlog([], {}, {})

_log = logging.get("metrics")


class BacklogGauges(Collector):
    """Resources of `kinds` by phase, pending and stuck ones; a resource is stuck after `threshold` seconds.

    Nothing is read before `database` is set, which the start does once it has one.
    """

    def __init__(self, kinds: Sequence[Kind], *, threshold: float) -> None:
        self.database: settings.Database | None = None
        self._kinds = kinds
        self._threshold = threshold
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._backlog = _NOTHING
        self._errors = 0

    def collect(self) -> Iterator[Metric]:
        """The gauges of the last reading, or of a new one when that is too old, and how many readings failed."""
        with self._lock:
            if self.database is not None and monotonic() - self._read_at > SECONDS:
                self._backlog = self._read(self.database)
                self._read_at = monotonic()
            seen, errors = self._backlog, self._errors
        for row in metrics.BACKLOG:
            labels = [*metrics.COMMON_LABELS, *row.labels]
            if row.name == metrics.COLLECTOR_ERRORS:
                yield _with(CounterMetricFamily(row.name, row.help, labels=labels), [((), errors)])
                continue
            family = _with(GaugeMetricFamily(row.name, row.help, labels=labels), _values(row.name, seen))
            if family.samples:
                yield family

    def _read(self, database: settings.Database) -> Backlog:
        try:
            return asyncio.run(backlog.read(database, self._kinds, threshold=self._threshold, timeout=TIMEOUT))
        except Exception as failure:  # noqa: BLE001 - whatever it is, the scrape goes on
            self._errors += 1
            _log.warning("the fleet's backlog cannot be read", driver=type(failure).__name__, text=str(failure))
            return _NOTHING

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


def _values(name: str, read: Backlog) -> Iterator[tuple[tuple[str, ...], float]]:
    """The samples of a gauge by their own labels; what waits is absent at zero."""
    if name == metrics.RESOURCES:
        yield from read.phases.items()
        return
    if name == metrics.SET_ASIDE:
        yield from (((kind,), count) for kind, count in read.set_aside.items())
        return
    for row in read.waiting:
        value = {metrics.PENDING: row.pending, metrics.STUCK: row.stuck, metrics.STUCK_SECONDS: row.longest}[name]
        if value:
            yield (row.kind, str(row.is_delete).lower()), value
