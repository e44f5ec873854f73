"""Changes by replacement or merge; which mistakes are in the body and which only in the result."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

import pytest

from hyperfleet.errors import BadRequest, HyperFleetError
from hyperfleet.http.reading import json_text, patches
from hyperfleet.model.kind import Kind, ReferenceRule
from hyperfleet.model.resource import Desired, Patch
from hyperfleet.model.schemas.spec_schema import SpecSchema
from hyperfleet.services import checking
from testbed.fleet import CLUSTER
from tests.schemas import document

MERGE: Final = b"application/merge-patch+json"
LARGEST: Final = 1 << 20
OLD: Final = Desired(b'{"nodes":3,"disk":{"size":10,"type":"ssd"}}', {"env": "test", "team": "a"}, {})

ONE, TWO, THREE = (UUID(f"01a3c2f0-7b00-7000-8000-00000000000{number}") for number in (1, 2, 3))
RULES: Final = (ReferenceRule("version", "Version", least=1, most=2), ReferenceRule("channel", "Channel"))
REFERRING: Final = replace(CLUSTER, references=RULES)
REFERRED: Final = replace(OLD, references={"version": (ONE,), "channel": (TWO,)})
STRICT: Final = replace(
    CLUSTER,
    spec_schema=SpecSchema(
        document(
            ClusterSpec={
                "type": "object",
                "required": ["nodes"],
                "properties": {"nodes": {"type": "integer", "maximum": 5}},
            }
        ),
        "ClusterSpec",
    ),
)


def patch(body: dict[str, Any], kind: Kind = CLUSTER, *, merge: bool = False) -> Callable[[Desired], Desired]:
    """The change in a body, parsed from its bytes."""
    text = json.dumps(body).encode()
    members = json_text.decoded(text)
    faults = [] if merge else asyncio.run(checking.faults(kind, members.get("spec"), size=len(text)))
    content_type = MERGE if merge else b"application/json"
    return applied(patches.change(members, kind, content_type, largest=LARGEST, spec_faults=faults))


def applied(change: Patch) -> Callable[[Desired], Desired]:
    """The change as a function that works outside an event loop."""

    async def changed(old: Desired) -> Desired:
        return await change(old)

    return lambda old: asyncio.run(changed(old))


def named(*ids: UUID) -> list[dict[str, str]]:
    return [{"id": str(id)} for id in ids]


def refusal(make: Any) -> tuple[str, tuple[str, ...]]:
    """The code of a refusal, and the fields that it names."""
    with pytest.raises(HyperFleetError) as refused:
        make()
    return refused.value.row.name, tuple(wrong.field for wrong in refused.value.errors)


def refused_at_once(body: dict[str, Any], kind: Kind = CLUSTER, *, merge: bool = False) -> tuple[str, tuple[str, ...]]:
    """The mistakes in a body, found before any resource is read."""
    return refusal(lambda: patch(body, kind, merge=merge))


def refused_when_applied(body: dict[str, Any], kind: Kind, old: Desired) -> tuple[str, tuple[str, ...]]:
    """The mistakes in the result of a merge."""
    asked = patch(body, kind, merge=True)
    return refusal(lambda: asked(old))


def test_as_plain_json_each_member_replaces_the_old_one_completely() -> None:
    assert patch({"spec": {"a": 1}})(OLD) == replace(OLD, spec=b'{"a":1}')
    assert patch({"labels": {"b": "c"}})(OLD) == replace(OLD, labels={"b": "c"})
    assert patch({"labels": {}})(OLD) == replace(OLD, labels={})
    assert patch({"spec": {}, "labels": {}})(OLD) == Desired(b"{}", {}, {})
    assert patch({"references": {"version": named(THREE)}}, REFERRING)(REFERRED).references == {"version": (THREE,)}


@pytest.mark.parametrize("body", [{}, {"labels": None}, {"references": None}, {"labels": None, "references": None}])
def test_plain_json_that_changes_nothing_is_refused(body: dict[str, Any]) -> None:
    assert refused_at_once(body) == ("VAL-001", ("body",))


def test_as_plain_json_null_labels_and_references_count_as_absent() -> None:
    assert patch({"spec": {"a": 1}, "labels": None, "references": None})(OLD) == replace(OLD, spec=b'{"a":1}')


@pytest.mark.parametrize("body", [{}, {"spec": {}}, {"labels": {}}, {"references": {}}, {"spec": {}, "labels": {}}])
def test_an_empty_merge_changes_nothing(body: dict[str, Any]) -> None:
    assert patch(body, REFERRING, merge=True)(REFERRED) == REFERRED


def test_a_merge_adds_replaces_and_removes_members_at_any_depth() -> None:
    body = {
        "spec": {"nodes": None, "disk": {"size": 20, "type": None, "iops": {"read": 1, "write": None}}, "x": [None]}
    }
    assert patch(body, merge=True)(OLD).spec == b'{"disk":{"size":20,"iops":{"read":1}},"x":[null]}'
    assert patch({"labels": {"env": None, "gone": None, "tier": "1"}}, merge=True)(OLD).labels == {
        "team": "a",
        "tier": "1",
    }


@pytest.mark.parametrize(
    ("target", "merged_in", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_the_examples_of_rfc_7396_have_its_results(target: Any, merged_in: Any, result: Any) -> None:
    before = json.dumps([target, merged_in])
    assert patches.merge(target, merged_in) == result
    assert json.dumps([target, merged_in]) == before


def test_in_a_merge_null_clears_labels_and_references() -> None:
    free = replace(CLUSTER, references=(ReferenceRule("channel", "Channel"),))
    old = replace(OLD, references={"channel": (TWO,)})
    assert patch({"labels": None, "references": None}, free, merge=True)(old) == Desired(OLD.spec, {}, {})


def test_in_a_merge_each_reference_type_is_replaced_or_removed_separately() -> None:
    nothing: list[str] | None
    for nothing in (None, []):
        merged = patch({"references": {"channel": nothing}}, REFERRING, merge=True)(REFERRED)
        assert merged.references == {"version": (ONE,)}
    merged = patch({"references": {"version": named(THREE, TWO)}}, REFERRING, merge=True)(REFERRED)
    assert merged.references == {"version": (THREE, TWO), "channel": (TWO,)}


@pytest.mark.parametrize("merge", [False, True])
@pytest.mark.parametrize(
    ("body", "code", "fields"),
    [
        ({"name": "other", "spec": {}}, "VAL-002", ("name",)),
        ({"kind": "Cluster", "spec": {}}, "VAL-002", ("kind",)),
        ({"generation": 1, "status": {}}, "VAL-000", ("generation", "status")),
        ({"Spec": {}}, "VAL-002", ("Spec",)),
        ({"name": None}, "VAL-002", ("name",)),
        ({"spec": None}, "VAL-003", ("spec",)),
        ({"spec": []}, "VAL-003", ("spec",)),
        ({"spec": "x", "labels": 1, "references": True}, "VAL-000", ("spec", "labels", "references")),
        ({"labels": {"-a": "x"}}, "VAL-003", ("labels.-a",)),
        ({"labels": {"a": 1}}, "VAL-003", ("labels.a",)),
        ({"labels": {"a": {"b": None}}}, "VAL-003", ("labels.a",)),
        ({"labels": {"a": "x" * 64}}, "VAL-004", ("labels.a",)),
        ({"labels": {f"k{number}": "v" for number in range(65)}}, "VAL-004", ("labels",)),
        ({"references": {"owner": []}}, "VAL-002", ("references.owner",)),
    ],
)
def test_mistakes_in_the_body_itself_are_reported_first_in_both_forms(
    body: dict[str, Any], code: str, fields: tuple[str, ...], merge: bool
) -> None:
    assert refused_at_once(body, merge=merge) == (code, fields)


def test_a_null_label_is_refused_as_plain_json_and_removed_by_a_merge() -> None:
    assert refused_at_once({"labels": {"a": None}}) == ("VAL-003", ("labels.a",))
    assert patch({"labels": {"env": None, "no label/at/all": None}}, merge=True)(OLD).labels == {"team": "a"}


def test_a_merge_may_fill_the_labels_up_to_64() -> None:
    more = {f"k{number}": "v" for number in range(63)}
    assert refused_when_applied({"labels": more}, CLUSTER, OLD) == ("VAL-004", ("labels",))
    assert len(patch({"labels": more | {"env": None}}, merge=True)(OLD).labels) == 64


def test_the_resulting_spec_is_checked() -> None:
    old = replace(OLD, spec=b'{"nodes":3}')
    assert refused_at_once({"spec": {"nodes": 6}}, STRICT) == ("VAL-000", ("spec.nodes",))
    assert refused_at_once({"spec": {"size": 1}}, STRICT) == ("VAL-000", ("spec.nodes",))
    assert patch({"spec": {"size": 1}}, STRICT, merge=True)(old).spec == b'{"nodes":3,"size":1}'
    assert refused_when_applied({"spec": {"nodes": 6}}, STRICT, old) == ("VAL-000", ("spec.nodes",))
    assert refused_when_applied({"spec": {"nodes": None}}, STRICT, old) == ("VAL-000", ("spec.nodes",))


def test_a_spec_that_a_merge_does_not_change_is_not_checked_again() -> None:
    old = replace(OLD, spec=b'{"nodes":9}')
    assert patch({"labels": {"a": "b"}}, STRICT, merge=True)(old).spec == old.spec
    assert patch({"spec": {}}, STRICT, merge=True)(old) == old
    assert refused_when_applied({"spec": {"size": 1}}, STRICT, old) == ("VAL-000", ("spec.nodes",))


def chain(length: int, end: object = 1) -> Any:
    """Nested objects."""
    return json.loads('{"a":' * length + json.dumps(end) + "}" * length)


def test_the_result_of_a_merge_nests_no_deeper_than_a_body() -> None:
    # The body itself is one of the hundred levels.
    deepest = replace(OLD, spec=json.dumps(chain(99)).encode())
    assert refused_at_once({"spec": chain(100)}, merge=True)[0] == "VAL-004"
    for more in (chain(99, 2), chain(98, [1]), chain(50, {"b": [1]}), chain(99, None)):
        merged = patch({"spec": more}, merge=True)(deepest)
        assert json_text.decoded(b'{"spec":%b}' % merged.spec)


def test_many_merges_make_a_spec_no_larger_than_a_body_may_be() -> None:
    old = replace(OLD, spec=b'{"a":"%b"}' % (b"x" * (LARGEST - 16)))
    assert len(patch({"spec": {"b": 123}}, merge=True)(old).spec) == LARGEST
    with pytest.raises(BadRequest, match="`spec` after the merge must not exceed") as refused:
        patch({"spec": {"b": 1234}}, merge=True)(old)
    assert refused.value.status == 413
    # Numbers may grow when they are written again, and a spec that is already too large may always become smaller.
    larger = replace(OLD, spec=b'{"a":"%b","b":"x"}' % (b"x" * LARGEST))
    assert len(patch({"spec": {"b": 1}}, merge=True)(larger).spec) > LARGEST


def test_whole_numbers_stay_exact_in_a_merge() -> None:
    old = replace(OLD, spec=b'{"big":%d,"small":9007199254740993}' % (10**999 + 1))
    merged = applied(patches.change({"spec": {"more": -(10**999)}}, CLUSTER, MERGE, largest=LARGEST))(old)
    assert merged.spec == b'{"big":%d,"small":9007199254740993,"more":%d}' % (10**999 + 1, -(10**999))


def test_the_resulting_number_of_references_is_checked() -> None:
    assert refused_at_once({"references": {}}, REFERRING) == ("VAL-004", ("references.version",))
    assert refused_at_once({"references": {"version": named(ONE, TWO, THREE)}}, REFERRING)[0] == "VAL-004"
    none: dict[str, Any]
    for none in ({"references": None}, {"references": {"version": []}}, {"references": {"version": None}}):
        assert refused_when_applied(none, REFERRING, REFERRED) == ("VAL-004", ("references.version",))
    assert refused_when_applied({"references": {"version": named(ONE, TWO, THREE)}}, REFERRING, REFERRED) == (
        "VAL-004",
        ("references.version",),
    )


def test_every_mistake_in_the_result_is_reported_at_once() -> None:
    kind = replace(STRICT, references=RULES)
    body = {"spec": {"nodes": 6}, "labels": {f"k{n}": "v" for n in range(63)}, "references": {"version": None}}
    code, fields = refused_when_applied(body, kind, replace(REFERRED, spec=b'{"nodes":3}'))
    assert (code, set(fields)) == ("VAL-000", {"spec.nodes", "labels", "references.version"})


def test_a_patch_does_not_modify_its_input() -> None:
    old = replace(REFERRED, labels=dict(OLD.labels), references=dict(REFERRED.references))
    before = (old.spec, dict(old.labels), dict(old.references))
    patch({"labels": {"env": None}, "references": {"channel": None}, "spec": {"a": 1}}, REFERRING, merge=True)(old)
    assert (old.spec, old.labels, old.references) == before
