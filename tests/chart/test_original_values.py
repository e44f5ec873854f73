"""Every value that the original HyperFleet API chart documents: taken here, or refused with what it is called here."""

from typing import Any, Final

import helm_python as helm
import pytest
import yaml

from hyperfleet.cli.names import ROWS
from tests.chart.manifests import CHART, rendered
from tests.house.test_settings import nested

TAKEN: Final = ""
EXTERNAL: Final[dict[str, Any]] = {
    "database": {"postgresql": {"enabled": False}, "external": {"enabled": True, "secretName": "db"}}
}
CONTAINER: Final = {"name": "a", "image": "a", "resources": {"requests": {"cpu": "1m"}}}
TENANT: Final = [{"key": "org", "header": "X-Org", "required": True}]
SPECS: Final = "openapi: 3.0.3\ninfo: {title: t, version: '1'}\npaths: {}\ncomponents: {schemas: {}}\n"

# The value, a sample, and the words of the refusal, or TAKEN. The values of releases before are at the end.
ORIGINAL: Final[list[tuple[str, Any, str]]] = [
    ("replicaCount", 2, TAKEN),
    ("image.registry", "quay.io/openshift-hyperfleet", TAKEN),
    ("image.repository", "hyperfleet-api", TAKEN),
    ("image.tag", "v1", TAKEN),
    ("image.pullPolicy", "Always", TAKEN),
    ("imagePullSecrets", [{"name": "pull"}], TAKEN),
    ("nameOverride", "api", TAKEN),
    ("fullnameOverride", "api", TAKEN),
    ("ports.api", 8000, TAKEN),
    ("ports.health", 8080, TAKEN),
    ("ports.metrics", 9090, TAKEN),
    ("config.existingConfigMap", "mine", TAKEN),
    ("config.existingConfigMapTLSEnabled", True, "remove it; the chart reads the ConfigMap itself"),
    ("config.server.hostname", "api.example.com", "remove it, the pod's name is used"),
    ("config.server.host", "0.0.0.0", "remove it, the chart listens on every address"),
    ("config.server.port", 8000, "set ports.api"),
    ("config.server.timeouts.read", "5s", TAKEN),
    ("config.server.timeouts.write", "30s", TAKEN),
    ("config.server.tls.enabled", False, TAKEN),
    ("config.server.tls.cert_file", "/tls/tls.crt", TAKEN),
    ("config.server.tls.key_file", "/tls/tls.key", TAKEN),
    ("config.server.jwt.enabled", True, "set auth.enableJwt"),
    ("config.server.jwt.configs", [{"issuer_url": "https://sso.example.com"}], "set auth.issuers"),
    ("config.server.tenant.enabled", False, TAKEN),
    ("config.server.tenant.system_header", "X-HyperFleet-System", TAKEN),
    ("config.server.tenant.dimensions", TENANT, TAKEN),
    ("config.database.dialect", "postgres", "remove it; the database is always PostgreSQL"),
    ("config.database.host", "db", "put db.host into the Secret of database.external.secretName"),
    ("config.database.port", 5432, "put db.port into the Secret of database.external.secretName"),
    ("config.database.name", "hyperfleet", "put db.name into the Secret of database.external.secretName"),
    ("config.database.debug", False, TAKEN),
    ("config.database.ssl.mode", "require", "set database.ssl.mode, outside config"),
    ("config.database.ssl.root_cert_file", "/ca.crt", "set database.ssl.caSecret, outside config"),
    ("config.database.pool.max_connections", 50, TAKEN),
    ("config.database.pool.max_idle_connections", 10, TAKEN),
    ("config.database.pool.conn_max_lifetime", "5m", TAKEN),
    ("config.database.pool.conn_max_idle_time", "1m", TAKEN),
    ("config.database.pool.request_timeout", "30s", TAKEN),
    ("config.database.pool.conn_retry_attempts", 10, TAKEN),
    ("config.database.pool.conn_retry_interval", "3s", TAKEN),
    ("config.logging.level", "warn", TAKEN),
    ("config.logging.format", "json", TAKEN),
    ("config.logging.output", "stdout", TAKEN),
    ("config.logging.otel.enabled", False, TAKEN),
    ("config.logging.masking.enabled", True, TAKEN),
    ("config.logging.masking.headers", ["Authorization"], TAKEN),
    ("config.logging.masking.fields", ["password"], TAKEN),
    ("config.metrics.host", "0.0.0.0", "remove it, the chart listens on every address"),
    ("config.metrics.port", 9090, "set ports.metrics"),
    ("config.metrics.tls.enabled", False, TAKEN),
    ("config.metrics.label_metrics_inclusion_duration", "168h", "remove it; metrics have no labels"),
    ("config.metrics.reconciliation_stuck_threshold", "10m", TAKEN),
    ("config.health.host", "0.0.0.0", "remove it, the chart listens on every address"),
    ("config.health.port", 8080, "set ports.health"),
    ("config.health.tls.enabled", False, TAKEN),
    ("config.health.shutdown_timeout", "20s", TAKEN),
    ("config.health.db_ping_timeout", "2s", TAKEN),
    ("config.entities", [{"kind": "Channel", "plural": "channels"}], TAKEN),
    ("serviceAccount.create", True, TAKEN),
    ("serviceAccount.annotations", {"iam.gke.io/gcp-service-account": "a"}, TAKEN),
    ("serviceAccount.name", "api", TAKEN),
    ("podAnnotations", {"a": "b"}, TAKEN),
    ("podLabels", {"a": "b"}, TAKEN),
    ("podSecurityContext", {"fsGroup": 65532, "runAsNonRoot": True, "runAsUser": 65532}, TAKEN),
    ("securityContext", {"readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}, TAKEN),
    ("service.type", "ClusterIP", TAKEN),
    ("resources", {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "100m", "memory": "512Mi"}}, TAKEN),
    ("nodeSelector", {"disk": "fast"}, TAKEN),
    ("tolerations", [{"key": "a", "operator": "Exists"}], TAKEN),
    ("affinity", {"nodeAffinity": {}}, TAKEN),
    ("autoscaling.enabled", True, TAKEN),
    ("autoscaling.minReplicas", 1, TAKEN),
    ("autoscaling.maxReplicas", 10, TAKEN),
    ("autoscaling.targetCPUUtilizationPercentage", 80, TAKEN),
    ("autoscaling.targetMemoryUtilizationPercentage", 80, "remove it; memory use does not follow the load"),
    ("podDisruptionBudget", {"enabled": True, "minAvailable": 1}, TAKEN),
    ("database.external", {"enabled": True, "secretName": "db"}, "the service has one database"),
    ("database.postgresql.enabled", True, TAKEN),
    ("database.postgresql.image", "docker.io/library/postgres:14.2", "/database/postgresql/image"),
    ("database.postgresql.database", "hyperfleet", "remove it; the built-in database is hyperfleet"),
    ("database.postgresql.user", "hyperfleet", "remove it; the built-in role is hyperfleet"),
    ("database.postgresql.password", "x", "remove it; the password is generated"),
    ("database.postgresql.port", 5432, "remove it; the built-in PostgreSQL listens on 5432"),
    ("database.postgresql.resources", {"limits": {"cpu": "500m", "memory": "512Mi"}}, TAKEN),
    ("database.postgresql.persistence.enabled", False, "use database.postgresql.storage"),
    ("monitoring.prometheusRule.enabled", True, TAKEN),
    ("monitoring.prometheusRule.additionalLabels", {}, "use monitoring.prometheusRule.labels"),
    ("monitoring.prometheusRule.rules", {}, "use monitoring.prometheusRule.runbookUrl"),
    ("monitoring.serviceMonitor.enabled", True, TAKEN),
    ("monitoring.serviceMonitor.interval", "30s", TAKEN),
    ("monitoring.serviceMonitor.labels", {"release": "prometheus"}, TAKEN),
    ("monitoring.serviceMonitor.scrapeTimeout", "10s", "remove it; Prometheus' own timeout applies"),
    ("monitoring.serviceMonitor.namespace", "", "the ServiceMonitor is in the release's namespace"),
    ("monitoring.serviceMonitor.honorLabels", False, "remove it"),
    ("monitoring.serviceMonitor.metricRelabeling", [], "relabel in Prometheus"),
    ("monitoring.serviceMonitor.namespaceSelector", {}, "the ServiceMonitor is in the release's namespace"),
    ("monitoring.tracing.enabled", False, TAKEN),
    ("monitoring.tracing.serviceName", "api", "set the variable OTEL_SERVICE_NAME in extraEnv"),
    ("monitoring.tracing.otlpEndpoint", "http://c:4318", "use monitoring.tracing.endpoint"),
    ("monitoring.tracing.otlpProtocol", "grpc", "spans are sent by OTLP over HTTP"),
    ("monitoring.tracing.sampler", "always_on", "use monitoring.tracing.share"),
    ("monitoring.tracing.samplerArg", "1", "use monitoring.tracing.share"),
    ("monitoring.tracing.propagators", "tracecontext", "the W3C trace context is used"),
    ("monitoring.dashboard.enabled", True, TAKEN),
    ("monitoring.podMonitoring.enabled", True, TAKEN),
    ("monitoring.podMonitoring.interval", "30s", TAKEN),
    ("monitoring.podMonitoring.additionalLabels", {}, "use monitoring.podMonitoring.labels"),
    ("monitoring.podMonitoring.metricRelabeling", [], "relabel in Prometheus"),
    ("monitoring.podMonitoring.tlsConfig", {}, "use monitoring.podMonitoring.tls"),
    ("nativeSidecars", [CONTAINER], "/nativeSidecars"),
    ("sidecars", [CONTAINER], TAKEN),
    ("validationSchema", {"enabled": True, "content": SPECS}, TAKEN),
    ("validationSchema.existingConfigMap", "specs", "use --set-file provider.schema=openapi.yaml"),
    ("extraEnv", [{"name": "A", "value": "b"}], TAKEN),
    ("extraVolumeMounts", [{"name": "a", "mountPath": "/a"}], TAKEN),
    ("extraVolumes", [{"name": "a", "emptyDir": {}}], TAKEN),
    # Of earlier releases.
    ("server.bindAddress", ":8000", "set ports.api, ports.health and ports.metrics"),
    ("service.port", 8000, "set ports.api"),
    ("auth.enableJwt", True, TAKEN),
    ("auth.enableAuthz", False, TAKEN),
    ("auth.jwksUrl", "https://sso.example.com/certs", "use jwk_cert_url of an entry in auth.issuers"),
    ("adapters.cluster", ["dns"], "use required_adapters of an entry in config.entities"),
    ("config.adapters.required.cluster", ["dns"], "use required_adapters of an entry in config.entities"),
    ("config.server.jwk.cert_url", "https://x", "use jwk_cert_url or jwk_cert_file of an entry in auth.issuers"),
    ("config.server.jwt.issuer_url", "https://x", "use issuer_url of an entry in auth.issuers"),
    ("config.server.jwt.audience", "api", "use audience of an entry in auth.issuers"),
    ("config.server.jwt.identity_claim", "email", "use identity_claim of an entry in auth.issuers"),
    ("config.server.identity_header", "X-User", "use identity_header of an entry in auth.issuers"),
    ("config.server.authz.enabled", True, "set auth.enableAuthz"),
    ("config.server.acl.file", "/acl", "use config.server.authorization.rules"),
    ("config.logging.otel.sampling_rate", 1.0, "use monitoring.tracing.share"),
    ("config.metrics.deletion_stuck_threshold", "30m", "use config.metrics.reconciliation_stuck_threshold"),
    ("serviceMonitor.enabled", True, "use monitoring.serviceMonitor"),
    ("env", [], "use extraEnv"),
    ("database.external.sslMode", "require", "use database.ssl.mode"),
    ("database.external.usePodIdentity", True, "External Secrets Operator"),
    ("database.external.secretMountPath", "/mnt", "use database.external.secretName"),
    ("database.external.secretProviderClass", "a", "use database.external.secretName"),
    ("database.external.createSecretProviderClass", True, "use database.external.secretName"),
    ("database.external.aws.region", "us-east-1", "use database.external.secretName"),
]


@pytest.mark.parametrize(("path", "value", "refusal"), ORIGINAL, ids=lambda part: part if isinstance(part, str) else "")
def test_a_value_of_the_original_chart_is_taken_or_refused_with_its_name_here(
    path: str, value: Any, refusal: str
) -> None:
    values = nested(path, value)
    if not refusal:
        assert rendered(values)
        return
    with pytest.raises(helm.HelmError) as refused:
        rendered(values)
    assert refusal in str(refused.value)
    assert path.partition(".")[0] in str(refused.value)


def test_every_value_that_the_chart_knows_as_the_originals_is_tried() -> None:
    known = yaml.safe_load((CHART / "files" / "original-values.yaml").read_text())
    tried = [path for path, _, refusal in ORIGINAL if refusal]
    assert [each for each in known if not any(path == each or path.startswith(each + ".") for path in tried)] == []


@pytest.mark.parametrize("path", ["server.jwt.enabled", "server.authorization.enabled"])
def test_no_alias_in_the_environment_gets_around_a_value_of_the_chart(path: str) -> None:
    for variable in ROWS[path].variables:
        with pytest.raises(helm.HelmError, match=f"extraEnv: {variable} is set by the chart"):
            rendered({"extraEnv": [{"name": variable, "value": "false"}]})


def test_all_of_them_are_refused_at_once() -> None:
    values = {"auth": {"jwksUrl": "x"}, "env": [], "config": {"database": {"dialect": "postgres"}}}
    with pytest.raises(helm.HelmError) as refused:
        rendered(values)
    said = str(refused.value)
    assert [path in said for path in ("auth.jwksUrl is", "env is", "config.database.dialect is")] == [True] * 3


def test_the_originals_values_together_render_once_those_that_are_refused_are_gone() -> None:
    groups = ("config.", "replicaCount", "ports.", "resources", "pod", "security")
    values = EXTERNAL
    for path, value, refusal in ORIGINAL:
        if not refusal and path.startswith(groups) and path != "config.existingConfigMap":
            values = merged(values, nested(path, value))
    assert rendered(values)


def merged(values: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Both trees in one."""
    both = {name: merged(values[name], more[name]) for name in more if isinstance(values.get(name), dict)}
    return {**values, **more, **both}
