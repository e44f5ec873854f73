"""A database of the previous version, with resources in every state, is migrated: nothing is lost, and new rules apply.

Before, clusters and node pools required no adapters, so their deletions awaited none.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import pytest
from alembic import command

from hyperfleet import settings
from hyperfleet.assembly import databases
from hyperfleet.model import rendering
from hyperfleet.model.catalog import Catalog
from hyperfleet.model.kind import BUILT_IN, Kind, ReferenceRule
from hyperfleet.model.resource import Scope
from hyperfleet.model.rules.mapping import ConditionRule
from hyperfleet.postgres import embedded
from hyperfleet.services import lingering, reading, recomputing
from hyperfleet.store import migrations
from hyperfleet.store.database import Database, Statement
from hyperfleet.store.upkeep import counts
from testbed.fleet import create, delete, is_there, names, read, report, send
from testbed.sessions import drop, execute

STORED: Final = Path(__file__).parents[1] / "cases" / "upgrades" / "0005.sql"
CLUSTER, NODE_POOL = BUILT_IN
ADDON: Final = Kind(
    "Addon", "addons", "addon", parent="Cluster", on_parent_delete="cascade", required_adapters=("addon",)
)
ZONE: Final = ConditionRule(
    "ZoneReady",
    "statuses.exists(s, s.adapter == 'mirror')",
    "true",
    "'Mirrored'",
    "'zone ' + dig(statuses[0].data, 'zone')",
)
CHANNEL: Final = Kind("Channel", "channels", "channel", required_adapters=("mirror",), conditions=(ZONE,))
VERSION: Final = Kind(
    "Version", "versions", "version", parent="Channel", references=(ReferenceRule("twin", "Version"),)
)
NOW: Final = Catalog([CLUSTER, NODE_POOL, ADDON, CHANNEL, VERSION])
CLUSTERS: Final = Scope(CLUSTER)

ROWS: Final = Statement("ROWS", "SELECT id, kind, name, generation, resource_version, rules, envelope FROM resources")
# What the previous version would write: a status without conditions, and the digest of its own rules.
WRITE_BEHIND: Final = Statement(
    "WRITE_BEHIND",
    """
    UPDATE resources SET resource_version = nextval('resource_versions'), condition_status = '{}', conditions = '{}',
        status = jsonb_set(status::jsonb, '{conditions}', '[]')::json, rules = '3c5afff4f916dc1a'
    WHERE id = $1
    """,
)


@pytest.fixture
async def before(
    postgres: embedded.Server, worker_id: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[settings.Database]:
    """The database that the previous version left."""
    name = f"upgrade_{worker_id}"
    server = postgres.settings("postgres")
    await execute(server, f"CREATE DATABASE {name}")
    configured = postgres.settings(name)
    present = command.upgrade
    with monkeypatch.context() as patched:
        patched.setattr(command, "upgrade", lambda config, _: present(config, "0005"))
        await migrations.upgrade(configured)
    await execute(configured, STORED.read_text())
    yield configured
    await drop(postgres, name)


@pytest.fixture
async def db(before: settings.Database) -> AsyncIterator[Database]:
    database = Database(before)
    await database.open()
    yield database
    await database.close()


async def rows(db: Database) -> dict[str, Any]:
    return {row["name"]: row for row in await db.fetch(ROWS)}


async def migrated(configured: settings.Database) -> int:
    """The number of resources that `migrate` recomputed."""
    return (await asyncio.to_thread(databases.migrate, configured, NOW)).recomputed


async def conditions(db: Database, name: str, kind: Kind) -> dict[str, tuple[str, str]]:
    """The status and reason of each condition."""
    id = str((await rows(db))[name]["id"])
    status = (await read(db, id, Scope(kind)))["status"]
    return {each["type"]: (each["status"], each.get("reason", "")) for each in status["conditions"]}


async def test_nothing_is_lost_and_every_row_has_the_new_rules(before: settings.Database, db: Database) -> None:
    was = await rows(db)
    totals = await counts.totals(before)
    assert len(was) == 16
    # Kinds that name adapters, or none, keep their rules.
    assert await migrated(before) == 9
    now = await rows(db)
    assert (
        await counts.totals(before) == totals == {"Cluster": 7, "NodePool": 2, "Addon": 2, "Channel": 3, "Version": 2}
    )
    assert {row["rules"] for row in now.values()} == {rendering.rules(kind) for kind in NOW.kinds}
    for name, row in was.items():
        same = (row["id"], row["kind"], row["generation"], row["envelope"])
        assert (now[name]["id"], now[name]["kind"], now[name]["generation"], now[name]["envelope"]) == same
        moved = now[name]["resource_version"] > row["resource_version"]
        assert moved is (row["kind"] in ("Cluster", "NodePool"))
    assert await migrated(before) == 0


async def test_live_resources_show_the_conditions_of_the_new_rules(before: settings.Database, db: Database) -> None:
    await migrated(before)
    for name, kind in (("live-silent", CLUSTER), ("pool-silent", NODE_POOL)):
        assert await conditions(db, name, kind) == {
            "Reconciled": ("False", "ReconciledMissingAdapters"),
            "LastKnownReconciled": ("False", "AdaptersMissingReports"),
        }
    for name, kind in (("live-reported", CLUSTER), ("pool-reported", NODE_POOL)):
        assert (await conditions(db, name, kind))["Reconciled"] == ("True", "ReconciledAll")
    changed = await conditions(db, "live-changed", CLUSTER)
    assert changed["Reconciled"] == ("False", "ReconciledMissingAdapters")
    assert changed["LastKnownReconciled"] == ("True", "AllAdaptersReconciled")
    failing = await conditions(db, "live-failing", CLUSTER)
    assert (failing["DnsSuccessful"][0], failing["VmSuccessful"][0]) == ("False", "True")
    assert await conditions(db, "v1", VERSION) == {}
    assert (await conditions(db, "stable", CHANNEL))["ZoneReady"] == ("True", "Mirrored")
    assert "live-silent" in await names(db, "status.conditions.Reconciled = 'False'")


async def test_a_message_older_than_the_limit_stays_readable(before: settings.Database, db: Database) -> None:
    await migrated(before)
    id = str((await rows(db))["live-wordy"]["id"])
    long = "x" * 1024 + "y" * 976
    wordy = await read(db, id)
    assert wordy["status"]["adapters"][0]["conditions"][0]["message"] == long
    assert wordy["status"]["conditions"][2]["message"] == "x" * 1024
    page = json.loads(await reading.reports_on(db, CLUSTERS, UUID(id), page=1, size=9))
    assert page["items"][0]["conditions"][0]["message"] == long


async def test_a_resource_being_deleted_stays_and_awaits_the_adapters_that_reported(
    before: settings.Database, db: Database
) -> None:
    await migrated(before)
    found = await rows(db)
    silent, reported = (str(found[name]["id"]) for name in ("going-silent", "going-reported"))
    assert (await conditions(db, "going-silent", CLUSTER))["Reconciled"] == ("False", "ReconciledWaitingForChildren")
    kept = await read(db, reported)
    assert "deleted_time" in kept
    assert "not reporting Finalized=True: [dns]" in kept["status"]["conditions"][0]["message"]
    assert await lingering.find(db, NOW) == {}
    finalized = report("addon", at=9, generation=2, Finalized="True")
    for name in ("going-silent", "going-reported"):
        addon = str((await rows(db))[f"{name}-addon"]["id"])
        await send(db, addon, finalized, Scope(ADDON), now=9, catalog=NOW)
        assert not await is_there(db, addon)
    assert not await is_there(db, silent)
    assert await is_there(db, reported)
    await send(db, reported, report("dns", at=9, generation=2, Finalized="True"), now=9, catalog=NOW)
    assert not await is_there(db, reported)
    retired = str((await rows(db))["retired"]["id"])
    await send(db, retired, report("mirror", at=9, generation=2, Finalized="True"), Scope(CHANNEL), now=9, catalog=NOW)
    assert not await is_there(db, retired)


async def test_rows_written_by_the_previous_version_after_the_upgrade_are_recomputed(
    before: settings.Database, db: Database
) -> None:
    writing = True

    async def old_version() -> None:
        ids = [row["id"] for row in (await rows(db)).values() if row["kind"] == "Cluster"]
        while writing:
            for id in ids:
                await db.fetch(WRITE_BEHIND, id)

    old = asyncio.create_task(old_version())
    await migrated(before)
    writing = False
    await old
    await recomputing.recompute(db, NOW)
    assert {row["rules"] for row in (await rows(db)).values()} == {rendering.rules(kind) for kind in NOW.kinds}
    silent = await conditions(db, "live-silent", CLUSTER)
    assert silent["Reconciled"] == ("False", "ReconciledMissingAdapters")
    assert len(await rows(db)) == 16


async def test_the_new_version_creates_and_deletes_beside_old_rows(before: settings.Database, db: Database) -> None:
    await migrations.upgrade(before)
    # Not recomputed yet: the first write of each resource does it.
    reported = str((await rows(db))["live-reported"]["id"])
    marked = await delete(db, reported, at=9, catalog=NOW)
    assert "[dns]" in marked["status"]["conditions"][0]["message"]
    silent = str((await rows(db))["live-silent"]["id"])
    await delete(db, silent, at=9, catalog=NOW)
    assert not await is_there(db, silent)
    assert (await create(db, "live-silent"))["generation"] == 1
