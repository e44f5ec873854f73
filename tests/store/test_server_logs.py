"""The log of an embedded PostgreSQL stays in two files of limited size, however much and however long it logs."""

import asyncio
import os
import pwd
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hyperfleet.postgres import embedded, server_logs
from testbed import serving, waiting
from testbed.sessions import execute


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def kept(place: Path) -> tuple[int, int]:
    """The sizes of the current file and the earlier one, -1 for a missing one."""
    present, earlier = place / server_logs.NAME, place / server_logs.EARLIER
    return tuple(file.stat().st_size if file.exists() else -1 for file in (present, earlier))  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("size", "text", "present", "earlier"),
    [
        (server_logs.LARGEST - 5, b"1234\n", server_logs.LARGEST, -1),
        (server_logs.LARGEST - 4, b"1234\n", 5, server_logs.LARGEST - 4),
        (server_logs.LARGEST + 9, b"1234\n", 5, server_logs.LARGEST + 9),
    ],
)
def test_a_log_that_would_grow_too_large_is_rotated(
    tmp_path: Path, folder: int, size: int, text: bytes, present: int, earlier: int
) -> None:
    (tmp_path / server_logs.NAME).touch()
    os.truncate(tmp_path / server_logs.NAME, size)
    server_logs.Log(folder).write(text)
    assert kept(tmp_path) == (present, earlier)


def test_the_earlier_log_is_replaced(tmp_path: Path, folder: int) -> None:
    log = server_logs.Log(folder)
    for text in (b"first", b"second", b"third"):
        log.write(text.ljust(server_logs.LARGEST - 1) + b"\n")
    assert (tmp_path / server_logs.EARLIER).read_bytes().startswith(b"second")
    assert (tmp_path / server_logs.NAME).read_bytes().startswith(b"third")


@pytest.mark.parametrize("planted", ["link", "fifo", "folder"])
def test_only_a_regular_file_is_written_to(tmp_path: Path, folder: int, planted: str) -> None:
    victim, name = tmp_path / "victim", tmp_path / server_logs.NAME
    victim.write_text("mine")
    if planted == "link":
        name.symlink_to(victim)
    elif planted == "fifo":
        os.mkfifo(name)
    else:
        name.mkdir()
    server_logs.Log(folder).write(b"line\n")
    assert victim.read_text() == "mine"
    assert name.read_bytes() == b"line\n"


def test_rotation_cuts_no_line(tmp_path: Path) -> None:
    account = pwd.getpwuid(os.geteuid() or pwd.getpwnam("nobody").pw_uid)
    place = tmp_path / "log"
    place.mkdir()
    os.chown(place, account.pw_uid, account.pw_gid)
    for above in tmp_path.parents:
        if os.geteuid() == 0 and above.stat().st_uid == 0 and str(above).startswith("/tmp/"):
            above.chmod(0o755)
    command = ["python3", "-I", "-S", server_logs.__file__, str(place), str(account.pw_uid), str(account.pw_gid)]
    lines = b"".join(b"%09d\n" % number for number in range(1_200_000))
    subprocess.run(command, input=lines, check=True)
    first, second = kept(place)
    assert (first + second) == len(lines)
    assert max(first, second) <= server_logs.LARGEST
    assert first % 10 == second % 10 == 0


def test_the_log_of_a_running_server_is_bounded_and_keeps_the_latest_lines() -> None:
    with serving.folder() as place:
        data = place / "data"
        server = embedded.start(data)
        try:
            talk = "DO $$ BEGIN FOR n IN 1..25 LOOP RAISE LOG '% %', n, repeat('x', 1048576); END LOOP; "
            asyncio.run(execute(server.settings(), talk + "RAISE LOG 'the last word'; END $$"))
            log = data / server_logs.NAME
            waiting.eventually(lambda: b"the last word" in log.read_bytes(), "the last word is in the log")
            present, earlier = kept(data)
            assert 0 < present <= server_logs.LARGEST
            assert 0 < earlier <= server_logs.LARGEST
            assert log.stat().st_mode & 0o777 == 0o600
            assert log.stat().st_uid == data.stat().st_uid
        finally:
            embedded.stop(server)


def test_the_text_of_a_failed_statement_is_not_in_the_log() -> None:
    with serving.folder() as place:
        server = embedded.start(place / "data")
        try:
            with pytest.raises(Exception, match="does not exist"):
                asyncio.run(execute(server.settings(), "SELECT 'of a caller' FROM nowhere"))
        finally:
            embedded.stop(server)
        log = (place / "data" / server_logs.NAME).read_text()
        assert 'ERROR:  relation "nowhere" does not exist' in log
        assert "of a caller" not in log
