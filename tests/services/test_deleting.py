"""DELETE and what follows: marked trees, what waits for what, what is removed together, and what is refused."""

import json
from typing import Any
from uuid import UUID, uuid4

import pytest

from hyperfleet.errors import NotFound, StaleVersion, WrongState
from hyperfleet.model.catalog import Catalog
from hyperfleet.model.kind import BUILT_IN, Kind, ReferenceRule
from hyperfleet.model.resource import Owner, Scope
from hyperfleet.services import reading
from hyperfleet.store.database import Database, Statement
from hyperfleet.store.lists.pages import Listing
from testbed import fleet
from testbed.fleet import CLUSTERS, below, is_there, report

REGION = Kind("Region", "regions", "region", required_adapters=("infra",))
ZONE = Kind("Zone", "zones", "zone", parent="Region", on_parent_delete="cascade")
RACK = Kind(
    "Rack",
    "racks",
    "rack",
    parent="Zone",
    on_parent_delete="cascade",
    required_adapters=("power", "net"),
    references=(ReferenceRule("channel", "Channel"), ReferenceRule("near", "Rack")),
)
# Its name sorts before its owner's.
AUDIT = Kind("Audit", "audits", "audit", parent="Region", on_parent_delete="restrict")
CHANNEL = Kind("Channel", "channels", "channel")
WORLD = Catalog([*BUILT_IN, REGION, ZONE, RACK, AUDIT, CHANNEL])
REGIONS, CHANNELS = Scope(REGION), Scope(CHANNEL)


def zones(region: str) -> Scope:
    return Scope(ZONE, Owner(REGION, UUID(region)))


def racks(zone: str) -> Scope:
    return Scope(RACK, Owner(ZONE, UUID(zone)))


async def create(db: Database, name: str, scope: Scope, **parts: Any) -> str:
    return str((await fleet.create(db, name, scope, **parts))["id"])


async def delete(db: Database, id: str, scope: Scope, **parts: Any) -> dict[str, Any]:
    return await fleet.delete(db, id, scope, catalog=WORLD, **parts)


async def finalize(db: Database, id: str, scope: Scope, adapter: str, *, generation: int = 2, at: float = 50) -> str:
    received = report(adapter, at=at, generation=generation, Available="False", Finalized="True")
    outcome = await fleet.send(db, id, received, scope, catalog=WORLD)
    assert outcome.body is None or json.loads(outcome.body)["adapter"] == adapter
    return outcome.result


async def tree(db: Database) -> tuple[str, str, list[str]]:
    """A region with a zone with three racks."""
    region = await create(db, "region", REGIONS)
    zone = await create(db, "zone", zones(region))
    return region, zone, [await create(db, f"rack-{number}", racks(zone)) for number in range(3)]


async def counted(db: Database, scope: Scope) -> int:
    return int(json.loads(await reading.resources(db, scope, Listing()))["total"])


async def test_a_resource_that_waits_for_nothing_is_removed_at_once_and_the_response_shows_it_marked(
    db: Database,
) -> None:
    cluster = await fleet.create(db, "alpha")
    pool = await create(db, "pool", below(UUID(cluster["id"])))
    deleted = await delete(db, cluster["id"], CLUSTERS, at=5)
    assert deleted["deleted_time"] == deleted["updated_time"] == "2026-11-01T12:00:05.000000Z"
    assert deleted["deleted_by"] == deleted["updated_by"] == "system@hyperfleet.local"
    assert deleted["generation"] == 2
    assert int(deleted["resource_version"]) > int(cluster["resource_version"])
    assert not await is_there(db, cluster["id"])
    assert not await is_there(db, pool)
    assert await counted(db, CLUSTERS) == 0
    with pytest.raises(NotFound):
        await fleet.read(db, cluster["id"])
    assert (await fleet.create(db, "alpha"))["id"] != cluster["id"]


async def test_a_resource_that_waits_stays_marked(db: Database) -> None:
    made = await fleet.create(db, "region", REGIONS)
    deleted = await delete(db, made["id"], REGIONS, at=5)
    assert deleted == await fleet.read(db, made["id"], REGIONS)
    assert list(deleted)[-3:] == ["spec", "resource_version", "status"]
    assert deleted["status"]["phase"] == "NotReady"
    [reconciled, *_] = deleted["status"]["conditions"]
    assert (reconciled["type"], reconciled["status"], reconciled["reason"]) == (
        "Reconciled",
        "False",
        "ReconciledMissingAdapters",
    )
    assert "Finalized=True: [infra]" in reconciled["message"]
    assert await fleet.names(db, "deleted_time is not null", REGIONS) == ["region"]


