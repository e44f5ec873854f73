"""How many connections the database grants: the least of its own limit, the role's and the database's."""

from typing import Final

from hyperfleet import settings
from hyperfleet.store.connections import connect

# A connection limit of -1 means none. Reserved connections are for superusers and members of
# pg_use_reserved_connections; the setting reserved_connections exists since PostgreSQL 16.
_CONNECTIONS: Final = """
    SELECT least(
        current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
            - coalesce(current_setting('reserved_connections', true)::int, 0),
        (SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user),
        (SELECT nullif(datconnlimit, -1) FROM pg_database WHERE datname = current_database())
    )
"""
_APPLICATION_NAME: Final = "hyperfleet-api start"


async def connections(configured: settings.Database) -> int:
    """How many connections the configured role may have at a time; raises what the driver raises."""
    connection = await connect(configured, application_name=_APPLICATION_NAME)
    try:
        return int(await connection.fetchval(_CONNECTIONS))
    finally:
        await connection.close()
