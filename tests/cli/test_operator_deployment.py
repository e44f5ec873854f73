"""The service as the operator of the original HyperFleet API deploys it: its variables, arguments, mounts and probes.

The operator passes the path of the configuration file and of five files from a Secret as variables, runs `migrate` in
an init container and `serve` beside it, and leaves nothing writable but /tmp.
"""

import asyncio
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from hyperfleet.postgres import embedded, roles
from testbed import serving
from testbed.calls import CLUSTERS, fetched
from testbed.ports import free_ports
from testbed.programs import environment
from testbed.serving import Service
from testbed.sessions import execute
from tests.http.issuing import ISSUER, key_set, token

PASSWORD: Final = "p/ss w@rd"
AUDIENCE: Final = "hyperfleet-api"
SECRET: Final = {
    "HOST": "db.host",
    "PORT": "db.port",
    "NAME": "db.name",
    "USERNAME": "db.user",
    "PASSWORD": "db.password",
}
ENTITIES: Final[list[dict[str, Any]]] = [
    {
        "kind": "Cluster",
        "plural": "clusters",
        "spec_schema_name": "ClusterSpec",
        "required_adapters": ["validation", "dns", "pullsecret", "hypershift"],
        "name_min_len": 3,
        "name_max_len": 53,
        "require_spec_schema": True,
    },
    {
        "kind": "NodePool",
        "plural": "nodepools",
        "parent_kind": "Cluster",
        "on_parent_delete": "cascade",
        "spec_schema_name": "NodePoolSpec",
        "required_adapters": ["validation", "hypershift"],
        "name_min_len": 3,
        "name_max_len": 15,
        "require_spec_schema": True,
    },
    {"kind": "Channel", "plural": "channels", "spec_schema_name": "ChannelSpec"},
    {
        "kind": "Version",
        "plural": "versions",
        "parent_kind": "Channel",
        "on_parent_delete": "restrict",
        "spec_schema_name": "VersionSpec",
    },
    {"kind": "WifConfig", "plural": "wifconfigs", "spec_schema_name": "WifConfigSpec"},
]

# From here on, every file system but /tmp is read-only, as is the test's folder in /tmp, and root has no extra rights.
# The mounts disappear with the process.
CONFINED: Final = """
set -e
mount --bind /tmp /tmp
mount --bind "$PLACE" "$PLACE"
mount --bind "$PWD" "$PWD"
while read -r _ at _; do
  case $at in
    /tmp | /proc* | /sys* | /dev*) ;;
    *) mount -o remount,bind,ro "$at" ;;
  esac
done < /proc/self/mounts
for folder in / /var "$HOME" "$PLACE" "$PWD"; do
  if touch "$folder/writable" 2> /dev/null; then echo "$folder is writable" >&2; exit 97; fi
done
exec setpriv --bounding-set=-all --inh-caps=-all --no-new-privs "$@"
"""


def confined() -> list[str]:
    """The command prefix that makes everything but /tmp read-only."""
    namespace = ["unshare", "--mount", "--propagation=private"]
    if os.geteuid() != 0:
        namespace += ["--user", "--map-root-user"]
    return [*namespace, "sh", "-c", CONFINED, "sh"]


