"""One real PostgreSQL for the whole run, a migrated database for each worker, an empty one for each test.

The controller, or the only process, starts the server; it ends with that process, however that happens.
"""

import asyncio
import gc
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hyperfleet import settings
from hyperfleet.postgres import embedded, roles
from hyperfleet.store import migrations
from hyperfleet.store.database import Database, Statement
from testbed.sessions import execute, pool

TEMPLATE = "tests"
EMPTY = Statement("EMPTY", "TRUNCATE resources, adapter_statuses, resource_counts, resource_references")
_SERVER = pytest.StashKey[embedded.Server]()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Runs in the controller for each worker: tells it where the server is."""
    server = _started(node.config)
    node.workerinput["postgres"] = (str(server.data_dir), str(server.socket_dir), server.port, server.pid)


def pytest_collection_finish() -> None:
    """What was imported stays until the end: frozen, no collection of garbage walks through it."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stops the server where it was started."""
    server = config.stash.get(_SERVER, None)
    if server is not None and server.process is not None:
        embedded.stop(server)
        shutil.rmtree(server.data_dir.parent)


def _started(config: pytest.Config) -> embedded.Server:
    """The server of this run, with a migrated database to copy; started on the first call."""
    if _SERVER not in config.stash:
        worker = getattr(config, "workerinput", None)
        if worker is not None:
            data_dir, socket_dir, port, pid = worker["postgres"]
            config.stash[_SERVER] = embedded.Server(Path(data_dir), Path(socket_dir), port, pid)
        else:
            folder = Path(tempfile.mkdtemp(prefix="hyperfleet-tests-"))
            folder.chmod(0o755)
            config.stash[_SERVER] = server = embedded.start(folder / "data")
            # A test says which of two transactions loses a deadlock.
            superuser = replace(server.settings("postgres"), username=roles.SUPERUSER)
            asyncio.run(execute(superuser, f"GRANT SET ON PARAMETER deadlock_timeout TO {roles.USER}"))
            asyncio.run(execute(server.settings("postgres"), f"CREATE DATABASE {TEMPLATE}"))
            asyncio.run(migrations.upgrade(server.settings(TEMPLATE)))
    return config.stash[_SERVER]


@pytest.fixture(autouse=True)
def no_leak() -> Iterator[None]:
    """A connection that a test left open fails this test, and not whichever runs when the garbage is collected."""
    yield
    gc.collect(1)


@pytest.fixture(autouse=True, scope="module")
def no_older_leak() -> Iterator[None]:
    """What the collections within the module were too young for: a whole one takes 30 ms."""
    yield
    gc.collect()


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> embedded.Server:
    """The server of this run."""
    return _started(request.config)


@pytest.fixture(scope="session")
def database_settings(postgres: embedded.Server, worker_id: str) -> settings.Database:
    """How to connect to this worker's migrated database."""
    name = f"{TEMPLATE}_{worker_id}"
    asyncio.run(execute(postgres.settings("postgres"), f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}"))
    return postgres.settings(name)


@pytest.fixture
async def db(database_settings: settings.Database) -> AsyncIterator[Database]:
    """An open database without a row in it."""
    async with pool(replace(database_settings, pool=settings.Pool(max_connections=8))) as database:
        await database.fetch(EMPTY)
        yield database
