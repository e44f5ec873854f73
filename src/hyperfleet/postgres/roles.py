"""The roles of an embedded PostgreSQL, and the rules for connections to it.

The service, `migrate`, the shell and users of the TCP port connect as the role `hyperfleet`, which owns the database.
It is not a superuser: it can neither run programs nor read files. The superuser connects through the socket only, in a
folder that only root and the owner of the data can enter. The TCP port requires a generated password.
"""

import secrets
import subprocess
from pathlib import Path
from typing import Final

from hyperfleet.errors import Unavailable
from hyperfleet.postgres import programs
from hyperfleet.postgres.account_folders import Folder, opened

USER: Final = "hyperfleet"
"""The role that owns the database."""

SUPERUSER: Final = "postgres"
DATABASE: Final = "hyperfleet"

PASSWORD_FILE: Final = "pgpass"
"""A PostgreSQL password file in the data directory, for use as PGPASSFILE."""

HBA_FILE: Final = "pg_hba.conf"
_CONVERSION: Final = "hyperfleet_conversion"

_HBA: Final = f"""\
# hyperfleet-api rewrites this file at every start, so changes are lost. If you need other rules, run your own server.
# Only the owner of the data, and root, can enter the folder of the socket.
local  all          all                   trust
local  replication  all                   trust
host   all          {USER}  127.0.0.1/32  scram-sha-256
"""

_ROLE_AND_DATABASE: Final = f"""
SELECT 'CREATE ROLE {USER} LOGIN CREATEDB' WHERE to_regrole('{USER}') IS NULL \\gexec
SELECT 'CREATE DATABASE {DATABASE} OWNER {USER}'
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{DATABASE}') \\gexec
SELECT 'converting' WHERE to_regrole('{_CONVERSION}') IS NOT NULL;
"""

CONVERTER: Final = (
    f"SELECT 'CREATE ROLE {_CONVERSION} LOGIN SUPERUSER' WHERE to_regrole('{_CONVERSION}') IS NULL \\gexec"
)

RENAMED: Final = f"BEGIN; ALTER ROLE {USER} RENAME TO {SUPERUSER}; CREATE ROLE {USER} LOGIN CREATEDB; COMMIT;"

_FORMERLY_OWNED: Final = f"""
SELECT datname FROM pg_database WHERE datdba = to_regrole('{SUPERUSER}')
  AND NOT datistemplate AND datname <> 'postgres';
"""

# Everything that the superuser owns in a database, except what came with it or with an extension. The sequence of an
# identity column follows its table.
_HAND_OVER: Final = f"""
DO $$
DECLARE
  command text;
BEGIN
  FOR command IN
    SELECT format('ALTER SCHEMA %I OWNER TO {USER}', nspname) FROM pg_namespace
      WHERE nspowner = to_regrole('{SUPERUSER}') AND nspname !~ '^(pg_|information_schema$)'
    UNION ALL
    SELECT format('ALTER %s %s OWNER TO {USER}', CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm'
        THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE' WHEN 'f' THEN 'FOREIGN TABLE' WHEN 'c' THEN 'TYPE'
        ELSE 'TABLE' END, CASE relkind WHEN 'c' THEN reltype::regtype::text ELSE oid::regclass::text END)
      FROM pg_class c WHERE relowner = to_regrole('{SUPERUSER}') AND relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c')
      AND relnamespace::regnamespace::text !~ '^(pg_|information_schema$)'
      AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid
        AND (deptype = 'e' OR (relkind = 'S' AND deptype IN ('a', 'i'))))
    UNION ALL
    SELECT format('ALTER ROUTINE %s OWNER TO {USER}', oid::regprocedure)
      FROM pg_proc p WHERE proowner = to_regrole('{SUPERUSER}')
      AND pronamespace::regnamespace::text !~ '^(pg_|information_schema$)'
      AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = p.oid AND deptype = 'e')
    UNION ALL
    SELECT format('ALTER TYPE %s OWNER TO {USER}', oid::regtype)
      FROM pg_type t WHERE typowner = to_regrole('{SUPERUSER}') AND typtype IN ('e', 'd', 'r')
      AND typnamespace::regnamespace::text !~ '^(pg_|information_schema$)'
      AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_type'::regclass AND objid = t.oid AND deptype = 'e')
  LOOP
    EXECUTE command;
  END LOOP;
  EXECUTE format('ALTER ROLE {SUPERUSER} IN DATABASE %I RESET ALL', current_database());
  EXECUTE format('ALTER DATABASE %I OWNER TO {USER}', current_database());
END
$$;
"""


def write_rules(folder: Folder) -> None:
    """Writes pg_hba.conf to the data directory if it has changed; the server reads it when it starts."""
    if folder.read(HBA_FILE) != _HBA:
        folder.write(HBA_FILE, _HBA)


def password(data_dir: Path) -> str:
    """The password of the TCP port; empty if none exists yet."""
    with opened(data_dir) as folder:
        first, _, _ = folder.read(PASSWORD_FILE).partition("\n")
    return first.rpartition(":")[2]


class Provision:
    """Creates the role and the database of a server that has just started."""

    def __init__(self, binaries: Path, socket_dir: Path, port: int) -> None:
        self._psql = [str(binaries / "psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", str(socket_dir), "-p", str(port)]

    def run(self) -> None:
        """Creates what is missing; converts, once, a data directory in which the service was the superuser."""
        done = self._asked(SUPERUSER, "postgres", _ROLE_AND_DATABASE)
        if f'role "{SUPERUSER}" does not exist' in done.stderr:
            self._told(USER, "postgres", CONVERTER)
            self._told(_CONVERSION, "postgres", RENAMED)
            done = self._asked(SUPERUSER, "postgres", _ROLE_AND_DATABASE)
        if done.returncode != 0:
            raise _refused(done)
        if "converting" in done.stdout:
            for database in self._told(SUPERUSER, "postgres", _FORMERLY_OWNED).splitlines():
                self._told(SUPERUSER, database, _HAND_OVER)
            self._told(SUPERUSER, "postgres", f"DROP ROLE {_CONVERSION}")

    def set_password(self, data_dir: Path) -> None:
        """Sets the TCP port's password: created the first time, and kept in a file that only the owner can read."""
        kept = password(data_dir)
        if not kept:
            kept = secrets.token_urlsafe(24)
            lines = [f"{host}:*:*:{USER}:{kept}\n" for host in ("localhost", "127.0.0.1")]
            with opened(data_dir) as folder:
                folder.write(PASSWORD_FILE, "".join(lines))
        # On standard input, because every account can read a command line.
        self._told(SUPERUSER, "postgres", f"ALTER ROLE {USER} PASSWORD '{kept}'")

    def _told(self, role: str, database: str, script: str) -> str:
        done = self._asked(role, database, script)
        if done.returncode != 0:
            raise _refused(done)
        return done.stdout

    def _asked(self, role: str, database: str, script: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._psql, "-U", role, "-d", database],
            input=script,
            env=programs.ENVIRONMENT,
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )


def _refused(done: subprocess.CompletedProcess[str]) -> Unavailable:
    return Unavailable(f"The embedded PostgreSQL refused its set-up: {' '.join(done.stderr.split())}")
