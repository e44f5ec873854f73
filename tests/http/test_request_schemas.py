"""Bodies near the edges of validity: the code and the served document refuse the same bodies, at the same fields.

A separate validator reads the document that callers get. Rules that it cannot express are repeated here, as plainly as
possible: keys of labels, times, duplicates, numbers of references.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperfleet.errors import FieldError, HyperFleetError, InvalidInput
from hyperfleet.http.description.document import document
from hyperfleet.http.reading import bodies, patches
from hyperfleet.model.catalog import Catalog
from hyperfleet.model.kind import BUILT_IN, Kind, ReferenceRule
from tests.contract.conformity import translated

NOW: Final = datetime(2026, 11, 1, 12, tzinfo=UTC)
MERGE: Final = b"application/merge-patch+json"
CLUSTER, NODE_POOL = BUILT_IN
CHANNEL: Final = Kind("Channel", "channels", "channel", name_min_length=2, name_max_length=7)
RULES: Final = (ReferenceRule("channel", "Channel", least=1, most=2), ReferenceRule("mirror", "Hub"))
HUB: Final = Kind("Hub", "hubs", "hub", references=RULES)
CATALOG: Final = Catalog([CLUSTER, NODE_POOL, CHANNEL, HUB])
PLAIN: Final = CATALOG.kinds[:3]
KINDS: Final = st.sampled_from(PLAIN)
SCHEMAS: Final = document(CATALOG)["components"]["schemas"]


def _bounded(schema: Any) -> Any:
    """The schema with the bounds implied by its number formats."""
    if isinstance(schema, list):
        return [_bounded(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    words = {word: _bounded(value) for word, value in schema.items()}
    return words | ({"maximum": 2**31 - 1} if words.get("format") == "int32" else {})


def validator(name: str) -> jsonschema_rs.Draft202012Validator:
    """A validator of a component of the served document."""
    schemas = _bounded(translated(SCHEMAS))
    whole = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": schemas}}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True, offline=True)


VALIDATORS: Final = {
    name: validator(name)
    for name in (
        *(f"New{kind.name}" for kind in CATALOG.kinds),
        *(f"{kind.name}Patch" for kind in CATALOG.kinds),
        *("NewReport", "ForcedDeletion"),
    )
}


def refused_by_document(name: str, body: Any) -> set[str]:
    """The fields with errors according to the document's schema."""
    return {field for error in VALIDATORS[name].iter_errors(body) for field in _fields(error)}


def _fields(error: jsonschema_rs.ValidationError) -> Iterator[str]:
    if error.kind.name == "required":
        yield _path([*error.instance_path, error.kind.value])
    elif error.kind.name == "additionalProperties":
        yield from (_path([*error.instance_path, name]) for name in error.kind.value)
    else:
        yield _path(error.instance_path)


def _path(steps: list[str | int]) -> str:
    path = ""
    for step in steps:
        plain = isinstance(step, int) or path in ("", "labels") or re.fullmatch(r"[\w/-]+", step)
        if isinstance(step, int):
            path += f"[{step}]"
        else:
            path += (f".{step}" if path else step) if plain else f"['{step}']"
    return path


def refused_by_code(read: Callable[[], object]) -> set[str]:
    """The fields with errors according to the code; each error message begins with its field."""
    errors: tuple[FieldError, ...] = ()
    try:
        read()
    except InvalidInput as refused:
        errors = refused.errors
    assert all(wrong.message.startswith(f"`{wrong.field}` ") for wrong in errors)
    return {wrong.field for wrong in errors}


