"""Lists: one statement reads a page, the total, and whether the owner exists.

The total of an unfiltered list comes from counters that triggers keep, because counting costs 250 times the page. The
cost of a numbered page grows with its offset, so ids are chosen first, from the index alone; a page by token costs the
same anywhere. Large columns are read last, only for the rows of the page and within its limit of bytes
(store/lists/sizes.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import msgspec

from hyperfleet.model import rendering
from hyperfleet.model.resource import Scope
from hyperfleet.model.search.fields import FIELDS
from hyperfleet.model.search.order import OrderKey
from hyperfleet.model.search.parser import Comparison, Expression, FieldRef, Membership
from hyperfleet.model.search.selection import Selection
from hyperfleet.store.clauses.filters import Filter, Parameters, RefersTo, Word, condition
from hyperfleet.store.clauses.projections import Projection, projection
from hyperfleet.store.database import Database, Statement
from hyperfleet.store.lists import page_tokens, sizes
from hyperfleet.store.lists.orders import NEWEST_FIRST, after, completed, direction, order_by
from hyperfleet.store.lists.sizes import Limit
from hyperfleet.store.standings import not_found

MOST_BYTES: Final = 16 << 20
"""The default limit of a page, in bytes."""

_LONGEST_KEPT: Final = 512
_MOST_REMEMBERED: Final = 10_000


class Listing(msgspec.Struct, frozen=True):
    """A request for a list, checked at the edge (contract: List).

    `page` is None with a page token. `ends_early`: a page that would be too large ends before its size; otherwise it is
    refused, unless few resources are requested. An empty `order` means newest first. With `count` None, numbered pages
    have an exact total and pages by token have none. `kind` is one of the scope's kinds, None for all of them.
    """

    size: int = 100
    page: int | None = 1
    ends_early: bool = True
    page_token: str | None = None
    filters: tuple[Filter, ...] = ()
    order: tuple[OrderKey, ...] = ()
    selection: Selection | None = None
    count: bool | None = None
    kind: str | None = None

    @property
    def is_search(self) -> bool:
        """Whether it may read every row of its scope: because of a filter, or of an order that no index has."""
        return bool(self.searches or (self.order and not self.order[0].field.is_indexed))

    @property
    def searches(self) -> tuple[Filter, ...]:
        """The filters that are not selective: no index finds their rows."""
        return tuple(each for each in self.filters if not each.is_selective)


async def page(db: Database, scope: Scope, listing: Listing, *, most: int = MOST_BYTES) -> bytes:
    """The list as served, with at most `most` bytes of resources, or a single larger resource.

    Raises NotFound for a missing owner, InvalidInput for a token of another list or for a page that is too large and
    may not end early.
    """
    # Pollers repeat the same lists. A page token is used once, and long filters would take too much memory.
    is_kept = listing.page_token is None and sum(len(each.text) for each in listing.filters) <= _LONGEST_KEPT
    query_for = _kept_query if is_kept else _query
    sees = (scope.tenancy, *_kinds(scope, listing))
    uneven = hash((sees, scope.owner, listing.size, listing.selection))
    while True:
        exactly = _is_by_tenancy(scope, listing) and sees not in _see_more
        query = query_for(scope, listing, exactly=exactly, most=most, is_summed=uneven in _uneven)
        rows = await db.fetch(query.statement, *query.values)
        if exactly and rows[0]["sees_more"]:
            _remember(_see_more, sees)
            continue
        found = [] if rows[-1][f"k{query.keys - 1}"] is None else rows
        if not sizes.exceed(query.projected, query.limit, found):
            break
        _remember(_uneven, uneven)
    if not rows[0]["has_owner"]:
        assert scope.owner is not None
        raise not_found(scope.owner.kind, scope.owner.id)
    shown = found[: listing.size]
    items = sizes.served(query.projected, query.limit, shown)
    if len(items) < len(shown):
        _remember(_uneven, uneven)
        if not listing.ends_early:
            raise sizes.too_large(listing.size, len(items), most)
    elif query.limit is not None and query.limit.is_summed and sizes.are_even(query.limit, found):
        _uneven.discard(uneven)
    token = None
    if len(found) > len(items):
        last = found[len(items) - 1]
        token = page_tokens.token(query.bound, [last[f"k{position}"] for position in range(query.keys)])
    return rendering.page(scope.kind.name, items, page=listing.page, total=rows[0]["total"], token=token)


_see_more: set[object] = set()
"""Tenancies, with kinds, that contain others: a caller with fewer dimensions than the resources have sees them all.

