"""The table of fields, the order of lists, and the selection of members."""

import pytest

from hyperfleet.errors import InvalidInput
from hyperfleet.model.search.fields import FIELDS, Member
from hyperfleet.model.search.order import parse_order
from hyperfleet.model.search.selection import SELECTED, Selection, parse_selection

SORTED = (
    "id",
    "name",
    "kind",
    "generation",
    "created_time",
    "updated_time",
    "deleted_time",
    "created_by",
    "updated_by",
)


def keys(order: str | None, order_by: str | None = None) -> list[str]:
    return [f"{key.field.name} {'desc' if key.descending else 'asc'}" for key in parse_order(order, order_by)]


def refusal(order: str | None, order_by: str | None = None) -> tuple[str, str, str]:
    with pytest.raises(InvalidInput) as refused:
        parse_order(order, order_by)
    (error,) = refused.value.errors
    return error.code, error.field, error.message


def selection_refusal(text: str) -> tuple[str, str]:
    with pytest.raises(InvalidInput) as refused:
        parse_selection(text)
    (error,) = refused.value.errors
    assert error.field == "fields"
    return error.code, error.message


def paths(text: str) -> list[str]:
    selection = parse_selection(text)
    assert selection is not None
    return ["|".join(member.path) for member in selection.members]


def test_every_field_has_a_use_and_a_unique_name() -> None:
    assert all(field.searchable or field.sortable or field.selectable for field in FIELDS.rows)
    assert all(field.column for field in FIELDS.rows if field.searchable)
    assert all(name == field.name for name, field in FIELDS.by_name.items())


def test_lists_are_sorted_by_the_fields_of_the_contract() -> None:
    assert {field.name for field in FIELDS.rows if field.sortable} == set(SORTED)
    for name in SORTED:
        assert keys(name) == keys(None, name) == [f"{name} asc"]


@pytest.mark.parametrize(
    ("order", "order_by", "sorted_by"),
    [
        (None, None, []),
        ("", "", []),
        (" ", None, []),
        ("name desc,created_time", None, ["name desc", "created_time asc"]),
        (None, "name desc,created_time", ["name desc", "created_time asc"]),
        (" name  DESC , generation Asc", None, ["name desc", "generation asc"]),
        ("asc", None, ["created_time asc"]),
        ("desc", None, ["created_time desc"]),
        (None, "asc", ["created_time asc"]),
        ("desc", "name", ["name desc"]),
        ("ASC", "name", ["name asc"]),
        ("desc", "name,generation", ["name desc", "generation desc"]),
        ("name desc", "name desc", ["name desc"]),
        ("", "name", ["name asc"]),
        ("id desc", None, ["id desc"]),
    ],
)
def test_order_in_all_its_forms(order: str | None, order_by: str | None, sorted_by: list[str]) -> None:
    assert keys(order, order_by) == sorted_by


@pytest.mark.parametrize(
    ("order", "order_by", "code", "field", "says"),
    [
        ("nmae", None, "VAL-002", "order", "`name`"),
        ("createdTime", None, "VAL-002", "order", "`created_time`"),
        (None, "spec.region", "VAL-002", "orderBy", "the sortable fields are id, name"),
        ("href", None, "VAL-002", "order", "the sortable fields are id, name"),
        ("labels.a", None, "VAL-002", "order", "cannot sort by"),
        ("name; drop table resources", None, "VAL-003", "order", "a list such as"),
        ("name;--", None, "VAL-002", "order", "cannot sort by"),
        ("(select 1)", None, "VAL-002", "order", "cannot sort by"),
        ("name down", None, "VAL-002", "order", "`asc` or `desc`"),
        ("name,", None, "VAL-003", "order", "a list such as"),
        (",", None, "VAL-003", "order", "a list such as"),
        ("name,name desc", None, "VAL-003", "order", "twice"),
        ("name", "generation", "VAL-003", "order", "differ"),
        ("desc", "name asc", "VAL-003", "order", "direction"),
        ("name\0", None, "VAL-002", "order", "cannot sort by"),
    ],
)
def test_an_invalid_order_is_refused_under_its_parameter(
    order: str | None, order_by: str | None, code: str, field: str, says: str
) -> None:
    found = refusal(order, order_by)
    assert found[:2] == (code, field)
    assert says in found[2]


@pytest.mark.parametrize("text", ["", " ", "*", " * ", "*,*"])
def test_no_selection_and_a_star_select_the_default_members(text: str) -> None:
    assert parse_selection(text) is None


def test_a_star_keeps_the_members_selected_beside_it() -> None:
    for text, path in {"*,status.adapters": ("status", "adapters"), "name, *": ("name",)}.items():
        member = Member(path, FIELDS.by_name[".".join(path)])
        assert parse_selection(text) == Selection((member,), everything=True)


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("id,name,status.phase,spec.region", ["id", "name", "status|phase", "spec|region"]),
        (" name ,\tkind ", ["name", "kind"]),
        ("name,name", ["name"]),
        ("spec.a.b,spec['a.b'].c,spec.0", ["spec|a|b", "spec|a.b|c", "spec|0"]),
        ("spec['a,b'],name", ["spec|a,b", "name"]),
        ("labels.app.kubernetes.io/name", ["labels|app.kubernetes.io/name"]),
        ("labels['app.kubernetes.io/name'],labels.a", ["labels|app.kubernetes.io/name", "labels|a"]),
        (
            "labels,spec,status,references,owner_references",
            ["labels", "spec", "status", "references", "owner_references"],
        ),
        (
            "owner_references.id,owner_references.kind,owner_references.href",
            [f"owner_references|{end}" for end in ("id", "kind", "href")],
        ),
        ("status.adapters,status.conditions", ["status|adapters", "status|conditions"]),
        ("resource_version,href,deleted_by", ["resource_version", "href", "deleted_by"]),
        ("status.last_updated_time", ["status|last_updated_time"]),
    ],
)
def test_members_are_selected_by_their_paths(text: str, selected: list[str]) -> None:
    assert paths(text) == selected


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("nmae", "VAL-002", "`name`"),
        ("status.phaze", "VAL-002", "`status.phase`"),
        ("status.conditions.Reconciled", "VAL-002", "unknown field"),
        ("status.conditions.type", "VAL-002", "unknown field"),
        ("owner_id", "VAL-002", "unknown field"),
        ("name.first", "VAL-002", "unknown field"),
        ("labelsx", "VAL-002", "`labels`"),
        ("labels.", "VAL-002", "key"),
        ("spec..a", "VAL-002", "dot"),
        ("spec.", "VAL-002", "dot"),
        ("spec" + ".a" * 100, "VAL-002", "100 parts"),
        ("name,", "VAL-003", "position 6"),
        (",name", "VAL-003", "position 1"),
        ("name kind", "VAL-003", "position 6"),
        ("spec[0]", "VAL-003", "position 5"),
        ("spec['a\0']", "VAL-003", "NUL"),
        ("spec['\\u0000']", "VAL-003", "NUL"),
        ("name;", "VAL-003", "position 5"),
        ("'name'", "VAL-003", "position 1"),
        ("-name", "VAL-003", "position 1"),
    ],
)
def test_an_invalid_selection_is_refused(text: str, code: str, says: str) -> None:
    found = selection_refusal(text)
    assert found[0] == code
    assert says in found[1]


def test_a_selection_has_a_limit() -> None:
    many = ",".join(f"spec.a{number}" for number in range(SELECTED))
    assert len(paths(many)) == SELECTED
    assert selection_refusal(many + ",name")[0] == "VAL-004"
