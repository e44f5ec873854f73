"""The document describes what a kind declares: name lengths, references, conditions of reports, shared specs."""

import json
from dataclasses import replace
from typing import Any, Final

import pytest
from jsonschema_rs import Draft4Validator
from openapi_spec_validator import validate

from hyperfleet.http.description.document import document
from hyperfleet.model.catalog import Catalog
from hyperfleet.model.kind import BUILT_IN, Kind, ReferenceRule
from testbed.fleet import CATALOG

CLUSTER, NODE_POOL = BUILT_IN
CHANNEL: Final = Kind("Channel", "channels", "channel")
VERSION: Final = Kind("Version", "versions", "version", parent="Channel")
ID: Final = "0198c6a8-7b5e-7c3a-9d1e-2f4a6b8c0d1e"


def described(*kinds: Kind, provider: dict[str, Any] | None = None) -> dict[str, Any]:
    whole = document(Catalog(kinds), provider)
    validate(whole)
    return whole


def takes(whole: dict[str, Any], name: str, value: Any) -> bool:
    """Whether a schema of the document accepts the value."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": whole["components"]}
    return Draft4Validator(_plain(schema)).is_valid(value)


def _plain(value: Any) -> Any:
    """The schema converted to JSON Schema: nullable becomes an alternative."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    plain = {name: _plain(item) for name, item in value.items()}
    return {"anyOf": [{"type": "null"}, plain]} if value.get("nullable") is True else plain


def new(**references: Any) -> dict[str, Any]:
    return {"name": "my-cluster", "spec": {}, **references}


def test_the_entry_sets_the_lengths_of_names() -> None:
    whole = described(replace(CLUSTER, name_max_length=60), NODE_POOL, replace(CHANNEL, name_min_length=5))
    lengths = {
        name: (whole["components"]["schemas"][f"{name}Name"]["minLength"], schema["maxLength"])
        for name in ("Cluster", "NodePool", "Channel")
        if (schema := whole["components"]["schemas"][f"{name}Name"])
    }
    assert lengths == {"Cluster": (3, 60), "NodePool": (3, 15), "Channel": (5, 100)}


def test_a_kind_without_references_accepts_none_and_returns_none() -> None:
    whole = described(*BUILT_IN, CHANNEL)
    for name in ("Cluster", "Channel"):
        assert "references" not in whole["components"]["schemas"][name]["properties"]
        assert takes(whole, f"New{name}", new(references={}))
        assert takes(whole, f"New{name}", new(references=None))
        assert not takes(whole, f"New{name}", new(references={"version": [{"id": ID}]}))


def test_a_kind_with_references_accepts_and_returns_its_declared_types() -> None:
    rules = (ReferenceRule("version", "Version", most=1), ReferenceRule("peer", "Cluster"))
    whole = described(replace(CLUSTER, references=rules), NODE_POOL, CHANNEL, VERSION)
    target = {"id": ID}
    for good in (
        new(),
        new(references=None),
        new(references={}),
        new(references={"version": [target], "peer": [target, {"id": ID, "kind": "Cluster", "href": "/x"}]}),
    ):
        assert takes(whole, "NewCluster", good), good
    for bad in (
        new(references={"vrsion": [target]}),
        new(references={"version": [target, {"id": ID, "kind": None}]}),
        new(references={"peer": [target, target]}),
        new(references={"version": [{"id": ID, "kind": "Channel"}]}),
        new(references={"version": [{"kind": "Version"}]}),
        new(references={"version": target}),
    ):
        assert not takes(whole, "NewCluster", bad), bad
    assert "references" in whole["components"]["schemas"]["Cluster"]["required"]
    for name in ("Cluster", "SelectedCluster"):
        types = whole["components"]["schemas"][name]["properties"]["references"]["properties"]
        assert list(types) == ["version", "peer"]
    assert "references" not in whole["components"]["schemas"]["NodePool"]["properties"]