Nearly every caller sees only its own tenancy, and such a list costs no more than one without tenants. Its statement
reports whether there are other tenancies. If there are, the statement for several is sent, and from then on sent first.
"""

_uneven: set[object] = set()
"""Lists in which a resource exceeded its share of a page, as hashes; their statements add up sizes."""


def _remember(known: set[object], key: object) -> None:
    if len(known) >= _MOST_REMEMBERED:
        known.clear()
    known.add(key)


@dataclass(frozen=True, slots=True)
class _Query:
    """The statement of a list with its values. `keys` is the number of sort keys; page tokens are bound to `bound`."""

    statement: Statement
    values: tuple[object, ...]
    projected: Projection
    limit: Limit | None
    keys: int
    bound: str


def _query(scope: Scope, listing: Listing, *, exactly: bool, most: int, is_summed: bool) -> _Query:
    order = completed(listing.order or NEWEST_FIRST)
    bound = _binding(scope, listing, order)
    parameters = Parameters()
    projected = projection(listing.selection, parameters, shows_tenancy=scope.shows_tenancy)
    limit = None
    if listing.ends_early or listing.size > sizes.ALWAYS_SERVED:
        limit = Limit(most, listing.size, is_summed)
        if sizes.share_of(projected, limit) <= 0:
            limit = limit._replace(is_summed=True)
    text = statement(scope, listing, order, parameters, projected=projected, limit=limit, bound=bound, exactly=exactly)
    return _Query(text, tuple(parameters.values), projected, limit, len(order), bound)


_kept_query = lru_cache(maxsize=1024)(_query)


def _binding(scope: Scope, listing: Listing, order: tuple[OrderKey, ...]) -> str:
    filters = {each.parameter: each.text for each in listing.filters}
    # These parts come first and in this order, so that tokens from before there were other filters remain valid.
    search, ids, reference = (filters.pop(name, "") for name in ("search", "id", "ref_type"))
    return page_tokens.binding(
        scope.kind.name,
        str(scope.owner.id) if scope.owner else "",
        search,
        ",".join(f"{key.field.name} {key.descending}" for key in order),
        ids,
        reference,
        ",".join(_kinds(scope, listing)),
        rendering.tenancy(scope.tenancy).decode(),
        *(f"{name}={text}" for name, text in filters.items()),
    )


def statement(
    scope: Scope,
    listing: Listing,
    order: tuple[OrderKey, ...],
    parameters: Parameters,
    *,
    projected: Projection,
    bound: str,
    limit: Limit | None = None,
    exactly: bool = False,
) -> Statement:
    """The statement of a list. Its first columns are `projected`, then the sort keys k0, k1 …, `total`, `has_owner`.

    `limit` bounds the bytes of the page, unless it is None. `exactly`: it lists the scope's own tenancy alone, and its
    column `sees_more` is true when the caller sees others.

    The outer query has one row, to which the page is joined, so that an empty page still has a total and an owner. With
    a single outer row, the join keeps the page's order.
    """
    wanted = _where(scope, listing, parameters)
    counted = listing.count if listing.count is not None else listing.page_token is None
    keys = ", ".join(f"{key.field.column} AS k{position}" for position, key in enumerate(order))
    matches = ""
    if counted and listing.page_token is None and listing.searches and not _is_in_order(listing.searches):
        # The count and the page share one scan of the matches; a page alone would stop at its end.
        within = _within(scope, listing, parameters, exactly=exactly)
        matches = f"WITH found AS MATERIALIZED (SELECT id AS chosen_id, {keys} FROM resources WHERE {wanted}{within}) "
    total = "(SELECT count(*) FROM found)" if matches else "NULL::bigint"
    if counted and not matches:
        total = _total(scope, listing, wanted, parameters, exactly=exactly)
    has_owner = _has_owner(scope, parameters)
    if listing.page_token is not None:
        last = page_tokens.keys(listing.page_token, bound, [key.field for key in order])
        wanted = f"{wanted} AND {after(order, last, parameters)}"
    sees_more = f", {_sees_more(scope, listing, parameters)} AS sees_more" if exactly else ""
    skipped = (listing.page - 1) * listing.size if listing.page is not None else 0
    paged = _limit(listing.size + 1, skipped, parameters)
    names = ", ".join(f"k{position}" for position in range(len(order)))
    by_names = ", ".join(direction(f"k{position}", key) for position, key in enumerate(order))
    if matches:
        source, chosen = "", f"SELECT * FROM found ORDER BY {by_names} {paged}"
    else:
        most = skipped + listing.size + 1
        source = _source(scope, listing, wanted, order, parameters, most=most, exactly=exactly)
        chosen = f"SELECT id AS chosen_id, {keys} FROM {source} {paged}"
    if matches or skipped:
        body = (
            f"SELECT {projected.reads}, {names} FROM ({chosen}) AS chosen"
            f" JOIN resources ON resources.id = chosen.chosen_id ORDER BY {by_names}"
        )
    else:
        body = f"SELECT {projected.reads}, {keys} FROM {source} {paged}"
    read = sizes.measured(projected, limit, body, by_names)
    return Statement(
        "RESOURCE_SEARCH" if listing.searches else "RESOURCE_PAGE",
        f"{matches}SELECT {read.columns}, {names}, list.*{read.flags}"
        f" FROM (SELECT {total} AS total, {has_owner} AS has_owner{sees_more}) AS list LEFT JOIN {read.source}",
        is_read=True,
        is_numbered=True,
    )


def _limit(most: int, skipped: int, parameters: Parameters) -> str:
    """LIMIT and OFFSET; one more row than requested shows whether more follow.

    The limit is a literal: without it, the planner plans for a tenth of the table. The offset is in a sub-select, which
    hides it from the planner: the planner would otherwise plan every page number separately.
    """
    return f"LIMIT {most}" + (f" OFFSET (SELECT {parameters.add(skipped, 'bigint')})" if skipped else "")


def _has_owner(scope: Scope, parameters: Parameters) -> str:
    """Whether the owner of the listed resources exists and is visible to the caller; true without an owner."""
    if scope.owner is None:
        return "true"
    id, kind = parameters.add(scope.owner.id, "uuid"), parameters.add(scope.owner.kind.name, "text")
    tenancy = parameters.add(rendering.tenancy(scope.tenancy), "jsonb")
    return (
        "EXISTS (SELECT FROM resources AS owner"
        f" WHERE owner.id = {id} AND owner.kind = {kind} AND owner.tenancy @> {tenancy})"
    )


def _source(
    scope: Scope,
    listing: Listing,
    where: str,
    order: Sequence[OrderKey],
    parameters: Parameters,
    *,
    most: int,
    exactly: bool,
) -> str:
    """The source of a page's rows, in order; `most` rows are enough.

    The indexes have the rows of one kind in order, and those of one tenancy within a kind, but not those of several. So
    the first rows of each are merged.
    """
    kinds = _kinds(scope, listing)
    if _is_by_tenancy(scope, listing) and not exactly:
        visible = _visible(scope, listing, parameters)
        of = f"(SELECT kind AS of_kind, {_VISIBLE} AS of_tenancy {visible}) AS each"
        own = "kind = of_kind AND tenancy = of_tenancy AND tenancy <> '{}'"
    else:
        where += _within(scope, listing, parameters, exactly=exactly)
        if len(kinds) == 1:
            return f"resources WHERE {where} ORDER BY {order_by(order)}"
        of, own = f"unnest({parameters.add(kinds, 'text[]')}) AS each (of_kind)", "kind = of_kind"
    return (
        f"{of} CROSS JOIN LATERAL (SELECT * FROM resources WHERE {own} AND {where} ORDER BY {order_by(order)}"
        f" LIMIT {most}) AS resources ORDER BY {order_by(order)}"
    )


_VISIBLE: Final = "CASE WHEN slot = -1 THEN tenancy::jsonb END"
"""The tenancy of a row of `resource_counts`, as the expression that its index has."""


def _is_by_tenancy(scope: Scope, listing: Listing) -> bool:
    """Whether rows are found by tenancy, rather than by their owner or by a selective filter."""
    return bool(scope.tenancy) and scope.owner is None and listing.searches == listing.filters


def _visible(scope: Scope, listing: Listing, parameters: Parameters) -> str:
    """The FROM clause of the counters that a caller sees; every tenancy has counters."""
    kinds = parameters.add(_kinds(scope, listing), "text[]")
    tenancy = parameters.add(rendering.tenancy(scope.tenancy), "jsonb")
    return f"FROM resource_counts WHERE slot = -1 AND kind = ANY ({kinds}) AND ({_VISIBLE}) @> {tenancy}"


def _sees_more(scope: Scope, listing: Listing, parameters: Parameters) -> str:
    """Whether a caller sees tenancies besides its own. The cheap comparison comes first."""
    kinds = parameters.add(_kinds(scope, listing), "text[]")
    tenancy = parameters.add(rendering.tenancy(scope.tenancy), "jsonb")
    return (
        f"EXISTS (SELECT FROM resource_counts WHERE slot = -1 AND kind = ANY ({kinds}) AND tenancy <> {tenancy}::text"
        f" AND ({_VISIBLE}) @> {tenancy})"
    )


def _within(scope: Scope, listing: Listing, parameters: Parameters, *, exactly: bool) -> str:
    """The term that restricts rows to the scope's tenancy; empty for callers that see every tenant."""
    if not scope.tenancy:
        return ""
    if not _is_by_tenancy(scope, listing):
        return f" AND tenancy @> {parameters.add(rendering.tenancy(scope.tenancy), 'jsonb')}"
    if exactly:
        # The SELECT hides the tenancy from the planner, which then keeps one plan for all. Otherwise the plan would
        # depend on the tenancy's size and be made anew for each request.
        own = parameters.add(rendering.tenancy(scope.tenancy), "jsonb")
        return f" AND tenancy <> '{{}}' AND tenancy = (SELECT {own})"
    visible = _visible(scope, listing, parameters)
    return f" AND tenancy <> '{{}}' AND tenancy = ANY (ARRAY(SELECT DISTINCT {_VISIBLE} {visible}))"


