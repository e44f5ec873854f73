"""The parent process of the service: it owns the ports, the probes, the signals and the embedded PostgreSQL.

The HTTP server runs in a child (workers.py). It stops accepting connections on SIGTERM, so this process sends SIGTERM
only after readiness has been withdrawn. Everything opened here is a context, so every exit path closes it.
"""

import contextlib
import os
import signal
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Final

from hyperfleet import settings
from hyperfleet.assembly import access_rules, application, databases, issuers, warnings
from hyperfleet.errors import HyperFleetError, Unavailable
from hyperfleet.http.description.entrance import ROOT
from hyperfleet.http.middleware import START_CHECK
from hyperfleet.model import rendering
from hyperfleet.model.catalog import Catalog
from hyperfleet.postgres import embedded
from hyperfleet.serving import addresses, banner, scratch, sizing
from hyperfleet.serving.deaths import Deaths
from hyperfleet.serving.probing import probe_listeners, probes
from hyperfleet.serving.probing.backlog_gauges import BacklogGauges
from hyperfleet.serving.processes import Child, reap_strangers
from hyperfleet.serving.workers import Assignment
from hyperfleet.store import migrations
from hyperfleet.telemetry import logging

PROGRAM: Final = "hyperfleet-api"
GRACE_SECONDS: Final = 1.0
"""How long requests are still accepted after readiness is withdrawn, until load balancers notice."""

START_SECONDS: Final = 60.0
"""How long the workers may take to serve the first response."""

SPARE_CONNECTIONS: Final = 20
"""Connections to the embedded PostgreSQL beyond the pools: probes, a shell, a migration, a backup."""

AGAIN_SECONDS: Final = 2.0
"""The delay between attempts to restart an embedded PostgreSQL that crashed."""

ECHO_SECONDS: Final = 1.0
"""A signal this soon after another is a duplicate, forwarded by a terminal's process group or by make."""

_RELEASES_MEMORY: Final = {"MALLOC_MMAP_THRESHOLD_": str(1 << 20), "MALLOC_TRIM_THRESHOLD_": str(16 << 20)}
"""Has the C library return the memory of a large response to the system as soon as it is freed. By default the library
raises the first threshold after one such response, and keeps the memory of all later ones in fragments. With only the
first one set it would also return, and ask for again, what each list of a few hundred resources takes."""

_TICK_SECONDS: Final = 0.1
_LEEWAY_SECONDS: Final = 3.0

_log = logging.get("supervisor")


class Interrupted(Exception):
    """A signal arrived during startup."""


class Signals:
    """Counts SIGTERM, SIGINT and SIGHUP; while `interrupts` is set, the first of them raises Interrupted.

    Startup may wait long for a database and loses nothing when it is interrupted; a running service drains instead.
    """

    def __init__(self) -> None:
        self.count = 0
        self.interrupts = True
        self._counted_at = float("-inf")

    def receive(self, number: int, _frame: FrameType | None) -> None:
        """Handles a signal."""
        now = time.monotonic()
        if now - self._counted_at < ECHO_SECONDS:
            return
        self._counted_at = now
        self.count += 1
        if self.interrupts:
            self.interrupts = False
            raise Interrupted(signal.Signals(number).name)


@contextmanager
def handled() -> Iterator[Signals]:
    """Installs our handlers for the signals that end a service, and restores the previous ones afterwards.

    A SIGHUP that is already ignored stays ignored, as `nohup` requires.
    """
    signals = Signals()
    numbers = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    previous = [signal.signal(number, signals.receive) for number in numbers]
    try:
        yield signals
    finally:
        for number, handler in zip(numbers, previous, strict=True):
            signal.signal(number, handler)


def run(configured: settings.Settings) -> int:
    """Serves until a signal; returns 0 after an orderly stop, 1 when the service stopped because of a failure.

    Raises HyperFleetError or BadSettings, with sentences for the operator, when the service could not start.
    """
    logging.configure(configured.logging, version=version(PROGRAM), hostname=configured.server.hostname)
    with handled() as signals:
        try:
            with ExitStack() as stack:
                service = _started(configured, stack)
                signals.interrupts = False
                return service.watch(signals)
        except Interrupted as interrupted:
            _log.info("stopped before it was ready", signal=str(interrupted))
            return 0
        finally:
            signals.interrupts = False


