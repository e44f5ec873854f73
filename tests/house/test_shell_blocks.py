"""Every shell block of the README and the documentation runs as it is written, on a copy of the project.

The service is the one that `make run-no-auth` starts, on the README's own ports.
"""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed import serving

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(?:bash|sh)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
BLOCKS = {
    f"{document.relative_to(ROOT)}:{number}": block
    for document in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    for number, block in enumerate(BLOCK.findall(document.read_text(encoding="utf-8")), 1)
}
PORTS = (8000, 8080, 8083, 5432)
# These are run as they are elsewhere: the service by the fixture, the rest would run this very test again.
ELSEWHERE = re.compile(r"^(make run-no-auth|make test|make lint|\.venv/bin/python -m pytest)\b.*$", re.MULTILINE)
# A search in a block finds something; an empty list would look like any other answer.
CURL = """#!/bin/bash
answer=$({curl} "$@"; echo "status=$?")
status=${{answer##*status=}}
printf '%s' "${{answer%status=*}}"
case "$*" in *search=*) case "$answer" in *'"size":0,'*) echo "the search finds nothing: $*" >&2; exit 99;; esac;; esac
exit "$status"
"""
PROGRAMS = ("bash", "curl", "jq", "make", "git")
MISSING = [program for program in PROGRAMS if shutil.which(program) is None]

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a fresh clone holds: every file that is not ignored, and nothing else."""
    folder = tmp_path_factory.mktemp("clone") / "hyperfleet-api"
    files = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    for name in filter(None, files.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    """A login without any setting of the service, and with data of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HYPERFLEET_", "PYTEST_"))}
    for name in (
        "ARGS",
        "VIRTUAL_ENV",
        "MAKEOVERRIDES",
        "MAKEFLAGS",
        "MAKELEVEL",
        "MFLAGS",
        "PROMETHEUS_MULTIPROC_DIR",
    ):
        kept.pop(name, None)
    with serving.folder() as data:
        curl = data / "bin" / "curl"
        curl.parent.mkdir()
        curl.write_text(CURL.format(curl=shutil.which("curl")))
        curl.chmod(0o755)
        path = f"{curl.parent}{os.pathsep}{kept['PATH']}"
        yield kept | {"HYPERFLEET_DATABASE_EMBEDDED_DATA_DIR": str(data / "postgresql"), "PATH": path}


@pytest.fixture(scope="module")
def service(copy: Path, environment: dict[str, str]) -> Iterator[None]:
    """`make run-no-auth` in the copy, as the README begins."""
    # Another run of the tests on this machine may have the README's ports; it gives them back.
    until = time.monotonic() + 180
    while not all(map(is_free, PORTS)):
        assert time.monotonic() < until, f"one of the ports {PORTS} is taken"
        time.sleep(0.5)
    log = copy / "service.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["make", "run-no-auth"], cwd=copy, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        until = time.monotonic() + 180
        while not answers("http://localhost:8083/readyz") or not answers("http://localhost:8000/api/hyperfleet"):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.1)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def answers(address: str) -> bool:
    try:
        urllib.request.urlopen(address, timeout=2).close()
    except OSError:
        return False
    return True


@pytest.mark.usefixtures("service")
def test_the_shell_blocks_of_the_documentation_run_as_written(
    copy: Path, environment: dict[str, str], subtests: pytest.Subtests
) -> None:
    # One test, because they share one service on ports that are given.
    for name, block in BLOCKS.items():
        with subtests.test(name):
            done = run(block, copy, environment)
            assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
            assert '"code":"HYPERFLEET-' not in done.stdout.replace(" ", "")


def run(block: str, copy: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """The block, run to its end by a shell that stops at the first command that fails."""
    if not re.search(r"localhost:80", block):
        # Blocks that manage a database of their own do it beside the service's.
        own = Path(environment["HYPERFLEET_DATABASE_EMBEDDED_DATA_DIR"]).parent / "own"
        environment = environment | {"HYPERFLEET_DATABASE_EMBEDDED_DATA_DIR": str(own)}
    return subprocess.run(
        ["bash", "-e", "-u", "-o", "pipefail", "-c", ELSEWHERE.sub(":", block)],
        cwd=copy,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
