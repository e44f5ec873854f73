"""The changed paths of a change: which, how many at most, and never a value."""

import json
from typing import Any
from uuid import UUID

import pytest

from hyperfleet.model.difference import LONGEST_PATH, MOST_PATHS, difference
from hyperfleet.model.resource import Desired

ONE, TWO = UUID(int=1), UUID(int=2)


def desired(
    spec: Any = None, labels: dict[str, str] | None = None, references: dict[str, tuple[UUID, ...]] | None = None
) -> Desired:
    return Desired(json.dumps(spec or {}).encode(), labels or {}, references or {})


@pytest.mark.parametrize(
    ("old", "new", "paths"),
    [
        ({"a": 1}, {"a": 2}, ["/spec/a"]),
        ({"a": 1}, {"a": 1.0}, []),
        ({"a": 1}, {"a": True}, ["/spec/a"]),
        ({"a": 1}, {"a": None}, ["/spec/a"]),
        ({"a": 1}, {}, ["/spec/a"]),
        ({}, {"a": {"b": 1}}, ["/spec/a"]),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, ["/spec/a/c"]),
        ({"a": {"b": 1}}, {"a": [1]}, ["/spec/a"]),
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}, ["/spec/a"]),
        ({"b": 1, "a": 2}, {"a": 2, "b": 1}, []),
        ({"a/b": 1, "c~d": 1}, {"a/b": 2, "c~d": 2}, ["/spec/a~1b", "/spec/c~0d"]),
    ],
)
def test_changed_members_are_named_by_json_pointers(old: Any, new: Any, paths: list[str]) -> None:
    found = difference(desired(old), desired(new))
    assert (list(found.paths), found.count) == (paths, len(paths))


def test_labels_and_references_are_named_by_key_and_type() -> None:
    old = desired({"a": 1}, {"env": "test", "gone": "x", "kept": "y"}, {"version": (ONE,)})
    new = desired({"a": 1}, {"env": "prod", "kept": "y", "new": "z"}, {"version": (TWO,), "twin": (ONE,)})
    assert difference(old, new).paths == (
        *("/labels/env", "/labels/gone", "/labels/new"),
        *("/references/version", "/references/twin"),
    )


def test_fifty_paths_are_named_and_all_are_counted() -> None:
    for many in (MOST_PATHS, MOST_PATHS + 1, 1000):
        found = difference(desired(), desired({f"a{number}": number for number in range(many)}))
        assert (len(found.paths), found.count) == (MOST_PATHS, many)


def test_a_long_path_is_cut() -> None:
    (path,) = difference(desired(), desired({"x" * 10_000: "secret"})).paths
    assert path == "/spec/" + "x" * (LONGEST_PATH - len("/spec/")) + "…"
