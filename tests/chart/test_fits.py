"""Workers, pools and the built-in database fit together, whatever node a pod comes to; computed from the manifests."""

import os
from pathlib import Path
from typing import Any, Final

import helm_python as helm
import pytest
import yaml

from hyperfleet import settings
from hyperfleet.serving import cores, sizing
from tests.chart.manifests import Manifest, container, of_kind, one, rendered

MANY_CORES: Final = 64
RESERVED: Final = 3
"""PostgreSQL's superuser_reserved_connections."""

UNITS: Final = {"Mi": 1 << 20, "Gi": 1 << 30, "M": 10**6, "G": 10**9, "": 1}


def memory(text: str | float) -> int:
    digits = str(text).rstrip("GMi")
    return int(float(digits) * UNITS[str(text).removeprefix(digits)])


def workers(manifests: list[Manifest], place: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many workers the service starts in such a container, on a node with many cores."""
    [text] = [each["data"]["config.yaml"] for each in of_kind(manifests, "ConfigMap") if "config.yaml" in each["data"]]
    configured = yaml.safe_load(text)["server"].get("workers", 0)
    limits = container(manifests, "api")["resources"].get("limits", {})
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(MANY_CORES)))
    if "memory" in limits:
        (place / "memory.max").write_text(str(memory(limits["memory"])))
    if "cpu" in limits:
        (place / "cpu.max").write_text(f"{int(float(limits['cpu']) * 100_000)} 100000")
    return sizing.workers(configured, place)


def granted(manifests: list[Manifest]) -> int:
    [argument] = [
        each
        for each in one(manifests, "StatefulSet")["spec"]["template"]["spec"]["containers"][0]["args"]
        if each.startswith("max_connections=")
    ]
    return int(argument.removeprefix("max_connections=")) - RESERVED


FITTING: Final[dict[str, dict[str, Any]]] = {
    "defaults": {},
    "five replicas": {"replicaCount": 5},
    "Recreate": {"replicaCount": 5, "strategy": {"type": "Recreate", "rollingUpdate": None}},
    "autoscaling": {"autoscaling": {"enabled": True, "maxReplicas": 12}},
    "much memory": {"resources": {"limits": {"memory": "8Gi"}}},
    "much memory, few cores": {"resources": {"limits": {"memory": "8Gi", "cpu": 1.5}}},
    "memory in bytes": {"resources": {"limits": {"memory": 2147483648}}},
    "decimal memory": {"resources": {"limits": {"memory": "1.5G"}}},
    "little memory": {"resources": {"limits": {"memory": "256Mi"}}},
    "no limit": {"resources": {"limits": None}},
    "own number of workers": {"config": {"server": {"workers": 10}}, "resources": {"limits": {"memory": "8Gi"}}},
    "own pool": {"config": {"database": {"pool": {"max_connections": 50}}}},
}


@pytest.mark.parametrize("name", FITTING)
def test_every_pod_of_a_rollout_can_fill_its_pools(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = FITTING[name]
    manifests = rendered(values)
    config = values.get("config", {})
    pool = config.get("database", {}).get("pool", {}).get("max_connections", settings.Pool().max_connections)
    pod = workers(manifests, tmp_path, monkeypatch) * pool + sizing.OTHER_CONNECTIONS
    deployment = one(manifests, "Deployment")["spec"]
    replicas = values.get("autoscaling", {}).get("maxReplicas") or deployment["replicas"]
    # An old pod that drains beside each new one; a back-up and a shell besides.
    pods = replicas if deployment["strategy"]["type"] == "Recreate" else 2 * replicas
    assert pods * pod + 2 <= granted(manifests)
    assert granted(manifests) <= max(100 - RESERVED, pods * pod + 10)


@pytest.mark.parametrize("name", FITTING)
def test_workers_fit_into_the_memory_limit(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifests = rendered(FITTING[name])
    limits = container(manifests, "api")["resources"].get("limits", {})
    count = workers(manifests, tmp_path, monkeypatch)
    if "memory" in limits:
        assert count == 1 or count * cores.WORKER_BYTES + cores.PARENT_BYTES <= memory(limits["memory"])
    else:
        assert count == 2
    if name == "defaults":
        assert count == 2


def test_a_cpu_limit_in_thousandths_is_understood() -> None:
    manifests = rendered({"replicaCount": 4, "resources": {"limits": {"memory": "8Gi", "cpu": "2500m"}}})
    assert granted(manifests) == 2 * 4 * (3 * 16 + 4) + 10 - RESERVED


def test_behind_pgbouncer_its_pool_counts_and_it_takes_every_client() -> None:
    manifests = rendered({"replicaCount": 10, "pgbouncer": {"enabled": True, "poolSize": 20}})
    assert granted(manifests) == 2 * 10 * (20 + 4) + 10 - RESERVED
    values = {"config": {"server": {"workers": 20}, "database": {"pool": {"max_connections": 100}}}}
    for given, clients in (({}, 1000), (values, 20 * 100 + 4)):
        [script] = container(rendered({**given, "pgbouncer": {"enabled": True}}), "pgbouncer")["args"]
        assert f"max_client_conn = {clients}\n" in script


def test_a_quantity_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(helm.HelmError, match="1Gb is not a quantity; write it as 1Gi, 1500M or 500m"):
        rendered({"resources": {"limits": {"memory": "1Gb"}}})


def test_the_autoscaler_finds_a_cpu_request_in_every_container() -> None:
    manifests = rendered({"autoscaling": {"enabled": True}, "pgbouncer": {"enabled": True}})
    pod = one(manifests, "Deployment")["spec"]["template"]["spec"]
    assert all(each["resources"]["requests"]["cpu"] for each in (*pod["initContainers"], *pod["containers"]))
    for name, values in (
        ("resources", {"resources": {"requests": {"cpu": None}}}),
        ("pgbouncer.resources", {"pgbouncer": {"enabled": True, "resources": {"requests": None}}}),
        ("sidecars[0].resources", {"sidecars": [{"name": "proxy", "image": "proxy:1"}]}),
    ):
        with pytest.raises(helm.HelmError) as refused:
            rendered({"autoscaling": {"enabled": True}, **values})
        assert f"{name}.requests.cpu: autoscaling requires a CPU request" in str(refused.value)


def test_a_stop_fits_into_the_time_that_kubernetes_gives() -> None:
    pod = one(rendered({}), "Deployment")["spec"]["template"]["spec"]
    [program, seconds] = container(rendered({}), "api")["lifecycle"]["preStop"]["exec"]["command"]
    assert program == "sleep"
    shutdown = settings.Health().shutdown_timeout
    assert int(seconds) + 1 + shutdown + 3 < pod["terminationGracePeriodSeconds"]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ({}, "Always"),
        ({"tag": "v1.1.0"}, "IfNotPresent"),
        ({"tag": 1}, "IfNotPresent"),
        ({"pullPolicy": "Never"}, "Never"),
    ],
)
def test_a_tag_that_moves_is_pulled_always(image: dict[str, Any], expected: str) -> None:
    manifests = rendered({"image": image})
    assert {container(manifests, name)["imagePullPolicy"] for name in ("api", "migrate")} == {expected}