def test_a_mandatory_reference_is_required_and_an_optional_one_beside_it_is_not() -> None:
    rules = (ReferenceRule("version", "Version", 1, 2), ReferenceRule("peer", "Cluster"))
    whole = described(replace(CLUSTER, references=rules), NODE_POOL, CHANNEL, VERSION)
    other = ID[:-1] + "f"
    assert takes(whole, "NewCluster", new(references={"version": [{"id": ID}, {"id": other}]}))
    for bad in (new(), new(references=None), new(references={}), new(references={"version": []})):
        assert not takes(whole, "NewCluster", bad), bad
    assert not takes(whole, "NewCluster", new(references={"peer": [{"id": ID}]}))


def report(*types: str) -> dict[str, Any]:
    conditions = [{"type": type, "status": "True"} for type in types]
    return {"adapter": "vm", "observed_generation": 1, "conditions": conditions}


def test_a_report_must_have_the_mandatory_conditions_of_its_own_kind_only() -> None:
    whole = described(CLUSTER, replace(NODE_POOL, mandatory_conditions=("Available", "Health")), CHANNEL)
    bodies = {
        path: operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        for path, item in whole["paths"].items()
        if path.endswith("/statuses")
        for method, operation in item.items()
        if method in ("post", "put")
    }
    assert {name for path, name in bodies.items() if "nodepools" in path} == {"NewNodePoolReport"}
    assert {name for path, name in bodies.items() if "nodepools" not in path} == {"NewReport"}
    assert takes(whole, "NewNodePoolReport", report("Health", "Applied", "Available"))
    for bad in (report("Available"), report("Applied", "Health"), report(), {"adapter": "vm"}):
        assert not takes(whole, "NewNodePoolReport", bad)
    assert takes(whole, "NewReport", report("Available"))


@pytest.mark.parametrize(
    "change",
    [
        {"name_max_length": 20},
        {"references": (ReferenceRule("peer", "Cluster"),)},
        {"mandatory_conditions": ("Available",)},
    ],
)
def test_examples_of_a_built_in_kind_are_kept_only_while_they_match_its_entry(change: dict[str, Any]) -> None:
    def shown(whole: dict[str, Any], word: str) -> bool:
        return any('"examples"' in json.dumps(item) for path, item in whole["paths"].items() if path.endswith(word))

    changed = described(replace(CLUSTER, **change), NODE_POOL)
    assert not shown(changed, "/clusters")
    assert shown(changed, "/nodepools")
    same = described(replace(CLUSTER, required_adapters=("vm",)), NODE_POOL)
    assert same == document(CATALOG)


def test_kinds_that_share_a_spec_schema_are_each_described_by_it() -> None:
    spec = {"type": "object", "required": ["issuer"], "properties": {"issuer": {"type": "string"}}}
    provider = {"openapi": "3.0.3", "paths": {}, "components": {"schemas": {"Identity": spec}}}
    kinds = [Kind(name, f"{name.lower()}s", name.lower(), spec_schema_name="Identity") for name in ("Wif", "Sts")]
    whole = described(*BUILT_IN, *kinds, CHANNEL, provider=provider)
    for name in ("NewWif", "NewSts"):
        assert takes(whole, name, {"name": "a", "spec": {"issuer": "x"}})
        assert not takes(whole, name, {"name": "a", "spec": {}})
    assert takes(whole, "NewChannel", {"name": "a", "spec": {}})


def test_a_kind_may_use_a_spec_schema_of_the_projects_own_document() -> None:
    whole = described(*BUILT_IN, replace(CHANNEL, spec_schema_name="Labels"))
    assert takes(whole, "NewChannel", {"name": "a", "spec": {"env": "x"}})
    assert not takes(whole, "NewChannel", {"name": "a", "spec": {"env": 5}})


def test_children_of_a_kind_with_a_name_in_use_are_described_too() -> None:
    service = Kind("Service", "services", "service")
    port = Kind("Port", "ports", "port", parent="Service")
    rule = Kind("Rule", "rules", "rule", parent="Port")
    whole = described(*BUILT_IN, service, port, rule)
    assert "/api/hyperfleet/v1/services/{service_id}/ports/{port_id}" in whole["paths"]
    assert "/api/hyperfleet/v1/ports/{port_id}/rules/{rule_id}/statuses" in whole["paths"]
    assert not any("services" in path and "rules" in path for path in whole["paths"])
