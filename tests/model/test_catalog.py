"""The Catalog: every mistake in a set of kinds, with the set that just avoids it."""

from dataclasses import replace
from typing import Final

import pytest

from hyperfleet.model.catalog import RESERVED_NAMES, RESERVED_PLURALS, BadCatalog, Catalog
from hyperfleet.model.kind import BUILT_IN, AnyAdapter, Kind, ReferenceRule, RequiredAdapters
from hyperfleet.model.rules.mapping import ConditionRule

PLANET: Final = Kind("Planet", "planets", "planet")
MOON: Final = Kind("Moon", "moons", "moon", parent="Planet")


def mistakes(*kinds: Kind) -> tuple[str, ...]:
    """The Catalog's errors for these kinds; empty when it accepts them."""
    try:
        Catalog(kinds)
    except BadCatalog as refused:
        return refused.mistakes
    return ()


def test_the_built_in_kinds_are_a_valid_catalog() -> None:
    catalog = Catalog(BUILT_IN)
    cluster, pool = catalog.by_name["Cluster"], catalog.by_name["NodePool"]
    assert (cluster.name_min_length, cluster.name_max_length) == (3, 53)
    assert (pool.name_min_length, pool.name_max_length) == (3, 15)
    assert (cluster.required_adapters, pool.required_adapters) == (AnyAdapter.ANY, AnyAdapter.ANY)
    assert pool.on_parent_delete == "cascade"
    assert (catalog.parent_of(pool), catalog.parent_of(cluster)) == (cluster, None)


def test_a_catalog_needs_at_least_one_kind() -> None:
    assert mistakes() == ("No kind is declared; declare at least one.",)
    assert mistakes(PLANET) == ()


def test_a_name_declared_twice_is_refused_and_a_longer_one_is_not() -> None:
    assert mistakes(PLANET, replace(PLANET, plural="worlds")) == ("Kind Planet: it is declared twice.",)
    assert mistakes(PLANET, replace(PLANET, name="PlanetX", plural="worlds")) == ()


def test_names_that_differ_only_in_case_are_refused() -> None:
    assert mistakes(PLANET, replace(PLANET, name="PlaNet", plural="worlds")) == (
        "Kind PlaNet: it differs from Planet only in case.",
    )


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        *(("P", True), ("P9", True), ("WifConfig", True), ("DNSZone", True), ("P" * 63, True)),
        *(("planet", False), ("9P", False), ("", False), ("Pla-net", False), ("Pla_net", False), ("Plänet", False)),
        *(("P" * 64, False), ("Planet\n", False), ("Pla net", False), ("Pla.net", False)),
    ],
)
def test_a_kinds_name_has_letters_and_digits_and_starts_with_a_capital(name: str, fits: bool) -> None:
    found = mistakes(replace(PLANET, name=name))
    sentence = f"Kind {name}: the name of a kind must be letters and digits, starting with a capital, at most 63."
    assert found == (() if fits else (sentence,))


def test_names_with_another_meaning_are_reserved() -> None:
    assert mistakes(replace(PLANET, name="PlanetList")) == (
        "Kind PlanetList: the name PlanetList is reserved for lists.",
    )
    assert mistakes(replace(PLANET, name="PlanetListing")) == ()
    for name in RESERVED_NAMES:
        assert mistakes(replace(PLANET, name=name)) == (f"Kind {name}: the name {name} is reserved.",)
        assert mistakes(replace(PLANET, name=f"{name}s")) == ()


@pytest.mark.parametrize(
    ("plural", "fits"),
    [
        *(("p", True), ("planets", True), ("wif-configs", True), ("p2-x3", True), ("p" * 63, True)),
        *(("Planets", False), ("-p", False), ("p-", False), ("p--q", False), ("2p", False)),
        *(("p/q", False), ("p.q", False), ("p_q", False), ("p%20", False), ("p" * 64, False), ("p\n", False)),
    ],
)
def test_a_plural_is_a_lower_case_path_segment(plural: str, fits: bool) -> None:
    found = mistakes(replace(PLANET, plural=plural))
    assert len(found) == (0 if fits else 1)
    assert all(f"the plural {plural!r} must be lower-case" in mistake for mistake in found)