class Deployment:
    """Files and variables as the operator renders them; `api`, `health` and `metrics` are the ports."""

    def __init__(self, place: Path, database_port: int) -> None:
        self.place = place
        self.service = Service(place)
        mounted = place / "mounted"
        mounted.mkdir()
        values = ["127.0.0.1", str(database_port), embedded.DATABASE, roles.USER, PASSWORD]
        for key, value in zip(SECRET.values(), values, strict=True):
            # A Secret made with --from-literal has no line break, one made from a file has one.
            (mounted / key).write_text(value + ("\n" if key == "db.password" else ""))
        (mounted / "jwks.json").write_bytes(key_set("RS256-operator"))
        (mounted / "config.yaml").write_text(yaml.safe_dump(self._config(mounted)))
        self.service.environment = {
            **environment(),
            "HOME": "/",
            "PLACE": str(place),
            "HYPERFLEET_CONFIG": str(mounted / "config.yaml"),
            **{f"HYPERFLEET_DATABASE_{name}_FILE": str(mounted / key) for name, key in SECRET.items()},
        }

    def _config(self, mounted: Path) -> dict[str, Any]:
        issuer = {"issuer_url": ISSUER, "audience": AUDIENCE, "jwk_cert_file": str(mounted / "jwks.json")}
        return {
            "server": {
                "host": "0.0.0.0",
                "port": self.service.api,
                "jwt": {"enabled": True, "configs": [issuer]},
            },
            "health": {"host": "0.0.0.0", "port": self.service.health},
            "metrics": {"host": "0.0.0.0", "port": self.service.metrics},
            "entities": ENTITIES,
        }

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command of the program, run like in a container of this deployment."""
        return subprocess.run(
            [*confined(), sys.executable, "-m", "hyperfleet", *words],
            env=self.service.environment,
            cwd="/",
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def ask(self, method: str, path: str, body: Any = None, *, authorized: bool = True) -> tuple[int, dict[str, Any]]:
        headers = {"Content-Type": "application/json"}
        if authorized:
            headers["Authorization"] = f"Bearer {token('RS256-operator', aud=AUDIENCE).decode()}"
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.service.api}{path}",
            None if body is None else json.dumps(body).encode(),
            headers,
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as failure:
            with failure:
                return failure.code, json.loads(failure.read())


@pytest.fixture
def deployment() -> Iterator[Deployment]:
    with serving.folder() as place:
        (port,) = free_ports(1)
        server = embedded.start(place / "data", port=port)
        try:
            # From now on its TCP port requires this password.
            asyncio.run(execute(server.settings(), f"ALTER ROLE {roles.USER} PASSWORD '{PASSWORD}'"))
            yield Deployment(place, port)
        finally:
            embedded.stop(server)


def test_the_operators_deployment_starts_unchanged(deployment: Deployment) -> None:
    service = deployment.service
    checked = deployment.run("config")
    assert checked.returncode == 0, checked.stderr
    assert PASSWORD not in checked.stdout + checked.stderr
    file = service.environment["HYPERFLEET_DATABASE_PORT_FILE"]
    assert f"# variable HYPERFLEET_DATABASE_PORT_FILE, file {file}" in checked.stdout
    assert "missing=ChannelSpec" in checked.stderr
    migrated = deployment.run("migrate")
    assert migrated.returncode == 0, migrated.stderr + migrated.stdout
    service.start(*confined())
    try:
        service.ready()
        assert service.status(service.health, "/healthz") == 200
        assert fetched(service.metrics, "/metrics")[1].startswith(b"# HELP")
        assert deployment.ask("GET", CLUSTERS, authorized=False)[0] == 401
        status, cluster = deployment.ask("POST", CLUSTERS, {"name": "prod", "spec": {"nodes": 3}})
        assert (status, cluster["created_by"], cluster["status"]["phase"]) == (201, "mary@example.com", "NotReady")
        assert deployment.ask("GET", f"{CLUSTERS}/{cluster['id']}") == (200, cluster)
        assert deployment.ask("POST", "/api/hyperfleet/v1/channels", {"name": "stable", "spec": {}})[0] == 201
        service.signal()
        assert service.wait() == 0, service.text()
    finally:
        service.stop()


def test_a_wrong_password_is_reported_without_repeating_it(deployment: Deployment) -> None:
    (deployment.place / "mounted" / "db.password").write_text("another\n")
    deployment.service.environment["HYPERFLEET_DATABASE_POOL_CONN_RETRY_ATTEMPTS"] = "1"
    failed = deployment.run("migrate")
    assert failed.returncode == 1
    assert "password authentication failed" in failed.stderr
    assert "another" not in failed.stderr + failed.stdout
