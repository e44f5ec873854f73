"""Kinds: what holds for every kind, and the condition type of an adapter."""

from typing import Final

import pytest

from hyperfleet.errors import CODES
from hyperfleet.model.kind import ADAPTER_NAME, BUILT_IN, Kind, success_type

PLANET: Final = Kind("Planet", "planets", "planet")
MOON: Final = Kind("Moon", "moons", "moon", parent="Planet")


def test_every_kinds_404_is_in_the_error_table_and_built_in_kinds_have_different_ones() -> None:
    codes = {kind.not_found_code for kind in (*BUILT_IN, PLANET)}
    assert codes == {"NTF-001", "NTF-002", "NTF-003"}
    assert codes <= set(CODES)


def test_a_custom_kind_restricts_its_owner_and_has_names_of_up_to_100() -> None:
    assert (MOON.on_parent_delete, MOON.name_min_length, MOON.name_max_length) == ("restrict", 1, 100)


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
def test_each_part_between_hyphens_is_capitalized_and_hyphens_are_removed(adapter: str, type: str) -> None:
    assert success_type(adapter) == type


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        *(("a", True), ("A9", True), ("dns-adapter", True), ("aws.v2_x", True), ("a" * 63, True)),
        *(("", False), ("-a", False), ("a.", False), ("a b", False), ("ä", False), ("a" * 64, False), ("a\n", False)),
    ],
)
def test_an_adapters_name_starts_and_ends_with_a_letter_or_digit(name: str, fits: bool) -> None:
    assert bool(ADAPTER_NAME.fullmatch(name)) == fits


@pytest.mark.parametrize(("title", "one"), [("cluster", "a cluster"), ("upgrade policy", "an upgrade policy")])
def test_a_kind_has_its_article(title: str, one: str) -> None:
    assert Kind("X", "xs", title).one == one