def test_a_plural_in_use_is_refused_and_another_is_not() -> None:
    comet = Kind("Comet", "planets", "comet")
    assert mistakes(PLANET, comet) == ("Kind Comet: the plural 'planets' is taken.",)
    assert mistakes(PLANET, replace(comet, plural="comets")) == ()


@pytest.mark.parametrize("plural", sorted(RESERVED_PLURALS))
def test_a_reserved_plural_is_refused_and_a_plural_that_only_contains_one_is_not(plural: str) -> None:
    assert mistakes(replace(PLANET, plural=plural)) == (f"Kind Planet: the plural {plural!r} is reserved.",)
    assert mistakes(replace(PLANET, plural=f"{plural}s")) == ()


def test_the_words_that_routes_need_are_reserved() -> None:
    assert {"resources", "statuses", "force-delete", "openapi", "compatibility"} <= RESERVED_PLURALS


@pytest.mark.parametrize(("least", "most", "fits"), [(1, 1, True), (3, 2, False), (0, 5, False), (2, 3, True)])
def test_name_lengths_are_refused_exactly_when_no_name_fits(least: int, most: int, fits: bool) -> None:
    found = mistakes(replace(PLANET, name_min_length=least, name_max_length=most))
    assert found == (
        ()
        if fits
        else (f"Kind Planet: no name has {least} to {most} characters; correct name_min_len and name_max_len.",)
    )


def test_required_adapters_that_share_a_condition_type_are_refused() -> None:
    assert mistakes(replace(PLANET, required_adapters=("dns-adapter", "vm", "DnsAdapter"))) == (
        "Kind Planet: the required adapters dns-adapter and DnsAdapter would share the condition DnsAdapterSuccessful;"
        " rename one of them.",
    )
    assert mistakes(replace(PLANET, required_adapters=("dns-adapter", "vm", "dns-adapter-2"))) == ()


def test_an_adapter_may_be_required_by_two_kinds_but_not_twice_by_one() -> None:
    assert mistakes(replace(PLANET, required_adapters=("vm", "dns", "vm"))) == (
        "Kind Planet: the required adapter vm is listed 2 times.",
    )
    assert mistakes(replace(PLANET, required_adapters=("vm",)), replace(MOON, required_adapters=("vm",))) == ()


def test_an_unknown_parent_is_refused_and_a_parent_declared_later_is_not() -> None:
    assert mistakes(MOON) == ("Kind Moon: its parent Planet is not declared.",)
    assert mistakes(MOON, PLANET) == ()


def test_a_kind_that_owns_itself_is_refused() -> None:
    assert mistakes(replace(PLANET, parent="Planet")) == ("Kind Planet: its owners form a cycle, Planet > Planet.",)


def test_kinds_that_own_each_other_are_each_refused_and_a_chain_is_not() -> None:
    crater = Kind("Crater", "craters", "crater", parent="Moon")
    assert mistakes(replace(PLANET, parent="Crater"), MOON, crater) == (
        "Kind Planet: its owners form a cycle, Planet > Crater > Moon > Planet.",
        "Kind Moon: its owners form a cycle, Moon > Planet > Crater > Moon.",
        "Kind Crater: its owners form a cycle, Crater > Moon > Planet > Crater.",
    )
    assert mistakes(PLANET, MOON, crater) == ()


def test_a_kind_below_a_cycle_is_not_blamed_for_it() -> None:
    assert mistakes(replace(PLANET, parent="Planet"), MOON) == (
        "Kind Planet: its owners form a cycle, Planet > Planet.",
    )


