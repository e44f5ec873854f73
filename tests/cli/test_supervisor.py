"""Start, stop and kills of the service, with real processes."""

import asyncio
import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hyperfleet.postgres import embedded
from hyperfleet.serving.supervisor import ECHO_SECONDS
from hyperfleet.store import migrations
from hyperfleet.store.connections import connect
from testbed import processes, serving
from testbed.calls import CLUSTERS, create, fetched, names
from testbed.processes import descendants, kill, lives
from testbed.programs import run
from testbed.serving import Service
from testbed.waiting import eventually

HANDS = 8


@pytest.fixture(scope="module")
def migrated() -> Iterator[Path]:
    """A data directory with the schema, to copy: creating one takes longer than most of these tests."""
    with serving.folder() as path:
        server = embedded.start(path / "data")
        asyncio.run(migrations.upgrade(server.settings()))
        embedded.stop(server)
        yield path / "data"


@pytest.fixture
def place(migrated: Path) -> Iterator[Path]:
    with serving.folder() as path:
        subprocess.run(["cp", "-a", str(migrated), str(path / "data")], check=True)
        yield path


@pytest.fixture
def service(place: Path) -> Iterator[Service]:
    # Some tests hold a lock for longer than the default lock timeout.
    running = Service(place, HYPERFLEET_DATABASE_LOCK_TIMEOUT="1m").start()
    try:
        yield running.ready()
    finally:
        running.stop()


class Creators:
    """Threads that create clusters until they are stopped, and record each result."""

    def __init__(self, port: int) -> None:
        self.acknowledged: set[str] = set()
        self.failed: set[str] = set()
        self.refused: set[str] = set()
        self.unanswered: set[str] = set()
        self._enough = threading.Event()
        self._pool = ThreadPoolExecutor(HANDS)
        self._work = [self._pool.submit(self._create, port, hand) for hand in range(HANDS)]

    def _create(self, port: int, hand: int) -> None:
        number = 0
        while not self._enough.is_set():
            number += 1
            name = f"cluster-{hand}-{number}"
            try:
                status = create(port, name)
            except ConnectionRefusedError:
                self.refused.add(name)
                time.sleep(0.01)
            except (OSError, http.client.HTTPException):
                self.unanswered.add(name)
            else:
                (self.acknowledged if status == 201 else self.failed).add(name)

    def stop(self) -> None:
        self._enough.set()
        for work in self._work:
            work.result()
        self._pool.shutdown()


@contextlib.contextmanager
def locked(data: Path) -> Iterator[None]:
    """No request that needs the table finishes while the context lasts."""
    server = embedded.status(data)
    assert server is not None
    loop = asyncio.new_event_loop()
    connection = loop.run_until_complete(connect(server.settings(), application_name="tests"))
    try:
        loop.run_until_complete(connection.execute("BEGIN; LOCK TABLE resources IN ACCESS EXCLUSIVE MODE"))
        yield
        with contextlib.suppress(Exception):
            loop.run_until_complete(connection.execute("COMMIT"))
    finally:
        connection.terminate()
        # The transport closes in a later turn of the loop.
        loop.run_until_complete(asyncio.sleep(0.05))
        loop.close()


JOINED = "joined another process's PostgreSQL; services that share a database must configure the same kinds"


def test_a_running_service_responds_on_its_three_ports_and_logs_once_that_it_is_ready(service: Service) -> None:
    assert service.status(service.api, CLUSTERS) == 200
    assert [service.status(service.health, path) for path in ("/healthz", "/healthcheck", "/readyz")] == [200] * 3
    assert fetched(service.health, "/elsewhere")[0] == 404
    assert service.metric("hyperfleet_api_build_info") == 1
    eventually(lambda: len(service.lines("ready")) == 1, "one line")
    [line] = service.lines("ready")
    assert line["workers"] == 2
    assert line["kinds"] == 2
    assert line["api"] == f"http://127.0.0.1:{service.api}"
    assert line["health"] == f"http://127.0.0.1:{service.health}"
    assert line["metrics"] == f"http://127.0.0.1:{service.metrics}"


def test_acknowledged_writes_survive_a_hard_kill_of_every_process(place: Path, service: Service) -> None:
    creators = Creators(service.api)
    eventually(lambda: len(creators.acknowledged) > 200, "some creates")
    for pid in [service.pid, *descendants(service.pid)]:
        kill(pid)
    service.wait()
    creators.stop()
    again = Service(place).start()
    try:
        again.ready()
        assert names(again.api) >= creators.acknowledged
    finally:
        again.stop()


def test_a_service_whose_parent_is_killed_leaves_no_process_and_its_port_is_free(service: Service) -> None:
    family = descendants(service.pid)
    assert len(family) > 5
    kill(service.pid)
    service.wait()
    eventually(lambda: not any(map(lives, family)), "all gone", 15)
    again = service.start().ready()
    assert again.status(again.api, CLUSTERS) == 200


