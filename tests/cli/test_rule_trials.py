"""`rules test`, as authors of rules run it."""

import json
from pathlib import Path
from typing import Any

import pytest

from testbed.programs import called

ROOT = Path(__file__).parents[2]
RULES = str(ROOT / "configs" / "zone-rules.yaml")
CLUSTER = {"kind": "Cluster", "name": "production", "spec": {"nodes": 3}}


def report(**more: Any) -> dict[str, Any]:
    return {"adapter": "dns-adapter", "conditions": [{"type": "Available", "status": "True"}], **more}


def tried(folder: Path, config: str | None = RULES, **files: Any) -> tuple[int, str, str]:
    words = ["rules", "test", *(["--config", config] if config else [])]
    for name, content in files.items():
        if name in ("resource", "reports", "caller"):
            (folder / f"{name}.json").write_text(content if isinstance(content, str) else json.dumps(content))
            content = folder / f"{name}.json"
        words += [f"--{name}", str(content)]
    done = called(*words)
    return done.returncode, done.stdout, done.stderr


def test_conditions_are_printed_with_mapped_ones(tmp_path: Path) -> None:
    zone = {"name": "a.example.com", "records": 3}
    status, said, _ = tried(tmp_path, resource=CLUSTER, reports=[report(data={"zone": zone})])
    assert status == 0
    assert said.splitlines() == [
        "Cluster: phase Ready",
        "  Reconciled: True  ReconciledAll All required adapters reported Available=True or Finalized=True"
        " at the current generation",
        "  LastKnownReconciled: True  AllAdaptersReconciled Every adapter succeeded at generation 1",
        "  DnsAdapterSuccessful: True",
        '  ZoneReady: True  RecordsCounted {"name":"a.example.com","records":3}',
    ]
    _, said, _ = tried(tmp_path, resource={**CLUSTER, "spec": {"nodes": 4}}, reports=[report(data={"zone": zone})])
    assert "  ZoneReady: False" in said


def test_the_output_says_why_a_condition_is_absent(tmp_path: Path) -> None:
    status, said, _ = tried(tmp_path, resource=CLUSTER)
    assert (status, said.splitlines()[-1]) == (0, "  ZoneReady: absent, its `when` is false")


def test_a_rule_that_cannot_be_evaluated_is_a_failure(tmp_path: Path) -> None:
    without = {"kind": "Cluster", "spec": {}}
    status, said, _ = tried(tmp_path, resource=without, reports=report(data={"zone": {}}))
    assert status == 1
    assert '  ZoneReady: evaluation failed: Key not found in map : "nodes"' in said


def test_a_rule_that_takes_too_much_is_stopped_and_named(tmp_path: Path) -> None:
    rule = "resource.spec.zones.all(z, statuses.exists(s, !toJson(s.data).contains(z)))"
    outputs = "status: {expression: 'true'}, reason: {expression: \"'a'\"}, message: {expression: \"''\"}"
    condition = f'{{type: ZonesKnown, when: {{expression: "{rule}"}}, output: {{{outputs}}}}}'
    config = tmp_path / "costly.yaml"
    config.write_text(f"entities: [{{kind: Cluster, required_adapters: [dns-adapter], conditions: [{condition}]}}]")
    large = {"kind": "Cluster", "spec": {"zones": [f"zone-{number}" for number in range(1000)]}}
    status, said, _ = tried(tmp_path, str(config), resource=large, reports=report(data={"rows": ["v" * 40] * 5000}))
    assert status == 1
    assert "  ZonesKnown: evaluation failed: evaluation takes more than" in said


def test_reports_may_have_the_form_in_which_the_api_lists_them(tmp_path: Path) -> None:
    listed = {
        "kind": "AdapterStatusList",
        "items": [
            report(
                observed_generation=1,
                data={"zone": {"records": 3}},
                created_time="2026-11-01T12:00:00.000000Z",
                last_report_time="2026-11-01T12:00:00.000000Z",
            )
        ],
    }
    status, said, _ = tried(tmp_path, resource=CLUSTER, reports=listed)
    assert status == 0
    assert "  ZoneReady: True" in said


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "name a file"),
        ({"resource": "{"}, "cannot be read"),
        ({"resource": []}, "must contain one object"),
        ({"resource": {"kind": "Klaster"}}, "kind must be one of Cluster, NodePool, not 'Klaster'"),
        ({"resource": CLUSTER, "reports": "7"}, "must contain a report or a list of reports"),
        ({"resource": CLUSTER, "reports": [{"adapter": "x"}]}, "report 1: `conditions` is missing"),
        ({"caller": {"name": "mary"}}, "unknown member name; a caller has"),
        ({"caller": {"identity": "mary"}, "verb": "get"}, "--verb must be one of read, create"),
        ({"caller": {"identity": "mary"}, "kind": "Clusters"}, "--kind must be one of Cluster, NodePool"),
    ],
)
def test_mistakes_in_a_file_are_reported(files: dict[str, Any], words: str, tmp_path: Path) -> None:
    status, _, said = tried(tmp_path, **files)
    assert status == 1
    assert words in said


@pytest.mark.parametrize(
    ("caller", "verb", "allowed", "rules"),
    [
        ({"identity": "mary"}, "read", True, "everybody"),
        ({"identity": "mary"}, "force-delete", False, "everybody"),
        ({"identity": "mary", "groups": ["hyperfleet-admin"]}, "force-delete", True, "everybody, administrators"),
    ],
)
def test_access_rules_are_tried_on_a_caller(
    caller: dict[str, Any], verb: str, allowed: bool, rules: str, tmp_path: Path
) -> None:
    status, said, _ = tried(tmp_path, config=None, caller=caller, verb=verb)
    word = "Allowed" if allowed else "Not allowed"
    assert said == f"{word}: {verb} Cluster; matching rules: {rules}.\n"
    assert status == (0 if allowed else 1)


def test_without_authentication_every_caller_has_full_access(tmp_path: Path) -> None:
    (tmp_path / "open.yaml").write_text("server: {jwt: {enabled: false}}")
    status, said, _ = tried(tmp_path, config=str(tmp_path / "open.yaml"), caller={}, verb="force-delete")
    assert (status, said) == (0, "Allowed: authorization is disabled, so every caller may do everything.\n")
