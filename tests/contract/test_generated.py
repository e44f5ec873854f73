"""What follows from typespec/ is what is committed: compiled again, it gives the same bytes."""

import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from openapi_spec_validator import OpenAPIV30SpecValidator

from tests.contract import models
from typespec import generate
from typespec.generate import DOCUMENT, OUTPUTS, ROOT, YAML


def test_what_is_committed_is_what_typespec_gives(tmp_path: Path) -> None:
    try:
        generate.generate(tmp_path)
    except generate.NoNode as missing:
        pytest.skip(f"typespec/ is not compiled: {missing}")
    fresh, committed = ([(folder / output).read_bytes() for output in OUTPUTS] for folder in (tmp_path, ROOT))
    older = [str(output) for output, made, kept in zip(OUTPUTS, fresh, committed, strict=True) if made != kept]
    assert older == [], "make generate"


def test_without_node_it_is_said_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(generate.NoNode, match=r"Node\.js 20 or later is needed"):
        generate.node()


def documents() -> dict[str, Any]:
    return {
        "as written": yaml.safe_load((ROOT / YAML).read_text(encoding="utf-8")),
        "as served": json.loads((ROOT / DOCUMENT).read_text(encoding="utf-8")),
    }


@pytest.mark.parametrize("which", ["as written", "as served"])
def test_the_document_is_openapi_3_0(which: str) -> None:
    document = documents()[which]
    assert document["openapi"].startswith("3.0.")
    assert [str(error) for error in OpenAPIV30SpecValidator(document).iter_errors()] == []


def references(value: Any) -> set[str]:
    """Every reference below a value."""
    if isinstance(value, list):
        return {found for item in value for found in references(item)}
    if not isinstance(value, dict):
        return set()
    own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
    return own.union(*(references(item) for item in value.values()))


def test_the_document_as_served_refers_to_its_own_models_only() -> None:
    served = documents()["as served"]
    known = {f"#/components/schemas/{name}" for name in served["components"]["schemas"]}
    assert references(served) <= known
    assert served["components"].keys() == {"schemas", "securitySchemes"}


def test_the_document_as_written_names_its_parameters_once() -> None:
    written = documents()["as written"]
    for path, item in written["paths"].items():
        for operation in item.values():
            assert all(parameter.keys() == {"$ref"} for parameter in operation["parameters"]), path


@cache
def recorded() -> dict[str, tuple[str, Any]]:
    """Every example of an answer or a body: the model that the document gives it, and what it is."""
    found: dict[str, tuple[str, Any]] = {}
    for path, item in documents()["as written"]["paths"].items():
        for method, operation in item.items():
            places = {"body": operation.get("requestBody", {}), **operation["responses"]}
            for place, described in places.items():
                for media_type, content in described.get("content", {}).items():
                    model = content["schema"].get("$ref", "").rpartition("/")[2]
                    for name, example in content.get("examples", {}).items():
                        if model:
                            found[f"{method} {path} {place} {media_type} {name}"] = model, example["value"]
    return found


@pytest.mark.parametrize("name", recorded())
def test_the_models_read_what_the_service_answered_and_write_it_again(name: str) -> None:
    model, value = recorded()[name]
    read = msgspec.convert(value, getattr(models, model))
    written = msgspec.to_builtins(read)
    # Members that were left out come with their defaults.
    assert value.keys() <= written.keys()
    assert msgspec.convert(written, type(read)) == read
