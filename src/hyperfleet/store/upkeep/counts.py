"""How many resources of each kind are stored, including kinds that the service does not serve."""

from typing import Final

from hyperfleet import settings
from hyperfleet.store.connections import connect

_TOTALS: Final = (
    "SELECT kind, sum(resources)::bigint FROM resource_counts WHERE tenancy = '*' GROUP BY kind ORDER BY kind"
)
_APPLICATION_NAME: Final = "hyperfleet-api start"


async def totals(configured: settings.Database) -> dict[str, int]:
    """The number of stored resources by kind, read over a separate connection; raises what the driver raises."""
    connection = await connect(configured, application_name=_APPLICATION_NAME)
    try:
        return {kind: total for kind, total in await connection.fetch(_TOTALS) if total}
    finally:
        await connection.close()
