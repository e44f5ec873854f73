"""The floors outside the product: what tests, benchmarks and drills share knows none of them."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
USERS = ("tests", "bench", "drills")
BELOW = {"testbed": USERS, "bench": ("tests", "drills"), "drills": ("tests",)}


@pytest.mark.parametrize("package", BELOW)
def test_what_is_shared_does_not_import_those_who_share_it(package: str) -> None:
    imported = {
        (path.name, node.module)
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module
    }
    assert len(imported) > 5
    assert [each for each in imported if each[1].partition(".")[0] in BELOW[package]] == []