def test_workers_exit_when_their_http_server_is_killed_and_new_ones_serve(service: Service) -> None:
    workers = service.worker_pids()
    server = next(pid for pid in descendants(service.pid) if "hyperfleet.serving.workers" in processes.command(pid))
    kill(server)
    eventually(lambda: not any(map(lives, workers)), "workers gone", 15)
    eventually(lambda: len(service.worker_pids()) == 2 and service.status(service.api, CLUSTERS) == 200, "new ones")
    eventually(lambda: len(service.lines("the HTTP server exited unexpectedly")) == 1, "a line")
    assert set(service.worker_pids()).isdisjoint(workers)


def test_a_service_whose_postgresql_is_killed_restarts_it_and_loses_nothing(service: Service) -> None:
    assert create(service.api, "kept") == 201
    server = embedded.status(service.data)
    assert server is not None
    kill(server.pid)
    eventually(lambda: bool(service.lines("the embedded PostgreSQL has restarted")), "it serves again")
    eventually(lambda: service.status(service.health, "/readyz") == 200, "ready again")
    assert service.lines("the embedded PostgreSQL exited unexpectedly")[0]["joined"] is False
    eventually(lambda: create(service.api, "after") in {201, 409}, "writes go on")
    assert names(service.api) == {"kept", "after"}
    family = descendants(service.pid)
    service.signal()
    assert service.wait() == 0
    eventually(lambda: not any(map(lives, family)), "all gone", 15)
    assert embedded.status(service.data) is None


def test_a_service_ends_when_its_postgresql_is_stopped_on_purpose(service: Service) -> None:
    family = descendants(service.pid)
    stopped = run("db", "stop", f"--database-embedded-data-dir={service.data}")
    assert stopped.returncode == 0, stopped.stderr
    assert service.wait() == 1
    assert service.lines("the embedded PostgreSQL exited unexpectedly")
    eventually(lambda: not any(map(lives, family)), "all gone", 15)


def test_a_stop_under_load_cuts_no_request(place: Path, service: Service) -> None:
    creators = Creators(service.api)
    eventually(lambda: len(creators.acknowledged) > 100, "some creates")
    before = len(creators.acknowledged)
    service.signal()
    eventually(lambda: service.status(service.health, "/readyz") == 503, "not ready")
    assert service.wait() == 0
    creators.stop()
    # Requests are served until the grace period is over, not only the one that each client has in progress.
    assert len(creators.acknowledged) > before + HANDS
    assert creators.refused
    assert not creators.failed
    again = Service(place).start()
    try:
        # A request without a response was never accepted: its connection was still in the queue.
        assert names(again.ready().api) == creators.acknowledged
    finally:
        again.stop()


def test_a_stop_waits_for_the_request_in_progress_and_accepts_no_new_ones(service: Service) -> None:
    with ThreadPoolExecutor(1) as hand:
        with locked(service.data):
            pending = hand.submit(create, service.api, "slow")
            eventually(lambda: service.metric("hyperfleet_api_requests_in_flight") == 1, "under way")
            service.signal()
            eventually(lambda: fetched(service.api, "/api/hyperfleet")[0] == 0, "closed to others")
            assert json.loads(fetched(service.health, "/readyz")[1])["reasons"] == ["The service is stopping."]
            assert service.status(service.health, "/healthz") == 200
            assert not pending.done()
        assert pending.result() == 201
    assert service.wait() == 0


def test_a_second_signal_stops_at_once(service: Service) -> None:
    family = descendants(service.pid)
    with ThreadPoolExecutor(1) as hand, locked(service.data):
        pending = hand.submit(create, service.api, "slow")
        eventually(lambda: service.metric("hyperfleet_api_requests_in_flight") == 1, "under way")
        service.signal(signal.SIGINT)
        eventually(lambda: service.status(service.health, "/readyz") == 503, "stopping")
        time.sleep(ECHO_SECONDS)
        started = time.monotonic()
        service.signal(signal.SIGINT)
        assert service.wait() == 0
        assert time.monotonic() - started < 10
        assert isinstance(pending.exception(), OSError | http.client.HTTPException)
    assert not any(map(lives, family))


def test_the_same_signal_forwarded_by_another_process_cuts_no_request_in_progress(service: Service) -> None:
    with ThreadPoolExecutor(1) as hand:
        with locked(service.data):
            pending = hand.submit(create, service.api, "kept")
            eventually(lambda: service.metric("hyperfleet_api_requests_in_flight") == 1, "under way")
            for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
                service.signal(number)
                time.sleep(0.2)
            assert not pending.done()
        assert pending.result() == 201
    assert service.wait() == 0


def test_a_stop_takes_no_longer_than_the_setting_allows(place: Path) -> None:
    service = Service(place, HYPERFLEET_HEALTH_SHUTDOWN_TIMEOUT="1s", HYPERFLEET_DATABASE_LOCK_TIMEOUT="1m").start()
    try:
        service.ready()
        with ThreadPoolExecutor(1) as hand, locked(service.data):
            pending = hand.submit(create, service.api, "slow")
            eventually(lambda: service.metric("hyperfleet_api_requests_in_flight") == 1, "under way")
            started = time.monotonic()
            service.signal()
            assert service.wait() == 0
            assert time.monotonic() - started < 15
            assert pending.exception() is not None
    finally:
        service.stop()


