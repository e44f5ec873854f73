"""The document against the service: routes, parameters, codes, examples and answers are the same in both."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import pytest

from hyperfleet.errors import CODES
from hyperfleet.http import routes
from hyperfleet.http.description import publications
from hyperfleet.http.reading import queries
from hyperfleet.store.database import Database
from testbed.fleet import CATALOG
from tests.contract import examples, story
from tests.contract.conformity import DOCUMENT, OPERATIONS, UNDESCRIBED, Operation, faults, mistakes

SCHEMAS: Final = DOCUMENT["components"]["schemas"]


def routed(rows: Sequence[routes.Row] = routes.ROWS) -> set[tuple[str, str]]:
    """Every path that is routed and should be described, ids as `-`, with its methods."""
    return {
        (route.template, method)
        for row in rows
        if row.path not in UNDESCRIBED
        for route in routes.routes(row, CATALOG)
        for method in route.methods
    }


def described() -> set[tuple[str, str]]:
    """Every path of the document, ids as `-`, with its methods."""
    return {(re.sub(r"\{[a-z_]+\}", "-", operation.path), operation.method) for operation in OPERATIONS}


def test_every_route_is_in_the_document() -> None:
    assert routed() - described() == set()


def test_every_operation_of_the_document_is_routed() -> None:
    assert described() - routed() == set()


def test_operations_have_names_of_their_own_and_words_for_people() -> None:
    assert len({operation.id for operation in OPERATIONS}) == len(OPERATIONS)
    tags = {tag["name"] for tag in DOCUMENT["tags"]}
    for operation in OPERATIONS:
        assert operation.described["summary"], operation.id
        assert operation.described["description"], operation.id
        assert set(operation.described["tags"]) <= tags, operation.id


def parameters(operation: Operation, place: str) -> set[str]:
    return {parameter["name"] for parameter in operation.described["parameters"] if parameter["in"] == place}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
def test_an_operation_takes_the_parameters_that_its_query_is_read_for(operation: Operation) -> None:
    known: tuple[str, ...] = ()
    if operation.method == "GET":
        if operation.path.endswith("/statuses"):
            known = queries.names(queries.REPORT_PARAMETERS)
        elif operation.path.endswith(("/clusters", "/nodepools")):
            known = queries.names(queries.LIST_PARAMETERS)
        elif operation.path.endswith("/resources"):
            known = queries.names(queries.LIST_PARAMETERS, queries.Listable(of_all=True))
        elif operation.path.endswith("_id}"):
            known = queries.names(queries.READ_PARAMETERS)
    assert parameters(operation, "query") == set(known)
    assert parameters(operation, "path") == set(re.findall(r"\{([a-z_]+)\}", operation.path))
    assert "X-Request-Id" in parameters(operation, "header")


def test_limits_of_parameters_are_those_of_the_code() -> None:
    (clusters,) = (operation for operation in OPERATIONS if operation.id == "listClusters")
    found: dict[str, Any] = {entry["name"]: entry["schema"] for entry in clusters.described["parameters"]}
    for name in ("pageSize", "size"):
        assert (found[name]["maximum"], found[name]["default"]) == (queries.LARGEST_SIZE, queries.DEFAULT_SIZE)
    assert found["id"]["maxItems"] == queries.MOST_IDS


def test_the_documents_error_codes_are_those_of_the_code() -> None:
    assert SCHEMAS["ErrorCode"]["enum"] == [code.full_name for code in CODES.values()]


def test_every_code_is_told_with_a_status_that_it_comes_with() -> None:
    told = set()
    for operation in OPERATIONS:
        for status, response in operation.described["responses"].items():
            names = set(re.findall(r"\b[A-Z]{3}-[0-9]{3}\b", response["description"]))
            assert bool(names) == (int(status) >= 400), (operation.id, status)
            assert all(int(status) in CODES[name].statuses for name in names), (operation.id, status)
            told |= names
    # An unknown path is no operation's.
    assert told == set(CODES) - {"NTF-000"}


@pytest.mark.parametrize("kind", CATALOG.kinds, ids=lambda kind: kind.name)
def test_limits_of_names_are_those_of_the_kind(kind: Any) -> None:
    name = SCHEMAS[f"{kind.name}Name"]
    assert (name["minLength"], name["maxLength"]) == (kind.name_min_length, kind.name_max_length)


@pytest.mark.parametrize("model", ["ClusterSpec", "NodePoolSpec"])
def test_any_object_is_a_spec(model: str) -> None:
    reference = {"$ref": f"#/components/schemas/{model}"}
    specs: tuple[Any, ...] = ({}, {"a": None}, {"a": {"b": [1, "c", {}]}})
    assert [spec for spec in specs if faults(reference, spec)] == []
    others: tuple[Any, ...] = (None, [], "a", 1, True)
    assert [other for other in others if not faults(reference, other)] == []


async def test_the_examples_are_what_the_service_answers(db: Database) -> None:
    steps = await story.play(db)
    assert examples.text(steps) == examples.FILE.read_text(encoding="utf-8"), "make examples"


async def test_every_answer_of_the_story_is_as_the_document_says(db: Database) -> None:
    steps = await story.play(db)
    found = [
        (step.operation, step.title, mistake)
        for step in steps
        for mistake in mistakes(step.method, step.url_path, step.status, dict(step.headers), step.content)
    ]
    assert found == []


def illustrations() -> Iterator[tuple[str, dict[str, Any], Any]]:
    """Every example of the document: where it stands, the schema that it illustrates, itself."""
    for operation in OPERATIONS:
        answers = operation.described["responses"]
        places = {"request": operation.described.get("requestBody", {})} | answers
        for place, described in places.items():
            for content in described.get("content", {}).values():
                for title, example in content.get("examples", {}).items():
                    yield f"{operation.id}, {place}: {title}", content["schema"], example["value"]


def test_every_example_is_as_its_model_says() -> None:
    found = {where: faults(schema, value) for where, schema, value in illustrations()}
    assert len(found) >= 60
    assert {where: wrong for where, wrong in found.items() if wrong} == {}


def test_every_answer_of_the_api_has_an_example() -> None:
    for operation in OPERATIONS:
        for status, response in operation.described["responses"].items():
            if operation.path not in publications.DOCUMENT and int(status) < 300:
                content = response.get("content", {}).get("application/json")
                assert content is None or content.get("examples"), (operation.id, status)
        bodies = operation.described.get("requestBody", {}).get("content", {}).values()
        assert not bodies or any(content.get("examples") for content in bodies), operation.id
