"""The checks before a restore, and the statements around a dump that make it one transaction: all or nothing."""

from typing import Final

from hyperfleet import settings
from hyperfleet.store import migrations
from hyperfleet.store.connections import connect

_APPLICATION_NAME: Final = "hyperfleet-api restore"

_CONTENT: Final = """
SELECT count(*) FROM pg_class c WHERE relkind IN ('r', 'p', 'v', 'm', 'f')
  AND relnamespace::regnamespace::text !~ '^(pg_|information_schema$)'
  AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e')
"""
_OTHERS: Final = """
SELECT count(*) FROM pg_stat_activity
  WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""


async def content(configured: settings.Database) -> tuple[int, int]:
    """How many tables and views the database has, and how many other sessions use it."""
    connection = await connect(configured, application_name=_APPLICATION_NAME)
    try:
        return await connection.fetchval(_CONTENT), await connection.fetchval(_OTHERS)
    finally:
        await connection.close()


def opening(*, replace: bool) -> str:
    """The statements before a dump's own; with `replace` they drop everything that the role owns in the database."""
    removal = "DROP OWNED BY CURRENT_USER CASCADE; CREATE SCHEMA IF NOT EXISTS public;" if replace else ""
    return f"BEGIN; SET client_min_messages = warning; {removal}\n"


def closing() -> str:
    """The statements after a dump's own: they roll back a dump of another program or of a newer version."""
    known = ", ".join(f"'{revision}'" for revision in migrations.revisions())
    return f"""
DO $$
DECLARE
  found text;
BEGIN
  IF to_regclass('public.alembic_version') IS NULL THEN
    RAISE EXCEPTION 'This is not a dump of a HyperFleet database. Nothing was changed.';
  END IF;
  SELECT version_num INTO found FROM public.alembic_version;
  IF found IS NULL OR found NOT IN ({known}) THEN
    RAISE EXCEPTION 'The dump has a newer schema than this version supports; restore it with the version that made it.'
      ' Nothing was changed.';
  END IF;
END
$$;
COMMIT;
SET client_min_messages = error;
ANALYZE;
"""
