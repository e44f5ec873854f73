"""Pools that fit the smallest of the database's limits, and workers that fit the container's memory."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from hyperfleet import settings
from hyperfleet.assembly import databases
from hyperfleet.postgres import embedded, roles
from hyperfleet.serving import sizing
from testbed.sessions import execute
from tests.cli.test_external_database import External, external, place

__all__ = ["external", "place"]


def as_superuser(server: embedded.Server, statement: str) -> None:
    asyncio.run(execute(replace(server.settings("postgres"), username=roles.SUPERUSER), statement))


@pytest.fixture
def granted(external: External, postgres: embedded.Server) -> settings.Database:
    """A database with a limit of 20 connections."""
    external.execute(f"ALTER DATABASE {external.name} CONNECTION LIMIT 20")
    return postgres.settings(external.name)


@pytest.mark.parametrize(
    ("configured", "workers", "expected"), [(16, 1, 16), (17, 1, 16), (8, 2, 8), (9, 2, 8), (16, 4, 4), (16, 64, 1)]
)
def test_pools_are_no_larger_than_the_database_allows(
    granted: settings.Database, configured: int, workers: int, expected: int
) -> None:
    asked = replace(granted, pool=settings.Pool(max_connections=configured))
    assert sizing.fitted(asked, workers).pool.max_connections == expected


def test_the_smallest_limit_applies(external: External, postgres: embedded.Server) -> None:
    here = postgres.settings(external.name)
    server = databases.connections(here)
    assert server < embedded.CONNECTIONS + 1
    as_superuser(postgres, f"CREATE ROLE {external.name} LOGIN CONNECTION LIMIT 7")
    try:
        assert databases.connections(replace(here, username=external.name)) == 7
        external.execute(f"ALTER DATABASE {external.name} CONNECTION LIMIT 6")
        assert databases.connections(replace(here, username=external.name)) == 6
        assert databases.connections(here) == 6
    finally:
        as_superuser(postgres, f"DROP ROLE {external.name}")


def test_a_service_whose_pools_exceed_the_database_starts_with_smaller_ones_and_a_warning(external: External) -> None:
    external.migrate()
    external.execute(f"ALTER DATABASE {external.name} CONNECTION LIMIT 12")
    service = external.service(HYPERFLEET_DATABASE_POOL_MAX_CONNECTIONS="16").start()
    try:
        service.ready()
        [line] = service.lines("the database grants too few connections; pools are smaller than configured")
        assert (line["granted"], line["workers"], line["configured"], line["connections_per_worker"]) == (12, 2, 16, 4)
    finally:
        service.stop()


@pytest.mark.parametrize(("workers", "level"), [(2, "info"), (3, "warning")])
def test_more_workers_than_the_memory_limit_allows_cause_a_warning(tmp_path: Path, workers: int, level: str) -> None:
    (tmp_path / "memory.max").write_text(str(1000 << 20))
    with capture_logs() as lines:
        assert sizing.workers(workers, tmp_path) == workers
    [line] = lines
    assert (line["log_level"], line["workers"], line["memory_limit"]) == (level, workers, 1000 << 20)
