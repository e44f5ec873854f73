"""Sets of values that the tests of the chart render."""

from typing import Any, Final

import yaml

from tests.chart.manifests import CHART

EXTERNAL: Final = {
    "postgresql": {"enabled": False},
    "external": {"enabled": True, "secretName": "hyperfleet-db-external"},
}
PRIVATE: Final = {**EXTERNAL, "ssl": {"mode": "verify-full", "caSecret": "database-ca"}}
SCHEMA: Final = (
    "openapi: 3.0.3\ninfo: {title: t, version: '1'}\npaths: {}\ncomponents:\n  schemas:\n"
    "    ClusterSpec: {type: object}\n    NodePoolSpec: {type: object}\n"
)
PRODUCTION: Final[dict[str, Any]] = yaml.safe_load((CHART / "examples" / "production.yaml").read_text())
MATRIX: Final[dict[str, dict[str, Any]]] = {
    "defaults": {},
    "external database": {"database": EXTERNAL},
    "external database over TLS": {"database": {**EXTERNAL, "ssl": {"mode": "verify-full"}}},
    "external database over TLS by its former name": {"database": {**EXTERNAL, "sslMode": "verify-full"}},
    "a private authority": {"database": PRIVATE},
    "a private authority, PgBouncer and back-ups": {
        "database": PRIVATE,
        "pgbouncer": {"enabled": True},
        "backup": {"enabled": True},
    },
    "back-ups": {"backup": {"enabled": True}},
    "back-ups into a claim of the user's": {"backup": {"enabled": True, "existingClaim": "mine"}, "database": EXTERNAL},
    "Ingress": {
        "ingress": {
            "enabled": True,
            "className": "nginx",
            "hosts": ["fleet.example.com", "fleet.example.org"],
            "tls": [{"secretName": "fleet-tls", "hosts": ["fleet.example.com"]}],
            "annotations": {"a": "b"},
        }
    },
    "HTTPRoute": {
        "httpRoute": {
            "enabled": True,
            "parentRefs": [{"name": "gateway", "namespace": "gateways", "sectionName": "https"}],
            "hostnames": ["fleet.example.com"],
        }
    },
    "no memory limit": {"resources": {"limits": None}},
    "Recreate": {"strategy": {"type": "Recreate", "rollingUpdate": None}},
    "another image": {"image": {"registry": "registry.example.com/myuser", "repository": "api", "tag": "v1.0.0"}},
    "a tag that is a number": {"image": {"tag": 1}},
    "no registry": {"image": {"registry": ""}},
    "pull secrets": {"imagePullSecrets": [{"name": "pull"}]},
    "no authentication": {"auth": {"enableJwt": False}},
    "no authorization": {"auth": {"enableAuthz": False}},
    "issuers": {
        "auth": {"issuers": [{"issuer_url": "https://a.example.com", "jwk_cert_url": "https://a.example.com/k"}]}
    },
    "settings": {"config": {"logging": {"level": "debug"}, "server": {"max_body_size": "2MiB"}}},
    "kinds": {"config": {"entities": [{"kind": "Cluster", "required_adapters": ["dns"]}]}},
    "own settings file": {"config": {"existingConfigMap": "mine"}},
    "other ports": {"ports": {"api": 9000, "health": 9083, "metrics": 9080}},
    "provider schema": {"provider": {"schema": SCHEMA}},
    "provider schema by its other name": {"validationSchema": {"enabled": True, "content": SCHEMA}},
    "PgBouncer": {"pgbouncer": {"enabled": True}},
    "PgBouncer before an external database": {"pgbouncer": {"enabled": True}, "database": EXTERNAL},
    "PgBouncer as a native sidecar": {"pgbouncer": {"enabled": True}, "nativeSidecars": True},
    "three replicas": {"replicaCount": 3},
    "autoscaling": {"autoscaling": {"enabled": True}},
    "budget by least": {"podDisruptionBudget": {"enabled": True, "minAvailable": 1}},
    "budget by most": {"podDisruptionBudget": {"enabled": True, "maxUnavailable": "50%"}},
    "budget of none": {"podDisruptionBudget": {"enabled": True, "maxUnavailable": 0}},
    "network policy": {"networkPolicy": {"enabled": True}},
    "network policy with rules": {
        "networkPolicy": {
            "enabled": True,
            "from": [{"namespaceSelector": {"matchLabels": {"team": "a"}}}],
            "to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}],
        }
    },
    "ServiceMonitor": {"monitoring": {"serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}}}},
    "PodMonitoring": {"monitoring": {"podMonitoring": {"enabled": True}}},
    "PrometheusRule": {"monitoring": {"prometheusRule": {"enabled": True}}},
    "dashboard": {"monitoring": {"dashboard": {"enabled": True}}},
    "tracing": {"monitoring": {"tracing": {"enabled": True, "endpoint": "http://collector.observability:4318"}}},
    "a service account of another": {"serviceAccount": {"create": False, "name": "other"}},
    "annotations": {"podAnnotations": {"a": "b"}, "podLabels": {"c": "d"}, "service": {"annotations": {"e": "f"}}},
    "placement": {
        "nodeSelector": {"disk": "fast"},
        "tolerations": [{"key": "a", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {}}
        ],
    },
    "extras": {
        "extraEnv": [{"name": "HYPERFLEET_LOGGING_LEVEL", "value": "debug"}],
        "extraVolumes": [{"name": "more", "emptyDir": {}}],
        "extraVolumeMounts": [{"name": "more", "mountPath": "/more"}],
        "sidecars": [{"name": "proxy", "image": "proxy:1"}],
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", "5"]}}},
    },
    "resources": {"resources": {"limits": {"cpu": "2", "memory": "2Gi"}}},
    "other names": {"nameOverride": "api", "fullnameOverride": "fleet"},
    "storage": {"database": {"postgresql": {"storage": "20Gi", "storageClassName": "fast"}}},
    "the production example": PRODUCTION,
    "everything": {
        "database": EXTERNAL,
        "pgbouncer": {"enabled": True},
        "nativeSidecars": True,
        "provider": {"schema": SCHEMA},
        "autoscaling": {"enabled": True},
        "podDisruptionBudget": {"enabled": True, "minAvailable": 1},
        "networkPolicy": {"enabled": True},
        "monitoring": {
            "serviceMonitor": {"enabled": True},
            "podMonitoring": {"enabled": True},
            "prometheusRule": {"enabled": True},
            "dashboard": {"enabled": True},
            "tracing": {"enabled": True, "endpoint": "https://collector.example.com", "share": 1},
        },
    },
}
