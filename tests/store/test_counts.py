"""Totals by kind, which the start needs before it serves requests."""

from hyperfleet import settings
from hyperfleet.store.database import Database, Statement
from hyperfleet.store.upkeep import counts


async def test_totals_are_sums_over_slots_of_all_tenants_without_removed_resources(
    db: Database, database_settings: settings.Database
) -> None:
    rows = "('Channel', '*', 0, 3), ('Channel', '*', 7, -1), ('Channel', '{\"a\": \"b\"}', 0, 2), ('Gone', '*', 0, 0)"
    await db.fetch(Statement("ROWS", f"INSERT INTO resource_counts VALUES {rows}"))
    assert await counts.totals(database_settings) == {"Channel": 2}