async def test_a_second_delete_changes_nothing(db: Database) -> None:
    id = await create(db, "region", REGIONS)
    deleted = await delete(db, id, REGIONS, at=5)
    assert await delete(db, id, REGIONS, at=9) == deleted


async def test_the_name_is_free_while_the_old_one_is_being_deleted(db: Database) -> None:
    id = await create(db, "region", REGIONS)
    await delete(db, id, REGIONS)
    assert await create(db, "region", REGIONS) != id


async def test_the_report_that_completes_a_deletion_is_stored_and_removes_it(db: Database) -> None:
    id = await create(db, "region", REGIONS)
    await delete(db, id, REGIONS)
    assert await finalize(db, id, REGIONS, "infra") == "stored"
    assert not await is_there(db, id)


async def test_finalized_at_an_older_generation_does_not_count(db: Database) -> None:
    id = await create(db, "region", REGIONS)
    await finalize(db, id, REGIONS, "infra", generation=1, at=1)
    await delete(db, id, REGIONS)
    assert await is_there(db, id)
    assert await finalize(db, id, REGIONS, "infra", generation=1, at=2) == "stored"
    assert await is_there(db, id)
    assert await finalize(db, id, REGIONS, "infra", generation=2, at=3) == "stored"
    assert not await is_there(db, id)


async def test_finalized_while_live_removes_nothing(db: Database) -> None:
    id = await create(db, "region", REGIONS)
    await finalize(db, id, REGIONS, "infra", generation=1)
    assert await is_there(db, id)


async def test_exactly_the_required_adapters_are_awaited(db: Database) -> None:
    region = await create(db, "region", REGIONS)
    zone = await create(db, "zone", zones(region))
    rack = await create(db, "rack", racks(zone))
    await delete(db, rack, Scope(RACK))
    await finalize(db, rack, Scope(RACK), "other")
    await finalize(db, rack, Scope(RACK), "net")
    assert await is_there(db, rack)
    await finalize(db, rack, Scope(RACK), "power")
    assert not await is_there(db, rack)
    assert await is_there(db, zone)


async def test_a_tree_is_marked_at_once_and_removed_with_its_last_leaf(db: Database) -> None:
    region, zone, three = await tree(db)
    deleted = await delete(db, region, REGIONS, at=5)
    assert deleted == await fleet.read(db, region, REGIONS)
    for id, scope in ((zone, Scope(ZONE)), *((rack, Scope(RACK)) for rack in three)):
        marked = await fleet.read(db, id, scope)
        assert marked["deleted_time"] == deleted["deleted_time"]
        assert marked["generation"] == 2
        assert marked["status"]["phase"] == "NotReady"
    assert await finalize(db, region, REGIONS, "infra") == "stored"
    assert await is_there(db, region)
    for rack in three:
        await finalize(db, rack, Scope(RACK), "power")
        assert await is_there(db, rack)
        assert await is_there(db, zone)
        await finalize(db, rack, Scope(RACK), "net")
        assert not await is_there(db, rack)
    assert not await is_there(db, zone)
    assert not await is_there(db, region)
    for scope in (REGIONS, Scope(ZONE), Scope(RACK)):
        assert await counted(db, scope) == 0


async def test_an_owner_that_only_waits_for_children_says_so(db: Database) -> None:
    region, zone, three = await tree(db)
    await delete(db, region, REGIONS, at=5)
    await finalize(db, region, REGIONS, "infra")
    [reconciled, *_] = (await fleet.read(db, region, REGIONS))["status"]["conditions"]
    assert reconciled["reason"] == "ReconciledWaitingForChildren"
    before = int((await fleet.read(db, zone, Scope(ZONE)))["resource_version"])
    for adapter in ("power", "net"):
        await finalize(db, three[0], Scope(RACK), adapter)
    assert int((await fleet.read(db, zone, Scope(ZONE)))["resource_version"]) > before


async def test_children_already_being_deleted_keep_their_deletion_time(db: Database) -> None:
    region, _zone, three = await tree(db)
    first = await delete(db, three[0], Scope(RACK), at=1)
    await delete(db, region, REGIONS, at=5)
    kept = await fleet.read(db, three[0], Scope(RACK))
    assert (kept["deleted_time"], kept["generation"]) == (first["deleted_time"], 2)
    assert (await fleet.read(db, three[1], Scope(RACK)))["deleted_time"] > first["deleted_time"]


