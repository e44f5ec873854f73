"""References: written with their resource, checked for live targets of the right kind, found from both ends."""

import json
from typing import Any
from uuid import UUID, uuid4

import pytest

from hyperfleet.errors import InvalidInput, NotFound, WrongState
from hyperfleet.model.catalog import Catalog
from hyperfleet.model.kind import Kind, ReferenceRule
from hyperfleet.model.resource import ANY, Owner, Scope
from hyperfleet.services import reading
from hyperfleet.store.database import Database, Statement
from testbed import fleet
from testbed.fleet import after

CHANNEL = Kind("Channel", "channels", "channel", required_adapters=("x",))
VERSION = Kind("Version", "versions", "version", parent="Channel")
HUB = Kind("Hub", "hubs", "hub", references=(ReferenceRule("version", "Version"), ReferenceRule("channel", "Channel")))
SPOKE = Kind("Spoke", "spokes", "spoke", parent="Hub", references=(ReferenceRule("channel", "Channel"),))
WORLD = Catalog([CHANNEL, VERSION, HUB, SPOKE])
HUBS = Scope(HUB)


async def channel(db: Database, name: str = "stable") -> str:
    return str((await fleet.create(db, name, Scope(CHANNEL)))["id"])


async def version(db: Database, channel: str, name: str = "v1") -> str:
    return str((await fleet.create(db, name, Scope(VERSION, Owner(CHANNEL, UUID(channel)))))["id"])


async def stored(db: Database) -> set[tuple[str, str, str]]:
    rows = await db.fetch(Statement("STORED", "SELECT source_id, ref_type, target_id FROM resource_references"))
    return {(str(row[0]), row[1], str(row[2])) for row in rows}


def link(kind: str, id: str, href: str) -> dict[str, str]:
    return {"kind": kind, "id": id, "href": f"/api/hyperfleet/v1/{href}/{id}"}


async def test_a_new_resource_shows_its_references_with_paths_below_their_owners(db: Database) -> None:
    stable = await channel(db)
    one, two = await version(db, stable, "v1"), await version(db, stable, "v2")
    made = await fleet.create(
        db, "hub", HUBS, references={"channel": (UUID(stable),), "version": (UUID(two), UUID(one))}
    )
    below = f"channels/{stable}/versions"
    assert made["references"] == {
        "version": [link("Version", two, below), link("Version", one, below)],
        "channel": [link("Channel", stable, "channels")],
    }
    assert made == await fleet.read(db, made["id"], HUBS)
    assert await stored(db) == {
        (made["id"], "channel", stable),
        (made["id"], "version", one),
        (made["id"], "version", two),
    }


async def test_a_kind_that_declares_references_shows_them_even_if_there_are_none(db: Database) -> None:
    made = await fleet.create(db, "hub", HUBS)
    assert made["references"] == {}
    assert made == await fleet.read(db, made["id"], HUBS)


async def test_a_child_may_have_references_and_its_owner_may_be_a_target(db: Database) -> None:
    stable = await channel(db)
    hub = await fleet.create(db, "hub", HUBS)
    scope = Scope(SPOKE, Owner(HUB, UUID(hub["id"])))
    made = await fleet.create(db, "spoke", scope, references={"channel": (UUID(stable),)})
    assert made["owner_references"] == {"kind": "Hub", "id": hub["id"], "href": hub["href"]}
    assert made["references"] == {"channel": [link("Channel", stable, "channels")]}
    with pytest.raises(NotFound):
        await fleet.create(db, "other", Scope(SPOKE, Owner(HUB, uuid4())), references={"channel": (UUID(stable),)})


async def test_a_missing_target_or_one_of_another_kind_is_refused_with_its_path(db: Database) -> None:
    stable = await channel(db)
    hub = (await fleet.create(db, "hub", HUBS))["id"]
    for id in (str(uuid4()), hub):
        with pytest.raises(InvalidInput) as refused:
            await fleet.create(db, "bad", HUBS, references={"channel": (UUID(stable), UUID(id))})
        [error] = refused.value.errors
        assert (error.field, error.value) == ("references.channel", id)
        with pytest.raises(InvalidInput):
            await fleet.change(db, hub, HUBS, references={"channel": (UUID(id),)})
    assert await fleet.names(db, "name = 'bad'", HUBS) == []
    assert await stored(db) == set()


async def test_a_target_that_is_being_deleted_is_refused(db: Database) -> None:
    stable = await channel(db)
    hub = (await fleet.create(db, "hub", HUBS))["id"]
    await fleet.delete(db, stable, Scope(CHANNEL), catalog=WORLD)
    with pytest.raises(WrongState, match="is being deleted and cannot be referenced"):
        await fleet.create(db, "bad", HUBS, references={"channel": (UUID(stable),)})
    with pytest.raises(WrongState):
        await fleet.change(db, hub, HUBS, references={"channel": (UUID(stable),)})
    assert (await fleet.read(db, hub, HUBS))["generation"] == 1