SCALARS: Final = st.sampled_from(
    [None, True, False, 0, 1, 1.0, 1.5, -1, 2**31, "", "a", "True", [], {}, ["a"], {"a": 1}]
)
SPECS: Final = st.sampled_from([{}, {"a": None}, {"a": {"b": [1]}}])
KEYS: Final = {
    **dict.fromkeys(("a", "A.b_c-D", "0x", "x" * 63, "example.com/name", "x" * 63 + "/a"), True),
    **dict.fromkeys(("-a", "a-", "a b", "a/b/c", "Ex.com/a", "x" * 64, "x." * 130 + "x/y", "é", "a\n"), False),
}
LABEL: Final[st.SearchStrategy[Any]] = st.sampled_from(
    ["", "a", "A.b_c-D", "x" * 63, "x" * 64, "-a", "a-", "a b", "é", "a\n", None, 1, {}]
)
LABELS: Final = st.dictionaries(st.sampled_from(list(KEYS)), LABEL, max_size=4) | st.builds(
    lambda number: {f"k{each}": "v" for each in range(number)}, st.sampled_from([63, 64, 65])
)
NAME: Final = st.sampled_from(
    [*("", "a", "ab", "abc", "a-b", "0", "-ab", "ab-", "aB", "a.b", "äb"), *("x" * n for n in (7, 8, 15, 16, 53, 54))]
)
TIMES: Final = {
    "2026-11-01T12:00:00Z": True,
    "2026-11-01T12:05:00.000000999Z": True,
    "2026-11-01t14:00:00.5+02:00": True,
    "2000-01-01T00:00:00Z": True,
    "1999-12-31T23:59:59.999999Z": False,
    "0001-01-01T00:00:00Z": False,
    "2026-11-01T12:05:00.000001Z": False,
    "2026-11-01T13:00:00-00:01": False,
    "0001-01-01T00:00:00+00:01": False,
    "9999-12-31T23:59:59-00:01": False,
    "2016-12-31T23:59:60Z": False,
    "0000-01-01T00:00:00Z": False,
    "2026-02-29T00:00:00Z": False,
    "2026-11-01T24:00:00Z": False,
    "2026-11-01 12:00:00Z": False,
    "2026-11-01T12:00:00": False,
    "2026-11-01T12:00Z": False,
    "2026-11-01": False,
    "now": False,
    "": False,
}


ID: Final = "01a3c2f0-7b00-7000-8000-00000000000"
IDS: Final = st.sampled_from([f"{ID}{number}" for number in range(4)])


