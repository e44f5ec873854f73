"""Settings of rules and tenants that do not fit together."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from hyperfleet.cli import access_rules
from hyperfleet.cli.configuration import load
from hyperfleet.model.catalog import Catalog
from hyperfleet.model.kind import BUILT_IN
from hyperfleet.settings import BadSettings
from tests.house.test_settings import file_with, from_file, mistakes


@pytest.mark.parametrize(
    ("tenant", "words"),
    [
        ({}, "at least one must be required"),
        ({"dimensions": [{"key": "a", "header": "X-A"}]}, "at least one must be required"),
        ({"dimensions": [{"key": "a", "required": True}]}, "one of header and claim must be given; neither is"),
        (
            {"dimensions": [{"key": "a", "header": "X-A", "claim": "a", "required": True}]},
            "one of header and claim must be given; both are",
        ),
        ({"dimensions": [{"key": "a b", "header": "X-A", "required": True}]}, "must be 1 to 63 letters, digits"),
        ({"dimensions": [{"key": "a", "header": "X A", "required": True}]}, "must be the name of a header"),
        ({"dimensions": [{"key": "a", "header": "X-A", "required": True}] * 2}, "a has an entry already"),
        (
            {"system_header": "x-a", "dimensions": [{"key": "a", "header": "X-A", "required": True}]},
            "it is system_header, too",
        ),
        (
            {"dimensions": [{"key": f"d{n}", "header": f"X-{n}", "required": True} for n in range(9)]},
            "there are 9, and 8 are the most",
        ),
    ],
)
def test_tenants_that_cannot_be_told_apart_are_refused(tenant: dict[str, Any], words: str, tmp_path: Path) -> None:
    file = file_with(tmp_path, yaml.safe_dump({"server": {"tenant": {"enabled": True, **tenant}}}))
    assert any(words in mistake for mistake in mistakes(file=file))


def test_dimensions_from_claims_need_tokens(tmp_path: Path) -> None:
    dimensions = [{"key": "a", "claim": "a", "required": True}]
    tree: dict[str, Any] = {"jwt": {"enabled": False}, "tenant": {"enabled": True, "dimensions": dimensions}}
    file = file_with(tmp_path, yaml.safe_dump({"server": tree}))
    assert any("server.jwt.enabled is false" in mistake for mistake in mistakes(file=file))
    tree["jwt"]["enabled"] = True
    assert from_file(tmp_path, yaml.safe_dump({"server": tree})).settings.server.tenant.enabled


def test_rules_that_cannot_be_used_stop_the_start_all_at_once(tmp_path: Path) -> None:
    rules = [
        {"name": "a", "verbs": ["get"], "kinds": ["Cluster"], "when": "true"},
        {"name": "b", "verbs": ["read"], "kinds": ["Clusters"], "when": "caller.identity +"},
    ]
    server = from_file(tmp_path, yaml.safe_dump({"server": {"authorization": {"rules": rules}}})).settings.server
    with pytest.raises(BadSettings) as refused:
        access_rules.permissions(server, Catalog(BUILT_IN))
    assert len(refused.value.mistakes) == 3
    assert all(mistake.startswith("server.authorization.rules: rule ") for mistake in refused.value.mistakes)


@pytest.mark.parametrize(
    ("flag", "named"),
    [
        ("--port", "--server-port"),
        ("--host", "--server-host"),
        ("--max-connections", "--database-pool-max-connections"),
    ],
)
def test_a_flag_without_its_group_leads_to_the_one_that_ends_with_it(flag: str, named: str) -> None:
    with pytest.raises(BadSettings) as refused:
        load({flag: "1"}, {}, files=[])
    assert refused.value.mistakes[0].endswith(f"did you mean {named}?")
