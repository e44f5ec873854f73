"""Which tenancies there are, told by one row each instead of one for every slot that counts it.

A list within a tenancy asks whether the caller sees others; that must cost as little as asking one index. The row of a
tenancy has the slot -1 and counts nothing, so sums stay what they are, for the version before as well.

Writers wait for a moment: one whose trigger had begun by the old function would leave its tenancy without a row. The
index is built without keeping them out.
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_FUNCTION = """
CREATE OR REPLACE FUNCTION count_resources() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO resource_counts AS kept (kind, tenancy, slot, resources)
    SELECT changed.kind, counted.tenancy, pg_backend_pid() % 32,
           CASE TG_OP WHEN 'INSERT' THEN count(*) ELSE -count(*) END
    FROM changed
    CROSS JOIN LATERAL (
        VALUES ('*', true), (changed.tenancy::text, changed.tenancy <> '{}')
    ) AS counted (tenancy, applies)
    WHERE counted.applies
    GROUP BY changed.kind, counted.tenancy
    ORDER BY changed.kind, counted.tenancy
    ON CONFLICT (kind, tenancy, slot) DO UPDATE SET resources = kept.resources + excluded.resources;
    IF TG_OP = 'INSERT' THEN
        INSERT INTO resource_counts (kind, tenancy, slot, resources)
        SELECT DISTINCT changed.kind, changed.tenancy::text, -1, 0 FROM changed WHERE changed.tenancy <> '{}'
        ORDER BY 1, 2
        ON CONFLICT (kind, tenancy, slot) DO NOTHING;
    END IF;
    RETURN NULL;
END
$$
"""
_KNOWN = """
INSERT INTO resource_counts (kind, tenancy, slot, resources)
SELECT DISTINCT kind, tenancy, -1, 0 FROM resource_counts WHERE tenancy <> '*'
ON CONFLICT (kind, tenancy, slot) DO NOTHING
"""


def upgrade() -> None:
    """Creates rows and index."""
    op.execute("LOCK TABLE resources IN SHARE ROW EXCLUSIVE MODE")
    op.execute(_FUNCTION)
    op.execute(_KNOWN)
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS resource_tenancies")
        op.execute(
            "CREATE INDEX CONCURRENTLY resource_tenancies ON resource_counts"
            " USING gin ((CASE WHEN slot = -1 THEN tenancy::jsonb END) jsonb_path_ops) WHERE slot = -1"
        )
