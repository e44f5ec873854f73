"""The closed sets of searches: conditions that no resource of a kind can have, and unknown kinds."""

from typing import Final

import pytest

from hyperfleet.errors import BadSearch
from hyperfleet.model.kind import BUILT_IN, AnyAdapter, Kind, RequiredAdapters
from hyperfleet.model.rules.mapping import ConditionRule
from hyperfleet.model.search.parser import parse
from hyperfleet.model.search.vocabulary import vocabulary

ZONE: Final = ConditionRule("ZoneReady", "true", "true", "'r'", "'m'")


def kind(required: RequiredAdapters, *rules: ConditionRule, name: str = "Moon") -> Kind:
    return Kind(name, name.lower() + "s", name.lower(), required_adapters=required, conditions=rules)


def refusal(search: str, *kinds: Kind) -> str | None:
    """The error for a search in lists of these kinds, None when it is accepted."""
    try:
        parse(search, vocabulary(kinds, every=[*BUILT_IN, *kinds]))
    except BadSearch as refused:
        return refused.detail
    return None


NAMED: Final = kind(("dns-adapter", "vm"), ZONE)


@pytest.mark.parametrize(
    "type", ["Reconciled", "LastKnownReconciled", "DnsAdapterSuccessful", "VmSuccessful", "ZoneReady"]
)
@pytest.mark.parametrize("more", [" = 'True'", " is null", ".reason = 'x'", ".observed_generation > 1", " like 'T%'"])
def test_a_kind_with_named_adapters_has_their_conditions_and_mapped_ones(type: str, more: str) -> None:
    assert refusal(f"status.conditions.{type}{more}", NAMED) is None
    assert refusal(f"status.conditions['{type}']{more}", NAMED) is None


@pytest.mark.parametrize(
    ("type", "nearest"),
    [
        ("Reconcilled", "Reconciled"),
        ("reconciled", "Reconciled"),
        ("LastKnownReconcild", "LastKnownReconciled"),
        ("DnsAdaptrSuccessful", "DnsAdapterSuccessful"),
        ("ZoneRedy", "ZoneReady"),
    ],
)
@pytest.mark.parametrize("more", [" = 'True'", " is null", ".reason = 'x'", " not like 'T%'"])
def test_any_other_condition_is_refused_with_the_nearest(type: str, nearest: str, more: str) -> None:
    said = refusal(f"name = 'a' and status.conditions.{type}{more}", NAMED)
    assert said is not None
    assert said.startswith("At position 16: no resource can have the condition")
    assert f"the nearest is `{nearest}`" in said


def test_if_none_is_near_the_known_conditions_are_listed() -> None:
    assert refusal("status.conditions.Available = 'True'", NAMED) == (
        "At position 1: no resource can have the condition `Available`; the conditions are Reconciled,"
        " LastKnownReconciled, DnsAdapterSuccessful, VmSuccessful, ZoneReady."
    )


@pytest.mark.parametrize("required", [(), AnyAdapter.ANY])
def test_without_named_adapters_any_success_condition_is_possible(required: RequiredAdapters) -> None:
    assert refusal("status.conditions.FooSuccessful = 'True'", kind(required)) is None
    assert refusal("status.conditions['Dns.v2Successful'] is null", kind(required)) is None
    for type in ("Successful", "FooSuccesful", "Available"):
        said = refusal(f"status.conditions.{type} = 'True'", kind(required))
        assert said is not None
        assert "`<Adapter>Successful`, such as DnsSuccessful" in said


def test_lists_of_several_kinds_have_the_conditions_of_each() -> None:
    other = kind(("net",), name="Star")
    assert refusal("status.conditions.NetSuccessful = 'True'", NAMED) is not None
    assert (
        refusal("status.conditions.NetSuccessful = 'True' or status.conditions.ZoneReady = 'True'", NAMED, other)
        is None
    )
    assert refusal("status.conditions.FooSuccessful = 'True'", NAMED, other) is not None
    assert refusal("status.conditions.FooSuccessful = 'True'", NAMED, other, BUILT_IN[0]) is None


@pytest.mark.parametrize("field", ["kind", "owner_kind"])
def test_an_unknown_kind_is_refused_with_the_nearest(field: str) -> None:
    for name in ("Cluster", "NodePool", "Moon"):
        assert refusal(f"{field} = '{name}' or {field} in ('{name}')", NAMED) is None
    said = refusal(f"{field} = 'Clutser'", NAMED)
    assert said is not None
    assert "the nearest is `Cluster`" in said
    assert refusal(f"{field} not in ('Cluster', 'nodepool')", NAMED) is not None
    assert refusal(f"{field} like 'Clut%' or {field} is null or {field} > 'a'", NAMED) is None


def test_without_kinds_every_type_and_every_kind_is_accepted() -> None:
    assert parse("kind = 'x' and status.conditions.y = 'True'")
