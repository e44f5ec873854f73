"""Builds and runs the image without a registry, with buildah, on a base image made by debootstrap.

Run `python -m drills.image` as root on Debian with buildah and debootstrap. The container shares this machine's network
and has no limits, no seccomp and no read-only root, so the drill checks afterwards that only /tmp was written to.
"""

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hyperfleet.postgres import embedded, roles
from testbed.calls import CLUSTERS, fetched
from testbed.ports import free_ports, listens
from testbed.programs import found
from testbed.waiting import eventually

BASE: Final = "localhost/hyperfleet-base:drill"
IMAGE: Final = "localhost/hyperfleet-api:drill"
USER: Final = 65532
INTERPRETER: Final = "/opt/hyperfleet/bin/python"
_ENVIRONMENT: Final = {"STORAGE_DRIVER": "vfs", "BUILDAH_ISOLATION": "chroot"}


def _run(*command: str) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | _ENVIRONMENT, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        raise AssertionError(f"{' '.join(command)}:\n{done.stdout[-1000:]}{done.stderr[-2000:]}")
    return done.stdout.strip()


def _base(folder: Path) -> None:
    """Builds the base image, Debian with Python, unless it exists from an earlier run."""
    if subprocess.run(
        ["buildah", "inspect", "--type", "image", BASE], capture_output=True, check=False, env=os.environ | _ENVIRONMENT
    ).returncode:
        root = folder / "base"
        _run(
            "debootstrap", "--variant=minbase", "--include=python3,python3-venv,ca-certificates", "bookworm", str(root)
        )
        container = _run("buildah", "from", "scratch")
        _run("buildah", "add", "-q", container, str(root), "/")
        _run("buildah", "commit", "-q", container, BASE)
        _run("buildah", "rm", container)


@contextmanager
def _container() -> Iterator[str]:
    container = _run("buildah", "from", IMAGE)
    try:
        yield container
    finally:
        _run("buildah", "rm", container)


def _arguments(container: str, variables: dict[str, str], *words: str) -> list[str]:
    given = [word for name, text in variables.items() for word in ("--env", f"{name}={text}")]
    return ["buildah", "run", "--isolation", "chroot", *given, container, "--", "hyperfleet-api", *words]


def _built() -> str:
    """Builds the image, and returns its commit."""
    commit = _run("git", "rev-parse", "--short", "HEAD")
    _run(
        *("make", "image", "CONTAINER_TOOL=buildah", f"IMAGE_BASE={BASE}", "IMAGE_REGISTRY=localhost"),
        *("IMAGE_NAME=hyperfleet-api", "IMAGE_TAG=drill", "IMAGE_FLAGS=--volume /etc/ssl/certs:/etc/ssl/certs:ro"),
    )
    described = json.loads(_run("buildah", "inspect", "--type", "image", IMAGE))["OCIv1"]["config"]
    assert described["User"] == f"{USER}:{USER}"
    assert set(described["ExposedPorts"]) == {"8000/tcp", "8080/tcp", "8083/tcp"}
    return commit


def drill(folder: Path) -> dict[str, str]:
    """What was measured; raises AssertionError when a check fails."""
    found("buildah", "buildah")
    found("debootstrap", "debootstrap", "/usr/sbin")
    _base(folder)
    commit = _built()
    database_port, api, health, metrics = free_ports(4)
    server = embedded.start(folder / "data", port=database_port)
    variables = {
        "HYPERFLEET_DATABASE_HOST": "127.0.0.1",
        "HYPERFLEET_DATABASE_PORT": str(database_port),
        "HYPERFLEET_DATABASE_PASSWORD": roles.password(server.data_dir),
        "HYPERFLEET_SERVER_JWT_ENABLED": "false",
        "HYPERFLEET_SERVER_PORT": str(api),
        "HYPERFLEET_HEALTH_PORT": str(health),
        "HYPERFLEET_METRICS_PORT": str(metrics),
    }
    try:
        with _container() as container:
            _run(*_arguments(container, variables, "migrate"))
            log = (folder / "serve.log").open("wb")
            serving = subprocess.Popen(
                _arguments(container, variables, "serve"), stdout=log, stderr=log, env=os.environ | _ENVIRONMENT
            )
            try:
                eventually(lambda: listens(health) and listens(api), "the service listens")
                eventually(lambda: fetched(health, "/readyz")[0] == 200, "the service is ready")
                request = urllib.request.Request(
                    f"http://127.0.0.1:{api}{CLUSTERS}",
                    json.dumps({"name": "from-an-image", "spec": {}}).encode(),
                    {"Content-Type": "application/json"},
                )
                with urllib.request.urlopen(request, timeout=10) as answer:
                    assert answer.status == 201
                users = {process.stat().st_uid for process in _processes(api)}
                text = urllib.request.urlopen(f"http://127.0.0.1:{metrics}/metrics", timeout=10).read().decode()
                assert f'commit="{commit}"' in text
            finally:
                for process, words in _processes(api).items():
                    if "serve" in words:
                        os.kill(int(process.name), signal.SIGTERM)
                serving.wait(60)
            written = _written(container)
    finally:
        embedded.stop(server)
    assert users == {USER}, users
    assert serving.returncode == 0, (serving.returncode, (folder / "serve.log").read_text()[-2000:])
    assert written == [], written
    size = int(_run("du", "-sm", _run("buildah", "mount", _run("buildah", "from", IMAGE))).split()[0])
    return {"user": str(USER), "commit": commit, "written outside /tmp": "nothing", "MB, base included": str(size)}


def _processes(port: int) -> dict[Path, list[str]]:
    """The image's interpreters that serve on this port, by their /proc folder, with their command lines."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_text().split("\0")
            if (
                words[0].startswith(INTERPRETER)
                and f"HYPERFLEET_SERVER_PORT={port}\0" in (entry / "environ").read_text()
            ):
                found[entry] = words
    return found


def _written(container: str) -> list[str]:
    """The files that the service's user left outside /tmp."""
    root = Path(_run("buildah", "mount", container))
    there = _run("find", str(root), "-xdev", "-uid", str(USER), "-not", "-path", f"{root}/tmp*")
    return there.splitlines()


def main() -> None:
    """Runs the drill, and prints its results."""
    with tempfile.TemporaryDirectory(prefix="hyperfleet-drill-image-") as name:
        Path(name).chmod(0o755)
        for what, seen in drill(Path(name)).items():
            print(f"{what}: {seen}")


if __name__ == "__main__":
    main()
