"""The chart rendered by Helm's own code, as manifests that a test looks at."""

import functools
import json
from pathlib import Path
from typing import Any, Final

import helm_python as helm
import yaml

CHART: Final = Path(__file__).parents[2] / "charts"
RELEASE: Final = "hyperfleet-api"
NAMESPACE: Final = "hyperfleet-system"
Manifest = dict[str, Any]


def rendered(values: dict[str, Any]) -> list[Manifest]:
    """What `helm install` would send to the cluster, generated passwords the same each time; raises helm.HelmError."""
    return _read(_text(json.dumps(values)))


def rendered_anew(values: dict[str, Any]) -> list[Manifest]:
    """The same, rendered again."""
    return _read(_text.__wrapped__(json.dumps(values)))


@functools.cache
def _text(values: str) -> str:
    with helm.Chart.load(str(CHART)) as chart:
        files = chart.render(json.loads(values), name=RELEASE, namespace=NAMESPACE)
    return "\n---\n".join(text for name, text in files.items() if name.endswith(".yaml"))


def _read(text: str) -> list[Manifest]:
    # Safe as well, and twelve times as fast as the loader in Python.
    return [manifest for manifest in yaml.load_all(text, yaml.CSafeLoader) if manifest is not None]


def of_kind(manifests: list[Manifest], kind: str) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] == kind]


def one(manifests: list[Manifest], kind: str, name: str = "") -> Manifest:
    [found] = [each for each in of_kind(manifests, kind) if not name or each["metadata"]["name"] == name]
    return found


def container(manifests: list[Manifest], name: str) -> Manifest:
    """A container of the service's pods, an init container too."""
    pod = one(manifests, "Deployment")["spec"]["template"]["spec"]
    [found] = [each for each in (*pod["initContainers"], *pod["containers"]) if each["name"] == name]
    return dict(found)


def environment(manifests: list[Manifest], name: str) -> dict[str, Any]:
    """The variables of a container: texts, or where they come from."""
    entries = container(manifests, name)["env"]
    names = [entry["name"] for entry in entries]
    assert len(names) == len(set(names)), "a variable stands twice"
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in entries}
