"""Warnings about who may call: printed by `config` and at the start, although the configuration is valid."""

from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from hyperfleet.assembly import application, warnings
from hyperfleet.cli.configuration import load
from testbed.programs import called

PUBLIC: Final = "tokens from a public issuer are accepted for any audience"
OPEN: Final = "anyone who reaches the API may do everything, without a token"
GATEWAY: Final = "a gateway is trusted to identify callers, without tokens"
UNUSED: Final = "settings have no effect"

ISSUER: Final = {"issuer_url": "https://sso.example.com", "jwk_cert_url": "https://sso.example.com/keys"}
RULE: Final = {"name": "all", "verbs": ["*"], "when": "true"}
DIMENSION: Final = {"key": "org", "header": "X-Org", "required": True}
TRUSTED: Final = {"enabled": True, "identity_header": "X-Identity"}


def told(folder: Path, server: dict[str, Any]) -> list[str]:
    """The warnings about these settings of the server."""
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump({"server": server}))
    configured = load({}, {}, files=[file]).settings
    document = application.document(configured.server)
    return [str(each) for each in warnings.collected(configured, application.catalog(configured, document), document)]


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        ({}, [f"{PUBLIC}: issuer=https://sso.redhat.com/auth/realms/redhat-external"]),
        ({"jwt": {"configs": [ISSUER]}}, []),
        ({"jwt": {"enabled": False}}, []),
        ({"jwt": {"enabled": False}, "host": "127.0.0.1"}, []),
        ({"jwt": {"enabled": False}, "host": "0.0.0.0"}, [f"{OPEN}: host=0.0.0.0"]),
        (
            {"jwt": {"enabled": False, "configs": [ISSUER]}, "authorization": {"rules": [RULE]}},
            [
                f"{UNUSED}: because=server.jwt.enabled is false"
                " settings=['server.jwt.configs', 'server.authorization.rules']"
            ],
        ),
        (
            {"jwt": {"enabled": False}, "authorization": {"rules": [RULE]}},
            [f"{UNUSED}: because=server.jwt.enabled is false settings=['server.authorization.rules']"],
        ),
        (
            {"jwt": {"configs": [ISSUER]}, "authorization": {"enabled": False, "rules": [RULE]}},
            [f"{UNUSED}: because=server.authorization.enabled is false settings=['server.authorization.rules']"],
        ),
        ({"jwt": {"configs": [ISSUER]}, "authorization": {"rules": [RULE]}}, []),
        (
            {"jwt": {"configs": [ISSUER]}, "tenant": {"dimensions": [DIMENSION]}},
            [f"{UNUSED}: because=server.tenant.enabled is false settings=['server.tenant.dimensions']"],
        ),
        ({"jwt": {"configs": [ISSUER]}, "tenant": {"enabled": True, "dimensions": [DIMENSION]}}, []),
        (
            {"jwt": {"enabled": False}, "trusted_gateway": TRUSTED, "authorization": {"rules": [RULE]}},
            [f"{GATEWAY}: header=X-Identity allow=loopback"],
        ),
        (
            {"jwt": {"configs": [ISSUER]}, "host": "::", "trusted_gateway": TRUSTED | {"allow": ["10.0.0.0/8"]}},
            [f"{GATEWAY}: header=X-Identity allow=['10.0.0.0/8']"],
        ),
        (
            {"jwt": {"configs": [ISSUER]}, "trusted_gateway": {"identity_header": "X-Identity"}},
            [
                f"{UNUSED}: because=server.trusted_gateway.enabled is false"
                " settings=['server.trusted_gateway.identity_header']"
            ],
        ),
    ],
    ids=str,
)
def test_open_access_and_settings_without_effect_cause_warnings(
    server: dict[str, Any], expected: list[str], tmp_path: Path
) -> None:
    assert told(tmp_path, server) == expected


def test_config_prints_the_warnings_on_standard_error() -> None:
    done = called("config")
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        f"hyperfleet-api: warning: {PUBLIC}: issuer=https://sso.redhat.com/auth/realms/redhat-external"
    ]
