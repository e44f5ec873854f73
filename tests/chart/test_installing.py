"""The commands of docs/installing.md, in their order, on a cluster that knows namespaces and Secrets; and its table."""

import json
import re
import shlex
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
import yaml

from tests.chart.manifests import CHART, Manifest, of_kind, rendered

PAGE: Final = (CHART.parent / "docs" / "installing.md").read_text(encoding="utf-8")
BLOCKS: Final = re.findall(r"^```text\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
VALUES: Final[dict[str, Any]] = yaml.safe_load((CHART / "values.yaml").read_text())
ROWS: Final = re.findall(r"^\| `([\w.]+)` \| (?:`(.*?)`)? ?\|", PAGE, re.MULTILINE)


def merged(into: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    for name, value in more.items():
        into[name] = merged(into.get(name) or {}, value) if isinstance(value, dict) else value
    return into


@dataclass
class Cluster:
    """What commands have made: namespaces, and the keys of the Secrets in them."""

    namespaces: set[str] = field(default_factory=lambda: {"default"})
    secrets: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    installed: list[Manifest] = field(default_factory=list)

    def run(self, command: str) -> None:
        words = shlex.split(command)
        options = self.options(words)
        namespace = options.get("namespace", ["default"])[-1]
        match words[:3]:
            case ["kubectl", "create", "namespace"]:
                self.namespaces.add(words[3])
            case ["kubectl", "create", "secret"]:
                assert namespace in self.namespaces, f"{namespace} is not there yet: {command}"
                given = options.get("from-literal", []) + options.get("from-file", [])
                self.secrets[namespace, words[4]] = {each.split("=")[0] for each in given}
            case ["helm", "install" | "upgrade", *_]:
                if "create-namespace" in options:
                    self.namespaces.add(namespace)
                assert namespace in self.namespaces, f"{namespace} is not there yet: {command}"
                assert words[1] == "upgrade" or not self.installed, "helm install refuses a name that is in use"
                self.install(namespace, options)
            case ["helm", "test" | "uninstall", *_]:
                assert self.installed
                self.installed = self.installed if words[1] == "test" else []
            case ["kubectl", "scale", "deployment"]:
                assert words[3] in [each["metadata"]["name"] for each in of_kind(self.installed, "Deployment")]
            case other:
                assert other[0] == "pg_restore", command

    def options(self, words: list[str]) -> dict[str, list[str]]:
        """Options with their values, `--a b` and `--a=b`; empty for those without."""
        found: dict[str, list[str]] = {}
        for place, word in enumerate(words):
            if word.startswith("--"):
                name, _, value = word[2:].partition("=")
                following = words[place + 1] if place + 1 < len(words) else "--"
                found.setdefault(name, []).append(value or ("" if following.startswith("--") else following))
        return found

    def install(self, namespace: str, options: dict[str, list[str]]) -> None:
        values: dict[str, Any] = {}
        for path in options.get("values", []):
            merged(values, yaml.safe_load((CHART.parent / path).read_text()))
        for assignment in options.get("set", []):
            path, _, text = assignment.partition("=")
            value: Any = {"true": True, "false": False}.get(text, text)
            for name in reversed(path.split(".")):
                value = {name: value}
            merged(values, value)
        self.installed = rendered(values)
        own = {each["metadata"]["name"]: set(each["data"]) for each in of_kind(self.installed, "Secret")}
        for name, keys in needed(self.installed):
            assert keys <= (own.get(name) or self.secrets.get((namespace, name), set())), (name, keys)


def needed(manifests: Any) -> list[tuple[str, set[str]]]:
    """The Secrets that manifests refer to, with the keys they want."""
    found = []
    if isinstance(manifests, dict):
        if "secretKeyRef" in manifests:
            found.append((manifests["secretKeyRef"]["name"], {manifests["secretKeyRef"]["key"]}))
        if "secretName" in manifests and "items" in manifests:
            found.append((manifests["secretName"], {item["key"] for item in manifests["items"]}))
        manifests = list(manifests.values())
    if isinstance(manifests, list):
        found += [each for one in manifests for each in needed(one)]
    return found


def commands(block: str) -> list[str]:
    return [line for line in block.replace("\\\n", " ").splitlines() if line.strip()]


def test_the_first_block_alone_installs() -> None:
    cluster = Cluster()
    for command in commands(BLOCKS[0]):
        cluster.run(command)
    assert cluster.installed


def test_the_further_blocks_install_in_their_order_on_a_fresh_cluster() -> None:
    cluster = Cluster()
    for block in BLOCKS[1:3]:
        for command in commands(block):
            cluster.run(command)
    assert {each["kind"] for each in cluster.installed} >= {"HTTPRoute", "CronJob", "PrometheusRule", "NetworkPolicy"}
    for command in commands(BLOCKS[4]):
        cluster.run(command)
    for command in commands(BLOCKS[3]):
        cluster.run(command)
    assert not cluster.installed


def test_the_commands_in_another_order_are_found_out() -> None:
    namespace, secret, install = commands(BLOCKS[1])
    with pytest.raises(AssertionError, match="is not there yet"):
        Cluster().run(secret)
    cluster = Cluster()
    cluster.run(namespace)
    with pytest.raises(AssertionError, match="hyperfleet-db-external"):
        cluster.run(install)


@pytest.mark.parametrize(("path", "default"), ROWS, ids=[row[0] for row in ROWS])
def test_the_table_has_the_default_of_each_value(path: str, default: str) -> None:
    value: Any = VALUES
    for name in path.split("."):
        value = value[name]
    if default:
        assert json.loads(default) == value


def test_the_table_has_every_value() -> None:
    def missing(values: dict[str, Any], prefix: str) -> list[str]:
        found = []
        for name, value in values.items():
            path = f"{prefix}{name}"
            if path not in dict(ROWS):
                found += missing(value, f"{path}.") if isinstance(value, dict) and value else [path]
        return found

    assert missing(VALUES, "") == []


def test_the_table_names_every_member_that_it_sums_up() -> None:
    lines = {line.split("`")[1]: line for line in PAGE.splitlines() if line.startswith("| `")}
    for path, default in ROWS:
        value: Any = VALUES
        for name in path.split("."):
            value = value[name]
        if (
            not default
            and isinstance(value, dict)
            and path not in ("podSecurityContext", "securityContext", "strategy")
        ):
            assert {name for name in value if f"`{name}`" not in lines[path]} == set(), path