def test_a_killed_worker_is_replaced_and_its_counts_stay(service: Service) -> None:
    total = "hyperfleet_api_requests_total"
    asked = 0
    for _ in range(40):
        assert service.status(service.api, CLUSTERS) == 200
        asked += 1
    path = CLUSTERS
    assert service.metric(total, path=path) == asked
    first = service.worker_pids()
    kill(first[0])
    eventually(lambda: len(service.worker_pids()) == 2 and first[0] not in service.worker_pids(), "replaced")
    for _ in range(40):
        status, _ = fetched(service.api, CLUSTERS)
        asked += status == 200
    assert service.metric(total, path=path) == asked
    eventually(lambda: service.metric("hyperfleet_api_workers_replaced_total") == 1, "counted")
    assert service.metric("hyperfleet_api_requests_in_flight") == 0
    assert service.metric("hyperfleet_api_build_info") == 1
    eventually(lambda: len(service.lines("a worker died and was replaced")) == 1, "a line")


@pytest.mark.parametrize("taken", ["API", "HEALTH", "METRICS"])
def test_a_port_in_use_is_refused_and_named(place: Path, taken: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        group = {"API": "SERVER"}.get(taken, taken)
        service = Service(place, data=place / "untouched", variables={f"HYPERFLEET_{group}_PORT": str(port)}).start()
        assert service.wait() == 1
    assert f"Port {port} on 127.0.0.1 is in use" in service.text()
    assert f"--{group.lower()}-port=PORT" in service.text()
    assert not service.data.exists()


def test_a_second_service_on_the_port_of_the_first_is_refused_and_the_first_continues(
    place: Path, service: Service
) -> None:
    second = Service(place, data=place / "other", HYPERFLEET_SERVER_PORT=str(service.api)).start()
    assert second.wait() == 1
    assert f"Port {service.api}" in second.text()
    assert service.status(service.api, CLUSTERS) == 200


def test_a_second_service_joins_the_postgresql_of_the_first_and_leaves_it_running(
    place: Path, service: Service
) -> None:
    second = Service(place).start()
    try:
        second.ready()
        assert create(second.api, "shared") == 201
        assert names(service.api) == {"shared"}
    finally:
        second.stop()
    assert service.status(service.health, "/readyz") == 200
    assert names(service.api) == {"shared"}


@pytest.mark.parametrize("same", [True, False])
def test_a_service_that_joins_anothers_postgresql_warns_with_the_digests_of_both_kinds(
    place: Path, service: Service, same: bool
) -> None:
    file = place / "other.yaml"
    file.write_text("entities: [{kind: Cluster, required_adapters: [dns]}]")
    second = Service(place, variables={} if same else {"HYPERFLEET_CONFIG": str(file)}).start()
    try:
        second.ready()
        [line] = second.lines(JOINED)
        assert line["level"] == "warning"
        assert line["same"] is same
        assert (line["kinds"] == line["its_kinds"]) is same
        assert len(line["its_kinds"]) == len(line["kinds"]) == 16
    finally:
        second.stop()
    assert not service.lines(JOINED)


def test_a_second_service_ends_with_the_postgresql_that_it_joined(place: Path, service: Service) -> None:
    second = Service(place).start()
    try:
        second.ready()
        service.signal()
        assert service.wait() == 0
        assert second.wait() == 1
        assert second.lines("the embedded PostgreSQL exited unexpectedly")[0]["joined"] is True
    finally:
        second.stop()


def test_under_nohup_it_outlives_the_terminal(place: Path) -> None:
    service = Service(place).start("nohup")
    try:
        service.ready()
        service.signal(signal.SIGHUP)
        time.sleep(0.5)
        assert service.status(service.health, "/readyz") == 200
        assert not service.lines("stopping")
    finally:
        service.stop()


NAMESPACE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")


@pytest.mark.skipif(
    shutil.which("unshare") is None or subprocess.run([*NAMESPACE, "true"], capture_output=True).returncode != 0,
    reason="no process namespace can be made here",
)
def test_as_process_1_it_leaves_no_zombies_of_orphaned_processes(place: Path) -> None:
    service = Service(place).start(*NAMESPACE)
    try:
        service.ready()
        [parent, *family] = descendants(service.pid)
        server = next(pid for pid in family if "hyperfleet.serving.workers" in processes.command(pid))
        orphans = [pid for pid in descendants(server) if pid != server]
        assert orphans
        kill(server)
        eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in orphans), "reaped")
        eventually(lambda: service.status(service.api, CLUSTERS) == 200, "serving again")
        os.kill(parent, signal.SIGTERM)
        assert service.wait() == 0
    finally:
        service.stop()