def _started(configured: settings.Settings, stack: ExitStack) -> "Service":
    """Starts the service and waits until it is ready; puts everything that it opens on the stack."""
    server, health, metrics = configured.server, configured.health, configured.metrics
    document = application.document(server)
    catalog = application.catalog(configured, document)
    trusted = issuers.trusted(server.jwt)
    access_rules.permissions(server, catalog)
    for warning in warnings.collected(configured, catalog, document):
        _log.warning(warning.message, **warning.fields)
    api = addresses.resolved(server, "server")
    stack.enter_context(addresses.held(api, "server"))
    directory = stack.enter_context(scratch.directory("hyperfleet-metrics-"))
    readiness = probes.Readiness(health.db_ping_timeout)
    health_at = addresses.resolved(health, "health")
    metrics_at = addresses.resolved(metrics, "metrics")
    stack.enter_context(probe_listeners.listening(health_at, "health", probes.health_pages(readiness), health.tls))
    gauges = BacklogGauges(catalog.kinds, threshold=metrics.reconciliation_stuck_threshold)
    pages = probes.metrics_pages(directory, gauges.exposition)
    stack.enter_context(probe_listeners.listening(metrics_at, "metrics", pages, metrics.tls))
    count = sizing.workers(server.workers)
    connections = count * configured.database.pool.max_connections + SPARE_CONNECTIONS
    postgres, database = stack.enter_context(_database(configured.database, connections, catalog))
    database = sizing.fitted(database, count)
    _warn_of_kinds(catalog, databases.totals(database))
    readiness.database = gauges.database = database
    assignment = Assignment(replace(configured, database=database), api, count, version(PROGRAM), document)
    again = stack.enter_context(ExitStack())
    service = Service(assignment, readiness, directory, postgres, connections, again)
    stack.callback(service.kill)
    service.start_workers()
    readiness.stage = None
    _log.info(
        "ready",
        api=api.url,
        health=health_at.url,
        metrics=metrics_at.url,
        workers=count,
        kinds=len(catalog.kinds),
        issuers=[issuer.url for issuer in trusted],
        database="embedded" if postgres else "configured",
    )
    used = f"embedded PostgreSQL in {databases.data_dir(database)}" if postgres else databases.described(database)
    banner.show(configured, version=version(PROGRAM), database=used)
    return service


def _warn_of_kinds(catalog: Catalog, stored: Mapping[str, int]) -> None:
    """Warns of stored resources whose kind is not configured: they are kept, and served again once it is."""
    for kind, total in stored.items():
        if kind not in catalog.by_name:
            _log.warning(
                "the database has resources of a kind that is not configured; they are not served",
                kind=kind,
                resources=total,
            )


@contextmanager
def _database(
    configured: settings.Database, connections: int, catalog: Catalog
) -> Iterator[tuple[embedded.Server | None, settings.Database]]:
    """The database with this version's schema: the embedded server if one is used, and the connection settings."""
    if configured.is_configured:
        _require_schema(databases.schema_now(configured), configured)
        yield None, configured
        return
    directory = databases.data_dir(configured)
    kinds = rendering.digest(catalog.kinds)
    with databases.running(directory, connections, kinds) as server:
        here = server.settings()
        connection = replace(configured, host=here.host, port=here.port, name=here.name, username=here.username)
        _log.info("embedded PostgreSQL", data=str(directory), pid=server.pid, joined=server.process is None)
        if server.process is None:
            _warn_of_company(server, kinds)
        if databases.migrate(connection, None).before == "newer":
            _require_schema("newer", connection)
        yield server, connection


def _warn_of_company(server: embedded.Server, kinds: str) -> None:
    """Warns of a shared database: services whose kinds have different rules recompute each other's statuses."""
    _log.warning(
        "joined another process's PostgreSQL; services that share a database must configure the same kinds",
        data=str(server.data_dir),
        pid=server.pid,
        kinds=kinds,
        its_kinds=server.kinds or "unknown: not started by a service",
        same=kinds == server.kinds,
    )


def _require_schema(state: migrations.State, configured: settings.Database) -> None:
    where = databases.described(configured)
    if state == "newer":
        raise Unavailable(
            f"The schema of {where} is newer than this version; run the version that created it, or a later one."
        )
    if state != "current":
        said = "has no schema yet" if state == "empty" else "has an older schema than this version requires"
        raise Unavailable(f"{where[0].upper()}{where[1:]} {said}; run {PROGRAM} migrate.")


