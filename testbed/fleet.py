"""Builders for drafts, reports and times, so that a test shows only the values it is about."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hyperfleet.model.caller import SYSTEM
from hyperfleet.model.catalog import Catalog
from hyperfleet.model.kind import BUILT_IN, Kind
from hyperfleet.model.resource import Desired, Draft, Owner, Precondition, Scope
from hyperfleet.model.search.fields import FIELDS
from hyperfleet.model.search.parser import FieldRef, Membership, parse
from hyperfleet.model.status.condition import ConditionStatus, ReportedCondition
from hyperfleet.model.status.report import Report
from hyperfleet.services import deleting, reading, reporting, writing
from hyperfleet.services.reporting import Outcome
from hyperfleet.store.clauses.filters import Filter, RefersTo
from hyperfleet.store.database import Database, Statement
from hyperfleet.store.lists.pages import Listing

CATALOG = Catalog(BUILT_IN)
CLUSTER = CATALOG.by_name["Cluster"]
NODE_POOL = CATALOG.by_name["NodePool"]
CLUSTERS = Scope(CLUSTER)
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def after(seconds: float) -> datetime:
    """The time this many seconds after NOON."""
    return NOON + timedelta(seconds=seconds)


def draft(
    name: str,
    *,
    spec: dict[str, Any] | None = None,
    labels: dict[str, str] | None = None,
    references: dict[str, tuple[UUID, ...]] | None = None,
) -> Draft:
    """A draft of a resource."""
    encoded = json.dumps(spec or {}, separators=(",", ":")).encode()
    return Draft(name, Desired(encoded, labels or {}, references or {}))


def report(
    adapter: str = "dns-adapter",
    *,
    at: float = 0,
    generation: int = 1,
    data: bytes = b"{}",
    reason: str | None = None,
    **conditions: ConditionStatus,
) -> Report:
    """A report with the given conditions, such as `Ready="True"`; by default Available is True."""
    reported = tuple(
        ReportedCondition(type, status, reason) for type, status in (conditions or {"Available": "True"}).items()
    )
    return Report(adapter, generation, after(at), reported, data)


def below(owner: UUID, kind: Kind = NODE_POOL) -> Scope:
    """The scope of a cluster's node pools."""
    return Scope(kind, Owner(CLUSTER, owner))


async def create(db: Database, name: str, scope: Scope = CLUSTERS, *, at: float = 0, **parts: Any) -> dict[str, Any]:
    """Creates a resource, and returns it as served."""
    created = await writing.create(db, scope, draft(name, **parts), caller=SYSTEM, now=after(at))
    return dict(json.loads(created.body))


async def read(db: Database, id: str, scope: Scope = CLUSTERS) -> dict[str, Any]:
    """Reads one resource, as served."""
    return dict(json.loads((await reading.resource(db, scope, UUID(id), None)).body))


async def send(
    db: Database, id: str, received: Report, scope: Scope = CLUSTERS, *, now: float = 0, catalog: Catalog = CATALOG
) -> Outcome:
    """Sends a report, and returns its outcome."""
    return await reporting.report(db, catalog, scope, UUID(id), received, caller=SYSTEM, now=after(now))


async def change(
    db: Database,
    id: str,
    scope: Scope = CLUSTERS,
    *,
    spec: dict[str, Any] | None = None,
    labels: dict[str, str] | None = None,
    references: dict[str, tuple[UUID, ...]] | None = None,
    precondition: Precondition | None = None,
    at: float = 0,
) -> dict[str, Any]:
    """Changes a resource's desired state, and returns the resource as served; omitted parts stay as they are."""

    async def patch(old: Desired) -> Desired:
        return Desired(
            old.spec if spec is None else json.dumps(spec, separators=(",", ":")).encode(),
            old.labels if labels is None else labels,
            old.references if references is None else references,
        )

    changed = await writing.change(db, scope, UUID(id), patch, precondition=precondition, caller=SYSTEM, now=after(at))
    return dict(json.loads(changed.body))


async def delete(
    db: Database,
    id: str,
    scope: Scope = CLUSTERS,
    *,
    precondition: Precondition | None = None,
    at: float = 0,
    catalog: Catalog = CATALOG,
) -> dict[str, Any]:
    """Marks a resource for deletion, and returns the resource as served."""
    deleted = await deleting.request(
        db, catalog, scope, UUID(id), precondition=precondition, caller=SYSTEM, now=after(at)
    )
    return dict(json.loads(deleted.body))


def listing(
    *,
    search: str | None = None,
    ids: tuple[UUID, ...] | None = None,
    reference: tuple[str, UUID] | None = None,
    **parts: Any,
) -> Listing:
    """A listing with filters: the text of a search, ids, a reference type with its target."""
    filters: list[Filter] = []
    if search is not None:
        filters.append(Filter("search", parse(search), search))
    if ids is not None:
        texts = tuple(map(str, ids))
        term = Membership(FieldRef(FIELDS.by_name["id"]), texts)
        filters.append(Filter("id", term, ",".join(texts), is_selective=True))
    if reference is not None:
        filters.append(Filter("ref_type", RefersTo(*reference), " ".join(map(str, reference)), is_selective=True))
    return Listing(filters=tuple(filters), **parts)


async def names(db: Database, search: str, scope: Scope = CLUSTERS) -> list[str]:
    """The names of the resources that a search finds, sorted."""
    page = json.loads(await reading.resources(db, scope, listing(search=search)))
    return sorted(item["name"] for item in page["items"])


async def is_there(db: Database, id: str) -> bool:
    """Whether a resource of any kind has a row with this id."""
    return bool(await db.fetch(Statement("THERE", "SELECT FROM resources WHERE id = $1"), UUID(id)))


async def force_delete(db: Database, id: str, scope: Scope = CLUSTERS, *, catalog: Catalog = CATALOG) -> None:
    """Force-deletes a resource that is being deleted."""
    await deleting.force(db, catalog, scope, UUID(id), reason="stuck", precondition=None, caller=SYSTEM)
