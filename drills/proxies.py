"""Runs Debian's HAProxy and PgBouncer on loopback, configured for this service as an operator would do it."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from testbed.ports import listens
from testbed.programs import found, running
from testbed.waiting import eventually


class Server(NamedTuple):
    """A server behind a proxy: its address, and the port of its health checks."""

    host: str
    port: int
    health_port: int


_HTTP: Final = """
defaults
    mode http
    timeout connect 2s
    timeout client 60s
    timeout server 60s
    retries 0
frontend callers
    bind 127.0.0.1:{port}
    default_backend services
backend services
    balance roundrobin
    option httpchk GET /readyz
    # A probe that is slow on a busy machine says nothing; one that says no counts at once.
    timeout check 2s
    default-server check inter 200ms fall 1 rise 1
"""

_TCP: Final = """
defaults
    mode tcp
    timeout connect 2s
    timeout client 1h
    timeout server 1h
frontend clients
    bind 127.0.0.1:{port}
    default_backend leader
backend leader
    option httpchk GET /primary
    http-check expect status 200
    default-server check inter 500ms fall 2 rise 1 on-marked-down shutdown-sessions
"""


@contextmanager
def haproxy(folder: Path, port: int, servers: Sequence[Server], *, http: bool) -> Iterator[int]:
    """HAProxy on this port: with `http` it balances requests over ready services, else it connects to the leader."""
    program = found("haproxy", "haproxy", "/usr/sbin")
    lines = [f"    server s{n} {s.host}:{s.port} port {s.health_port}" for n, s in enumerate(servers)]
    file = folder / f"haproxy-{port}.cfg"
    file.write_text((_HTTP if http else _TCP).format(port=port) + "\n".join(lines) + "\n")
    with running([program, "-db", "-f", str(file)], folder / f"haproxy-{port}.log"):
        eventually(lambda: listens(port), "HAProxy listens")
        yield port


@contextmanager
def pgbouncer(folder: Path, port: int, *, server_port: int, user: str, password: str) -> Iterator[int]:
    """PgBouncer in transaction mode in front of a PostgreSQL on loopback; `user` needs no password for PgBouncer."""
    program = found("pgbouncer", "pgbouncer", "/usr/sbin")
    (folder / "users.txt").write_text(f'"{user}" "{password}"\n')
    file = folder / "pgbouncer.ini"
    file.write_text(
        "[databases]\n"
        f"* = host=127.0.0.1 port={server_port}\n"
        "[pgbouncer]\n"
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = trust\nauth_file = {folder / 'users.txt'}\n"
        "pool_mode = transaction\ndefault_pool_size = 8\nmax_client_conn = 500\n"
    )
    subprocess.run(["chown", "-R", "nobody", str(file), str(folder / "users.txt")], check=True)
    with running([program, "-u", "nobody", str(file)], folder / "pgbouncer.log"):
        eventually(lambda: listens(port), "PgBouncer listens")
        yield port