class Service:
    """The running service: its workers, its readiness, and its database if that is the embedded one."""

    def __init__(
        self,
        assignment: Assignment,
        readiness: probes.Readiness,
        directory: Path,
        postgres: embedded.Server | None,
        connections: int,
        again: ExitStack,
    ) -> None:
        self._assignment = assignment
        self._readiness = readiness
        self._directory = directory
        self._postgres = postgres
        self._connections = connections
        self._again = again
        self._workers: Child | None = None
        self._deaths = readiness.deaths = Deaths(directory)

    def start_workers(self, signals: Signals | None = None) -> None:
        """Starts the HTTP server and waits until the API responds or a signal arrives; raises Unavailable."""
        environment = _RELEASES_MEMORY | os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(self._directory)}
        self._workers = Child("from hyperfleet.serving.workers import main; main()", self._assignment, environment)
        until = time.monotonic() + START_SECONDS
        while not _answers(self._assignment.address.url + ROOT):
            if signals is not None and signals.count:
                return
            if self._workers.poll() is not None:
                raise Unavailable("The HTTP server exited during startup; see the log above.")
            if time.monotonic() > until:
                raise Unavailable(f"The HTTP server did not respond within {START_SECONDS:.0f} s.")
            time.sleep(0.02)

    def watch(self, signals: Signals) -> int:
        """Waits for a signal or for the unexpected end of a part, then stops the service; returns the exit status."""
        assert self._workers is not None
        status = 0
        while signals.count == 0:
            if self._workers.poll() is not None:
                _log.error("the HTTP server exited unexpectedly", status=self._workers.poll())
                if not self._restarted(signals):
                    status = 1
                    break
            if self._postgres and self._postgres.has_ended() and not self._serves_again(self._postgres, signals):
                status = 1
                break
            self._rest()
        self._stop(signals)
        return status

    def _serves_again(self, ended: embedded.Server, signals: Signals) -> bool:
        """Restarts a PostgreSQL that crashed, and waits while its disk is full; False if the service must stop.

        A joined PostgreSQL ends with the service that started it, and one that exited with status 0 was stopped on
        purpose. Neither is restarted: the service stops, and its next start launches a PostgreSQL of its own.
        """
        status = ended.process.poll() if ended.process else 0
        _log.error("the embedded PostgreSQL exited unexpectedly", pid=ended.pid, joined=ended.process is None)
        if not status:
            return False
        self._readiness.stage = "restarting its database"
        until = time.monotonic() + START_SECONDS
        told = float("-inf")
        while signals.count == 0:
            try:
                self._postgres = self._again.enter_context(
                    databases.running(ended.data_dir, self._connections, ended.kinds)
                )
            except Unavailable as failure:
                is_full = embedded.is_full(ended.data_dir)
                if time.monotonic() > told + embedded.PATIENCE_SECONDS:
                    told = time.monotonic()
                    _log.error("the embedded PostgreSQL did not restart", full=is_full, reason=failure.detail)
                if not is_full and time.monotonic() > until:
                    return False
                self._waited(signals, AGAIN_SECONDS, lambda: False)
            else:
                _log.info("the embedded PostgreSQL has restarted", pid=self._postgres.pid)
                self._readiness.stage = None
                return True
        return True

    def _restarted(self, signals: Signals) -> bool:
        """Restarts the HTTP server, which exits with all its workers when one worker dies twice in a row."""
        self._readiness.stage = "restarting"
        self.kill()
        self._deaths.add()
        self._waited(signals, self._deaths.pause(), lambda: signals.count > 0)
        try:
            self.start_workers(signals)
        except HyperFleetError as failure:
            _log.error("the HTTP server did not restart", reason=failure.detail)
            return False
        self._readiness.stage = None
        return True

    def _stop(self, signals: Signals) -> None:
        """Drains requests in flight within the shutdown timeout; a second signal ends them at once."""
        assert self._workers is not None
        self._readiness.stage = "stopping"
        _log.info("stopping")
        if self._workers.poll() is None and self._waited(signals, GRACE_SECONDS, lambda: False):
            self._workers.terminate()
            limit = self._assignment.settings.health.shutdown_timeout + _LEEWAY_SECONDS
            self._waited(signals, limit, lambda: self._workers is None or self._workers.poll() is not None)
        self.kill()
        _log.info("stopped", at_once=signals.count > 1)

    def _waited(self, signals: Signals, seconds: float, is_over: Callable[[], bool]) -> bool:
        """Waits for this long or until `is_over`; False when a second signal came first."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and not is_over():
            if signals.count > 1:
                return False
            self._rest()
        return True

    def _rest(self) -> None:
        known = {self._workers.pid} if self._workers else set()
        if self._postgres and self._postgres.process:
            known.add(self._postgres.pid)
        reap_strangers(known)
        time.sleep(_TICK_SECONDS)

    def kill(self) -> None:
        """Kills the HTTP server and its workers, if they still run."""
        if self._workers is not None:
            self._workers.kill()


# The environment's proxy is for external hosts, not for a request to ourselves. The certificate is not verified: it
# need not cover the local address.
_directly: Final = urllib.request.build_opener(
    urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=ssl._create_unverified_context())
)


def _answers(url: str) -> bool:
    request = urllib.request.Request(url, headers={"User-Agent": START_CHECK.decode()})
    with contextlib.suppress(OSError), _directly.open(request, timeout=2):
        return True
    return False