def test_all_mistakes_are_reported_at_once() -> None:
    found = mistakes(
        replace(PLANET, plural="statuses", name_min_length=9, name_max_length=3, required_adapters=("vm", "vm")),
        replace(MOON, parent="Star"),
    )
    assert len(found) == 4
    with pytest.raises(BadCatalog) as refused:
        Catalog((replace(PLANET, plural="statuses"), replace(MOON, parent="Star")))
    assert str(refused.value).splitlines() == list(refused.value.mistakes)


def test_a_required_adapter_that_could_never_report_is_refused() -> None:
    (mistake,) = mistakes(replace(PLANET, required_adapters=("vm", "my adapter")))
    assert "the required adapter 'my adapter' cannot report" in mistake
    assert len(mistakes(replace(PLANET, required_adapters=("",)))) == 1


def test_a_kind_requires_no_more_adapters_than_a_resource_accepts() -> None:
    adapters = tuple(f"adapter-{number}" for number in range(101))
    assert mistakes(replace(PLANET, required_adapters=adapters[:100])) == ()
    assert mistakes(replace(PLANET, required_adapters=adapters)) == (
        "Kind Planet: it requires 101 adapters; the limit is 100.",
    )


def test_mandatory_conditions_are_unique_and_not_empty() -> None:
    assert mistakes(replace(PLANET, mandatory_conditions=("Ready", "Health"))) == ()
    assert mistakes(replace(PLANET, mandatory_conditions=("Ready", " ", "Ready"))) == (
        "Kind Planet: the mandatory condition Ready is listed 2 times.",
        "Kind Planet: a mandatory condition is empty.",
    )


def test_a_kind_has_no_more_mandatory_conditions_than_a_report_may_have() -> None:
    types = tuple(f"Type{number}" for number in range(65))
    assert mistakes(replace(PLANET, mandatory_conditions=types[:64])) == ()
    assert mistakes(replace(PLANET, mandatory_conditions=types)) == (
        "Kind Planet: it has 65 mandatory conditions; a report is limited to 64.",
    )


def of_type(*types: str) -> tuple[ConditionRule, ...]:
    return tuple(ConditionRule(type, "true", "'True'", "''", "''") for type in types)


def test_a_mapped_condition_cannot_have_a_type_in_use() -> None:
    planet = replace(PLANET, required_adapters=("vm",))
    assert mistakes(replace(planet, conditions=of_type("Inhabited", "DnsSuccessful"))) == ()
    types = ("Reconciled", "LastKnownReconciled", "VmSuccessful")
    assert mistakes(replace(planet, conditions=of_type(*types))) == tuple(
        f"Kind Planet: the condition type {type} is reserved for the service." for type in types
    )
    assert mistakes(replace(planet, conditions=of_type("Warm", "Wet", "Warm"))) == (
        "Kind Planet: the condition Warm is declared 2 times.",
    )


@pytest.mark.parametrize("required", [(), AnyAdapter.ANY])
def test_without_named_adapters_the_success_type_of_any_adapter_is_in_use(required: RequiredAdapters) -> None:
    planet = replace(PLANET, required_adapters=required)
    assert mistakes(replace(planet, conditions=of_type("DnsSuccessful"))) == (
        "Kind Planet: the condition type DnsSuccessful is reserved for the service.",
    )
    assert mistakes(replace(planet, conditions=of_type("DnsSuccess", "SuccessfulDns"))) == ()


@pytest.mark.parametrize(
    ("type", "fits"),
    [
        *(("W", True), ("Is-Warm_2", True), ("W" * 100, True)),
        *(("W" * 101, False), ("", False), ("2W", False), ("W-", False), ("W.reason", False), ("W x", False)),
    ],
)
def test_searches_can_name_every_condition_type(type: str, fits: bool) -> None:
    found = mistakes(replace(PLANET, conditions=of_type(type)))
    assert len(found) == (0 if fits else 1)
    assert all(f"the condition type {type!r} must be" in mistake for mistake in found)


