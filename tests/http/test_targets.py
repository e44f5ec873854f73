"""References in bodies: which are accepted, and every possible mistake."""

from dataclasses import replace
from typing import Any, Final
from uuid import UUID

import pytest

from hyperfleet.errors import HyperFleetError, InvalidInput
from hyperfleet.http.reading import bodies
from hyperfleet.model.kind import Kind, ReferenceRule
from testbed.fleet import CLUSTER

ONE: Final = "01a3c2f0-7b00-7000-8000-000000000001"
TWO: Final = "01a3c2f0-7b00-7000-8000-000000000002"
RULES: Final = (
    ReferenceRule("version", "Version", least=1, most=1),
    ReferenceRule("channel", "Channel", most=2),
    ReferenceRule("mirror", "Cluster"),
)
KIND: Final = replace(CLUSTER, references=RULES)


def taken(references: Any, kind: Kind = KIND) -> dict[str, tuple[UUID, ...]]:
    """The references of a draft with these in its body."""
    return bodies.draft({"name": "alpha", "spec": {}, "references": references}, kind).desired.references


def refusal(references: Any, kind: Kind = KIND) -> list[tuple[str, str]]:
    """Code and field of each mistake."""
    with pytest.raises(InvalidInput) as refused:
        taken(references, kind)
    return [(wrong.code, wrong.field) for wrong in refused.value.errors]


def version(*more: dict[str, Any]) -> dict[str, Any]:
    """References with a valid one, and other targets in place of mirrors."""
    return {"version": [{"id": ONE}], "mirror": list(more)}


def test_targets_are_kept_by_type_in_their_order() -> None:
    given = {"version": [{"id": TWO}], "mirror": [{"id": TWO, "kind": "Cluster", "href": 7}, {"id": ONE, "kind": None}]}
    assert taken(given) == {"version": (UUID(TWO),), "mirror": (UUID(TWO), UUID(ONE))}


@pytest.mark.parametrize("nothing", [None, []])
def test_types_without_targets_are_left_out(nothing: Any) -> None:
    assert taken({"version": [{"id": ONE}], "channel": nothing}) == {"version": (UUID(ONE),)}


def test_an_undeclared_type_is_refused_with_the_declared_types() -> None:
    with pytest.raises(InvalidInput) as refused:
        taken(version() | {"versions": []})
    (wrong,) = refused.value.errors
    assert (wrong.code, wrong.field) == ("VAL-002", "references.versions")
    assert "version, channel, mirror" in wrong.message


@pytest.mark.parametrize("references", [None, {}])
def test_a_kind_without_declared_types_accepts_none(references: Any) -> None:
    assert taken(references, CLUSTER) == {}
    assert refusal({"version": []}, CLUSTER) == [("VAL-002", "references.version")]


def test_the_number_of_targets_is_within_the_kinds_bounds() -> None:
    channels = [{"id": ONE}, {"id": TWO}, {"id": ONE[:-1] + "3"}]
    assert len(taken({"version": [{"id": ONE}], "channel": channels[:2]})["channel"]) == 2
    assert refusal({"version": [{"id": ONE}], "channel": channels}) == [("VAL-004", "references.channel")]
    none: Any
    for none in (None, {}, {"version": []}, {"version": None}):
        assert refusal(none) == [("VAL-004", "references.version")]
    assert refusal({"version": [{"id": ONE}, {"id": TWO}]}) == [("VAL-004", "references.version")]


def test_a_draft_without_references_lacks_those_required_by_its_kind() -> None:
    with pytest.raises(HyperFleetError, match="must name exactly 1 of kind Version"):
        bodies.draft({"name": "alpha", "spec": {}}, KIND)


def test_a_type_without_a_limit_accepts_1000_targets() -> None:
    many = [{"id": str(UUID(int=number))} for number in range(1001)]
    assert len(taken(version(*many[:1000]))["mirror"]) == 1000
    assert refusal(version(*many)) == [("VAL-004", "references.mirror")]


@pytest.mark.parametrize("items", ["x", {}, {"id": ONE}, 1, True, ONE])
def test_targets_are_a_list(items: object) -> None:
    assert refusal(version() | {"mirror": items}) == [("VAL-003", "references.mirror")]


@pytest.mark.parametrize("item", [None, ONE, 1, [], True])
def test_a_target_is_an_object(item: Any) -> None:
    assert refusal(version({"id": ONE}, item)) == [("VAL-003", "references.mirror[1]")]


@pytest.mark.parametrize(
    "id",
    [
        *("", "x", ONE.upper(), ONE.replace("-", ""), f"{{{ONE}}}", f"urn:uuid:{ONE}", ONE + "\n", ONE[:-1] + "g"),
        *(1, True, [], {}, [ONE]),
    ],
)
def test_an_id_is_a_canonical_uuid(id: object) -> None:
    assert refusal(version({"id": id})) == [("VAL-003", "references.mirror[0].id")]


def test_an_id_is_required() -> None:
    assert refusal(version({})) == [("VAL-001", "references.mirror[0].id")]
    assert refusal(version({"id": None})) == [("VAL-003", "references.mirror[0].id")]


def test_a_target_appears_once_per_type_but_may_appear_in_several_types() -> None:
    assert refusal(version({"id": ONE}, {"id": TWO}, {"id": ONE})) == [("VAL-002", "references.mirror[2].id")]
    assert taken(version({"id": ONE})) == {"version": (UUID(ONE),), "mirror": (UUID(ONE),)}


@pytest.mark.parametrize(
    ("kind", "code"), [("cluster", "VAL-002"), ("Version", "VAL-002"), ("", "VAL-002"), (1, "VAL-003"), ([], "VAL-003")]
)
def test_the_kind_of_a_target_is_the_one_declared(kind: object, code: str) -> None:
    assert refusal(version({"id": ONE, "kind": kind})) == [(code, "references.mirror[0].kind")]


def test_any_other_member_of_a_target_is_refused() -> None:
    assert refusal(version({"id": ONE, "name": "x", "Id": 1})) == [
        ("VAL-002", "references.mirror[0].name"),
        ("VAL-002", "references.mirror[0].Id"),
    ]


def test_every_mistake_is_reported_at_once() -> None:
    given = {"version": 1, "channel": [{"id": "x"}, {}], "mirror": [{"id": ONE}, {"id": ONE}], "more": []}
    assert {field for _, field in refusal(given)} >= {
        *("references.version", "references.channel[0].id", "references.channel[1].id"),
        *("references.mirror[1].id", "references.more"),
    }


def test_a_hundred_of_very_many_mistakes_are_reported() -> None:
    assert len(refusal(version(*({"id": 1} for _ in range(1000))))) == 100
    assert len(refusal({f"t{number}": [] for number in range(5000)})) <= 101
