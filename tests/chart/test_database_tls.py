"""TLS towards the database: the mode and the authority's certificate reach everything that connects."""

import configparser
import re
from typing import Any, Final

import helm_python as helm
import pytest

from tests.chart.manifests import Manifest, container, environment, one, rendered
from tests.chart.values import EXTERNAL

CA: Final = "/etc/hyperfleet-database/ca.crt"


def tls(mode: str = "verify-full", **more: str) -> dict[str, Any]:
    return {**EXTERNAL, "ssl": {"mode": mode, **more}}


def mounted(pod: Manifest, each: Manifest) -> list[str]:
    """The Secrets that a container has at the folder of the certificate."""
    names = [mount["name"] for mount in each["volumeMounts"] if mount["mountPath"] == "/etc/hyperfleet-database"]
    return [volume["secret"]["secretName"] for volume in pod["volumes"] if volume["name"] in names]


def settings_of_pgbouncer(manifests: list[Manifest]) -> dict[str, str]:
    [script] = container(manifests, "pgbouncer")["args"]
    found = re.search(r"<<END\n(.*?)\nEND\n", script, re.DOTALL)
    assert found
    parsed = configparser.ConfigParser()
    parsed.read_string(found[1])
    return dict(parsed["pgbouncer"])


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("bounced", [False, True])
def test_the_certificate_is_wherever_something_connects(bounced: bool, native: bool) -> None:
    values = {"pgbouncer": {"enabled": bounced}, "nativeSidecars": native, "backup": {"enabled": True}}
    manifests = rendered({**values, "database": tls(caSecret="database-ca")})
    pod = one(manifests, "Deployment")["spec"]["template"]["spec"]
    job = one(manifests, "CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    connecting = "pgbouncer" if bounced else "api"
    for place, each in ((pod, container(manifests, name)) for name in ("migrate", connecting)):
        assert mounted(place, each) == ["database-ca"]
    assert mounted(job, job["containers"][0]) == ["database-ca"]
    for name in ("migrate", connecting):
        variables = environment(manifests, name)
        assert variables["HYPERFLEET_DATABASE_SSL_MODE"] == "verify-full"
        assert variables["HYPERFLEET_DATABASE_SSL_ROOT_CERT_FILE"] == CA
    variables = {each["name"]: each.get("value") for each in job["containers"][0]["env"]}
    assert (variables["PGSSLMODE"], variables["PGSSLROOTCERT"]) == ("verify-full", CA)
    if bounced:
        configured = settings_of_pgbouncer(manifests)
        assert (configured["server_tls_sslmode"], configured["server_tls_ca_file"]) == ("verify-full", CA)
        # PgBouncer is in the same pod, without TLS.
        assert "HYPERFLEET_DATABASE_SSL_MODE" not in environment(manifests, "api")


def test_a_key_of_the_secret_may_have_another_name() -> None:
    manifests = rendered({"database": tls(caSecret="database-ca", caKey="server-ca.pem")})
    [volume] = [
        each
        for each in one(manifests, "Deployment")["spec"]["template"]["spec"]["volumes"]
        if each["name"] == "database-ca"
    ]
    assert volume["secret"] == {"secretName": "database-ca", "items": [{"key": "server-ca.pem", "path": "ca.crt"}]}


def test_without_a_private_authority_the_systems_own_are_trusted() -> None:
    manifests = rendered({"database": tls(), "backup": {"enabled": True}})
    assert environment(manifests, "api")["HYPERFLEET_DATABASE_SSL_MODE"] == "verify-full"
    assert "HYPERFLEET_DATABASE_SSL_ROOT_CERT_FILE" not in environment(manifests, "api")
    job = one(manifests, "CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
    assert {"name": "PGSSLROOTCERT", "value": "system"} in job["env"]


@pytest.mark.parametrize("mode", ["disable", "require", "verify-ca", "verify-full"])
def test_the_former_name_of_the_mode_still_counts(mode: str) -> None:
    manifests = rendered({"database": {**EXTERNAL, "sslMode": mode}})
    assert environment(manifests, "api")["HYPERFLEET_DATABASE_SSL_MODE"] == mode


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"database": {"ssl": {"mode": "require"}}}, "the built-in PostgreSQL does not support TLS"),
        ({"database": {"sslMode": "require"}}, "the built-in PostgreSQL does not support TLS"),
        ({"database": tls("disable", caSecret="ca")}, "database.ssl.caSecret would have no effect"),
        ({"database": tls("require", caSecret="ca")}, "use verify-full"),
        ({"database": {**tls(), "sslMode": "disable"}}, "two names of the same value"),
        ({"database": tls(), "pgbouncer": {"enabled": True}}, "database.ssl.caSecret: PgBouncer"),
        ({"database": tls("verify-ca"), "backup": {"enabled": True}}, "database.ssl.caSecret: PgBouncer, and pg_dump"),
        ({"database": tls("verify_full")}, "mode"),
    ],
)
def test_what_does_not_fit_together_is_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(helm.HelmError) as refused:
        rendered(values)
    assert words in str(refused.value)