def referring(kind: Kind, *rules: ReferenceRule) -> Kind:
    return replace(kind, references=rules)


def test_a_reference_points_to_a_declared_kind() -> None:
    assert mistakes(referring(PLANET, ReferenceRule("moon", "Moon")), MOON) == ()
    assert mistakes(referring(PLANET, ReferenceRule("moon", "Mon")), MOON) == (
        "Kind Planet: the reference 'moon' targets Mon, which is not declared; did you mean Moon?",
    )


def test_two_references_of_a_kind_have_different_types() -> None:
    first, second = ReferenceRule("moon", "Moon"), ReferenceRule("companion", "Moon")
    assert mistakes(referring(PLANET, first, second), MOON) == ()
    assert mistakes(referring(PLANET, first, replace(second, type="moon")), MOON) == (
        "Kind Planet: the reference 'moon' is declared twice.",
    )
    assert mistakes(referring(PLANET, first), referring(MOON, first)) == ()


@pytest.mark.parametrize(
    ("type", "fits"),
    [
        *(("m", True), ("wif-config", True), ("wif_config2", True), ("m" * 63, True)),
        *(("", False), ("-m", False), ("m-", False), ("2m", False), ("m.x", False), ("m x", False), ("m" * 64, False)),
    ],
)
def test_the_type_of_a_reference_is_a_word(type: str, fits: bool) -> None:
    found = mistakes(referring(PLANET, ReferenceRule(type, "Moon")), MOON)
    assert len(found) == (0 if fits else 1)
    assert all(f"the reference {type!r} must be" in mistake for mistake in found)


@pytest.mark.parametrize(
    ("least", "most", "fits"),
    [
        *((0, None, True), (5, None, True), (0, 1, True), (1, 1, True), (2, 3, True)),
        *((0, 0, False), (-1, 1, False), (-1, None, False), (3, 2, False)),
    ],
)
def test_a_references_maximum_is_at_least_one_and_at_least_its_minimum(
    least: int, most: int | None, fits: bool
) -> None:
    found = mistakes(PLANET, referring(Kind("Comet", "comets", "comet"), ReferenceRule("p", "Planet", least, most)))
    assert found == (
        ()
        if fits
        else (
            f"Kind Comet: the reference 'p' allows {least} to {most} targets; max must be at least 1 and at least min.",
        )
    )


def test_a_cycle_of_mandatory_references_is_refused_unless_one_is_optional() -> None:
    comet = Kind("Comet", "comets", "comet")
    to_comet, to_planet = ReferenceRule("comet", "Comet", 1), ReferenceRule("planet", "Planet", 1)
    assert mistakes(referring(PLANET, to_comet), referring(comet, to_planet)) == (
        "Kind Planet: the reference 'comet' can never be satisfied: Planet needs Comet needs Planet first.",
        "Kind Comet: the reference 'planet' can never be satisfied: Comet needs Planet needs Comet first.",
    )
    assert mistakes(referring(PLANET, to_comet), referring(comet, replace(to_planet, least=0))) == ()


def test_a_mandatory_reference_to_the_same_kind_is_refused_and_an_optional_one_is_not() -> None:
    assert mistakes(referring(PLANET, ReferenceRule("twin", "Planet", 1))) == (
        "Kind Planet: the reference 'twin' can never be satisfied: Planet needs Planet first.",
    )
    assert mistakes(referring(PLANET, ReferenceRule("twin", "Planet"))) == ()


def test_an_owner_cannot_require_a_reference_to_its_child_but_a_child_can_to_its_owner() -> None:
    to_moon = ReferenceRule("moon", "Moon", 1)
    assert mistakes(referring(PLANET, to_moon), MOON) == (
        "Kind Planet: the reference 'moon' can never be satisfied: Planet needs Moon needs Planet first.",
    )
    assert mistakes(PLANET, referring(MOON, ReferenceRule("planet", "Planet", 1))) == ()
