"""Lists within a tenancy: the newest rows of each exact set of dimensions, and which sets there are.

Built without keeping writers out, so that a fleet is served meanwhile; an index that a broken run left half built goes
first. Rows without a tenancy are in neither index, so that a fleet without tenants pays nothing for them.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_INDEXES = {
    "resources_newest_of_tenancy": "resources (kind, tenancy, created_time DESC, id DESC) WHERE tenancy <> '{}'",
    # '*' counts all and is no JSON; a plain cast beside a condition might be evaluated before it.
    "resource_counts_tenancy": "resource_counts USING gin"
    " ((CASE WHEN tenancy <> '*' THEN tenancy::jsonb END) jsonb_path_ops)",
}


def upgrade() -> None:
    """Creates the indexes."""
    with op.get_context().autocommit_block():
        for name, place in _INDEXES.items():
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON {place}")
