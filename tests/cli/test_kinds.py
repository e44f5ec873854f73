"""Kinds from entries: what a new one is, what an entry changes of a built-in one, what stops the start."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hyperfleet.assembly import application, kinds
from hyperfleet.cli.configuration import load
from hyperfleet.model.catalog import BadCatalog
from hyperfleet.model.kind import BUILT_IN, AnyAdapter, Kind, ReferenceRule
from hyperfleet.model.rules.mapping import ConditionRule
from hyperfleet.settings import BadSettings, Entity, table
from hyperfleet.settings.entities import Condition, Message, Output, Reason, Reference, Status, When
from tests.schemas import path_of

CLUSTER, NODE_POOL = BUILT_IN
CHANNEL = Entity(kind="Channel", plural="channels")


def declared(*entities: Entity) -> dict[str, Kind]:
    return {kind.name: kind for kind in kinds.declared(entities)}


def mistakes(*entities: Entity) -> tuple[str, ...]:
    with pytest.raises(BadCatalog) as refused:
        kinds.declared(entities)
    return refused.value.mistakes


def test_without_entries_the_built_in_kinds_are_served() -> None:
    assert kinds.declared(()) == BUILT_IN


def test_an_entry_adds_a_kind_with_the_documented_defaults() -> None:
    found = declared(CHANNEL)
    assert list(found) == ["Cluster", "NodePool", "Channel"]
    kind = found["Channel"]
    assert kind == Kind("Channel", "channels", "channel")
    told = {row.path: row.absent.strip("`") for row in table.rows(Entity)}
    assert told["on_parent_delete"] == kind.on_parent_delete == "restrict"
    assert (told["name_min_len"], told["name_max_len"]) == (str(kind.name_min_length), str(kind.name_max_length))
    assert (told["require_spec_schema"], kind.require_spec_schema) == ("false", False)
    assert kind.spec_schema_name == "ChannelSpec"
    assert (kind.parent, kind.required_adapters, kind.mandatory_conditions) == (None, (), ())
    (reference,) = declared(Entity("A", "as", references=(Reference("b", "Cluster"),)))["A"].references
    of_references = {row.path: row.absent.strip("`") for row in table.rows(Reference)}
    assert of_references["min"] == str(reference.least)
    assert (of_references["max"], reference.most) == ("no limit", None)


def test_every_member_of_an_entry_reaches_its_kind() -> None:
    rule = Condition("Good", When("true"), Output(Status("false"), Reason("'r'"), Message("'m'")))
    entity = Entity(
        kind="WifConfig",
        plural="wif-configs",
        parent_kind="NodePool",
        on_parent_delete="cascade",
        required_adapters=("wif",),
        mandatory_conditions=("Available",),
        name_min_len=2,
        name_max_len=20,
        spec_schema_name="Wif",
        require_spec_schema=True,
        references=(Reference("peer", "Cluster", 1, 2),),
        conditions=(rule,),
    )
    assert declared(entity)["WifConfig"] == Kind(
        "WifConfig",
        "wif-configs",
        "wif config",
        parent="NodePool",
        on_parent_delete="cascade",
        required_adapters=("wif",),
        mandatory_conditions=("Available",),
        name_min_length=2,
        name_max_length=20,
        spec_schema_name="Wif",
        require_spec_schema=True,
        references=(ReferenceRule("peer", "Cluster", 1, 2),),
        conditions=(ConditionRule("Good", "true", "false", "'r'", "'m'"),),
    )


def test_an_entry_changes_only_its_own_members_of_a_built_in_kind() -> None:
    found = declared(Entity("NodePool", required_adapters=("machines",), name_max_len=40))
    assert list(found) == ["Cluster", "NodePool"]
    assert found["Cluster"] == CLUSTER
    pool = found["NodePool"]
    assert (pool.required_adapters, pool.name_max_length) == (("machines",), 40)
    assert (pool.name_min_length, pool.on_parent_delete, pool.not_found_code) == (3, "cascade", "NTF-003")
    assert declared(Entity("NodePool", on_parent_delete="restrict"))["NodePool"].on_parent_delete == "restrict"


def test_a_built_in_kind_keeps_its_plural_and_its_parent() -> None:
    assert declared(Entity("NodePool", "nodepools", "Cluster"))["NodePool"] == NODE_POOL
    assert mistakes(Entity("NodePool", "pools", "Channel"), CHANNEL) == (
        "Kind NodePool: the plural of a built-in kind is fixed: nodepools.",
        "Kind NodePool: the kind is built in; its parent is fixed: Cluster.",
    )
    assert mistakes(Entity("Cluster", parent_kind="NodePool")) == (
        "Kind Cluster: the kind is built in; it cannot have a parent.",
    )


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("Channel", "channel"),
        ("WifConfig", "wif config"),
        ("DNSZone", "dns zone"),
        ("ZoneDNS", "zone dns"),
        ("Ipv4Address", "ipv4 address"),
        ("V2", "v2"),
        ("AWSAccount2", "aws account2"),
        ("X", "x"),
        ("ABTest", "ab test"),
    ],
)
def test_messages_use_the_words_of_a_kinds_name(name: str, title: str) -> None:
    assert kinds.title(name) == title


def test_a_kind_has_one_entry() -> None:
    assert mistakes(CHANNEL, Entity("Cluster"), Entity("Channel", "canals"), Entity("Cluster")) == (
        "Kind Channel: duplicate entry, entities[2].",
        "Kind Cluster: duplicate entry, entities[3].",
    )


def test_a_new_kind_needs_a_plural() -> None:
    assert mistakes(Entity("Channel")) == ("Kind Channel: its plural is missing: the word used in its paths.",)


def file_with(folder: Path, *entities: str, more: str = "") -> dict[str, Any]:
    path = folder / "kinds.yaml"
    path.write_text("entities:\n" + "".join(f"  - {{{entity}}}\n" for entity in entities) + more)
    return {"--config": str(path)}


def refused(flags: dict[str, str], *needed: str) -> tuple[str, ...]:
    with pytest.raises(BadSettings) as wrong:
        load(flags, {}, needed=needed or ("",))
    return wrong.value.mistakes


def test_mistakes_in_the_set_of_kinds_are_reported_with_all_others(tmp_path: Path) -> None:
    flags = file_with(
        tmp_path,
        "kind: Version, plural: versions, parent_kind: Chanel",
        "kind: Channel, plural: channels, on_parent_delete: maybe, references: [{target_kind: Cluster}]",
        "kind: Third, plural: statuses, required_adapters: [a, a]",
        more="server: {port: x}",
    )
    where = flags["--config"]
    assert refused(flags) == (
        f"entities[1].on_parent_delete ({where} line 3): must be one of restrict, cascade, not 'maybe'.",
        f"entities[1].references[0].ref_type ({where} line 3): is missing.",
        f"server.port ({where} line 5): must be a whole number from 1 to 65535, not 'x'.",
        f"entities ({where} line 1): Kind Third: the plural 'statuses' is reserved.",
        f"entities ({where} line 1): Kind Third: the required adapter a is listed 2 times.",
        f"entities ({where} line 1): Kind Version: its parent Chanel is not declared; did you mean Channel?",
    )


def test_if_a_kind_has_no_name_only_that_is_reported(tmp_path: Path) -> None:
    flags = file_with(tmp_path, "plural: channels", "kind: Version, plural: versions, parent_kind: Channel")
    (mistake,) = refused(flags)
    assert mistake.endswith("is missing.")


def test_a_command_that_needs_no_kinds_is_not_stopped_by_them(tmp_path: Path) -> None:
    flags = file_with(tmp_path, "kind: Channel, plural: statuses")
    assert len(refused(flags, "server", "entities")) == 1
    assert load(flags, {}, needed=("database",)).settings.database.port == 5432


def test_a_schema_that_a_kind_requires_must_be_in_the_document(tmp_path: Path) -> None:
    entity = "kind: NodePool, require_spec_schema: true"
    document = str(path_of("bare-metal"))
    configured = load({**file_with(tmp_path, entity), "--server-openapi-schema-path": document}, {}).settings
    with pytest.raises(BadSettings) as wrong:
        application.catalog(configured, application.document(configured.server))
    assert wrong.value.mistakes == (
        f"The OpenAPI document {document} (server.openapi_schema_path): component NodePoolSpec is missing;"
        " kind NodePool requires it (require_spec_schema).",
    )
    other = load({"--config": file_with(tmp_path, f"{entity}, spec_schema_name: ClusterSpec")["--config"]}, {}).settings
    found = application.catalog(other, application.document(other.server)).by_name["NodePool"]
    assert found.spec_schema is not None


def test_the_error_says_that_the_projects_own_document_lacks_a_schema(tmp_path: Path) -> None:
    entity = "kind: Channel, plural: channels, require_spec_schema: true"
    configured = load(file_with(tmp_path, entity), {}).settings
    with pytest.raises(BadSettings) as wrong:
        application.catalog(configured, application.document(configured.server))
    assert wrong.value.mistakes == (
        "The project's own OpenAPI document (server.openapi_schema_path is unset): component ChannelSpec is missing;"
        " kind Channel requires it (require_spec_schema).",
    )


def test_required_adapters_of_any_kind_are_any_a_list_or_none() -> None:
    assert CLUSTER.required_adapters is NODE_POOL.required_adapters is AnyAdapter.ANY
    assert declared(Entity("Cluster", required_adapters=()))["Cluster"].required_adapters == ()
    assert declared(replace(CHANNEL, required_adapters="any"))["Channel"].required_adapters is AnyAdapter.ANY
    assert mistakes(replace(CHANNEL, required_adapters=("any", "dns"))) == (
        "Kind Channel: its list of required adapters contains `any`; to require every adapter that reports,"
        " write `required_adapters: any` without a list.",
    )
