"""The OpenAPI document for `spec`s, given to a real service by variable and flag, as an operator does."""

import json
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from testbed import serving
from testbed.calls import CLUSTERS
from testbed.processes import kill
from testbed.programs import called, run
from testbed.serving import Service
from testbed.waiting import eventually
from tests.schemas import cases, path_of

GCP = cases("gcp")
GOOD = next(case for case in GCP if not case.faults)
BAD = next(case for case in GCP if len(case.faults) > 2)


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """A service started with the README's variable; the file is deleted once it runs."""
    with serving.folder() as place:
        document = shutil.copy(path_of("gcp"), place / "custom.yaml")
        running = Service(place, OPENAPI_SCHEMA_PATH=str(document)).start()
        try:
            yield running.ready()
        finally:
            running.stop()


def post(service: Service, name: str, spec: dict[str, Any], path: str = CLUSTERS) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{service.api}{path}",
        json.dumps({"name": name, "spec": spec}).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as failure:
        with failure:
            return failure.code, json.loads(failure.read())


def told(problem: dict[str, Any]) -> tuple[str, ...]:
    return tuple(error["message"] for error in problem["errors"])


def refused(*words: str, **variables: str) -> str:
    """The output of a `serve` that does not start."""
    done = run("serve", "--server-jwt-enabled=false", *words, variables=variables)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_running_service_validates_with_the_document_of_the_readmes_variable(service: Service) -> None:
    status, cluster = post(service, "good", GOOD.spec)
    assert (status, cluster["spec"]) == (201, GOOD.spec)
    status, problem = post(service, "bad-one", BAD.spec)
    assert (status, problem["code"], told(problem)) == (400, "HYPERFLEET-VAL-000", BAD.faults)
    pools = f"{CLUSTERS}/{cluster['id']}/nodepools"
    fixed = next(case for case in GCP if case.kind == "NodePool")
    assert post(service, "pool", fixed.spec, pools)[0] == 201
    status, problem = post(service, "bad-pool", {"capacity": {"nodes": 501}}, pools)
    assert told(problem) == ("`spec.machineType` is missing", "`spec.capacity.nodes` must be from 0 to 500")


def test_a_replacement_worker_validates_with_the_document_of_the_start(service: Service) -> None:
    document = Path(service.environment["OPENAPI_SCHEMA_PATH"])
    document.write_text("this: [is no longer")
    before = service.worker_pids()
    for pid in before:
        kill(pid)
    eventually(lambda: len(set(service.worker_pids()) - set(before)) == len(before), "new workers")
    eventually(lambda: service.status(service.api, CLUSTERS) == 200, "they answer")
    for number in range(10):
        assert post(service, f"bad-{number}", BAD.spec)[0] == 400


def test_a_kind_without_a_schema_causes_a_warning_and_is_not_validated() -> None:
    with serving.folder() as place:
        running = Service(place, HYPERFLEET_SERVER_OPENAPI_SCHEMA_PATH=str(path_of("bare-metal"))).start()
        try:
            running.ready()
            (warning,) = running.lines("the specs of a kind are not validated")
            assert "nearest" not in warning
            assert (warning["level"], warning["kind"], warning["missing"]) == ("warning", "NodePool", "NodePoolSpec")
            assert warning["document"].endswith("openapi.yaml")
            metal = next(case for case in cases("bare-metal") if not case.faults)
            status, cluster = post(running, "metal", metal.spec)
            assert status == 201
            assert post(running, "pool", {"any": "thing"}, f"{CLUSTERS}/{cluster['id']}/nodepools")[0] == 201
        finally:
            running.stop()


def test_config_prints_the_warnings_of_serve_with_the_nearest_name(tmp_path: Path) -> None:
    path = tmp_path / "misspelt.yaml"
    path.write_text("openapi: 3.0.3\ncomponents:\n  schemas:\n    clusterSpec: {type: object}\n")
    done = called("config", variables={"OPENAPI_SCHEMA_PATH": str(path), "HYPERFLEET_SERVER_JWT_ENABLED": "false"})
    assert done.returncode == 0
    assert "openapi_schema_path:" in done.stdout
    warning = "hyperfleet-api: warning: the specs of a kind are not validated:"
    assert done.stderr.splitlines() == [
        f"{warning} kind=Cluster missing=ClusterSpec document={path} nearest=clusterSpec",
        f"{warning} kind=NodePool missing=NodePoolSpec document={path}",
    ]
    with serving.folder() as place:
        running = Service(place, OPENAPI_SCHEMA_PATH=str(path)).start()
        try:
            running.ready()
            logged = running.lines("the specs of a kind are not validated")
            assert [line.get("nearest") for line in logged] == ["clusterSpec", None]
        finally:
            running.stop()


