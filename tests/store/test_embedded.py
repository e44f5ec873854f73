"""The embedded PostgreSQL: after any kill, the next start serves requests, and no acknowledged write is lost."""

import asyncio
import contextlib
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hyperfleet.errors import Unavailable
from hyperfleet.postgres import embedded
from testbed import ports, serving, waiting
from testbed.sessions import execute, value


@pytest.fixture
def data() -> Iterator[Path]:
    with serving.folder() as folder:
        yield folder / "data dir"


def test_committed_data_survives_a_hard_kill(data: Path) -> None:
    server = embedded.start(data)
    asyncio.run(execute(server.settings(), "CREATE TABLE kept AS SELECT 7 AS number"))
    os.kill(server.pid, signal.SIGKILL)
    assert server.process is not None
    server.process.wait()
    server = embedded.start(data)
    try:
        assert asyncio.run(value(server.settings(), "SELECT number FROM kept")) == 7
    finally:
        embedded.stop(server)
    assert embedded.status(data) is None


def test_it_is_durable_and_sorts_by_bytes(data: Path) -> None:
    server = embedded.start(data)
    try:
        for setting in ("fsync", "synchronous_commit", "full_page_writes", "data_checksums"):
            assert asyncio.run(value(server.settings(), f"SHOW {setting}")) == "on"
        assert asyncio.run(value(server.settings(), "SELECT 'B' < 'a'")) is True
        assert asyncio.run(value(server.settings(), "SHOW listen_addresses")) == ""
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
def test_a_setup_killed_with_all_its_processes_starts_over(data: Path, moment: float) -> None:
    code = f"from pathlib import Path; from hyperfleet.postgres import embedded; embedded.start(Path({str(data)!r}))"
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
        assert asyncio.run(value(server.settings(), "SELECT 1")) == 1
        assert not (data / ".new").exists()
    finally:
        embedded.stop(server)


def test_a_setup_that_was_complete_but_not_yet_in_place_continues(data: Path) -> None:
    embedded.stop(embedded.start(data))
    new = data / ".new"
    new.mkdir()
    os.chown(new, data.stat().st_uid, data.stat().st_gid)
    for entry in list(data.iterdir()):
        if entry.name in ("PG_VERSION", "base", "pg_wal"):
            entry.rename(new / entry.name)
    (new / "complete").touch()
    server = embedded.start(data)
    try:
        assert asyncio.run(value(server.settings(), "SELECT 1")) == 1
    finally:
        embedded.stop(server)


def test_a_directory_with_other_content_is_left_alone(data: Path) -> None:
    data.mkdir(mode=0o755)
    (data / "letter.txt").write_text("dear")
    with pytest.raises(Unavailable, match="contains other files"):
        embedded.start(data)
    assert (data / "letter.txt").read_text() == "dear"
    assert (data.stat().st_mode & 0o777, data.stat().st_uid) == (0o755, os.geteuid())


def test_one_of_several_concurrent_first_starts_creates_the_database_and_the_others_find_it(data: Path) -> None:
    code = (
        "from pathlib import Path; from hyperfleet.postgres import embedded\n"
        f"try: print('started', embedded.start(Path({str(data)!r}), background=True).pid)\n"
        "except embedded.AlreadyRunning as other: print('found', other.server.pid)"
    )
    starters = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    said = [starter.communicate()[0].split() for starter in starters]
    server = embedded.status(data)
    assert server is not None
    embedded.stop(server)
    assert sorted(word for word, _ in said) == ["found", "found", "found", "started"]
    assert {int(pid) for _, pid in said} == {server.pid}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs it as another account")
