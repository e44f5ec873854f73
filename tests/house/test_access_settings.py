"""Settings of rules and tenants that do not fit together."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from hyperfleet.assembly import access_rules
from hyperfleet.cli.configuration import load
from hyperfleet.model.catalog import Catalog
from hyperfleet.model.kind import BUILT_IN
from hyperfleet.settings import BadSettings
from tests.house.test_settings import file_with, from_file, mistakes


@pytest.mark.parametrize(
    ("tenant", "words"),
    [
        ({}, "at least one dimension must be required"),
        ({"dimensions": [{"key": "a", "header": "X-A"}]}, "at least one dimension must be required"),
        ({"dimensions": [{"key": "a", "required": True}]}, "set header, claim or server.tenant.header"),
        ({"dimensions": [{"key": "a b", "header": "X-A", "required": True}]}, "must be 1 to 63 letters, digits"),
        ({"dimensions": [{"key": "a", "header": "X A", "required": True}]}, "must be a header name"),
        ({"dimensions": [{"key": "a", "header": "X-A", "required": True}] * 2}, "duplicate entry for a"),
        (
            {"system_header": "x-a", "dimensions": [{"key": "a", "header": "X-A", "required": True}]},
            "already used by system_header",
        ),
        (
            {"dimensions": [{"key": f"d{n}", "header": f"X-{n}", "required": True} for n in range(9)]},
            "9 dimensions; the limit is 8",
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


GATEWAY: dict[str, Any] = {"enabled": True, "identity_header": "X-Identity"}


@pytest.mark.parametrize(
    ("server", "words"),
    [
        ({"trusted_gateway": {"enabled": True}}, "server.trusted_gateway.identity_header is missing"),
        (
            {"trusted_gateway": GATEWAY | {"identity_header": "Authorization"}},
            "Authorization already has another meaning",
        ),
        ({"trusted_gateway": GATEWAY | {"identity_header": "X Y"}}, "must be a header name"),
        ({"trusted_gateway": GATEWAY | {"allow": ["10.0.0.0/33"]}}, "must be addresses or networks"),
        ({"trusted_gateway": GATEWAY | {"allow": ["gateway.example.com"]}}, "must be addresses or networks"),
        ({"host": "0.0.0.0", "trusted_gateway": GATEWAY}, "allow must list the gateway's networks"),
        ({"host": "::", "trusted_gateway": GATEWAY}, "allow must list the gateway's networks"),
        ({"host": "api.example.com", "trusted_gateway": GATEWAY}, "allow must list the gateway's networks"),
    ],
)
def test_a_gateway_that_anybody_could_be_is_refused(server: dict[str, Any], words: str, tmp_path: Path) -> None:
    file = file_with(tmp_path, yaml.safe_dump({"server": server}))
    assert any(words in mistake for mistake in mistakes(file=file))


@pytest.mark.parametrize(
    "server",
    [
        {"trusted_gateway": GATEWAY},
        {"host": "127.0.0.1", "trusted_gateway": GATEWAY},
        {"host": "::1", "trusted_gateway": GATEWAY},
        {"host": "0.0.0.0", "trusted_gateway": GATEWAY | {"allow": ["10.1.2.3/8", "2001:db8::7"]}},
        {"host": "0.0.0.0", "trusted_gateway": GATEWAY | {"enabled": False}},
    ],
    ids=str,
)
def test_a_gateway_on_this_machine_or_in_named_networks_is_taken(server: dict[str, Any], tmp_path: Path) -> None:
    effective = from_file(tmp_path, yaml.safe_dump({"server": server})).settings.server
    gateway = access_rules.gateway(effective.trusted_gateway)
    assert (gateway is not None) is effective.trusted_gateway.enabled
    assert (access_rules.permissions(effective, Catalog(BUILT_IN)) is not None) is True


def test_a_gateway_without_tokens_has_rules_and_no_authentication_has_none(tmp_path: Path) -> None:
    tree: dict[str, Any] = {"jwt": {"enabled": False}, "trusted_gateway": GATEWAY}
    with_gateway = from_file(tmp_path, yaml.safe_dump({"server": tree})).settings.server
    assert access_rules.permissions(with_gateway, Catalog(BUILT_IN)) is not None
    without = from_file(tmp_path, yaml.safe_dump({"server": {"jwt": {"enabled": False}}})).settings.server
    assert access_rules.permissions(without, Catalog(BUILT_IN)) is None


def test_a_dimension_may_come_from_a_claim_a_header_or_the_header_of_all(tmp_path: Path) -> None:
    tenant = {
        "enabled": True,
        "header": "X-Tenant",
        "system_header": "X-System",
        "system_claim": "/fleet.example.com/system",
        "dimensions": [
            {"key": "org", "header": "X-Org", "claim": "/org/id", "required": True},
            {"key": "project"},
        ],
    }
    effective = from_file(tmp_path, yaml.safe_dump({"server": {"tenant": tenant}})).settings.server
    told = access_rules.tenants(effective.tenant)
    assert told is not None
    assert told.claims == ("/fleet.example.com/system", "/org/id")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"header": "x-system"}, "server.tenant.header: must differ from system_header"),
        ({"header": "X Tenant"}, "must be a header name"),
        ({"system_claim": "/a~2"}, "must be a JSON Pointer"),
        ({"header": "X-ORG"}, "already used by header"),
    ],
)
def test_headers_and_claims_of_tenants_that_cannot_be_right_are_refused(
    changed: dict[str, str], words: str, tmp_path: Path
) -> None:
    dimensions = [{"key": "org", "header": "X-Org", "required": True}]
    tenant = {"enabled": True, "system_header": "X-System", "dimensions": dimensions, **changed}
    file = file_with(tmp_path, yaml.safe_dump({"server": {"tenant": tenant}}))
    assert any(words in mistake for mistake in mistakes(file=file))


def test_a_claim_of_system_callers_needs_tokens(tmp_path: Path) -> None:
    tenant = {"enabled": True, "system_claim": "a", "dimensions": [{"key": "a", "header": "X-A", "required": True}]}
    file = file_with(tmp_path, yaml.safe_dump({"server": {"jwt": {"enabled": False}, "tenant": tenant}}))
    assert any(mistake.startswith("server.tenant.system_claim: claims require") for mistake in mistakes(file=file))
