"""Members that hold secrets are recognized by their names in any spelling."""

from types import MappingProxyType

import pytest

from hyperfleet.model.rules.secret import MASK, NAMES, Names, Secret, masked

SPELLINGS = (
    *("privateKey", "private_key", "private-key", "PRIVATE_KEY", "PrivateKeyData", "tls.key", "sshPrivateKey"),
    *("apiKey", "api_key", "x-api-key", "accessKey", "awsAccessKeyId", "kubeconfig", "adminKubeConfig", "kube-config"),
    *("password", "dbPassword", "token", "refreshToken", "clientSecret", "credentials", "pullSecret", "pull_secret"),
    *(".dockerconfigjson", "client-key-data", "signingKey", "passPhrase"),
)


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_secret_is_masked_however_its_name_is_spelled(name: str) -> None:
    seen = masked({"spec": [{name: {"a": "s3cret"}, "plain": "kept"}]})
    assert seen == {"spec": [{name: MASK, "plain": "kept"}]}


@pytest.mark.parametrize("name", ["key", "publicKey", "kms_key_arn", "private", "access", "api", "name", "a_p_i"])
def test_other_members_are_shown(name: str) -> None:
    assert masked({name: "kept"}) == {name: "kept"}


def test_configured_names_match_without_separators_and_case() -> None:
    names = Names(("X-Api-Key",))
    assert "xapikey" in names
    assert "my_x_api_key" in names
    assert "api_key" not in names


def test_an_empty_name_makes_nothing_secret() -> None:
    assert "anything" not in Names(("", "-"))


def test_every_known_name_matches_without_its_separators_too() -> None:
    assert all(name.replace("_", "") in Names(NAMES) for name in NAMES)


def test_a_secret_is_masked_under_any_name_as_are_values_nested_too_deep() -> None:
    names = Names(["key"])
    value = {"a": [Secret("s3cret"), ("kept", {"api-key": 1, "b": {"c": 1}})], "d": MappingProxyType({"key": 2})}
    assert masked(value, names) == {"a": [MASK, ["kept", {"api-key": MASK, "b": {"c": 1}}]], "d": {"key": MASK}}
    assert masked(value, names, 3) == {"a": [MASK, ["kept", MASK]], "d": {"key": MASK}}
    assert masked(value, names, 1) == {"a": MASK, "d": MASK}
