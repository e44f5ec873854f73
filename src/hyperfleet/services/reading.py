"""Reads: one resource, a list, the reports on a resource. Whole resources are joined from stored texts, never parsed.

Each read is one statement; only the first list of a caller that sees several tenancies takes two.
"""

from uuid import UUID

from hyperfleet.model.kind import Kind
from hyperfleet.model.resource import Scope
from hyperfleet.model.search.selection import Selection
from hyperfleet.store import reports
from hyperfleet.store import resources as rows
from hyperfleet.store.database import Database
from hyperfleet.store.lists import pages
from hyperfleet.store.lists.pages import Listing
from hyperfleet.store.standings import Rendered


async def resource(db: Database, scope: Scope, id: UUID, selection: Selection | None) -> Rendered:
    """The resource as served, with its adapters unless a selection leaves them out; raises NotFound."""
    return await rows.get_rendered(db, scope, id, selection)


async def kind(db: Database, scope: Scope, id: UUID) -> Kind:
    """The kind of a resource, which is one of the scope's kinds; raises NotFound."""
    return await rows.get_kind(db, scope, id)


async def resources(db: Database, scope: Scope, listing: Listing, *, most: int = pages.MOST_BYTES) -> bytes:
    """A list as served, with at most `most` bytes of resources.

    Raises NotFound for a missing owner, InvalidInput for a page token of another list or a page that is too large.

    A list that may read every row is a search: it has a share of the connections, and a deadline of its own.
    """
    if not listing.is_search:
        return await pages.page(db, scope, listing, most=most)
    kinds = listing.kind or scope.kind.name
    texts = tuple(each.text for each in listing.searches)
    name = hash((kinds, scope.owner, scope.tenancy, texts, listing.order))
    return await db.searches.run(name, lambda: pages.page(db, scope, listing, most=most))


async def reports_on(db: Database, scope: Scope, id: UUID, *, page: int, size: int) -> bytes:
    """A page of the adapters' reports on a resource, sorted by adapter; raises NotFound."""
    return await reports.page(db, scope, id, page=page, size=size)