async def test_a_restricted_child_blocks_the_deletion_of_the_whole_tree(db: Database) -> None:
    region, zone, _ = await tree(db)
    audit = await create(db, "audit", Scope(AUDIT, Owner(REGION, UUID(region))))
    with pytest.raises(WrongState, match=f"The owned Audit audit \\({audit}\\) must be deleted first"):
        await delete(db, region, REGIONS)
    assert "deleted_time" not in await fleet.read(db, zone, Scope(ZONE))
    await delete(db, audit, Scope(AUDIT))
    assert not await is_there(db, audit)
    assert "deleted_time" in await delete(db, region, REGIONS)


async def test_a_restricted_child_being_deleted_does_not_block_its_owner(db: Database) -> None:
    waiting = Catalog([REGION, Kind("Audit", "audits", "audit", parent="Region", required_adapters=("a",))])
    region = await create(db, "region", REGIONS)
    scope = Scope(waiting.by_name["Audit"], Owner(REGION, UUID(region)))
    audit = await create(db, "audit", scope)
    await fleet.delete(db, audit, scope, catalog=waiting)
    assert "deleted_time" in await fleet.delete(db, region, REGIONS, catalog=waiting)
    assert await is_there(db, audit)


async def test_nothing_is_created_under_an_owner_that_is_being_deleted(db: Database) -> None:
    region = await create(db, "region", REGIONS)
    await delete(db, region, REGIONS)
    with pytest.raises(WrongState):
        await create(db, "zone", zones(region))


async def test_a_child_of_an_unconfigured_kind_blocks_its_owner(db: Database) -> None:
    region, zone, _ = await tree(db)
    with pytest.raises(WrongState, match="Zone zone"):
        await fleet.delete(db, region, REGIONS, catalog=Catalog([REGION]))
    assert await is_there(db, zone)


async def test_a_stale_version_deletes_nothing_even_on_a_second_delete(db: Database) -> None:
    made = await fleet.create(db, "region", REGIONS)
    with pytest.raises(StaleVersion):
        await delete(db, made["id"], REGIONS, precondition=lambda *_: False)
    assert await fleet.read(db, made["id"], REGIONS) == made
    deleted = await delete(db, made["id"], REGIONS, precondition=lambda _, generation: generation == 1)
    with pytest.raises(StaleVersion):
        await delete(db, made["id"], REGIONS, precondition=lambda _, generation: generation == 1)
    assert await fleet.read(db, made["id"], REGIONS) == deleted


async def test_a_missing_resource_cannot_be_deleted(db: Database) -> None:
    region, zone, _ = await tree(db)
    other = await create(db, "other", REGIONS)
    for id, scope in ((str(uuid4()), REGIONS), (zone, REGIONS), (zone, zones(other))):
        with pytest.raises(NotFound):
            await delete(db, id, scope)
    assert "deleted_time" in await delete(db, zone, zones(region))


async def test_force_removes_a_subtree_that_still_waits_and_rechecks_its_owner(db: Database) -> None:
    region, zone, three = await tree(db)
    with pytest.raises(WrongState, match="send DELETE first"):
        await fleet.force_delete(db, region, REGIONS, catalog=WORLD)
    await delete(db, region, REGIONS)
    await finalize(db, region, REGIONS, "infra")
    await fleet.force_delete(db, zone, Scope(ZONE), catalog=WORLD)
    for id in (region, zone, *three):
        assert not await is_there(db, id)
    rows = await db.fetch(Statement("REPORTS", "SELECT FROM adapter_statuses"))
    assert rows == []
    with pytest.raises(NotFound):
        await fleet.force_delete(db, region, REGIONS, catalog=WORLD)


async def test_a_referenced_resource_cannot_be_deleted_and_its_sources_are_named(db: Database) -> None:
    channel = await create(db, "stable", CHANNELS)
    region = await create(db, "region", REGIONS)
    zone = await create(db, "zone", zones(region))
    made = [
        await create(db, f"rack-{number:02}", racks(zone), references={"channel": (UUID(channel),)})
        for number in range(12)
    ]
    with pytest.raises(WrongState) as refused:
        await delete(db, channel, CHANNELS)
    assert "Rack rack-00 (/api/hyperfleet/v1/zones/" in refused.value.detail
    assert refused.value.detail.count("as channel") == 10
    assert "deleted_time" not in await fleet.read(db, channel, CHANNELS)
    for rack in made:
        await fleet.change(db, rack, Scope(RACK), references={})
    await delete(db, channel, CHANNELS)
    assert not await is_there(db, channel)


