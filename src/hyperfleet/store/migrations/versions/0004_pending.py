"""What is being deleted, whatever its conditions: for the gauges of what waits to be reconciled.

Built without keeping writers out. Reports do not touch the column, so they stay HOT updates.
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Creates the index."""
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS resources_being_deleted")
        op.execute(
            "CREATE INDEX CONCURRENTLY resources_being_deleted ON resources (kind) WHERE deleted_time IS NOT NULL"
        )
