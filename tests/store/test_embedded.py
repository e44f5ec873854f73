"""The embedded PostgreSQL: whatever was killed, the next start serves, and nothing acknowledged is lost."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hyperfleet.errors import Unavailable
from hyperfleet.store import embedded
from hyperfleet.store.connections import connect
from tests.cli import serving


@pytest.fixture
def data() -> Iterator[Path]:
    with serving.folder() as folder:
        yield folder / "data dir"


async def value(server: embedded.Server, *statements: str) -> object:
    connection = await connect(server.settings(), application_name="tests")
    for statement in statements[:-1]:
        await connection.execute(statement)
    found = await connection.fetchval(statements[-1])
    await connection.close()
    return found


def test_what_was_committed_is_there_after_a_hard_kill(data: Path) -> None:
    server = embedded.start(data)
    asyncio.run(value(server, "CREATE TABLE kept AS SELECT 7 AS number", "SELECT 1"))
    os.kill(server.pid, signal.SIGKILL)
    assert server.process is not None
    server.process.wait()
    server = embedded.start(data)
    try:
        assert asyncio.run(value(server, "SELECT number FROM kept")) == 7
    finally:
        embedded.stop(server)
    assert embedded.status(data) is None


def test_it_is_durable_and_sorts_by_bytes(data: Path) -> None:
    server = embedded.start(data)
    try:
        for setting in ("fsync", "synchronous_commit", "full_page_writes", "data_checksums"):
            assert asyncio.run(value(server, f"SHOW {setting}")) == "on"
        assert asyncio.run(value(server, "SELECT 'B' < 'a'")) is True
        assert asyncio.run(value(server, "SHOW listen_addresses")) == ""
    finally:
        embedded.stop(server)


def test_a_second_start_on_one_directory_names_the_first(data: Path) -> None:
    server = embedded.start(data)
    try:
        with pytest.raises(embedded.AlreadyRunning) as running:
            embedded.start(data)
        assert running.value.server.pid == server.pid
        found = embedded.status(data)
        assert found is not None
        assert found.pid == server.pid
    finally:
        embedded.stop(server)


@pytest.mark.parametrize("moment", [0.02, 0.1, 0.2, 0.3])
def test_a_set_up_that_was_killed_with_all_its_processes_is_begun_again(data: Path, moment: float) -> None:
    code = f"from pathlib import Path; from hyperfleet.store import embedded; embedded.start(Path({str(data)!r}))"
    starter = subprocess.Popen([sys.executable, "-c", code], start_new_session=True, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 20
    while not (data / ".new").exists() and starter.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.005)
    time.sleep(moment)
    os.killpg(starter.pid, signal.SIGKILL)
    starter.wait()
    server = embedded.start(data)
    try:
        assert asyncio.run(value(server, "SELECT 1")) == 1
        assert not (data / ".new").exists()
    finally:
        embedded.stop(server)


def test_a_set_up_that_was_complete_but_not_yet_in_its_place_is_gone_on_with(data: Path) -> None:
    embedded.stop(embedded.start(data))
    new = data / ".new"
    new.mkdir()
    for entry in list(data.iterdir()):
        if entry.name in ("PG_VERSION", "base", "pg_wal"):
            entry.rename(new / entry.name)
    (new / "complete").touch()
    server = embedded.start(data)
    try:
        assert asyncio.run(value(server, "SELECT 1")) == 1
    finally:
        embedded.stop(server)


def test_a_directory_with_something_else_in_it_is_left_alone(data: Path) -> None:
    data.mkdir()
    (data / "letter.txt").write_text("dear")
    with pytest.raises(Unavailable, match="holds something else"):
        embedded.start(data)
    assert (data / "letter.txt").read_text() == "dear"


def test_a_server_that_does_not_come_up_is_not_left_behind(data: Path) -> None:
    embedded.stop(embedded.start(data))
    (data / "postgresql.conf").write_text("no setting of any kind\n")
    with pytest.raises(Unavailable, match="ended at once"):
        embedded.start(data)
    assert embedded.status(data) is None


def test_a_long_path_gets_a_short_directory_for_its_socket(data: Path) -> None:
    server = embedded.start(data / ("long" * 20))
    try:
        assert len(str(server.socket_dir)) < 90
        assert asyncio.run(value(server, "SELECT 1")) == 1
    finally:
        embedded.stop(server)


def test_it_ends_with_the_process_that_started_it(data: Path) -> None:
    code = (
        "import time; from pathlib import Path; from hyperfleet.store import embedded;"
        f"embedded.start(Path({str(data)!r})); print('ready', flush=True); time.sleep(60)"
    )
    starter = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert starter.stdout is not None
    assert starter.stdout.readline() == b"ready\n"
    server = embedded.status(data)
    assert server is not None
    starter.kill()
    starter.communicate()
    serving.eventually(lambda: embedded.status(data) is None, "the server ends")
