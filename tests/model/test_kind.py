"""Kinds and their Catalog: what is built in, and every mistake of a set of kinds with the set that just avoids it."""

from dataclasses import replace
from typing import Final

import pytest

from hyperfleet.errors import CODES
from hyperfleet.model.kind import BUILT_IN, RESERVED_PLURALS, BadCatalog, Catalog, Kind, success_type

PLANET: Final = Kind("Planet", "planets", "planet")
MOON: Final = Kind("Moon", "moons", "moon", parent="Planet")


def mistakes(*kinds: Kind) -> tuple[str, ...]:
    """What the Catalog says of these kinds; nothing when it takes them."""
    try:
        Catalog(kinds)
    except BadCatalog as refused:
        return refused.mistakes
    return ()


def test_the_built_in_kinds_fit_together() -> None:
    catalog = Catalog(BUILT_IN)
    cluster, pool = catalog.by_name["Cluster"], catalog.by_plural["nodepools"]
    assert (cluster.name_min_length, cluster.name_max_length) == (3, 53)
    assert (pool.name_min_length, pool.name_max_length) == (3, 15)
    assert (cluster.required_adapters, pool.required_adapters) == ((), ())
    assert pool.on_parent_delete == "cascade"
    assert (catalog.parent_of(pool), catalog.parent_of(cluster)) == (cluster, None)
    assert (catalog.children_of(cluster), catalog.children_of(pool)) == ((pool,), ())


def test_the_404_of_every_kind_is_a_row_of_the_error_table_and_the_built_in_ones_differ() -> None:
    codes = {kind.not_found_code for kind in (*BUILT_IN, PLANET)}
    assert codes == {"NTF-001", "NTF-002", "NTF-003"}
    assert codes <= set(CODES)


def test_a_kind_of_ones_own_restricts_its_owner_and_has_names_of_up_to_100() -> None:
    assert (MOON.on_parent_delete, MOON.name_min_length, MOON.name_max_length) == ("restrict", 1, 100)


def test_no_kinds_at_all_are_refused_and_one_is_enough() -> None:
    assert mistakes() == ("No kind is declared; a service without kinds has nothing to serve.",)
    assert mistakes(PLANET) == ()


def test_a_name_declared_twice_is_refused_and_a_name_in_another_case_is_not() -> None:
    assert mistakes(PLANET, replace(PLANET, plural="worlds")) == ("Kind Planet is declared twice.",)
    assert mistakes(PLANET, replace(PLANET, name="planet", plural="worlds")) == ()


def test_a_plural_that_is_taken_is_refused_and_another_one_is_not() -> None:
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
    assert found == (() if fits else (f"Kind Planet: name lengths {least} to {most} fit no name.",))


def test_required_adapters_of_one_condition_type_are_refused_and_of_different_ones_are_not() -> None:
    assert mistakes(replace(PLANET, required_adapters=("dns-adapter", "vm", "DnsAdapter"))) == (
        "Kind Planet: required adapters dns-adapter and DnsAdapter share the condition DnsAdapterSuccessful.",
    )
    assert mistakes(replace(PLANET, required_adapters=("dns-adapter", "vm", "dns-adapter-2"))) == ()


def test_an_adapter_required_twice_is_refused_and_by_two_kinds_is_not() -> None:
    assert len(mistakes(replace(PLANET, required_adapters=("vm", "vm")))) == 1
    assert mistakes(replace(PLANET, required_adapters=("vm",)), replace(MOON, required_adapters=("vm",))) == ()


def test_an_unknown_parent_is_refused_and_a_parent_declared_later_is_not() -> None:
    assert mistakes(MOON) == ("Kind Moon: its parent Planet is not declared.",)
    assert mistakes(MOON, PLANET) == ()


def test_a_kind_that_owns_itself_is_refused() -> None:
    assert mistakes(replace(PLANET, parent="Planet")) == ("Kind Planet: its owners form a loop, Planet > Planet.",)


def test_kinds_that_own_each_other_are_refused_each_and_a_chain_is_not() -> None:
    crater = Kind("Crater", "craters", "crater", parent="Moon")
    assert mistakes(replace(PLANET, parent="Crater"), MOON, crater) == (
        "Kind Planet: its owners form a loop, Planet > Crater > Moon > Planet.",
        "Kind Moon: its owners form a loop, Moon > Planet > Crater > Moon.",
        "Kind Crater: its owners form a loop, Crater > Moon > Planet > Crater.",
    )
    assert mistakes(PLANET, MOON, crater) == ()


def test_a_kind_below_a_loop_ends_and_is_not_blamed_for_it() -> None:
    assert mistakes(replace(PLANET, parent="Planet"), MOON) == (
        "Kind Planet: its owners form a loop, Planet > Planet.",
    )


def test_all_mistakes_are_told_at_once() -> None:
    found = mistakes(
        replace(PLANET, plural="statuses", name_min_length=9, name_max_length=3, required_adapters=("vm", "vm")),
        replace(MOON, parent="Star"),
    )
    assert len(found) == 4
    with pytest.raises(BadCatalog) as refused:
        Catalog((replace(PLANET, plural="statuses"), replace(MOON, parent="Star")))
    assert str(refused.value).splitlines() == list(refused.value.mistakes)


@pytest.mark.parametrize(
    ("adapter", "type"),
    [
        ("dns-adapter", "DnsAdapterSuccessful"),
        ("vm", "VmSuccessful"),
        ("DNS", "DNSSuccessful"),
        ("dns--adapter", "DnsAdapterSuccessful"),
        ("2nd-dns", "2ndDnsSuccessful"),
        ("aws.v2_x-y", "Aws.v2_xYSuccessful"),
    ],
)
def test_each_part_between_hyphens_gets_a_capital_and_the_hyphens_go(adapter: str, type: str) -> None:
    assert success_type(adapter) == type
