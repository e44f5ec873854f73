"""A dump that is restored serves what it was made of: the same bytes, totals that go on, versions that only rise."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from uuid import UUID

from hyperfleet import settings
from hyperfleet.services import reading
from hyperfleet.store import embedded, migrations
from hyperfleet.store.database import Database
from hyperfleet.store.pages import Listing
from tests.fleet import CLUSTERS, below, create, report, send


def tool(server: embedded.Server, *words: str) -> None:
    """Runs one of PostgreSQL's own programs; fails with what it says."""
    done = subprocess.run(embedded.client_command(server, *words), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


async def test_a_restored_dump_goes_on_where_it_was_made(
    db: Database, postgres: embedded.Server, database_settings: settings.Database, tmp_path: Path
) -> None:
    cluster = await create(db, "kept", labels={"env": "production"})
    await create(db, "pool", below(UUID(cluster["id"])))
    await send(db, cluster["id"], report(adapter="dns-adapter"))
    before = await reading.resources(db, CLUSTERS, Listing())
    versions = {item["resource_version"] for item in json.loads(before)["items"]}
    dump, name = tmp_path / "dump", f"restored_{database_settings.name}"
    tool(postgres, "pg_dump", "--format=custom", f"--file={dump}", database_settings.name)
    tool(postgres, "createdb", name)
    tool(postgres, "pg_restore", f"--dbname={name}", "--exit-on-error", str(dump))
    there = replace(database_settings, name=name)
    assert await migrations.state(there) == "current"
    restored = Database(there)
    await restored.open()
    try:
        assert await reading.resources(restored, CLUSTERS, Listing()) == before
        newer = await create(restored, "after")
        assert int(newer["resource_version"]) > max(map(int, versions))
        assert json.loads(await reading.resources(restored, CLUSTERS, Listing()))["total"] == 2
    finally:
        await restored.close()
        tool(postgres, "dropdb", name)
