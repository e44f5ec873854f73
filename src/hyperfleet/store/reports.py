"""Adapters' reports: read with their resource, written with what they make of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from hyperfleet.model import rendering
from hyperfleet.model.resource import Scope
from hyperfleet.model.status.condition import Status
from hyperfleet.model.status.report import Report, Summary
from hyperfleet.store.clauses.projections import HAS_CHILDREN, REPORTS, SUMMARY_LIST
from hyperfleet.store.database import Connection, Database, Statement
from hyperfleet.store.resources import ONE, not_found, one, status_values

RESOURCE_WITH_REPORTS: Final = Statement(
    "RESOURCE_WITH_REPORTS",
    f"""
    SELECT kind, name, owner_kind, owner_id, resource_version, generation, updated_time,
           deleted_time IS NOT NULL AS is_deleting, status,
           {SUMMARY_LIST} AS summaries,
           (SELECT rendered FROM adapter_statuses WHERE resource_id = resources.id AND adapter = $5) AS rendered,
           deleted_time IS NOT NULL AND {HAS_CHILDREN} AS has_children,
           deleted_time IS NOT NULL
               AND EXISTS (SELECT FROM resource_references WHERE target_id = resources.id AND source_id <> resources.id)
               AS is_referenced,
           CASE WHEN kind = ANY ($6::text[]) THEN envelope END AS envelope,
           CASE WHEN kind = ANY ($6::text[]) THEN {REPORTS} END AS reports
    FROM resources WHERE {ONE}
    """,
    is_read=True,
)

# An equal condition_status is kept as it is stored: a new value costs an index entry, even when it is the same.
WRITTEN_REPORT: Final = Statement(
    "WRITTEN_REPORT",
    """
    WITH resource AS (
        UPDATE resources
        SET resource_version = nextval('resource_versions'), status = $3, phase = $4,
            condition_status = CASE WHEN condition_status = $5 THEN condition_status ELSE $5 END,
            conditions = $6, observed_generation = $7, last_updated_time = $8, last_transition_time = $9, rules = $10
        WHERE id = $1 AND resource_version = $2
        RETURNING id, resource_version
    )
    INSERT INTO adapter_statuses
        (resource_id, adapter, observed_generation, last_report_time, created_time, summary, rendered)
    SELECT resource.id, $11, $12, $13, $14, $15, $16 FROM resource
    ON CONFLICT (resource_id, adapter) DO UPDATE
    SET observed_generation = excluded.observed_generation, last_report_time = excluded.last_report_time,
        summary = excluded.summary, rendered = excluded.rendered
    RETURNING (SELECT resource_version FROM resource)
    """,
)

REPORT_PAGE: Final = Statement(
    "REPORT_PAGE",
    f"""
    SELECT (SELECT count(*) FROM adapter_statuses WHERE resource_id = resources.id) AS total, page.rendered
    FROM resources
    LEFT JOIN LATERAL (
        SELECT rendered FROM adapter_statuses WHERE resource_id = resources.id
        ORDER BY adapter LIMIT $5 OFFSET $6
    ) AS page ON true
    WHERE {ONE}
    """,
    is_read=True,
)


@dataclass(frozen=True, slots=True)
class Reported:
    """A resource as the next report finds it: `status` and `summaries` are JSON text, as stored, not yet decoded.

    `rendered` is the stored report of the adapter in question, None when it has none. Children and references to it are
    looked for only while the resource is being deleted, because only then do they count. `envelope`, and `reports`, an
    array as served, are there for kinds with rules of their own.
    """

    kind: str
    name: str
    owner_kind: str | None
    owner_id: UUID | None
    resource_version: int
    generation: int
    updated_time: datetime
    is_deleting: bool
    status: bytes
    summaries: bytes
    rendered: bytes | None
    has_children: bool
    is_referenced: bool
    envelope: bytes | None
    reports: bytes | None


@dataclass(frozen=True, slots=True)
class Change:
    """What a report changes: its own row, and its resource's status."""

    report: Report
    created_time: datetime
    rendered: bytes
    summary: Summary
    status: Status
    rules: str


async def get_resource(connection: Connection, scope: Scope, id: UUID, *, adapter: str) -> Reported:
    """The resource with every adapter's summary and `adapter`'s stored report; raises NotFound."""
    row = await connection.fetch_row(RESOURCE_WITH_REPORTS, *one(scope, id), adapter, scope.names_with_rules)
    if row is None:
        raise not_found(scope.kind, id)
    return Reported(*row)


async def write(connection: Connection, id: UUID, change: Change, *, resource_version: int) -> int | None:
    """Stores the change when the resource still has `resource_version`, and gives the new one; None when it has not."""
    row = await connection.fetch_row(
        WRITTEN_REPORT,
        id,
        resource_version,
        *status_values(change.status, change.rules),
        change.report.adapter,
        change.report.observed_generation,
        change.report.observed_time,
        change.created_time,
        rendering.summary(change.summary),
        change.rendered,
    )
    return None if row is None else row[0]


async def page(db: Database, scope: Scope, id: UUID, *, page: int, size: int) -> tuple[int, list[bytes]]:
    """How many reports the resource has, and those of the page, by adapter; raises NotFound."""
    rows = await db.fetch(REPORT_PAGE, *one(scope, id), size, (page - 1) * size)
    if not rows:
        raise not_found(scope.kind, id)
    return rows[0][0], [row[1] for row in rows if row[1] is not None]
