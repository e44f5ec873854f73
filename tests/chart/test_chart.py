"""The chart: many sets of values, rendered by Helm, held against Kubernetes' schemas and against the service itself."""

import functools
import json
import re
from pathlib import Path
from typing import Any

import helm_python as helm
import kubernetes_validate
import pytest
import yaml

from hyperfleet.telemetry import metrics
from testbed.programs import called
from tests.chart.expressions import expressions
from tests.chart.manifests import CHART, Manifest, container, environment, of_kind, one, rendered, rendered_anew
from tests.chart.values import EXTERNAL, MATRIX
from tests.cli.test_tls import certificate
from tests.house.pages import INSTRUMENTS


@pytest.fixture(params=MATRIX, ids=lambda name: name.replace(" ", "-"))
def manifests(request: pytest.FixtureRequest) -> list[Manifest]:
    return rendered(MATRIX[request.param])


def test_there_are_at_least_thirty_sets_of_values() -> None:
    assert len(MATRIX) >= 30


@pytest.mark.parametrize("name", MATRIX)
def test_helm_has_nothing_to_say_against_it(name: str) -> None:
    found = helm.lint(str(CHART), MATRIX[name])
    assert [each for each in found["messages"] if each["error"] != "icon is recommended"] == []


def test_kubernetes_takes_every_manifest(manifests: list[Manifest]) -> None:
    for manifest in manifests:
        if manifest["kind"] in ("ServiceMonitor", "PodMonitoring"):
            assert set(manifest["spec"]) == {"selector", "endpoints"}
            further = {"scheme", "tlsConfig" if manifest["kind"] == "ServiceMonitor" else "tls"}
            for each in manifest["spec"]["endpoints"]:
                assert {"port", "path", "interval"} <= set(each) <= {"port", "path", "interval", *further}
        elif manifest["kind"] == "PrometheusRule":
            assert set(manifest["spec"]) == {"groups"}
        elif manifest["kind"] == "HTTPRoute":
            assert set(manifest["spec"]) <= {"parentRefs", "hostnames", "rules"}
        else:
            validated(json.dumps(manifest))


@functools.cache
def validated(manifest: str) -> None:
    """Raises for what Kubernetes would refuse; most manifests are the same in many sets of values."""
    kubernetes_validate.validate(json.loads(manifest), "1.37", strict=True)


def pods(manifests: list[Manifest]) -> dict[str, dict[str, str]]:
    """The labels of every pod by what makes it."""
    found = {
        f"{manifest['kind']}/{manifest['metadata']['name']}": manifest["spec"]["template"]["metadata"]["labels"]
        for manifest in manifests
        if manifest["kind"] in ("Deployment", "StatefulSet")
    }
    return found | {
        f"Pod/{manifest['metadata']['name']}": manifest["metadata"]["labels"] for manifest in of_kind(manifests, "Pod")
    }


def selectors(manifests: list[Manifest]) -> dict[str, dict[str, str]]:
    found = {}
    for manifest in manifests:
        spec = manifest.get("spec", {})
        selector = spec.get("selector") or spec.get("podSelector")
        if selector:
            name = f"{manifest['kind']}/{manifest['metadata']['name']}"
            found[name] = selector.get("matchLabels", selector)
    return found


def test_selectors_match_the_pods_that_they_are_for_and_no_others(manifests: list[Manifest]) -> None:
    labels = pods(manifests)
    [api] = [name for name in labels if name.startswith("Deployment/")]
    for name, selector in selectors(manifests).items():
        if name.startswith("ServiceMonitor/"):
            services = [
                each for each in of_kind(manifests, "Service") if selector.items() <= each["metadata"]["labels"].items()
            ]
            assert api.removeprefix("Deployment/") in [each["metadata"]["name"] for each in services]
            continue
        matched = [pod for pod, has in labels.items() if selector.items() <= has.items()]
        wanted = [pod for pod in labels if pod.startswith("StatefulSet/")] if name.endswith("-postgresql") else [api]
        assert matched == wanted, name


