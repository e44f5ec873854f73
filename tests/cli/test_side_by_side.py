"""Two versions of the service on one database while its schema migrates from the old version's to the new one's and on.

The next version is this one with two more migrations: one that only adds, which runs while the old version serves, and
one that removes what only the old version needed, which runs after the old version has stopped.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import hyperfleet
from drills.writers import Writers, check
from hyperfleet.postgres import embedded
from hyperfleet.store import migrations
from testbed.programs import run
from testbed.serving import Service, folder, on
from testbed.waiting import eventually

EXPAND = '''
"""A column that the old version does not know, filled for what is there, and an index on it."""

from alembic import op

revision, down_revision, branch_labels, depends_on = "{revision}", "{before}", None, None


def upgrade() -> None:
    """Adds them."""
    op.execute("ALTER TABLE resources ADD COLUMN note text NOT NULL DEFAULT 'none'")
    op.execute("ALTER TABLE resource_counts ADD COLUMN note text")
    with op.get_context().autocommit_block():
        op.execute("CREATE INDEX CONCURRENTLY resources_note ON resources (note)")
'''
CONTRACT = '''
"""Takes away the index that only the version before used."""

from alembic import op

revision, down_revision, branch_labels, depends_on = "{revision}", "{before}", None, None


def upgrade() -> None:
    """Drops it."""
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY resources_being_deleted")
'''
PACKAGE = Path(hyperfleet.__file__).parent


@dataclass
class Stage:
    """A folder, a database with the old version's schema, and the settings that services use to reach it."""

    place: Path
    variables: dict[str, str]

    def next_version(self, *texts: str) -> dict[str, str]:
        """The environment of this version with more migrations."""
        root = self.place / f"version-{len(texts)}"
        shutil.copytree(PACKAGE, root / "hyperfleet", ignore=shutil.ignore_patterns("__pycache__"))
        before = migrations.revisions()[-1]
        for number, text in enumerate(texts):
            revision = f"99{number}"
            file = root / "hyperfleet" / "store" / "migrations" / "versions" / f"{revision}_next.py"
            file.write_text(text.format(revision=revision, before=before))
            before = revision
        return {**self.variables, "PYTHONPATH": str(root)}


@pytest.fixture
def stage() -> Iterator[Stage]:
    with folder() as place:
        server = embedded.start(place / "data")
        variables = on(server.settings()) | {"HYPERFLEET_SERVER_WORKERS": "1"}
        try:
            assert run("migrate", variables=variables).returncode == 0
            yield Stage(place, variables)
        finally:
            embedded.stop(server)


def go_on(writers: Writers) -> None:
    """Waits until every writer has made progress."""
    before = [len(book.created) for book in writers.books]
    eventually(
        lambda: all(len(book.created) > done + 20 for book, done in zip(writers.books, before, strict=True)),
        "writers go on",
    )


def test_the_old_version_serves_while_and_after_the_schema_grows_and_the_new_one_while_it_shrinks(stage: Stage) -> None:
    old = Service(stage.place, variables=stage.variables).start()
    services = [old]
    try:
        old.ready()
        first = Writers(old.api, 3, name="old")
        go_on(first)
        grown = stage.next_version(EXPAND)
        assert run("migrate", "--check", variables=grown).returncode != 0
        migrated = run("migrate", variables=grown)
        assert migrated.returncode == 0, migrated.stderr
        go_on(first)
        refused = Service(stage.place, variables=stage.variables).start()
        assert refused.wait() == 1
        assert "newer than this version" in refused.text()
        services.append(Service(stage.place, variables=grown).start().ready())
        second = Writers(services[1].api, 3, name="new")
        go_on(first)
        go_on(second)
        first.stop()
        old.signal()
        assert old.wait() == 0
        shrunk = stage.next_version(EXPAND, CONTRACT)
        assert run("migrate", variables=shrunk).returncode == 0
        go_on(second)
        second.stop()
        for writers in (first, second):
            assert set(writers.answers()) == {"201", "200"}, writers.answers()
            found = check(services[1].api, writers)
            assert (found.lost, found.duplicates, found.counts_lost) == (0, 0, 0)
    finally:
        for each in services:
            each.stop()
