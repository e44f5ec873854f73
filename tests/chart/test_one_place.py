"""Each setting has one place in the values: what the chart would override is refused, with the value to use."""

import json
from typing import Any, Final

import helm_python as helm
import pytest
import yaml

from hyperfleet.settings import rows
from tests.chart.manifests import CHART, Manifest, container, environment, of_kind, rendered
from tests.chart.values import EXTERNAL, SCHEMA

ISSUER: Final = {"issuer_url": "https://a.example.com", "jwk_cert_url": "https://a.example.com/k"}
RULE: Final = {"name": "all", "verbs": ["*"], "when": "true"}
TRACING: Final = {"enabled": True, "endpoint": "http://collector:4318"}
SITUATIONS: Final[dict[str, dict[str, Any]]] = {
    "defaults": {},
    "external": {"database": {**EXTERNAL, "ssl": {"mode": "verify-full", "caSecret": "ca"}}},
    "everything": {
        "database": EXTERNAL,
        "pgbouncer": {"enabled": True},
        "provider": {"schema": SCHEMA},
        "auth": {"issuers": [ISSUER]},
        "monitoring": {"tracing": TRACING},
    },
}


def tree(path: str, value: Any) -> dict[str, Any]:
    """A settings tree with this one value."""
    for name in reversed(path.split(".")):
        value = {name: value}
    return dict(value)


def refusal(values: dict[str, Any]) -> str:
    with pytest.raises(helm.HelmError) as refused:
        rendered(values)
    return str(refused.value)


def leaves(settings: dict[str, Any], prefix: str = "") -> set[str]:
    found = set()
    for name, value in settings.items():
        found |= leaves(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}"}
    return found


def file(manifests: list[Manifest]) -> dict[str, Any]:
    [text] = [each["data"]["config.yaml"] for each in of_kind(manifests, "ConfigMap") if "config.yaml" in each["data"]]
    return dict(yaml.safe_load(text))


@pytest.mark.parametrize("name", SITUATIONS)
def test_whatever_the_chart_sets_is_refused_as_a_setting_and_as_a_variable(name: str) -> None:
    values = SITUATIONS[name]
    manifests = rendered(values)
    variables = {
        each for each in environment(manifests, "api") if each.startswith(("HYPERFLEET_", "OPENAPI_", "OTEL_"))
    }
    owned = [row for row in rows() if row.path in leaves(file(manifests)) or row.variable in variables]
    variables |= {name for row in owned for name in row.variables}
    assert len(variables) > 12
    for variable in variables - {""}:
        assert variable in refusal({**values, "extraEnv": [{"name": variable, "value": "x"}]})
    # A further name whose group the chart does not know is refused by its schema.
    known = json.loads((CHART / "values.schema.json").read_text())["properties"]["config"]["properties"]
    for path in {name for row in owned for name in row.paths if name.split(".")[0] in known}:
        said = refusal({**values, "config": tree(path, "x")})
        # Further names of a setting are among what the original chart has, and refused as such.
        assert (
            f"config.{path} would be overridden by the chart: " in said or " is a value of the original chart: " in said
        )


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"config": {"server": {"port": 8000}}}, "config.server.port would be overridden by the chart: set ports.api."),
        ({"config": {"server": {"jwt": {"configs": [ISSUER]}}}}, "set auth.issuers"),
        ({"auth": {"enableJwt": False}, "config": {"server": {"jwt": {"configs": [ISSUER]}}}}, "set auth.issuers"),
        ({"auth": {"enableJwt": False, "issuers": [ISSUER]}}, "auth.issuers would have no effect"),
        ({"config": {"server": {"authorization": {"enabled": False}}}}, "set auth.enableAuthz"),
        (
            {"auth": {"enableAuthz": False}, "config": {"server": {"authorization": {"rules": [RULE]}}}},
            "auth.enableAuthz is false",
        ),
        (
            {"auth": {"enableJwt": False}, "config": {"server": {"authorization": {"rules": [RULE]}}}},
            "auth.enableJwt is false",
        ),
        ({"config": {"database": {"host": "db"}}}, "put db.host into the Secret of database.external.secretName"),
        ({"config": {"database": {"password_file": "/p"}}}, "put db.password into the Secret"),
        ({"config": {"database": {"url": "postgresql://x"}}}, "database.external.secretName"),
        ({"config": {"database": {"embedded": {"data_dir": "/d"}}}}, "never runs the embedded"),
        ({"config": {"health": {"host": "localhost"}}}, "remove it"),
        (
            {"provider": {"schema": SCHEMA}, "config": {"server": {"openapi_schema_path": "/x"}}},
            "set either provider.schema or this setting",
        ),
        (
            {"monitoring": {"tracing": TRACING}, "config": {"logging": {"otel": {"enabled": False}}}},
            "set monitoring.tracing.enabled",
        ),
        (
            {"pgbouncer": {"enabled": True}, "config": {"database": {"statement_cache": True}}},
            "pgbouncer.enabled turns it off",
        ),
        (
            {"config": {"existingConfigMap": "mine", "logging": {"level": "debug"}}},
            "put this setting into that ConfigMap",
        ),
        ({"config": {"existingConfigMap": "mine"}, "auth": {"issuers": [ISSUER]}}, "server.jwt.configs"),
        ({"extraEnv": [{"name": "HYPERFLEET_DATABASE_HOST_FILE", "value": "/h"}]}, "is set by the chart"),
        ({"extraEnv": [{"name": "HYPERFLEET_AUTH_ENABLE_JWT", "value": "false"}]}, "set auth.enableJwt"),
    ],
)
def test_the_refusal_names_the_value_to_use(values: dict[str, Any], words: str) -> None:
    assert words in refusal(values)


@pytest.mark.parametrize(
    "config",
    [
        {"server": {"openapi_schema_path": "/mine/openapi.yaml"}},
        {"server": {"authorization": {"rules": [RULE]}}},
        {"database": {"statement_cache": False, "pool": {"max_connections": 4}}},
        {"logging": {"otel": {"enabled": True}}},
        {"server": {"workers": 3}},
    ],
)
def test_a_setting_that_the_chart_leaves_alone_arrives(config: dict[str, Any]) -> None:
    assert leaves(config) <= leaves(file(rendered({"config": config})))


def test_beside_a_config_map_of_the_users_the_values_of_the_chart_still_apply() -> None:
    values = {"config": {"existingConfigMap": "mine"}, "auth": {"enableJwt": False}, "ports": {"api": 9000}}
    manifests = rendered(values)
    variables = environment(manifests, "api")
    assert variables["HYPERFLEET_SERVER_JWT_ENABLED"] == "false"
    assert variables["HYPERFLEET_SERVER_AUTHORIZATION_ENABLED"] == "true"
    assert (variables["HYPERFLEET_SERVER_HOST"], variables["HYPERFLEET_SERVER_PORT"]) == ("0.0.0.0", "9000")
    assert {"name": "api", "containerPort": 9000} in container(manifests, "api")["ports"]


def test_the_number_of_tries_goes_to_the_migration_too() -> None:
    config = {"database": {"pool": {"conn_retry_attempts": 7}}}
    for values, tries in (({}, "60"), ({"config": config}, "7")):
        assert environment(rendered(values), "migrate")["HYPERFLEET_DATABASE_POOL_CONN_RETRY_ATTEMPTS"] == tries