async def test_changed_references_raise_the_generation_and_unchanged_ones_do_not(db: Database) -> None:
    stable, fast = await channel(db), await channel(db, "fast")
    made = await fleet.create(db, "hub", HUBS, references={"channel": (UUID(stable),)})
    same = await fleet.change(db, made["id"], HUBS, references={"channel": (UUID(stable),)}, at=5)
    assert same == made
    changed = await fleet.change(
        db, made["id"], HUBS, references={"channel": (UUID(fast), UUID(stable))}, at=5, spec={"n": 1}
    )
    assert changed["generation"] == 2
    assert [item["id"] for item in changed["references"]["channel"]] == [fast, stable]
    assert changed == await fleet.read(db, made["id"], HUBS)
    assert list(changed) == list(made)
    gone = await fleet.change(db, made["id"], HUBS, references={}, at=6)
    assert (gone["references"], gone["generation"], gone["spec"]) == ({}, 3, {"n": 1})
    assert await stored(db) == set()


async def test_a_change_of_another_member_keeps_the_references(db: Database) -> None:
    stable = await channel(db)
    made = await fleet.create(db, "hub", HUBS, references={"channel": (UUID(stable),)})
    changed = await fleet.change(db, made["id"], HUBS, labels={"a": "b"}, at=5)
    assert changed["references"] == made["references"]
    assert len(await stored(db)) == 1


async def listed(db: Database, scope: Scope, **what: Any) -> dict[str, Any]:
    return dict(json.loads(await reading.resources(db, scope, fleet.listing(**what))))


async def test_the_sources_that_reference_a_resource_are_listed_and_counted(db: Database) -> None:
    stable, fast = await channel(db), await channel(db, "fast")
    names = [f"hub-{number}" for number in range(5)]
    for number, name in enumerate(names):
        target = stable if number % 2 else fast
        await fleet.create(db, name, HUBS, at=number, references={"channel": (UUID(target),)})
    page = await listed(db, HUBS, reference=("channel", UUID(fast)), size=2)
    assert ([item["name"] for item in page["items"]], page["total"]) == (["hub-4", "hub-2"], 3)
    rest = await listed(
        db, HUBS, reference=("channel", UUID(fast)), size=2, page=None, page_token=page["next_page_token"]
    )
    assert [item["name"] for item in rest["items"]] == ["hub-0"]
    assert (await listed(db, HUBS, reference=("version", UUID(fast))))["total"] == 0
    with pytest.raises(InvalidInput):
        await listed(db, HUBS, reference=("channel", UUID(stable)), page=None, page_token=page["next_page_token"])


async def test_lists_of_all_kinds_are_in_order_and_complete(db: Database) -> None:
    everything = Scope(ANY, members=WORLD.kinds)
    stable = await channel(db)
    for number in range(7):
        await fleet.create(db, f"hub-{number}", HUBS, at=number * 2)
        await fleet.create(db, f"channel-{number}", Scope(CHANNEL), at=number * 2 + 1)
    whole = await listed(db, everything)
    assert whole["kind"] == "ResourceList"
    assert whole["total"] == 15
    names = [item["name"] for item in whole["items"]]
    assert names[0:4] == ["channel-6", "hub-6", "channel-5", "hub-5"]
    seen: list[str] = []
    token, pages = None, 0
    while pages == 0 or token:
        part = await listed(db, everything, size=4, page=None if token else 1, page_token=token)
        seen += [item["name"] for item in part["items"]]
        token, pages = part.get("next_page_token"), pages + 1
    assert seen == names
    assert [item["name"] for item in (await listed(db, everything, size=4, page=3))["items"]] == names[8:12]
    hubs = await listed(db, everything, kind="Hub")
    assert (hubs["total"], hubs["kind"]) == (7, "ResourceList")
    assert (await fleet.read(db, stable, everything))["kind"] == "Channel"
    assert len(await fleet.names(db, "name = 'hub-3' or name = 'channel-3'", everything)) == 2
    assert after(0)


async def test_lists_of_all_kinds_leave_out_unconfigured_kinds(db: Database) -> None:
    await channel(db)
    hub = await fleet.create(db, "hub", HUBS)
    only = Scope(ANY, members=(CHANNEL,))
    assert [item["kind"] for item in (await listed(db, only))["items"]] == ["Channel"]
    with pytest.raises(NotFound) as refused:
        await fleet.read(db, hub["id"], only)
    assert refused.value.row.name == "NTF-001"
