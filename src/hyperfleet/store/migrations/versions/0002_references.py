"""References between resources, with keys both ways.

A source's references go with its row. A target cannot go while it is named: checked at the end of the statement, so
that a tree whose resources name each other can be removed in one.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_STATEMENTS = (
    """
    CREATE TABLE resource_references (
        source_id uuid NOT NULL REFERENCES resources (id) ON DELETE CASCADE,
        target_id uuid NOT NULL REFERENCES resources (id) ON DELETE NO ACTION,
        ref_type text COLLATE "C" NOT NULL,
        PRIMARY KEY (source_id, ref_type, target_id)
    )
    """,
    "CREATE UNIQUE INDEX resource_references_of_target ON resource_references (target_id, ref_type, source_id)",
)


def upgrade() -> None:
    """Creates the table and its index."""
    for statement in _STATEMENTS:
        op.execute(statement)
