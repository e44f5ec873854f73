"""Aliases of settings: names from the original HyperFleet API, so that its deployments start this one unchanged.

A name that begins with a hyphen is a flag, a name in capitals is a variable, and any other name is a path in the
configuration file. `RETIRED` lists the names without a counterpart here, with what to do instead.
"""

from dataclasses import dataclass
from typing import Final

ALIASES: Final[dict[str, tuple[str, ...]]] = {
    "server.timeouts.read": ("--server-read-timeout",),
    "server.timeouts.write": ("--server-write-timeout",),
    "server.openapi_schema_path": ("OPENAPI_SCHEMA_PATH",),
    "server.tls.enabled": ("--server-https-enabled",),
    "server.tls.cert_file": ("--server-https-cert-file",),
    "server.tls.key_file": ("--server-https-key-file",),
    "server.jwt.enabled": ("HYPERFLEET_AUTH_ENABLE_JWT",),
    "server.authorization.enabled": (
        "HYPERFLEET_SERVER_AUTHZ_ENABLED",
        "--server-authz-enabled",
        "server.authz.enabled",
    ),
    "database.host": ("--db-host",),
    "database.port": ("--db-port",),
    "database.name": ("--db-name",),
    "database.username": ("--db-username", "--db-user"),
    "database.password": ("--db-password",),
    "database.ssl.mode": ("--db-ssl-mode",),
    "database.ssl.root_cert_file": ("--db-root-cert-file",),
    "database.pool.max_connections": ("--db-max-open-connections",),
    "database.debug": ("--db-debug",),
    "logging.level": ("--log-level", "-l"),
    "logging.format": ("--log-format", "-f"),
    "logging.output": ("--log-output",),
    "logging.masking.enabled": ("--log-masking-enabled",),
    "logging.masking.headers": ("--log-masking-sensitive-headers",),
    "logging.masking.fields": ("--log-masking-sensitive-fields",),
    "logging.otel.enabled": ("HYPERFLEET_TRACING_ENABLED", "--log-otel-enabled", "tracing.enabled"),
}
"""The aliases of each setting, by its path."""

WINNERS: Final = frozenset({"HYPERFLEET_TRACING_ENABLED"})
"""Variables that override the setting's own variable when both are set; for any other alias a conflict is a mistake."""


@dataclass(frozen=True)
class Retired:
    """A setting or group of settings of the original HyperFleet API that no longer exists.

    `instead` completes the sentence "… is not supported: ".
    """

    path: str
    instead: str
    aliases: tuple[str, ...] = ()


RETIRED: Final = (
    Retired("database.dialect", "the database is always PostgreSQL; remove this setting.", ("--db-dialect",)),
    Retired(
        "metrics.label_metrics_inclusion_duration",
        "metrics have no labels for single resources, so nothing needs to expire; remove this setting.",
    ),
    Retired("metrics.deletion_stuck_threshold", "use metrics.reconciliation_stuck_threshold."),
    Retired(
        "logging.otel.sampling_rate",
        "use the variables OTEL_TRACES_SAMPLER=parentbased_traceidratio and OTEL_TRACES_SAMPLER_ARG.",
        ("--log-otel-sampling-rate",),
    ),
    Retired("server.jwk", "use jwk_cert_url or jwk_cert_file of an entry in server.jwt.configs."),
    Retired("server.jwt.issuer_url", "use issuer_url of an entry in server.jwt.configs."),
    Retired("server.jwt.audience", "use audience of an entry in server.jwt.configs."),
    Retired("server.jwt.identity_claim", "use identity_claim of an entry in server.jwt.configs."),
    Retired("server.identity_header", "use identity_header of an entry in server.jwt.configs."),
    Retired("server.acl", "use server.authorization.rules."),
    Retired("adapters", "use required_adapters of an entry in entities."),
    Retired("ocm", "the service does not call OCM; remove this setting."),
    Retired("env", "environments no longer exist; to turn off authentication, set server.jwt.enabled to false."),
)
