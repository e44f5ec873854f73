"""Serving from an external database: waited for, never changed, refused with what to do."""

import asyncio
import contextlib
import json
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from hyperfleet.postgres import embedded
from hyperfleet.store import migrations
from testbed import processes, serving, sessions
from testbed.calls import CLUSTERS, create, fetched, names
from testbed.ports import free_ports
from testbed.serving import Service
from testbed.waiting import eventually


class External:
    """An empty database on the tests' server, and a service configured to use it."""

    def __init__(self, server: embedded.Server, place: Path) -> None:
        self.server = server
        self.name = f"external_{uuid.uuid4().hex}"
        self.place = place
        self.execute(f"CREATE DATABASE {self.name}", on="postgres")

    def execute(self, statement: str, *, on: str = "") -> None:
        asyncio.run(sessions.execute(self.server.settings(on or self.name), statement))

    def migrate(self) -> None:
        asyncio.run(migrations.upgrade(self.server.settings(self.name)))

    def service(self, **settings: str) -> Service:
        return Service(self.place, variables=serving.on(self.server.settings(self.name)) | settings)


@pytest.fixture
def place() -> Iterator[Path]:
    with serving.folder() as path:
        yield path


@pytest.fixture
def external(postgres: embedded.Server, place: Path) -> Iterator[External]:
    database = External(postgres, place)
    yield database
    asyncio.run(sessions.drop(postgres, database.name))


def test_a_database_without_a_schema_is_refused_unchanged_with_the_command_to_run(external: External) -> None:
    service = external.service().start()
    assert service.wait() == 1
    assert "has no schema yet; run hyperfleet-api migrate." in service.text()
    assert asyncio.run(migrations.state(external.server.settings(external.name))) == "empty"


def test_a_database_of_a_later_version_is_refused(external: External) -> None:
    external.migrate()
    external.execute("UPDATE alembic_version SET version_num = '9999'")
    service = external.service().start()
    assert service.wait() == 1
    assert "is newer than this version; run the version that created it" in service.text()


def test_a_migrated_database_is_served_and_nothing_else_is_started(external: External) -> None:
    external.migrate()
    service = external.service().start()
    try:
        service.ready()
        assert create(service.api, "outside") == 201
        assert names(service.api) == {"outside"}
        assert not service.data.exists()
        eventually(lambda: bool(service.lines("ready")), "a line")
        assert service.lines("ready")[0]["database"] == "configured"
        service.signal()
        assert service.wait() == 0
    finally:
        service.stop()


def test_a_lost_database_makes_the_service_unready_and_a_worker_that_dies_then_is_replaced(
    external: External,
) -> None:
    external.migrate()
    service = external.service().start()
    try:
        service.ready()
        external.execute(f"ALTER DATABASE {external.name} ALLOW_CONNECTIONS false", on="postgres")
        external.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{external.name}'", on="postgres"
        )
        eventually(lambda: service.status(service.health, "/readyz") == 503, "unready")
        assert json.loads(fetched(service.health, "/readyz")[1])["reasons"] == ["The database is not available."]
        assert service.status(service.health, "/healthz") == 200
        assert service.status(service.api, CLUSTERS) == 503
        first = service.worker_pids()
        processes.kill(first[0])
        eventually(lambda: len(set(service.worker_pids()) - {first[0]}) == 2, "replaced")
        external.execute(f"ALTER DATABASE {external.name} ALLOW_CONNECTIONS true", on="postgres")
        eventually(lambda: service.status(service.health, "/readyz") == 200, "ready again")
        # The other worker may have been starting when this one was killed.
        eventually(lambda: service.status(service.api, CLUSTERS) == 200, "served again")
        assert [service.status(service.api, CLUSTERS) for _ in range(10)] == [200] * 10, service.text()
        assert not service.lines("the HTTP server exited unexpectedly"), service.text()
    finally:
        service.stop()


def away(place: Path, attempts: int) -> Service:
    """A service whose database is not running."""
    return Service(
        place,
        HYPERFLEET_DATABASE_HOST="127.0.0.1",
        HYPERFLEET_DATABASE_PORT=str(free_ports(1)[0]),
        HYPERFLEET_DATABASE_POOL_CONN_RETRY_ATTEMPTS=str(attempts),
        HYPERFLEET_DATABASE_POOL_CONN_RETRY_INTERVAL="100ms",
    )


def test_a_missing_database_is_tried_as_often_as_the_setting_says(place: Path) -> None:
    service = away(place, 3).start()
    assert service.wait() == 1
    assert len(service.lines("the database is not reachable yet")) == 2
    assert "Could not use the database hyperfleet at 127.0.0.1" in service.text()
    assert "Traceback" not in service.text()


def test_a_service_that_waits_for_its_database_is_alive_not_ready_and_can_be_stopped(place: Path) -> None:
    service = away(place, 10000).start()
    try:
        eventually(lambda: service.status(service.health, "/healthz") == 200, "alive")
        assert json.loads(fetched(service.health, "/readyz")[1])["reasons"] == ["The service is starting."]
        service.signal(signal.SIGTERM)
        assert service.wait(10) == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            service.stop()
