"""A full disk: writes are refused with what to do, and succeed when there is room; no acknowledged write is lost."""

import http.client
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from hyperfleet.errors import Unavailable
from hyperfleet.postgres import embedded
from hyperfleet.store.connections import translated
from testbed import serving
from testbed.calls import CLUSTERS, fetched
from testbed.serving import Service
from testbed.waiting import eventually

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")


@pytest.fixture
def disk() -> Iterator[Path]:
    """A disk of 400 MB."""
    with serving.folder() as folder:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=400m,mode=755", "tmpfs", str(folder)], capture_output=True, check=False
        )
        if mounted.returncode != 0:
            pytest.skip(f"nothing can be mounted here: {mounted.stderr.decode()}")
        try:
            yield folder
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def created(port: int, name: str) -> tuple[int, bytes]:
    """The status and body of a create of half a megabyte; 0 without a response."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=40)
    text = os.urandom(250_000).hex()
    try:
        body = json.dumps({"kind": "Cluster", "name": name, "spec": {"text": text}})
        connection.request("POST", CLUSTERS, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


def fill(place: Path, *, leave: int) -> None:
    """Fills the disk up to a remainder."""
    with (place / "filler").open("ab") as filler:
        free = os.statvfs(place).f_bavail * os.statvfs(place).f_frsize
        while free > leave:
            filler.write(bytes(min(1 << 20, free - leave)))
            filler.flush()
            free = os.statvfs(place).f_bavail * os.statvfs(place).f_frsize


def test_writes_on_a_full_disk_are_503_and_succeed_when_there_is_room(disk: Path) -> None:
    with serving.folder() as place:
        service = Service(place, data=disk / "data").start()
        try:
            service.ready()
            acknowledged = {"first"}
            assert created(service.api, "first")[0] == 201
            fill(disk, leave=20 << 20)
            refused: list[tuple[int, bytes]] = []
            for number in range(200):
                status, body = created(service.api, f"more-{number}")
                if status == 201:
                    acknowledged.add(f"more-{number}")
                else:
                    refused.append((status, body))
                if len(refused) == 5:
                    break
            assert len(refused) == 5
            assert {status for status, _ in refused} <= {503, 504}, refused
            assert {json.loads(body)["code"] for _, body in refused} <= {"HYPERFLEET-SVC-001", "HYPERFLEET-SVC-002"}
            assert service.ended() is None
            (disk / "filler").unlink()
            eventually(lambda: created(service.api, "after")[0] in {201, 409}, "writes go on")
            stored = {item["name"] for item in json.loads(fetched(service.api, f"{CLUSTERS}?fields=name")[1])["items"]}
            assert acknowledged <= stored
            assert "after" in stored
        finally:
            service.stop()


def test_a_start_on_a_full_disk_says_how_much_room_is_needed(disk: Path) -> None:
    embedded.stop(embedded.start(disk / "data"))
    (disk / "data" / "pg_hba.conf").unlink()
    fill(disk, leave=0)
    with pytest.raises(Unavailable, match=r"free at least 64 MB"):
        embedded.start(disk / "data")
    (disk / "filler").unlink()
    embedded.stop(embedded.start(disk / "data"))


def test_callers_are_told_of_a_full_database_disk() -> None:
    meaning = translated(asyncpg.DiskFullError("could not extend file"), "CREATE")
    assert isinstance(meaning, Unavailable)
    assert meaning.status == 503
    assert "disk is full" in meaning.detail
    assert ("Retry-After", "10") in meaning.headers
    assert "extend" not in meaning.detail
