"""Bodies of creates and reports: every rule on both sides, every mistake at once."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from hyperfleet.errors import HyperFleetError
from hyperfleet.http.reading import bodies
from hyperfleet.model.kind import Kind
from hyperfleet.model.resource import Desired, Draft
from hyperfleet.model.status.condition import ReportedCondition
from hyperfleet.model.status.report import Report
from testbed.fleet import CLUSTER, NODE_POOL

NOW: Final = datetime(2026, 11, 1, 12, tzinfo=UTC)
READY: Final = {"type": "Ready", "status": "True"}


def draft(kind: Kind = CLUSTER, /, **members: Any) -> Draft:
    """The draft of a valid body with some members changed; None sets a member to null."""
    return bodies.draft({"name": "alpha", "spec": {}} | members, kind)


def report(kind: Kind = CLUSTER, /, **members: Any) -> Report:
    """The report of a valid body with some members changed."""
    proper = {"adapter": "dns", "observed_generation": 1, "conditions": [READY]}
    return bodies.report(proper | members, kind, now=NOW)


def reported(**members: Any) -> ReportedCondition:
    """The condition of a report with a single one."""
    return report(conditions=[READY | members]).conditions[0]


def refusal(make: Any, **members: Any) -> tuple[str, tuple[str, ...]]:
    """The code of a refused body, and the fields that it names."""
    with pytest.raises(HyperFleetError) as refused:
        make(**members)
    return refused.value.row.name, tuple(wrong.field for wrong in refused.value.errors)


def without(members: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in members.items() if key != name}


def test_a_draft_has_the_members_of_its_body() -> None:
    made = draft(kind="Cluster", spec={"b": 1, "a": [True, 1.0, 10**30]}, labels={"env": "production"})
    assert made == Draft("alpha", Desired(b'{"b":1,"a":[true,1.0,%d]}' % 10**30, {"env": "production"}, {}))


def test_the_kind_may_be_left_out_or_must_match_the_path() -> None:
    assert draft(kind=None) == draft()
    assert refusal(lambda: bodies.draft({"kind": "NodePool", "name": "alpha", "spec": {}}, CLUSTER)) == (
        "VAL-002",
        ("kind",),
    )
    assert refusal(lambda: bodies.draft({"kind": "cluster", "name": "alpha", "spec": {}}, CLUSTER))[0] == "VAL-002"
    assert refusal(lambda: bodies.draft({"kind": 1, "name": "alpha", "spec": {}}, CLUSTER))[0] == "VAL-003"


@pytest.mark.parametrize("name", ["abc", "a-b", "0ab", "a--b", "a" * 53])
def test_a_valid_name_is_accepted(name: str) -> None:
    assert draft(name=name).name == name


@pytest.mark.parametrize(
    "name", ["Abc", "-abc", "abc-", "a.b", "a_b", "a b", "abc\n", "\nabc", "äbc", "a/b", "١٢٣", "abc\r"]
)
def test_a_name_with_other_characters_is_refused(name: str) -> None:
    assert refusal(draft, name=name) == ("VAL-003", ("name",))


@pytest.mark.parametrize("name", ["", "ab", "a" * 54, "a" * 100_000])
def test_a_name_too_short_or_too_long_is_refused(name: str) -> None:
    assert refusal(draft, name=name) == ("VAL-004", ("name",))


def test_the_kind_limits_the_length_of_a_name() -> None:
    assert bodies.draft({"name": "a" * 15, "spec": {}}, NODE_POOL).name == "a" * 15
    assert refusal(lambda: bodies.draft({"name": "a" * 16, "spec": {}}, NODE_POOL)) == ("VAL-004", ("name",))


@pytest.mark.parametrize("member", ["name", "spec"])
def test_a_required_member_of_a_draft_must_be_present_and_not_null(member: str) -> None:
    body = without({"name": "alpha", "spec": {}}, member)
    assert refusal(lambda: bodies.draft(body, CLUSTER)) == ("VAL-001", (member,))
    assert refusal(draft, **{member: None}) == ("VAL-003", (member,))


@pytest.mark.parametrize("value", [1, 1.5, True, [], {}])
def test_a_name_is_a_string(value: object) -> None:
    with pytest.raises(HyperFleetError, match="`name` must be a string"):
        draft(name=value)


@pytest.mark.parametrize("value", ["", "{}", 1, False, [], [{}]])
def test_a_spec_is_an_object(value: object) -> None:
    assert refusal(draft, spec=value) == ("VAL-003", ("spec",))


@pytest.mark.parametrize("member", ["labels", "references", "kind"])
def test_an_optional_member_that_is_null_counts_as_absent(member: str) -> None:
    assert draft(**{member: None}) == draft()


@pytest.mark.parametrize("member", ["labels", "references"])
@pytest.mark.parametrize("value", ["x", 1, [], ["a"], True])
def test_labels_and_references_are_objects(member: str, value: object) -> None:
    assert refusal(draft, **{member: value}) == ("VAL-003", (member,))


def test_a_kind_without_references_accepts_none() -> None:
    assert draft(references={}) == draft()
    assert refusal(draft, references={"version": [{"id": "x"}]}) == ("VAL-002", ("references.version",))


@pytest.mark.parametrize(
    "key",
    [
        "a",
        "A",
        "a.b_c-d",
        "a" * 63,
        "app.kubernetes.io/name",
        "x/" + "a" * 63,
        ".".join(["a" * 63] * 3) + ".x/y",
        "0-a.b/C",
    ],
)
def test_a_valid_label_key_is_accepted(key: str) -> None:
    assert draft(labels={key: "v"}).desired.labels == {key: "v"}


@pytest.mark.parametrize(
    "key",
    [
        "-a",
        "a-",
        "a/",
        "/a",
        "a/b/c",
        "a//b",
        "../etc",
        "A.b/c",
        "a..b/c",
        "a_b/c",
        "<script>",
        "a b",
        "a\n",
        "é",
        "a" * 64,
        "x/" + "a" * 64,
        "a'b",
        'a"b',
    ],
)
def test_any_other_label_key_is_refused(key: str) -> None:
    assert refusal(draft, labels={key: "v"}) == ("VAL-003", (f"labels.{key}",))


@pytest.mark.parametrize("key", ["", "a" * 256, "a" * 10_000])
def test_a_label_key_has_1_to_255_characters(key: str) -> None:
    code, fields = refusal(draft, labels={key: "v"})
    assert (code, len(fields)) == ("VAL-004", 1)


@pytest.mark.parametrize("value", ["", "a", "A.b-c_D", "a" * 63, "1"])
def test_a_valid_label_value_is_accepted(value: str) -> None:
    assert draft(labels={"k": value}).desired.labels == {"k": value}


@pytest.mark.parametrize("value", ["-a", "a-", "a b", "a/b", "é", "a\n", " ", "."])
def test_any_other_label_value_is_refused(value: str) -> None:
    assert refusal(draft, labels={"k": value}) == ("VAL-003", ("labels.k",))


def test_a_label_value_has_at_most_63_characters() -> None:
    assert refusal(draft, labels={"k": "a" * 64}) == ("VAL-004", ("labels.k",))


@pytest.mark.parametrize("value", [None, 1, True, {}, ["a"]])
def test_a_label_value_is_a_string(value: object) -> None:
    assert refusal(draft, labels={"k": value}) == ("VAL-003", ("labels.k",))


def test_64_labels_are_accepted_and_65_are_refused() -> None:
    labels = {f"k{number}": "v" for number in range(65)}
    assert refusal(draft, labels=labels) == ("VAL-004", ("labels",))
    assert len(draft(labels=without(labels, "k64")).desired.labels) == 64


@pytest.mark.parametrize("name", ["Name", "metadata", "tenant", "Spec", "resourceVersion", "", "a" * 500])
def test_an_unknown_member_of_a_draft_is_refused_by_its_name(name: str) -> None:
    assert refusal(draft, **{name: "x"}) == ("VAL-002", (name,))


def test_a_create_ignores_members_that_only_reads_return() -> None:
    served = {
        "id": "x",
        "href": "/x",
        "owner_references": {"id": "x"},
        "generation": 7,
        "resource_version": "9",
        "created_time": "x",
        "updated_time": None,
        "deleted_time": 1,
        "created_by": "eve",
        "updated_by": [],
        "deleted_by": "eve",
        "status": {"phase": "Ready"},
    }
    assert draft(**served) == draft()


def test_every_mistake_in_a_draft_is_reported_at_once() -> None:
    code, fields = refusal(
        lambda: bodies.draft({"kind": "X", "spec": 1, "labels": {"-": 1}, "references": [], "more": 1}, CLUSTER)
    )
    assert code == "VAL-000"
    assert set(fields) == {"kind", "name", "spec", "labels.-", "references", "more"}


def test_a_report_has_the_members_of_its_body() -> None:
    made = report(
        observed_generation=3,
        observed_time="2026-11-01T11:59:58.123456789Z",
        conditions=[READY | {"reason": "Done", "message": ""}],
        data={"b": 1, "a": None},
        metadata={"x": []},
    )
    assert made == Report(
        "dns",
        3,
        datetime(2026, 11, 1, 11, 59, 58, 123456, UTC),
        (ReportedCondition("Ready", "True", "Done", ""),),
        b'{"b":1,"a":null}',
        b'{"x":[]}',
    )


def test_a_report_without_time_data_and_metadata_has_the_current_time_and_empty_data() -> None:
    expected = Report("dns", 1, NOW, (ReportedCondition("Ready", "True"),), b"{}", None)
    assert report() == expected
    assert report(observed_time=None, data=None, metadata=None) == expected


@pytest.mark.parametrize("member", ["adapter", "observed_generation", "conditions"])
def test_a_required_member_of_a_report_must_be_present_and_not_null(member: str) -> None:
    body = without({"adapter": "dns", "observed_generation": 1, "conditions": [READY]}, member)
    assert refusal(lambda: bodies.report(body, CLUSTER, now=NOW)) == ("VAL-001", (member,))
    assert refusal(report, **{member: None}) == ("VAL-003", (member,))


@pytest.mark.parametrize("adapter", ["a", "A", "0", "dns-adapter", "a.b_c-D", "a" * 63])
def test_a_valid_adapter_is_accepted(adapter: str) -> None:
    assert report(adapter=adapter).adapter == adapter


@pytest.mark.parametrize("adapter", ["-a", "a-", ".a", "a b", "a/b", "é", "a\n", "a\t"])
def test_any_other_adapter_is_refused(adapter: str) -> None:
    assert refusal(report, adapter=adapter) == ("VAL-003", ("adapter",))


def test_an_adapter_has_1_to_63_characters() -> None:
    assert refusal(report, adapter="") == ("VAL-004", ("adapter",))
    assert refusal(report, adapter="a" * 64) == ("VAL-004", ("adapter",))


@pytest.mark.parametrize("adapter", [1, True, [], {}])
def test_an_adapter_is_a_string(adapter: object) -> None:
    assert refusal(report, adapter=adapter) == ("VAL-003", ("adapter",))


@pytest.mark.parametrize(("given", "generation"), [(1, 1), (1.0, 1), (2**31 - 1, 2**31 - 1)])
def test_a_valid_generation_is_accepted(given: float, generation: int) -> None:
    assert report(observed_generation=given).observed_generation == generation


@pytest.mark.parametrize("given", [0, -1, 2**31, 10**400, 1e300, -0.0])
def test_a_generation_is_positive_and_has_32_bits(given: float) -> None:
    assert refusal(report, observed_generation=given) == ("VAL-004", ("observed_generation",))


@pytest.mark.parametrize("given", ["1", 1.5, True, False, [], {}, 1e-300])
def test_a_generation_is_a_whole_number(given: object) -> None:
    assert refusal(report, observed_generation=given) == ("VAL-003", ("observed_generation",))


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-11-01T12:00:00Z", NOW),
        ("2026-11-01t12:00:00z", NOW),
        ("2026-11-01T14:00:00+02:00", NOW),
        ("2026-11-01T12:00:00+00:00", NOW),
        ("2026-11-01T12:00:00-00:00", NOW),
        ("2026-10-31T12:01:00-23:59", NOW),
        ("2026-11-01T12:00:00.5Z", NOW + timedelta(milliseconds=500)),
        ("2026-11-01T12:00:00.0000019999999999999Z", NOW + timedelta(microseconds=1)),
        ("2024-02-29T00:00:00Z", datetime(2024, 2, 29, tzinfo=UTC)),
        ("2026-11-01T12:05:00Z", NOW + timedelta(minutes=5)),
    ],
)
def test_a_valid_time_is_accepted_and_cut_to_microseconds(text: str, time: datetime) -> None:
    taken = report(observed_time=text).observed_time
    assert taken == time
    assert taken.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-11-01",
        "2026-11-01T12:00:00",
        "2026-11-01T12:00Z",
        "2026-11-01 12:00:00Z",
        "2026-11-01T12:00:00 Z",
        "2026-11-01T12:00:00+0200",
        "2026-11-01T12:00:00+02",
        "2026-11-01T12:00:00.Z",
        "2026-11-01T12:00:00,5Z",
        "20261101T120000Z",
        "2026-W44-7T12:00:00Z",
        "1761998400",
        "2026-11-01T12:00:00Z\n",
        "\u0662026-11-01T12:00:00Z",
        "٢٠٢٦-11-01T12:00:00Z",
        "2026-13-01T12:00:00Z",
        "2026-02-29T12:00:00Z",
        "2026-11-31T12:00:00Z",
        "2026-11-01T24:00:00Z",
        "2026-11-01T12:60:00Z",
        "2016-12-31T23:59:60Z",
        "2026-11-01T12:00:00+24:00",
        "2026-11-01T12:00:00+00:60",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "10000-01-01T00:00:00Z",
    ],
)
def test_any_other_time_is_refused(text: str) -> None:
    assert refusal(report, observed_time=text) == ("VAL-003", ("observed_time",))


@pytest.mark.parametrize("value", [0, 1761998400, 1.5, True, [], {}])
def test_a_time_is_a_string(value: object) -> None:
    assert refusal(report, observed_time=value) == ("VAL-003", ("observed_time",))


def test_a_time_more_than_5_minutes_ahead_is_refused() -> None:
    assert refusal(report, observed_time="2026-11-01T12:05:00.000001Z") == ("VAL-004", ("observed_time",))


@pytest.mark.parametrize("value", ["x", {}, 1, True, READY])
def test_conditions_are_a_list(value: object) -> None:
    assert refusal(report, conditions=value) == ("VAL-003", ("conditions",))


def test_1_to_64_conditions_are_accepted() -> None:
    conditions = [{"type": f"T{number}", "status": "True"} for number in range(65)]
    assert len(report(conditions=conditions[:64]).conditions) == 64
    assert refusal(report, conditions=conditions) == ("VAL-004", ("conditions",))
    assert refusal(report, conditions=[]) == ("VAL-004", ("conditions",))


@pytest.mark.parametrize("value", [None, 1, "x", [], True])
def test_a_condition_is_an_object(value: object) -> None:
    assert refusal(report, conditions=[READY, value]) == ("VAL-003", ("conditions[1]",))


@pytest.mark.parametrize(
    ("member", "guess"),
    [("creted_at", "the nearest is created_at, "), ("reson", "the nearest is reason, "), ("qqq", "")],
)
def test_the_error_for_an_unknown_member_of_a_condition_lists_all_members(member: str, guess: str) -> None:
    with pytest.raises(HyperFleetError) as refused:
        report(conditions=[READY | {member: "x"}])
    (fault,) = refused.value.errors
    assert fault.message == (
        f"`conditions[0].{member}` is unknown; {guess}the known members are type, status, reason, message; adapter,"
        " observed_generation, created_at, updated_at, last_transition_time are accepted and ignored"
    )


@pytest.mark.parametrize("member", ["type", "status"])
def test_a_condition_has_a_type_and_a_status(member: str) -> None:
    assert refusal(report, conditions=[without(READY, member)]) == ("VAL-001", (f"conditions[0].{member}",))
    assert refusal(report, conditions=[READY | {member: None}]) == ("VAL-003", (f"conditions[0].{member}",))
    assert refusal(report, conditions=[READY | {member: 1}]) == ("VAL-003", (f"conditions[0].{member}",))


@pytest.mark.parametrize("status", ["True", "False", "Unknown"])
def test_a_status_is_true_false_or_unknown(status: str) -> None:
    assert reported(status=status).status == status


@pytest.mark.parametrize("status", ["true", "TRUE", "Yes", "", "True ", "Maybe"])
def test_any_other_status_is_refused(status: str) -> None:
    assert refusal(reported, status=status) == ("VAL-002", ("conditions[0].status",))


@pytest.mark.parametrize("status", [True, False, 1, [], {}])
def test_a_status_is_a_string(status: object) -> None:
    assert refusal(reported, status=status) == ("VAL-003", ("conditions[0].status",))


def test_a_type_is_neither_empty_nor_repeated() -> None:
    assert refusal(reported, type="") == ("VAL-004", ("conditions[0].type",))
    assert refusal(report, conditions=[READY, READY]) == ("VAL-002", ("conditions[1].type",))
    assert len(report(conditions=[READY, READY | {"type": "ready"}]).conditions) == 2


def test_a_type_has_at_most_316_characters() -> None:
    assert reported(type="é" * 316).type == "é" * 316
    assert refusal(reported, type="é" * 317) == ("VAL-004", ("conditions[0].type",))


@pytest.mark.parametrize(("member", "most"), [("reason", 1024), ("message", 32768)])
def test_texts_of_a_condition_have_a_limit(member: str, most: int) -> None:
    letter = "é" if member == "reason" else "x"
    assert getattr(reported(**{member: letter * most}), member) == letter * most
    assert refusal(reported, **{member: "é" * (most + 1)}) == ("VAL-004", (f"conditions[0].{member}",))
    assert refusal(reported, **{member: 1}) == ("VAL-003", (f"conditions[0].{member}",))
    assert getattr(reported(**{member: None}), member) is None
    assert getattr(reported(**{member: ""}), member) == ""


def test_members_that_the_service_sets_are_accepted_and_ignored() -> None:
    dropped = {
        "adapter": "another",
        "observed_generation": 9,
        "created_at": "2025-11-17T15:04:05Z",
        "updated_at": None,
        "last_transition_time": 1,
    }
    assert reported(**dropped) == reported()


def test_any_other_member_of_a_condition_is_refused() -> None:
    assert refusal(reported, severity="high", Type="x") == ("VAL-000", ("conditions[0].severity", "conditions[0].Type"))


@pytest.mark.parametrize("name", ["kind", "id", "Adapter", "observedGeneration", "created_time", "last_report_time"])
def test_an_unknown_member_of_a_report_is_refused(name: str) -> None:
    assert refusal(report, **{name: "x"}) == ("VAL-002", (name,))


@pytest.mark.parametrize("member", ["data", "metadata"])
@pytest.mark.parametrize("value", ["x", 1, [], True])
def test_data_and_metadata_are_objects(member: str, value: object) -> None:
    assert refusal(report, **{member: value}) == ("VAL-003", (member,))


def test_data_and_metadata_together_have_at_most_256_kib() -> None:
    half = {"a": "x" * (128 * 1024 - len('{"a":""}'))}
    assert len(json.dumps(half, separators=(",", ":"))) == 128 * 1024
    made = report(data=half, metadata=half)
    assert len(made.data) + len(made.metadata or b"") == 256 * 1024
    with pytest.raises(HyperFleetError) as refused:
        report(data=half, metadata=half | {"b": 1})
    assert (refused.value.status, refused.value.row.name) == (413, "VAL-005")


def test_conditions_together_have_at_most_64_kib_as_the_service_encodes_them() -> None:
    def conditions(size: int) -> list[dict[str, Any]]:
        made = [{"type": f"T{number:02}", "status": "True", "message": "x" * 30000} for number in range(3)]
        made[-1]["message"] = ""
        made[-1]["message"] = "x" * (size - len(json.dumps(made, separators=(",", ":"))))
        return made

    assert len(report(conditions=conditions(64 * 1024)).conditions) == 3
    with pytest.raises(HyperFleetError, match="`conditions` together must not exceed 65536 bytes") as refused:
        report(conditions=conditions(64 * 1024 + 1))
    assert (refused.value.status, refused.value.row.name) == (413, "VAL-005")


def test_size_errors_come_after_all_other_mistakes() -> None:
    large = "x" * 32768
    conditions = [{"type": f"T{number}", "status": "True", "message": large} for number in range(3)]
    assert refusal(report, conditions=conditions, adapter=7) == ("VAL-003", ("adapter",))
    assert refusal(report, data={"a": large * 9}, more=1) == ("VAL-002", ("more",))


@pytest.mark.parametrize("time", ["2000-01-01T00:00:00Z", "2000-01-01T02:00:00+02:00"])
def test_the_oldest_observed_time_is_the_start_of_2000(time: str) -> None:
    assert report(observed_time=time).observed_time == datetime(2000, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "1999-12-31T23:59:59.999999Z"])
def test_a_time_before_the_year_2000_is_refused(time: str) -> None:
    assert refusal(report, observed_time=time) == ("VAL-004", ("observed_time",))


@pytest.mark.parametrize(
    ("time", "is_whole_second"),
    [
        ("2026-11-01T12:00:00Z", True),
        ("2026-11-01T12:00:00+01:00", True),
        ("2026-11-01T12:00:00.0Z", False),
        ("2026-11-01T12:00:00.000000Z", False),
        (None, False),
    ],
)
def test_a_report_remembers_whether_its_time_was_written_with_a_fraction(
    time: str | None, is_whole_second: bool
) -> None:
    assert report(observed_time=time).is_whole_second is is_whole_second


def test_a_kind_may_require_conditions() -> None:
    demanding = replace(CLUSTER, mandatory_conditions=("Ready", "Applied"))
    assert refusal(lambda: report(demanding)) == ("VAL-001", ("conditions",))
    assert report(demanding, conditions=[{"type": "Applied", "status": "Unknown"}, READY])


def test_every_mistake_in_a_report_is_reported_at_once() -> None:
    code, fields = refusal(
        report,
        adapter="-",
        observed_generation=0,
        observed_time="x",
        conditions=[{"type": "", "more": 1}, 2],
        data=[],
        more=1,
    )
    assert code == "VAL-000"
    assert set(fields) == {
        "adapter",
        "observed_generation",
        "observed_time",
        "conditions[0].type",
        "conditions[0].status",
        "conditions[0].more",
        "conditions[1]",
        "data",
        "more",
    }


NO_TEXTS: Final[list[Any]] = [None, 1, True, [], {}, ["x"]]


@pytest.mark.parametrize("text", ["x", "x" * 1024, "é" * 1024, "stuck\tsince\r\nMonday", " gone ", "\U0001f600"])
def test_a_reason_is_kept_as_sent(text: str) -> None:
    assert bodies.reason({"reason": text}) == text


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({}, "VAL-001"),
        *(({"reason": value}, "VAL-003") for value in NO_TEXTS),
        *(({"reason": text}, "VAL-004") for text in ("", " ", "\t\r\n", "x" * 1025, " " * 2000)),
        *(({"reason": text}, "VAL-003") for text in ("a\x1b[31m", "a\x07", "\x7f", "a\x85b", "a\x0bb")),
    ],
)
def test_a_reason_is_a_string_that_is_not_blank(members: dict[str, Any], code: str) -> None:
    assert refusal(lambda: bodies.reason(members)) == (code, ("reason",))


def test_a_reason_is_the_only_member() -> None:
    assert refusal(lambda: bodies.reason({"reason": "x", "force": True})) == ("VAL-002", ("force",))


def test_messages_mention_only_json_types() -> None:
    foreign = ("str", "dict", "int64", "float", "NoneType", "struct", "msgspec", "object of")
    wrong: list[dict[str, Any]] = [{"name": 1}, {"spec": []}, {"labels": 1}, {"labels": {"a": 1}}]
    for members in wrong:
        with pytest.raises(HyperFleetError) as refused:
            draft(**members)
        words = refused.value.errors[0].message.replace("`", " ").split()
        assert not set(words) & set(foreign)
