"""The API to the outside, by an Ingress or a route of the Gateway API; health and metrics stay inside."""

from typing import Any

import helm_python as helm
import pytest

from tests.chart.manifests import of_kind, one, rendered


def test_both_are_off_by_default() -> None:
    assert not of_kind(rendered({}), "Ingress")
    assert not of_kind(rendered({}), "HTTPRoute")


def test_an_ingress_leads_each_host_to_the_api() -> None:
    tls = [{"secretName": "fleet-tls", "hosts": ["a.example.com"]}]
    hosts = ["a.example.com", "b.example.com"]
    values = {"enabled": True, "className": "nginx", "hosts": hosts, "path": "/api", "tls": tls}
    manifests = rendered({"ingress": values})
    spec = one(manifests, "Ingress")["spec"]
    assert (spec["ingressClassName"], spec["tls"]) == ("nginx", tls)
    assert [rule["host"] for rule in spec["rules"]] == hosts
    for rule in spec["rules"]:
        [path] = rule["http"]["paths"]
        assert (path["path"], path["pathType"]) == ("/api", "Prefix")
        service = one(manifests, "Service", path["backend"]["service"]["name"])
        assert path["backend"]["service"]["port"] == {"name": "api"}
        assert "api" in [port["name"] for port in service["spec"]["ports"]]


def test_a_route_leads_to_the_port_of_the_api() -> None:
    values = {"enabled": True, "parentRefs": [{"name": "gateway"}], "hostnames": ["a.example.com"]}
    manifests = rendered({"httpRoute": values, "ports": {"api": 9000}})
    spec = one(manifests, "HTTPRoute")["spec"]
    assert (spec["parentRefs"], spec["hostnames"]) == ([{"name": "gateway"}], ["a.example.com"])
    [rule] = spec["rules"]
    assert rule["matches"] == [{"path": {"type": "PathPrefix", "value": "/"}}]
    [backend] = rule["backendRefs"]
    ports = {port["name"]: port["port"] for port in one(manifests, "Service", backend["name"])["spec"]["ports"]}
    assert backend["port"] == ports["api"] == 9000


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"ingress": {"enabled": True}}, "ingress.hosts: name at least one host"),
        ({"ingress": {"enabled": True, "hosts": ["a"], "path": "api"}}, "path"),
        ({"httpRoute": {"enabled": True}}, "httpRoute.parentRefs: name the Gateway"),
        ({"httpRoute": {"enabled": True, "parentRefs": [{"namespace": "x"}]}}, "name"),
    ],
)
def test_one_that_leads_nowhere_is_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(helm.HelmError) as refused:
        rendered(values)
    assert words in str(refused.value)