def test_data_stays_with_its_account_when_the_machine_gets_another(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = pwd.getpwnam("nobody")
    with monkeypatch.context() as patched:
        patched.setattr(pwd, "getpwnam", lambda _: nobody)
        embedded.stop(embedded.start(data))
    other = next(entry for entry in pwd.getpwall() if entry.pw_uid not in (0, nobody.pw_uid))
    monkeypatch.setattr(pwd, "getpwnam", lambda _: other)
    server = embedded.start(data)
    try:
        assert asyncio.run(value(server.settings(), "SELECT 1")) == 1
    finally:
        embedded.stop(server)


def test_it_starts_with_any_umask(data: Path) -> None:
    previous = os.umask(0o077)
    try:
        server = embedded.start(data / "below" / "another")
    finally:
        os.umask(previous)
    try:
        assert asyncio.run(value(server.settings(), "SELECT 1")) == 1
    finally:
        embedded.stop(server)


def test_concurrent_starts_wait_for_a_slow_start(data: Path) -> None:
    embedded.stop(embedded.start(data))
    (data / "recovery.signal").touch()
    with (data / "postgresql.conf").open("a") as file:
        file.write("restore_command = 'sleep 1; false'\nhot_standby = off\n")
    with ThreadPoolExecutor(1) as hand:
        begun = time.monotonic()
        first = hand.submit(embedded.start, data, background=True)
        waiting.eventually((data / "postmaster.pid").exists, "it begins")
        assert embedded.status(data) is None
        with pytest.raises(embedded.AlreadyRunning) as running:
            embedded.start(data)
        assert time.monotonic() - begun > 1
        server = first.result()
    assert running.value.server.pid == server.pid
    embedded.stop(server)


def test_the_pid_of_another_directorys_server_is_not_taken_for_this_ones(data: Path) -> None:
    data.mkdir()
    server = embedded.start(data / "one")
    try:
        embedded.stop(embedded.start(data / "two"))
        (data / "two" / "postmaster.pid").write_text((data / "one" / "postmaster.pid").read_text())
        assert embedded.status(data / "two") is None
        assert not server.has_ended()
    finally:
        embedded.stop(server)
    assert server.has_ended()


def test_it_accepts_as_many_connections_as_the_pools_need(data: Path) -> None:
    server = embedded.start(data, connections=340)
    try:
        assert asyncio.run(value(server.settings(), "SHOW max_connections")) == "340"
    finally:
        embedded.stop(server)


def test_a_server_that_fails_to_start_is_not_left_behind(data: Path) -> None:
    embedded.stop(embedded.start(data))
    (data / "postgresql.conf").write_text("no setting of any kind\n")
    with pytest.raises(Unavailable, match="exited immediately"):
        embedded.start(data)
    assert embedded.status(data) is None


def test_a_long_path_gets_a_short_directory_for_its_socket(data: Path) -> None:
    server = embedded.start(data / ("long" * 20))
    try:
        assert len(str(server.socket_dir)) < 90
        assert asyncio.run(value(server.settings(), "SELECT 1")) == 1
    finally:
        embedded.stop(server)


def test_it_stops_with_the_process_that_started_it(data: Path) -> None:
    code = (
        "import time; from pathlib import Path; from hyperfleet.postgres import embedded;"
        f"embedded.start(Path({str(data)!r})); print('ready', flush=True); time.sleep(60)"
    )
    starter = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert starter.stdout is not None
    assert starter.stdout.readline() == b"ready\n"
    server = embedded.status(data)
    assert server is not None
    starter.kill()
    starter.communicate()
    waiting.eventually(lambda: embedded.status(data) is None, "the server ends")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root works in a directory of another account")
@pytest.mark.parametrize("name", ["server.log", "server.log.1", "pg_hba.conf", "pgpass", "kinds", "postmaster.pid"])
@pytest.mark.parametrize("hard", [False, True])
def test_root_follows_no_links_out_of_another_accounts_directory(data: Path, name: str, hard: bool) -> None:
    embedded.stop(embedded.start(data))
    victim = data.parent / "victim"
    victim.write_text("1\nmine\n")
    victim.chmod(0o600)
    before = victim.stat()
    (data / name).unlink(missing_ok=True)
    if hard:
        os.link(victim, data / name)
    else:
        (data / name).symlink_to(victim)
    [port] = ports.free_ports(1)
    # PostgreSQL, which runs as the account, does not start when it cannot read its own file.
    with contextlib.suppress(Unavailable):
        embedded.stop(embedded.start(data, port=port))
    after = victim.stat()
    assert victim.read_text() == "1\nmine\n"
    assert (after.st_mode, after.st_uid, after.st_mtime_ns) == (before.st_mode, before.st_uid, before.st_mtime_ns)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root works in a directory of another account")
def test_a_setup_that_leads_elsewhere_does_not_continue(data: Path) -> None:
    account = pwd.getpwnam("nobody")
    elsewhere = data.parent / "elsewhere"
    elsewhere.mkdir()
    for name in ("complete", "PG_VERSION", "kept"):
        (elsewhere / name).write_text("18")
    data.mkdir(mode=0o700)
    (data / ".new").symlink_to(elsewhere)
    os.chown(data, account.pw_uid, account.pw_gid)
    embedded.stop(embedded.start(data))
    assert {path.name for path in elsewhere.iterdir()} == {"complete", "PG_VERSION", "kept"}
    assert not (data / ".new").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root works in a directory of another account")
def test_another_accounts_directory_is_served_by_that_account(data: Path) -> None:
    other = next(entry for entry in pwd.getpwall() if entry.pw_uid not in (0, pwd.getpwnam("nobody").pw_uid))
    data.mkdir(mode=0o700)
    os.chown(data, other.pw_uid, other.pw_gid)
    server = embedded.start(data)
    try:
        assert (data / "PG_VERSION").stat().st_uid == data.stat().st_uid == other.pw_uid
    finally:
        embedded.stop(server)


def test_a_joining_service_finds_the_kinds_of_the_starter(data: Path) -> None:
    server = embedded.start(data, kinds="2390e6c1")
    try:
        found = embedded.status(data)
        assert found is not None
        assert found.kinds == "2390e6c1"
    finally:
        embedded.stop(server)
    server = embedded.start(data)
    try:
        found = embedded.status(data)
        assert found is not None
        assert found.kinds == ""
    finally:
        embedded.stop(server)