def test_a_configuration_without_problems_prints_no_warning() -> None:
    assert called("config", variables={"HYPERFLEET_SERVER_JWT_ENABLED": "false"}).stderr == ""


DOCUMENT = "openapi: 3.0.3\ncomponents:\n  schemas:\n    ClusterSpec:\n"
BROKEN = [
    ("a: b: c\n", "cannot be read: line 1: mapping values are not allowed in this context."),
    ("", "It is not an OpenAPI document: the top level must be a mapping."),
    ("kind: ConfigMap\n", "It is not an OpenAPI 3.0 document: `openapi: 3.0.3` is missing."),
    ("openapi: 3.1.0\n", "`openapi: 3.1.0` is not supported; use OpenAPI 3.0."),
    (DOCUMENT + "      type: thing\n", "#/components/schemas/ClusterSpec/type: must be one of array, boolean,"),
    (DOCUMENT + "      $ref: other.yaml#/A\n", "the reference other.yaml#/A points outside the document"),
    (
        DOCUMENT + "      $ref: '#/components/schemas/Gone'\n",
        "#/components/schemas/Gone does not exist in the document.",
    ),
    (
        DOCUMENT + "      $ref: '#/components/schemas/ClusterSpec'\n",
        "refers to itself without a member or item in between",
    ),
    (DOCUMENT + "      pattern: '(a'\n", "the pattern (a is malformed"),
    (
        DOCUMENT + "      enum: ['4.14', 4.15]\n      type: string\n",
        "ClusterSpec/enum/1: 4.15 is not a string: quote it.",
    ),
    (DOCUMENT + "      minimum: 1\n      minimum: 2\n", "line 6: 'minimum' appears twice in the same mapping."),
]


@pytest.mark.parametrize(("text", "sentence"), BROKEN, ids=lambda part: part[-30:])
def test_a_broken_document_stops_the_start_and_the_error_names_the_file(
    tmp_path: Path, text: str, sentence: str
) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    said = refused(OPENAPI_SCHEMA_PATH=str(path))
    assert f"The OpenAPI document {path} (server.openapi_schema_path)" in said
    assert sentence in said


def test_serve_and_config_report_every_mistake_in_a_document_at_once(tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(
        DOCUMENT + "      minimun: 1\n      type: string\n      default: 4.15\n    NodePoolSpec: {items: 5}\n"
    )
    said = refused("--server-openapi-schema-path", str(path))
    assert "the configuration has 3 mistakes:" in said
    assert said.count(str(path)) == 3
    done = called("config", "--server-openapi-schema-path", str(path))
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)


def test_a_missing_document_stops_every_command_that_reads_the_setting() -> None:
    said = refused(OPENAPI_SCHEMA_PATH="/nowhere/openapi.yaml")
    assert "server.openapi_schema_path: file /nowhere/openapi.yaml does not exist." in said
    done = called("config", variables={"HYPERFLEET_SERVER_OPENAPI_SCHEMA_PATH": "/nowhere/openapi.yaml"})
    assert done.returncode == 1
    assert "/nowhere/openapi.yaml" in done.stderr


def test_an_empty_variable_counts_as_unset_and_two_that_differ_are_a_mistake() -> None:
    here = str(path_of("gcp"))
    done = called("config", variables={"OPENAPI_SCHEMA_PATH": "", "HYPERFLEET_SERVER_OPENAPI_SCHEMA_PATH": here})
    assert done.returncode == 0
    assert f"openapi_schema_path: {here}" in done.stdout
    assert "# variable HYPERFLEET_SERVER_OPENAPI_SCHEMA_PATH" in done.stdout
    both = {"OPENAPI_SCHEMA_PATH": str(path_of("aws")), "HYPERFLEET_SERVER_OPENAPI_SCHEMA_PATH": here}
    done = called("config", variables=both)
    assert done.returncode == 1
    assert "server.openapi_schema_path: variable " in done.stderr
    assert "set different values; remove one of them." in done.stderr


def test_a_flag_wins_over_the_variable() -> None:
    done = called(
        "config",
        "--server-openapi-schema-path",
        str(path_of("aws")),
        variables={"OPENAPI_SCHEMA_PATH": str(path_of("gcp"))},
    )
    assert f"openapi_schema_path: {path_of('aws')}" in done.stdout
    assert "# flag --server-openapi-schema-path" in done.stdout
