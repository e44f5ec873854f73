"""`make binary` builds one file that works from anywhere, with the embedded PostgreSQL inside."""

import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hyperfleet.postgres import embedded
from testbed.programs import environment, run

ROOT = Path(__file__).parents[2]
BINARY = ROOT / "hyperfleet-api"
COPIES = Path("/var/lib/hyperfleet")

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """A working folder with a home that only its owner may enter, like root's; it is removed with all leftovers."""
    before = set(COPIES.glob("*"))
    folder = Path(tempfile.mkdtemp(prefix="hyperfleet-tests-"))
    folder.chmod(0o755)
    (folder / "home").mkdir(mode=0o700)
    yield folder
    server = embedded.status(folder / "data")
    if server is not None:
        embedded.stop(server)
    shutil.rmtree(folder)
    # Root's server ran from a copy of the PostgreSQL in this file.
    for copy in set(COPIES.glob("postgresql-binaries-*")) - before:
        shutil.rmtree(copy)


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


def answer(url: str, server: subprocess.Popen[bytes]) -> bytes:
    """The response from the URL, as soon as there is one."""
    until = time.monotonic() + 60
    while True:
        try:
            with closing(urllib.request.urlopen(url, timeout=5)) as response:
                return bytes(response.read())
        except OSError:
            assert server.poll() is None, "the server ended"
            assert time.monotonic() < until, "the server does not answer"
            time.sleep(0.1)


def test_the_one_file_program_configures_migrates_and_serves_from_another_folder(elsewhere: Path) -> None:
    built = subprocess.run(["make", "binary"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    program, folder = (str(BINARY),), elsewhere
    variables = {"HOME": str(elsewhere / "home"), "HYPERFLEET_DATABASE_EMBEDDED_DATA_DIR": str(elsewhere / "data")}
    configured = run("config", program=program, folder=folder, variables=variables)
    assert "variable HYPERFLEET_DATABASE_EMBEDDED_DATA_DIR" in configured.stdout, configured.stderr
    migrated = run("migrate", program=program, folder=folder, variables=variables)
    assert migrated.returncode == 0, migrated.stderr
    api, health, metrics = free_ports(3)
    ports = [f"--server-port={api}", f"--health-port={health}", f"--metrics-port={metrics}"]
    command = [str(BINARY), "serve", "--server-jwt-enabled=false", "--server-workers=1", *ports]
    with subprocess.Popen(command, cwd=folder, env=environment(variables), stdout=subprocess.DEVNULL) as server:
        try:
            clusters = answer(f"http://localhost:{api}/api/hyperfleet/v1/clusters", server)
            assert b'"total":0' in clusters
            assert b"hyperfleet_api_requests_total" in answer(f"http://localhost:{metrics}/metrics", server)
            server.send_signal(signal.SIGTERM)
            assert server.wait(30) == 0
        finally:
            server.kill()
    assert embedded.status(elsewhere / "data") is None
    assert [path.name for path in (elsewhere / "home").iterdir()] == [".cache"]


def test_another_python_is_refused_with_a_message(tmp_path: Path) -> None:
    site = tmp_path / "site-packages"
    (site / "bin").mkdir(parents=True)
    (site / "compiled.cpython-39-x86_64-linux-gnu.so").touch()
    shutil.copy(ROOT / "packaging" / "preamble.py", site / "bin")
    done = run("", program=("python3", str(site / "bin" / "preamble.py")))
    assert done.returncode == 1
    assert "was made for Python 3.9" in done.stderr
