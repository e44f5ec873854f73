"""Rows on which recomputation is under way, or failed: so that no process dies of one that another died of.

Nothing refers to `resources`, so no writer waits; what a resource leaves behind is removed with the next pass. The
index finds rows of other rules without reading the rest, and is built without keeping writers out.
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_TABLE = """
CREATE TABLE IF NOT EXISTS recomputations (
    resource_id uuid PRIMARY KEY,
    rules text COLLATE "C" NOT NULL,
    tries smallint NOT NULL DEFAULT 1,
    since timestamptz NOT NULL DEFAULT now(),
    set_aside boolean NOT NULL DEFAULT false,
    reason text NOT NULL DEFAULT '',
    resource_version bigint NOT NULL DEFAULT 0
)
"""


def upgrade() -> None:
    """Creates table and index."""
    op.execute(_TABLE)
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS resources_rules")
        op.execute("CREATE INDEX CONCURRENTLY resources_rules ON resources (kind, rules)")