def test_ports_probes_and_settings_agree(manifests: list[Manifest]) -> None:
    api = container(manifests, "api")
    ports = {port["name"]: port["containerPort"] for port in api["ports"]}
    assert [api[probe]["httpGet"]["port"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")] == [
        "health"
    ] * 3
    assert api["readinessProbe"]["httpGet"]["path"] == "/readyz"
    service = next(
        each for each in of_kind(manifests, "Service") if not each["metadata"]["name"].endswith("-postgresql")
    )
    assert {port["name"]: port["port"] for port in service["spec"]["ports"]} == ports
    assert all(port["targetPort"] == port["name"] for port in service["spec"]["ports"])
    for config in of_kind(manifests, "ConfigMap"):
        if "config.yaml" in config["data"]:
            settings = yaml.safe_load(config["data"]["config.yaml"])
            assert {group: settings["server" if group == "api" else group]["port"] for group in ports} == ports
            assert {settings[group]["host"] for group in ("server", "health", "metrics")} == {"0.0.0.0"}


def test_what_asks_a_listener_speaks_as_that_does(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    tls = {"tls": {"enabled": True, "cert_file": str(cert), "key_file": str(key)}}
    monitoring = {"serviceMonitor": {"enabled": True, "tlsConfig": {"insecureSkipVerify": True}}}
    values = {"config": {"server": tls, "health": tls, "metrics": tls}, "monitoring": monitoring}
    for given, scheme in ((values, "https"), ({"monitoring": monitoring}, "http")):
        manifests = rendered(given)
        api = container(manifests, "api")
        probes = [api[probe]["httpGet"]["scheme"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")]
        assert probes == [scheme.upper()] * 3
        [endpoint] = one(manifests, "ServiceMonitor")["spec"]["endpoints"]
        assert (endpoint["scheme"], endpoint["tlsConfig"]) == (scheme, {"insecureSkipVerify": True})
        asked = one(manifests, "Pod")["spec"]["containers"][0]["args"][0]
        compile(asked, "helm test", "exec")
        assert asked.count(f'ask("{scheme}://') == 2
    [config] = [each for each in of_kind(rendered(values), "ConfigMap") if "config.yaml" in each["data"]]
    (tmp_path / "config.yaml").write_text(config["data"]["config.yaml"])
    assert called("config", "--config", str(tmp_path / "config.yaml")).returncode == 0


def test_the_service_takes_the_settings_of_its_pod(manifests: list[Manifest], tmp_path: Path) -> None:
    files = {name: text for each in of_kind(manifests, "ConfigMap") for name, text in each["data"].items()}
    (tmp_path / "config.yaml").write_text(files.get("config.yaml", ""))
    variables: dict[str, str] = {}
    for name, value in environment(manifests, "api").items():
        secret = value["secretKeyRef"]["key"] if isinstance(value, dict) and "secretKeyRef" in value else ""
        variables[name] = {"db.port": "5432"}.get(secret, "x") if isinstance(value, dict) else str(value)
    variables["HYPERFLEET_CONFIG"] = str(tmp_path / "config.yaml")
    if "HYPERFLEET_DATABASE_SSL_ROOT_CERT_FILE" in variables:
        variables["HYPERFLEET_DATABASE_SSL_ROOT_CERT_FILE"] = str(certificate(tmp_path)[0])
    assert ("OPENAPI_SCHEMA_PATH" in variables) is ("openapi.yaml" in files)
    if "openapi.yaml" in files:
        (tmp_path / "openapi.yaml").write_text(files["openapi.yaml"])
        variables["OPENAPI_SCHEMA_PATH"] = str(tmp_path / "openapi.yaml")
    done = called("config", variables=variables)
    assert done.returncode == 0, done.stderr


def test_what_migrates_connects_to_the_database_itself(manifests: list[Manifest]) -> None:
    migrating, serving = environment(manifests, "migrate"), environment(manifests, "api")
    assert container(manifests, "migrate")["args"] == ["migrate"]
    assert migrating["HYPERFLEET_DATABASE_HOST"] != "127.0.0.1"
    pod = one(manifests, "Deployment")["spec"]["template"]["spec"]
    is_bounced = any(each["name"] == "pgbouncer" for each in (*pod["initContainers"], *pod["containers"]))
    assert (serving["HYPERFLEET_DATABASE_HOST"] == "127.0.0.1") is is_bounced
    assert ("HYPERFLEET_DATABASE_STATEMENT_CACHE" in serving) is is_bounced
    assert pod["initContainers"][0]["name"] == "migrate"


def test_pods_run_as_nobody_and_write_where_they_may(manifests: list[Manifest]) -> None:
    pod = one(manifests, "Deployment")["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 65532
    for each in (*pod["initContainers"], *pod["containers"]):
        if each["name"] != "proxy":
            assert each["securityContext"]["readOnlyRootFilesystem"] is True
            assert each["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert each["securityContext"]["allowPrivilegeEscalation"] is False


def test_every_volume_that_is_mounted_is_there(manifests: list[Manifest]) -> None:
    pod = one(manifests, "Deployment")["spec"]["template"]["spec"]
    volumes = {volume["name"] for volume in pod["volumes"]}
    containers = (*pod["initContainers"], *pod["containers"])
    mounted = {mount["name"] for each in containers for mount in each.get("volumeMounts", [])}
    assert mounted <= volumes
    paths = [mount["mountPath"] for mount in container(manifests, "api")["volumeMounts"]]
    assert len(paths) == len(set(paths))


def test_the_password_is_made_anew_for_each_install_and_kept() -> None:
    secrets = [one(rendered_anew({}), "Secret") for _ in range(2)]
    assert secrets[0]["data"]["password"] != secrets[1]["data"]["password"]
    assert secrets[0]["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert "lookup" in (CHART / "templates" / "postgresql.yaml").read_text()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"replicas": 3}, "replicas"),
        ({"image": {"tags": "v1"}}, "tags"),
        ({"auth": {"enableJWT": False}}, "enableJWT"),
        ({"database": {"postgres": {}}}, "postgres"),
        ({"config": {"sever": {}}}, "sever"),
        ({"ports": {"api": 0}}, "api"),
        ({"ports": {"api": "http"}}, "api"),
        ({"service": {"type": "Cluster"}}, "type"),
        ({"monitoring": {"serviceMonitor": {"enable": True}}}, "enable"),
        ({"monitoring": {"tracing": {"enabled": True}}}, "set the collector's address"),
        ({"monitoring": {"tracing": {"enabled": True, "endpoint": "collector:4318"}}}, "endpoint"),
        ({"monitoring": {"tracing": {"share": 2}}}, "share"),
        ({"database": {"external": {"enabled": True, "secretName": "x"}}}, "the service has one database"),
        ({"database": {"postgresql": {"enabled": False}}}, "enable postgresql or external"),
        ({"database": {**EXTERNAL, "external": {"enabled": True}}}, "name the Secret"),
        ({"podDisruptionBudget": {"enabled": True}}, "set one of minAvailable and maxUnavailable"),
        (
            {"podDisruptionBudget": {"enabled": True, "minAvailable": 1, "maxUnavailable": 1}},
            "set one of minAvailable and maxUnavailable",
        ),
        (
            {"provider": {"schema": "a"}, "validationSchema": {"enabled": True, "content": "a"}},
            "two names of the same value",
        ),
    ],
)
def test_values_that_are_wrong_are_refused_by_name(values: dict[str, Any], words: str) -> None:
    with pytest.raises(helm.HelmError) as refused:
        rendered(values)
    assert words in str(refused.value)


def test_every_value_has_a_word_in_its_schema() -> None:
    def unknown(values: Any, schema: Any, path: str) -> list[str]:
        if not isinstance(values, dict) or "properties" not in schema:
            return []
        return [f"{path}{name}" for name in values if name not in schema["properties"]] + [
            each
            for name, value in values.items()
            if name in schema["properties"]
            for each in unknown(value, schema["properties"][name], f"{path}{name}.")
        ]

    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert unknown(values, json.loads((CHART / "values.schema.json").read_text()), "") == []


@pytest.mark.parametrize("name", expressions())
def test_alerts_and_dashboard_name_only_metrics_and_labels_that_exist(name: str) -> None:
    known: dict[str, set[str]] = {}
    for row in INSTRUMENTS:
        labels = {*metrics.COMMON_LABELS, *row.labels}
        suffixes = ("_bucket", "_count", "_sum") if row.type == "histogram" else ("",)
        known |= {row.name + suffix: labels | ({"le"} if suffix == "_bucket" else set()) for suffix in suffixes}
    expression = expressions()[name]
    used = set(re.findall(r"\b(?:up|hyperfleet_\w+)\b", expression))
    assert used
    # Prometheus makes `up`, and gives all series the labels of their target.
    known["up"] = set()
    assert used <= known.keys()
    labels = {label for found in re.findall(r"by \(([^)]*)\)", expression) for label in re.split(r",\s*", found)}
    labels |= {
        label for found in re.findall(r"\{([^}]*)\}", expression) for label in re.findall(r"(\w+)\s*[=!]", found)
    }
    assert labels - {"namespace", "job", "instance"} <= set.union(*(known[metric] for metric in used))


def test_every_alert_says_what_to_do() -> None:
    alerts = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())
    for group in alerts["groups"]:
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in ("warning", "critical")
            assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
            assert rule["for"]


def test_the_commands_of_the_readme_give_what_they_say() -> None:
    image = {"registry": "quay.io/myuser", "repository": "hyperfleet-api", "tag": "v1.0.0"}
    assert container(rendered({"image": image}), "api")["image"] == "quay.io/myuser/hyperfleet-api:v1.0.0"
    assert container(rendered({}), "api")["image"] == "quay.io/openshift-hyperfleet/hyperfleet-api:latest"
    assert of_kind(rendered({}), "StatefulSet")
    external = rendered({"database": EXTERNAL})
    assert not of_kind(external, "StatefulSet")
    assert not of_kind(external, "Secret")
    host = environment(external, "api")["HYPERFLEET_DATABASE_HOST"]
    assert host == {"secretKeyRef": {"name": "hyperfleet-db-external", "key": "db.host"}}
