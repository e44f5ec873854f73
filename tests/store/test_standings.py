"""The SELECT list and the SET list of a resource: complete, in order, and the only places that a new column needs."""

import asyncio
import base64
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import hyperfleet
from hyperfleet.model.standing import Standing
from hyperfleet.postgres.embedded import Server
from hyperfleet.store import standings
from hyperfleet.store.connections import connect
from hyperfleet.store.database import Database, Statement
from testbed import fleet
from testbed.fleet import create

SET_LIST = (
    *standings.CREATED,
    *standings.REVISED,
    *standings.DESIRED,
    *standings.DELETED,
    *standings.ENVELOPE,
    *standings.ASSESSED,
)
ELSEWHERE = {"resource_version", "owner_id", "owner_kind", "tenancy"}
"""The version comes from its sequence, the others from the owner's row, each in the statement itself."""


async def test_the_select_list_has_the_fields_of_a_standing_in_their_order(db: Database) -> None:
    id = UUID((await create(db, "alpha"))["id"])
    row = await db.fetch_row(standings.STANDINGS, ids=[id], with_rules=[], with_envelope=True)
    assert row is not None
    *fields, written = [name.removeprefix("_") for name in Standing.__struct_fields__]
    assert (list(row.keys()), written) == (fields, "rules")


async def test_the_set_list_has_every_column_of_the_table_once(db: Database) -> None:
    columns = Statement(
        "COLUMNS", "SELECT column_name, udt_name FROM information_schema.columns WHERE table_name = 'resources'"
    )
    types = {"int4": "integer"}
    stored = {row[0]: types.get(row[1], row[1]) for row in await db.fetch(columns)}
    assert sorted(column.name for column in SET_LIST) == sorted(set(stored) - ELSEWHERE)
    assert {column.name: column.type for column in SET_LIST} == {
        name: type for name, type in stored.items() if name not in ELSEWHERE
    }


MIGRATION = """
from alembic import op
revision = "9999"
down_revision = "{last}"
branch_labels = depends_on = None
def upgrade():
    op.execute("ALTER TABLE resources ADD COLUMN note text")
"""

EDITS = {
    "model/standing.py": (
        "    _reports: bytes | tuple[bytes, ...] | None\n",
        "    _reports: bytes | tuple[bytes, ...] | None\n    note: str | None = None\n",
    ),
    "store/standings.py": (
        " THEN {_REPORTS} END AS reports\n",
        " THEN {_REPORTS} END AS reports, resources.note\n",
        "ASSESSED: Final = (\n",
        "ASSESSED: Final = (\n"
        '    Column("note", "text", lambda new: f"{new.standing.note} {new.standing.generation}"),\n',
    ),
}
"""The two lists: what is found, and what is put in its place."""

USES = """
import asyncio, base64, importlib, json, pickle, sys
from uuid import UUID
from hyperfleet.store import migrations
from hyperfleet.store.database import Database, Statement
fleet = importlib.import_module(sys.argv[1])
configured = pickle.loads(base64.b64decode(sys.argv[2]))

async def main():
    await migrations.upgrade(configured)
    db = Database(configured)
    await db.open()
    notes = []
    stored = Statement("NOTE", "SELECT note FROM resources WHERE id = :id")
    async def note(id):
        notes.append((await db.fetch_row(stored, id=UUID(id)))[0])
    id = (await fleet.create(db, "alpha"))["id"]
    await note(id)
    await fleet.change(db, id, spec={"a": 1})
    await note(id)
    await fleet.send(db, id, fleet.report(generation=2))
    await note(id)
    pool = (await fleet.create(db, "pool", fleet.below(UUID(id))))["id"]
    await note(pool)
    await fleet.send(db, pool, fleet.report(), fleet.below(UUID(id)))
    await fleet.delete(db, id)
    await note(id)
    await note(pool)
    await db.close()
    print(json.dumps(notes), file=sys.stderr)

asyncio.run(main())
"""


async def test_a_new_column_is_a_migration_and_a_line_in_each_list(postgres: Server, tmp_path: Path) -> None:
    """Copies the service, adds a column like a developer would, and follows it through every verb."""
    package = tmp_path / "hyperfleet"
    shutil.copytree(Path(hyperfleet.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    versions = package / "store/migrations/versions"
    last = max(path.name[:4] for path in versions.glob("[0-9]*.py"))
    (versions / "9999_note.py").write_text(MIGRATION.format(last=last))
    for name, edits in EDITS.items():
        text = (package / name).read_text()
        for old, new in zip(edits[::2], edits[1::2], strict=True):
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        (package / name).write_text(text)
    connection = await connect(postgres.settings("postgres"), application_name="tests")
    await connection.execute("DROP DATABASE IF EXISTS new_column")
    await connection.execute("CREATE DATABASE new_column")
    await connection.close()
    configured = base64.b64encode(pickle.dumps(postgres.settings("new_column"))).decode()
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", USES, fleet.__name__, configured],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PYTHONPATH": f"{tmp_path}:{Path(fleet.__file__).parents[1]}", "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    # Each verb wrote the column from the value that it had read.
    assert done.stderr.splitlines()[-1] == (
        '["None 1", "None 1 2", "None 1 2 2", "None 1", "None 1 2 2 3", "None 1 1 2"]'
    )
