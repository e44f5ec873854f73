"""The page for providers says what the code does: its document, its answer, its lists and its numbers."""

import json
import re
from pathlib import Path

from msgspec import UNSET

from hyperfleet.assembly import yaml_documents
from hyperfleet.errors import MOST_FIELDS, InvalidInput
from hyperfleet.model.schemas import breadth, openapi, wording
from hyperfleet.model.schemas.json_schema import FORMATS
from hyperfleet.model.schemas.spec_schema import SpecSchema
from tests.house.pages import DOCS

PAGE = (DOCS / "spec-validation.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


def test_the_pages_document_gives_the_pages_answer(tmp_path: Path) -> None:
    (tmp_path / "document").write_text(block("yaml"))
    schema = SpecSchema(openapi.require_document(yaml_documents.read(tmp_path / "document")), "ClusterSpec")
    assert schema.faults({"region": "us-east1", "nodes": 3, "encryption": {"kind": "managed"}}) == []
    problem = InvalidInput(*schema.faults({"region": "mars", "encryption": {"kind": "own"}}))
    told = json.loads(block("json"))
    assert (problem.row.full_name, problem.detail) == (told["code"], told["detail"])
    given = [
        {
            key: value
            for key in ("field", "message", "constraint", "value")
            if (value := getattr(error, key)) not in (None, UNSET)
        }
        for error in problem.errors
    ]
    assert given == told["errors"]


def test_the_page_lists_the_formats_that_are_checked() -> None:
    listed = re.search(r"checked are `([^`]+)`", PAGE)
    assert listed is not None
    assert set(listed[1].split()) == FORMATS
    assert set(wording.FORMATS) == FORMATS


def test_the_page_names_every_keyword_that_is_read() -> None:
    named = set(re.findall(r"`([A-Za-z$]+)", PAGE.partition("## Keywords")[2].partition("## The response")[0]))
    lengths = {f"{side}{what}" for side in ("min", "max") for what in ("Length", "Items", "Properties")}
    assert openapi.KNOWN - lengths - {"$comment"} <= named
    assert "lengths and counts" in PAGE


def test_every_number_of_the_page_is_the_codes() -> None:
    for number, sentence in (
        (openapi.LARGEST, "more than {:,} schemas and enum values"),
        (openapi.MOST_PATTERNS, "more than {:,} patterns"),
        (breadth.BROADEST, "more than {:,} schemas for one value"),
        (MOST_FIELDS, "at most {:,}. Each has"),
        (yaml_documents.LARGEST >> 20, "at most {} MiB"),
    ):
        assert sentence.format(number) in " ".join(PAGE.split())
