"""Adapters' reports: read together with their resource, stored together with its new status."""

from typing import Final, NamedTuple
from uuid import UUID

from hyperfleet.model import rendering
from hyperfleet.model.reception import Reception
from hyperfleet.model.resource import Scope
from hyperfleet.model.standing import Change, Standing
from hyperfleet.store.database import Connection, Database, Statement
from hyperfleet.store.standings import ASSESSED, COLUMNS, ONE, Rendered, assignments, not_found, one, values

RESOURCE_WITH_REPORTS: Final = Statement(
    "RESOURCE_WITH_REPORTS",
    f"""
    SELECT {COLUMNS},
           (SELECT rendered FROM adapter_statuses WHERE resource_id = resources.id AND adapter = :adapter) AS last
    FROM resources WHERE {ONE}
    """,
    is_read=True,
)

WRITTEN_REPORT: Final = Statement(
    "WRITTEN_REPORT",
    f"""
    WITH resource AS (
        UPDATE resources SET {assignments(*ASSESSED)} WHERE id = :id AND resource_version = :resource_version
        RETURNING id, resource_version
    )
    INSERT INTO adapter_statuses
        (resource_id, adapter, observed_generation, last_report_time, created_time, summary, rendered)
    SELECT resource.id, :adapter, :reported_generation, :reported_time, :created_time, :summary, :rendered FROM resource
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
        ORDER BY adapter LIMIT :size OFFSET :skipped
    ) AS page ON true
    WHERE {ONE}
    """,
    is_read=True,
)


class Reported(NamedTuple):
    """A resource before an adapter's next report; `last` is the adapter's stored report, None without one."""

    standing: Standing
    last: bytes | None


async def get_resource(connection: Connection, scope: Scope, id: UUID, *, adapter: str) -> Reported:
    """The resource with every adapter's summary and `adapter`'s stored report; raises NotFound."""
    row = await connection.fetch_row(
        RESOURCE_WITH_REPORTS,
        **one(scope, id),
        adapter=adapter,
        with_rules=scope.names_with_rules,
        with_envelope=False,
    )
    if row is None:
        raise not_found(scope.kind, id)
    *standing, last = row
    return Reported(Standing(*standing), last)


async def write(connection: Connection, received: Reception) -> Rendered | None:
    """Stores a report and its resource's new status, and returns the report as served.

    Returns None, with nothing stored, when the resource's version is no longer the one that was read.
    """
    standing, stored, body = received.standing, received.stored, received.body
    assert stored is not None
    assert body is not None
    report = stored.report
    row = await connection.fetch_row(
        WRITTEN_REPORT,
        **values(Change(standing), *ASSESSED),
        id=standing.id,
        resource_version=standing.resource_version,
        adapter=report.adapter,
        reported_generation=report.observed_generation,
        reported_time=report.observed_time,
        created_time=stored.created_time,
        summary=rendering.summary(stored.summary),
        rendered=body,
    )
    return None if row is None else Rendered(body, row[0])


async def page(db: Database, scope: Scope, id: UUID, *, page: int, size: int) -> bytes:
    """A page of the reports on a resource, as served and sorted by adapter; raises NotFound."""
    rows = await db.fetch(REPORT_PAGE, **one(scope, id), size=size, skipped=(page - 1) * size)
    if not rows:
        raise not_found(scope.kind, id)
    items = [row["rendered"] for row in rows if row["rendered"] is not None]
    return rendering.page("AdapterStatus", items, page=page, total=rows[0]["total"], token=None)
