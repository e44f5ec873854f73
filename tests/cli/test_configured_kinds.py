"""A kind that exists only in a configuration file is served, described, searched and counted."""

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml

from testbed import serving
from testbed.calls import fetched
from testbed.processes import kill
from testbed.programs import run
from testbed.serving import Service
from testbed.waiting import eventually

ROOT = Path(__file__).parents[2]
API = "/api/hyperfleet/v1"
KINDS = """\
entities:
  - kind: OSImage
    plural: os-images
    parent_kind: Release
    required_adapters: [mirror]
    mandatory_conditions: [Signed]
  - {kind: Train, plural: trains, name_min_len: 2, name_max_len: 5}
  - {kind: Release, plural: releases, parent_kind: Train}
  - {kind: NodePool, required_adapters: [machines]}
"""


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    with serving.folder() as path:
        yield path


@pytest.fixture(scope="module")
def service(place: Path) -> Iterator[Service]:
    """A service started with the file, which is deleted once it runs; its data stays."""
    file = place / "kinds.yaml"
    file.write_text(KINDS)
    running = Service(place, HYPERFLEET_CONFIG=str(file)).start()
    try:
        running.ready()
        file.unlink()
        yield running
    finally:
        running.stop()


def send(service: Service, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """The status and the response of a POST."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{service.api}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as failure:
        with failure:
            return failure.code, json.loads(failure.read())


def created(service: Service, path: str, name: str, **more: Any) -> dict[str, Any]:
    status, resource = send(service, path, {"name": name, "spec": {}, **more})
    assert status == 201, resource
    return resource


def listed(service: Service, plural: str, **query: str) -> list[str]:
    status, body = fetched(service.api, f"{API}/{plural}?{urlencode(query)}")
    assert status == 200, body
    return [item["name"] for item in json.loads(body)["items"]]


def told(problem: dict[str, Any]) -> list[str]:
    return [error["message"] for error in problem["errors"]]


@pytest.fixture(scope="module")
def image(service: Service) -> dict[str, Any]:
    """A resource of the third level, below its owners."""
    train = created(service, f"{API}/trains", "fast", labels={"pace": "fast"})
    created(service, f"{API}/trains", "slow", labels={"pace": "slow"})
    release = created(service, f"{train['href']}/releases", "v1")
    return created(service, f"{API}/releases/{release['id']}/os-images", "amd64", kind="OSImage")


def test_each_level_is_one_level_below_its_owner(service: Service, image: dict[str, Any]) -> None:
    owner = image["owner_references"]
    assert image["kind"] == "OSImage"
    assert owner["kind"] == "Release"
    assert re.fullmatch(rf"{API}/trains/[-0-9a-f]{{36}}/releases/{owner['id']}", owner["href"])
    assert image["href"] == f"{API}/releases/{owner['id']}/os-images/{image['id']}"
    for path in (image["href"], f"{API}/os-images/{image['id']}"):
        status, body = fetched(service.api, path)
        assert (status, json.loads(body)["name"]) == (200, "amd64")
    assert fetched(service.api, f"{owner['href']}/os-images")[0] == 404
    status, problem = send(service, f"{API}/os-images", {"name": "x", "spec": {}})
    assert status == 422
    assert f"POST {API}/releases/{{release_id}}/os-images" in problem["detail"]
    status, problem = send(service, f"{API}/releases/{image['id']}/os-images", {"name": "x", "spec": {}})
    assert (status, problem["code"]) == (404, "HYPERFLEET-NTF-001")
    assert problem["detail"] == f"There is no release {image['id']}."


def test_lists_and_searches_of_the_kind_contain_only_that_kind(service: Service, image: dict[str, Any]) -> None:
    assert listed(service, "trains", order="name") == ["fast", "slow"]
    assert listed(service, "trains", search="labels.pace = 'fast'") == ["fast"]
    assert listed(service, "os-images", search=f"owner_id = '{image['owner_references']['id']}'") == ["amd64"]
    assert listed(service, "releases", search="owner_kind = 'Train'") == ["v1"]
    assert listed(service, "clusters") == []


def test_names_and_reports_must_match_the_entry(service: Service, image: dict[str, Any]) -> None:
    for name in ("t", "trains"):
        assert send(service, f"{API}/trains", {"name": name, "spec": {}})[0] == 400
    statuses = f"{image['href']}/statuses"
    available, signed = ({"type": type, "status": "True"} for type in ("Available", "Signed"))
    sent = {"adapter": "mirror", "observed_generation": 1, "conditions": [available]}
    status, problem = send(service, statuses, sent)
    assert (status, told(problem)) == (400, ["`conditions` must include one of type `Signed` for an os image"])
    assert send(service, statuses, {**sent, "conditions": [available, signed]})[0] == 201
    found = json.loads(fetched(service.api, image["href"])[1])["status"]
    assert found["phase"] == "Ready"
    assert "MirrorSuccessful" in {condition["type"] for condition in found["conditions"]}
    assert listed(service, "os-images", search="status.conditions.Reconciled = 'True'") == ["amd64"]


def test_the_document_of_the_running_service_has_the_kind(service: Service) -> None:
    whole = json.loads(fetched(service.api, "/openapi")[1])
    assert f"{API}/releases/{{release_id}}/os-images/{{osimage_id}}/statuses" in whole["paths"]
    assert whole["components"]["schemas"]["TrainName"]["maxLength"] == 5
    assert "NewOSImageReport" in whole["components"]["schemas"]


def test_the_metrics_of_the_running_service_have_the_kind(service: Service, image: dict[str, Any]) -> None:
    assert image["generation"] == 1
    count = "hyperfleet_api_reconciliation_started_total"
    assert service.metric(count, resource_type="OSImage") == 1
    assert service.metric(count, resource_type="Train") == 2
    path = f"{API}/releases/-/os-images"
    assert service.metric("hyperfleet_api_requests_total", path=path, method="POST", code="201") == 1


def test_an_entry_changes_a_built_in_kind(service: Service) -> None:
    cluster = created(service, f"{API}/clusters", "changed")
    pool = created(service, f"{cluster['href']}/nodepools", "workers")
    types = [condition["type"] for condition in pool["status"]["conditions"]]
    assert types == ["Reconciled", "LastKnownReconciled"]
    assert cluster["status"]["conditions"][0]["message"] == "No adapter has reported yet"
    assert "[" in pool["status"]["conditions"][0]["message"], "this one names the adapters that the entry requires"


def test_a_replacement_worker_serves_the_kinds_of_the_start(service: Service, image: dict[str, Any]) -> None:
    before = service.worker_pids()
    for pid in before:
        kill(pid)

    def are_others() -> bool:
        now = service.worker_pids()
        return len(now) == 2 and set(now).isdisjoint(before)

    eventually(are_others, "new workers")
    eventually(lambda: service.status(service.api, image["href"]) == 200, "they answer")
    assert {service.status(service.api, f"{API}/trains") for _ in range(10)} == {200}


def test_resources_of_a_removed_kind_are_kept_until_the_kind_is_configured_again(
    service: Service, image: dict[str, Any], place: Path
) -> None:
    service.stop()
    without = Service(place, data=service.data).start()
    try:
        without.ready()
        message = "the database has resources of a kind that is not configured; they are not served"
        warned = {line["kind"]: (line["level"], line["resources"]) for line in without.lines(message)}
        assert warned == {"OSImage": ("warning", 1), "Release": ("warning", 1), "Train": ("warning", 2)}
        status, body = fetched(without.api, image["href"])
        assert (status, json.loads(body)["code"]) == (404, "HYPERFLEET-NTF-000")
        assert listed(without, "clusters") == ["changed"]
        assert without.status(without.health, "/readyz") == without.status(without.metrics, "/metrics") == 200
    finally:
        without.stop()
    (place / "kinds.yaml").write_text(KINDS)
    again = Service(place, data=service.data, HYPERFLEET_CONFIG=str(place / "kinds.yaml")).start()
    try:
        again.ready()
        assert again.lines(message) == []
        assert again.status(again.api, image["href"]) == 200
    finally:
        again.stop()


@pytest.mark.parametrize("file", sorted((ROOT / "configs").glob("*")), ids=lambda file: file.name)
def test_each_shipped_configuration_serves_its_kinds(file: Path) -> None:
    entries = yaml.safe_load(file.read_text())["entities"]
    built_in = {"Cluster": "clusters", "NodePool": "nodepools"}
    plurals = {entry.get("plural") or built_in[entry["kind"]] for entry in entries}
    with serving.folder() as folder:
        running = Service(folder, HYPERFLEET_CONFIG=str(file), HYPERFLEET_SERVER_WORKERS="1").start()
        try:
            running.ready()
            assert {plural: running.status(running.api, f"{API}/{plural}") for plural in plurals} == dict.fromkeys(
                plurals, 200
            )
        finally:
            running.stop()


def test_inconsistent_kinds_stop_the_start_with_every_mistake(tmp_path: Path) -> None:
    file = tmp_path / "kinds.yaml"
    file.write_text(
        "entities:\n  - {kind: A, plural: as, parent_kind: B}\n  - {kind: B, plural: bs, parent_kind: A}\n"
        "  - {kind: C, plural: statuses, parent: A}\n"
    )
    done = run("serve", "--server-jwt-enabled=false", variables={"HYPERFLEET_CONFIG": str(file)})
    assert (done.returncode, done.stdout) == (1, "")
    for sentence in (
        "the configuration has 4 mistakes:",
        "setting entities[2].parent is unknown; did you mean parent_kind?",
        "Kind A: its owners form a cycle, A > B > A.",
        "Kind B: its owners form a cycle, B > A > B.",
        "Kind C: the plural 'statuses' is reserved.",
    ):
        assert sentence in done.stderr
    assert run("config", variables={"HYPERFLEET_CONFIG": str(file)}).stderr == done.stderr
    assert run("openapi", variables={"HYPERFLEET_CONFIG": str(file)}).stderr == done.stderr