async def test_references_within_a_tree_do_not_block_it_but_the_target_waits_for_its_source(db: Database) -> None:
    region = await create(db, "region", REGIONS)
    zone = await create(db, "zone", zones(region))
    target = await create(db, "target", racks(zone))
    source = await create(db, "source", racks(zone), references={"near": (UUID(target),)})
    await delete(db, region, REGIONS)
    for adapter in ("power", "net"):
        await finalize(db, target, Scope(RACK), adapter)
    assert await is_there(db, target)
    for adapter in ("power", "net"):
        await finalize(db, source, Scope(RACK), adapter)
    assert not await is_there(db, source)
    assert not await is_there(db, target)
    assert not await is_there(db, zone)
    assert await is_there(db, region)
    await finalize(db, region, REGIONS, "infra")
    assert not await is_there(db, region)


async def test_resources_of_a_tree_that_reference_each_other_are_removed_together(db: Database) -> None:
    kinds = Catalog(
        [
            Kind("Box", "boxes", "box"),
            Kind(
                "Part",
                "parts",
                "part",
                parent="Box",
                on_parent_delete="cascade",
                references=(ReferenceRule("near", "Part"),),
            ),
        ]
    )
    box = await create(db, "box", Scope(kinds.by_name["Box"]))
    parts = Scope(kinds.by_name["Part"], Owner(kinds.by_name["Box"], UUID(box)))
    one = await create(db, "one", parts)
    two = await create(db, "two", parts, references={"near": (UUID(one),)})
    await fleet.change(db, one, parts, references={"near": (UUID(two),)})
    with pytest.raises(WrongState, match="still referenced"):
        await fleet.delete(db, one, parts, catalog=kinds)
    await fleet.delete(db, box, Scope(kinds.by_name["Box"]), catalog=kinds)
    for id in (box, one, two):
        assert not await is_there(db, id)


async def test_a_subtree_referenced_by_its_sibling_cannot_be_force_deleted(db: Database) -> None:
    region = await create(db, "region", REGIONS)
    one, two = [await create(db, name, zones(region)) for name in ("one", "two")]
    target = await create(db, "target", racks(one))
    await create(db, "source", racks(two), references={"near": (UUID(target),)})
    await delete(db, region, REGIONS)
    with pytest.raises(WrongState, match="Rack source"):
        await fleet.force_delete(db, one, Scope(ZONE), catalog=WORLD)
    await fleet.force_delete(db, two, Scope(ZONE), catalog=WORLD)
    await fleet.force_delete(db, one, Scope(ZONE), catalog=WORLD)
    await finalize(db, region, REGIONS, "infra")
    assert not await is_there(db, region)


async def test_a_large_tree_is_marked_in_several_statements_and_removed_in_one(db: Database) -> None:
    cluster = await fleet.create(db, "alpha")
    owner = below(UUID(cluster["id"]))
    copies = Statement(
        "COPIES",
        """
        INSERT INTO resources
        SELECT gen_random_uuid(), owner_id, nextval('resource_versions'), created_time, updated_time, deleted_time,
               last_updated_time, last_transition_time, generation, observed_generation, kind, name || number,
               owner_kind, href, created_by, updated_by, deleted_by, phase, rules, tenancy, labels, condition_status,
               conditions, status, spec, envelope
        FROM resources, generate_series(1, 1200) AS number WHERE id = $1
        """,
    )
    await db.fetch(copies, UUID(await create(db, "pool", owner)))
    waiting = Catalog([BUILT_IN[0], Kind(**{**kept(BUILT_IN[1]), "required_adapters": ("dns",)})])
    await fleet.delete(db, cluster["id"], CLUSTERS, catalog=waiting)
    marked = await db.fetch(
        Statement(
            "MARKED",
            "SELECT count(*), count(DISTINCT resource_version), min(generation) FROM resources"
            " WHERE deleted_time IS NOT NULL",
        )
    )
    assert tuple(marked[0]) == (1202, 1202, 2)
    await fleet.force_delete(db, cluster["id"], CLUSTERS, catalog=waiting)
    assert not await is_there(db, cluster["id"])
    assert await counted(db, Scope(BUILT_IN[1])) == 0


def kept(kind: Kind) -> dict[str, Any]:
    return {name: getattr(kind, name) for name in Kind.__slots__ if name != "spec_schema"}
