"""Resources, the reports on them, and their totals.

The row carries the answer: `envelope`, `status`, `rendered` and `summary` are JSON text as it is served; whatever is
searched lies beside it as jsonb or in a column of its own. No index covers a column that every report changes, so that
reports stay HOT updates. What is large and seldom changes is kept out of line and uncompressed (EXTERNAL), so that a
report does not write it again.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_STATEMENTS = (
    "CREATE SEQUENCE resource_versions AS bigint",
    """
    CREATE TABLE resources (
        id uuid PRIMARY KEY,
        owner_id uuid REFERENCES resources (id) ON DELETE RESTRICT,
        resource_version bigint NOT NULL DEFAULT nextval('resource_versions'),
        created_time timestamptz NOT NULL,
        updated_time timestamptz NOT NULL,
        deleted_time timestamptz,
        last_updated_time timestamptz NOT NULL,
        last_transition_time timestamptz NOT NULL,
        generation integer NOT NULL,
        observed_generation integer NOT NULL,
        kind text COLLATE "C" NOT NULL,
        name text COLLATE "C" NOT NULL,
        owner_kind text COLLATE "C",
        href text COLLATE "C" NOT NULL,
        created_by text COLLATE "C" NOT NULL,
        updated_by text COLLATE "C" NOT NULL,
        deleted_by text COLLATE "C",
        phase text COLLATE "C" NOT NULL,
        rules text COLLATE "C" NOT NULL,
        tenancy jsonb NOT NULL DEFAULT '{}',
        labels jsonb NOT NULL,
        condition_status jsonb NOT NULL,
        conditions jsonb NOT NULL,
        status json NOT NULL,
        spec jsonb NOT NULL,
        envelope json NOT NULL,
        CHECK ((owner_kind IS NULL) = (owner_id IS NULL))
    ) WITH (fillfactor = 85)
    """,
    "ALTER TABLE resources ALTER COLUMN envelope SET STORAGE EXTERNAL",
    "ALTER TABLE resources ALTER COLUMN spec SET STORAGE EXTERNAL",
    "ALTER TABLE resources ALTER COLUMN status SET STORAGE MAIN",
    "CREATE UNIQUE INDEX resources_live_name ON resources (kind, tenancy, name)"
    " WHERE deleted_time IS NULL AND owner_id IS NULL",
    "CREATE UNIQUE INDEX resources_live_child_name ON resources (owner_id, kind, name)"
    " WHERE deleted_time IS NULL AND owner_id IS NOT NULL",
    "CREATE INDEX resources_newest ON resources (kind, created_time DESC, id DESC)",
    "CREATE INDEX resources_newest_of_owner ON resources (owner_id, created_time DESC, id DESC)"
    " WHERE owner_id IS NOT NULL",
    "CREATE INDEX resources_reconciled ON resources"
    " (kind, (condition_status ->> 'Reconciled'), created_time DESC, id DESC)",
    "CREATE INDEX resources_labels ON resources USING gin (labels jsonb_path_ops) WITH (gin_pending_list_limit = 1024)",
    "CREATE INDEX resources_condition_status ON resources USING gin (condition_status jsonb_path_ops)"
    " WITH (gin_pending_list_limit = 1024)",
    """
    CREATE TABLE adapter_statuses (
        resource_id uuid NOT NULL REFERENCES resources (id) ON DELETE CASCADE,
        observed_generation integer NOT NULL,
        last_report_time timestamptz NOT NULL,
        created_time timestamptz NOT NULL,
        adapter text COLLATE "C" NOT NULL,
        summary json NOT NULL,
        rendered json NOT NULL,
        PRIMARY KEY (resource_id, adapter)
    ) WITH (fillfactor = 85)
    """,
    """
    CREATE TABLE resource_counts (
        kind text COLLATE "C" NOT NULL,
        tenancy text COLLATE "C" NOT NULL,
        slot integer NOT NULL,
        resources bigint NOT NULL,
        PRIMARY KEY (kind, tenancy, slot)
    ) WITH (fillfactor = 50)
    """,
    """
    CREATE FUNCTION count_resources() RETURNS trigger LANGUAGE plpgsql AS $$
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
        RETURN NULL;
    END
    $$
    """,
    "CREATE TRIGGER resources_inserted AFTER INSERT ON resources REFERENCING NEW TABLE AS changed"
    " FOR EACH STATEMENT EXECUTE FUNCTION count_resources()",
    "CREATE TRIGGER resources_deleted AFTER DELETE ON resources REFERENCING OLD TABLE AS changed"
    " FOR EACH STATEMENT EXECUTE FUNCTION count_resources()",
    "CREATE VIEW clusters AS SELECT * FROM resources WHERE kind = 'Cluster'",
    "CREATE VIEW node_pools AS SELECT * FROM resources WHERE kind = 'NodePool'",
    """
    CREATE VIEW labels AS
    SELECT kind AS owner_type, resources.id AS owner_id, label.key, label.value
    FROM resources CROSS JOIN LATERAL jsonb_each_text(resources.labels) AS label
    """,
)


def upgrade() -> None:
    """Creates everything."""
    for statement in _STATEMENTS:
        op.execute(statement)