def near(members: dict[str, st.SearchStrategy[Any]], required: set[str]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects that mostly have these members; one may have any type, or there may be an unknown one."""
    whole = st.fixed_dictionaries(
        {name: values for name, values in members.items() if name in required},
        optional={name: values for name, values in members.items() if name not in required},
    )
    nothing: dict[str, Any] = {}
    off = st.one_of(
        st.just(nothing),
        st.dictionaries(st.sampled_from([*members, "more", "Name", "", "x.y", "a b"]), SCALARS, max_size=2),
    )
    gone = st.sets(st.sampled_from(sorted(members)), max_size=1)
    return st.builds(
        lambda a, b, c: {name: value for name, value in (a | b).items() if name not in c}, whole, off, gone
    )


TARGET: Final = near(
    {
        "id": IDS | IDS | st.sampled_from([ID.upper() + "A", ID, "", f"{{{ID}1}}", 1, None]),
        "kind": st.sampled_from(["Channel", "Hub", None, "hub", 1]),
        "href": SCALARS,
    },
    {"id"},
)
TARGETS: Final = st.lists(st.builds(lambda id: {"id": id}, IDS), max_size=3) | st.lists(TARGET, max_size=3) | st.none()
REFERENCES: Final[st.SearchStrategy[Any]] = near(
    {"channel": TARGETS, "mirror": TARGETS}, {"channel"}
) | st.sampled_from([None, [], "x"])
DRAFTS: Final = near(
    {
        "kind": st.sampled_from(["Cluster", "NodePool", "Channel", "cluster", None, "", 1]),
        "name": NAME,
        "spec": SPECS,
        "labels": LABELS,
        "references": st.sampled_from([None, {}, {"version": []}, [], "x"]),
        "generation": SCALARS,
        "status": SCALARS,
    },
    {"name", "spec"},
)
CONDITION: Final = near(
    {
        "type": st.sampled_from(["Ready", "Available", "Applied", "ready", "", "x" * 316, "x" * 317]),
        "status": st.sampled_from(["True", "False", "Unknown", "true", True, None]),
        "reason": st.sampled_from([None, "", "x" * 1024, "x" * 1025, 1]),
        "message": st.sampled_from([None, "", "é" * 32768, "é" * 32769, {}]),
        "adapter": SCALARS,
        "last_transition_time": SCALARS,
    },
    {"type", "status"},
)
REPORTS: Final = near(
    {
        "adapter": st.sampled_from(["dns", "A.b_c-D", "x" * 63, "x" * 64, "", "-a", "a-", "a b", "a\n", 1]),
        "observed_generation": st.sampled_from([1, 1.0, 2**31 - 1, 2**31, 0, -1, 1.5, "1", True, None, 10**30]),
        "observed_time": st.sampled_from([None, *TIMES, 1]),
        "conditions": st.lists(CONDITION, min_size=0, max_size=3)
        | st.builds(
            lambda number: [{"type": f"T{each}", "status": "True"} for each in range(number)],
            st.sampled_from([64, 65]),
        ),
        "data": SPECS | st.none(),
        "metadata": SPECS | st.none(),
    },
    {"adapter", "observed_generation", "conditions"},
)
PATCHES: Final = near(
    {"spec": SPECS, "labels": LABELS | st.none(), "references": st.sampled_from([None, {}, {"version": []}, 1])}, set()
)


def wrong_keys(body: dict[str, Any], *, merge: bool = False) -> set[str]:
    """The fields of labels with invalid keys; with too many labels, keys do not matter."""
    labels = body.get("labels")
    if not isinstance(labels, dict) or len(labels) > 64:
        return set()
    keys = [key for key, value in labels.items() if not KEYS.get(key, True) and not (merge and value is None)]
    return {"labels." + (key if len(key) <= 80 else key[:80] + "…") for key in keys}


def cut(fields: set[str]) -> set[str]:
    """Fields of labels as errors show them."""
    return {field[:87] + "…" if field.startswith("labels.") and len(field) > 87 else field for field in fields}


def of_references(fields: set[str]) -> set[str]:
    """The document only forbids references; the code also names the one that is present."""
    return {field.partition(".")[0] if field.startswith("references") else field for field in fields}


@given(DRAFTS, KINDS)
@settings(deadline=None, max_examples=500, derandomize=True)
def test_creates_are_refused_for_the_same_fields_as_by_the_document(body: dict[str, Any], kind: Kind) -> None:
    told = of_references(refused_by_code(lambda: bodies.draft(body, kind)))
    expected = of_references(cut(refused_by_document(f"New{kind.name}", body)) | wrong_keys(body))
    assert told == expected


def repeated(references: Any) -> bool:
    """Whether a list repeats a target, in any spelling."""
    lists = references.values() if isinstance(references, dict) else ()
    ids = [[each["id"] for each in items if isinstance(each, dict) and each.get("id")] for items in lists if items]
    return any(len(each) > len(set(map(str, each))) for each in ids)


@given(REFERENCES)
@settings(deadline=None, max_examples=1000, derandomize=True)
def test_references_are_refused_if_the_document_refuses_them_or_a_target_is_repeated(references: Any) -> None:
    body = {"name": "hub", "spec": {}, "references": references}
    expected = refused_by_document("NewHub", body) or repeated(references)
    assert bool(refused_by_code(lambda: bodies.draft(body, HUB))) == bool(expected)
    body = {"spec": {}, "references": references}
    expected = refused_by_document("HubPatch", body) or repeated(references)
    assert bool(refused_by_code(lambda: patches.change(body, HUB, MERGE, largest=1 << 20))) == bool(expected)


def wrong_in_report(body: dict[str, Any]) -> set[str]:
    """The rules of a report that no schema expresses: its time, and repeated types."""
    wrong = set()
    if TIMES.get(str(body.get("observed_time"))) is False:
        wrong.add("observed_time")
    conditions = body.get("conditions")
    if isinstance(conditions, list) and 1 <= len(conditions) <= 64:
        types = [each.get("type") if isinstance(each, dict) else None for each in conditions]
        wrong |= {
            f"conditions[{position}].type"
            for position, type in enumerate(types)
            if isinstance(type, str) and type in types[:position]
        }
    return wrong


@given(REPORTS, KINDS)
@settings(deadline=None, max_examples=500, derandomize=True)
def test_reports_are_refused_for_the_same_fields_as_by_the_document(body: dict[str, Any], kind: Kind) -> None:
    told = refused_by_code(lambda: bodies.report(body, kind, now=NOW))
    assert told == refused_by_document("NewReport", body) | wrong_in_report(body)


@given(PATCHES, KINDS)
@settings(deadline=None, max_examples=500, derandomize=True)
def test_merges_are_refused_for_the_same_fields_as_by_the_document(body: dict[str, Any], kind: Kind) -> None:
    told = of_references(refused_by_code(lambda: patches.change(body, kind, MERGE, largest=1 << 20)))
    expected = cut(refused_by_document(f"{kind.name}Patch", body)) | wrong_keys(body, merge=True)
    labels = body.get("labels")
    # The result has at least as many labels as a merge sets.
    if isinstance(labels, dict) and sum(value is not None for value in labels.values()) > 64:
        expected.add("labels")
    assert told == expected | ({"references"} if _names_references(body) else set())


def _names_references(body: dict[str, Any]) -> bool:
    return isinstance(body.get("references"), dict) and body["references"] != {}


@given(PATCHES, KINDS)
@settings(deadline=None, max_examples=500, derandomize=True)
def test_changes_are_refused_for_the_same_fields_as_by_the_document(body: dict[str, Any], kind: Kind) -> None:
    told = of_references(refused_by_code(lambda: patches.change(body, kind, None, largest=1 << 20)))
    expected = cut(refused_by_document(f"{kind.name}Patch", body)) | wrong_keys(body)
    labels = body.get("labels")
    if isinstance(labels, dict):
        expected |= cut({f"labels.{key}" for key, value in labels.items() if value is None})
        expected |= {"labels"} if len(labels) > 64 else set()
    if not expected and all(body.get(name) is None for name in patches.CHANGEABLE):
        expected = {"body"}
    assert told == expected | ({"references"} if _names_references(body) else set())


@given(near({"reason": st.sampled_from(["x", "x" * 1024, "x" * 1025, "", None, 1])}, {"reason"}))
@settings(deadline=None, max_examples=100, derandomize=True)
def test_reasons_are_refused_for_the_same_fields_as_by_the_document(body: dict[str, Any]) -> None:
    assert refused_by_code(lambda: bodies.reason(body)) == refused_by_document("ForcedDeletion", body)


@pytest.mark.parametrize("kind", PLAIN, ids=lambda kind: kind.name)
def test_the_code_has_every_member_of_the_document(kind: Kind) -> None:
    for name in SCHEMAS[f"New{kind.name}"]["properties"]:
        body: dict[str, Any] = {"name": "abcd", "spec": {}, name: None}
        fields = refused_by_code(partial(bodies.draft, body, kind))
        assert fields == ({name} if name in ("name", "spec") else set())


def test_a_hundred_of_very_many_mistakes_are_reported_quickly() -> None:
    body = {"name": 1, **{f"m{number}": 1 for number in range(50_000)}, "labels": {f"k{n}": 1 for n in range(50_000)}}
    assert len(json.dumps(body)) > 1 << 19
    with pytest.raises(HyperFleetError) as refused:
        bodies.draft(body, CLUSTER)
    assert len(refused.value.errors) == 100


def test_requirements_of_a_kind_are_reported_beside_errors_of_its_schema() -> None:
    kind = replace(CLUSTER, mandatory_conditions=("Ready", "Applied"))
    body = {"adapter": "", "observed_generation": 1, "conditions": [{"type": "Ready", "status": 1}]}
    with pytest.raises(HyperFleetError) as refused:
        bodies.report(body, kind, now=NOW)
    assert [(wrong.code, wrong.field) for wrong in refused.value.errors] == [
        ("VAL-004", "adapter"),
        ("VAL-003", "conditions[0].status"),
        ("VAL-001", "conditions"),
    ]