def _is_in_order(searches: tuple[Filter, ...]) -> bool:
    """Whether an index has the matches newest first, so that a page ends early; one condition has such an index."""
    term = searches[0].term
    if len(searches) > 1 or not isinstance(term, Comparison) or term.operator != "=":
        return False
    return term.field.field.place == "condition" and term.field.path == ("Reconciled",)


def _kinds(scope: Scope, listing: Listing) -> list[str]:
    return [listing.kind] if listing.kind is not None else scope.kind_names


def _where(scope: Scope, listing: Listing, parameters: Parameters) -> str:
    """The condition for the listed rows: terms joined with AND, so that no filter reaches beyond the scope."""
    kind, kinds = FieldRef(FIELDS.by_name["kind"]), _kinds(scope, listing)
    terms: list[Expression | RefersTo] = [
        Comparison(kind, "=", Word(kinds[0])) if len(kinds) == 1 else Membership(kind, tuple(kinds))
    ]
    if scope.owner is not None:
        terms.append(Comparison(FieldRef(FIELDS.by_name["owner_id"]), "=", str(scope.owner.id)))
    terms += (each.term for each in listing.filters)
    return " AND ".join(condition(term, parameters) for term in terms)


def _total(scope: Scope, listing: Listing, where: str, parameters: Parameters, *, exactly: bool) -> str:
    if scope.owner is None and not listing.filters:
        if exactly:
            tenancy = parameters.add(rendering.tenancy(scope.tenancy), "jsonb") + "::text"
            return _counted(scope, listing, parameters, tenancy)
        if scope.tenancy:
            kinds = parameters.add(_kinds(scope, listing), "text[]")
            return (
                "(SELECT coalesce(sum(resources), 0)::bigint FROM resource_counts"
                f" WHERE kind = ANY ({kinds}) AND tenancy IN (SELECT tenancy {_visible(scope, listing, parameters)}))"
            )
        return _counted(scope, listing, parameters, "'*'")
    return f"(SELECT count(*) FROM resources WHERE {where}{_within(scope, listing, parameters, exactly=exactly)})"


def _counted(scope: Scope, listing: Listing, parameters: Parameters, tenancy: str) -> str:
    """The number of resources in the counters of one tenancy."""
    kinds = parameters.add(_kinds(scope, listing), "text[]")
    return (
        "(SELECT coalesce(sum(resources), 0)::bigint FROM resource_counts"
        f" WHERE resource_counts.kind = ANY ({kinds}) AND resource_counts.tenancy = {tenancy})"
    )
