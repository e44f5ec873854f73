"""How a list stays within its limit of bytes: the database compares sizes before it sends the values.

Nearly every page is of small resources, and then nothing may be paid for it. So each row has its share of the page: as
long as none exceeds it the page is within its bytes, and nothing was added up. A row that exceeds it comes without its
large columns, and the list is asked again with a running sum, from then on at once (ADR 0016).
"""

from collections.abc import Iterable, Sequence
from itertools import accumulate
from operator import itemgetter
from typing import Final, NamedTuple

from hyperfleet.errors import FieldError, InvalidInput
from hyperfleet.store.clauses.projections import Column, Projection
from hyperfleet.store.database import Row

ALWAYS_SERVED: Final = 20
"""Resources in a page by number that are served however large they are, so that a caller can always go on."""

# How many bytes one compressed byte expands to at most: of PostgreSQL's own method, and of any.
_PGLZ: Final = 88
_ANY: Final = 256

_SLACK: Final = 8
"""How many times its share a compressed text may have without being unpacked to be measured, which costs a fifth of a
page of a thousand. What such pages have too much is cut off when it has arrived."""


class Limit(NamedTuple):
    """A page's bytes, for as many rows as asked for; `is_summed`: they are added up, else each row has its share."""

    most: int
    rows: int
    is_summed: bool = False


class Measured(NamedTuple):
    """A projection within a limit: its SELECT list, and a source of the rows named `resources`.

    `flags` are further columns, which `fitting` reads.
    """

    columns: str
    flags: str
    source: str


def measured(projected: Projection, limit: Limit | None, body: str, order: str) -> Measured:
    """How to read `projected` of the rows that `body` selects, within a limit if there is one; `order` is its order."""
    rows = f"LATERAL ({body}) AS resources ON true"
    if limit is None:
        return Measured(projected.columns, "", rows)
    if limit.is_summed:
        sizes = " + ".join([f"{projected.most}::bigint", *(_size(part) for part in projected.parts if part.is_large)])
        summed = (
            f"SELECT resources.*, sum({sizes}) OVER page AS upto, row_number() OVER page AS place"
            f" FROM ({body}) AS resources WINDOW page AS (ORDER BY {order} ROWS UNBOUNDED PRECEDING)"
        )
        fits = f"upto <= {limit.most} OR place = 1"
        columns = ", ".join(_if(fits, part.text) if part.is_large else part.text for part in projected.parts)
        return Measured(columns, ", upto::bigint AS upto", f"LATERAL ({summed}) AS resources ON true")
    share = share_of(projected, limit)
    made = {part.text: f"c{number}" for number, part in enumerate(projected.parts) if _is_made(part)}
    columns = ", ".join(
        _if(f"pg_column_size({made[part.text]}) <= {share}", made[part.text])
        if part.text in made
        else _if(_is_within(part.text, share), part.text)
        if part.is_large
        else part.text
        for part in projected.parts
    )
    if not made:
        return Measured(columns, "", rows)
    # Behind OFFSET it is made once, whoever looks at it.
    list_of_made = ", ".join(f"{text} AS {name}" for text, name in made.items())
    too_large = " OR ".join(f"pg_column_size({name}) > {share}" for name in made.values())
    return Measured(
        columns,
        f", {too_large} AS is_too_large",
        f"{rows} LEFT JOIN LATERAL (SELECT {list_of_made} OFFSET 0) AS made ON true",
    )


def share_of(projected: Projection, limit: Limit) -> int:
    """How many bytes each large column of a row may have; none when that is not positive."""
    large = sum(part.is_large for part in projected.parts)
    return (limit.most // limit.rows - projected.most) // max(large, 1)


def exceed(projected: Projection, limit: Limit | None, rows: Sequence[Row]) -> bool:
    """Whether a row exceeds its share, and so lacks what it should have: then the list is asked for with a sum."""
    if limit is None or limit.is_summed:
        return False
    for number, part in enumerate(projected.parts):
        if part.is_stored and None in map(itemgetter(number), rows):
            return True
    return any(_is_made(part) for part in projected.parts) and any(row["is_too_large"] for row in rows)


def served(projected: Projection, limit: Limit | None, rows: Sequence[Row]) -> list[bytes]:
    """The resources of a page: as many of the rows as its bytes allow, one at least."""
    if limit is not None and limit.is_summed:
        return [projected.render(row) for row in rows[: _fitting(limit, [row["upto"] for row in rows])]]
    items = [projected.render(row) for row in rows]
    return items if limit is None else items[: _fitting(limit, accumulate(map(len, items)))]


def _fitting(limit: Limit, ends: Iterable[int]) -> int:
    return max(sum(end <= limit.most for end in ends), 1)


def are_even(limit: Limit, rows: Sequence[Row]) -> bool:
    """Whether each of the rows keeps to its share, so that sizes need not be added up the next time."""
    ends = [row["upto"] for row in rows]
    return all(end - begin <= limit.most // limit.rows for begin, end in zip([0, *ends], ends, strict=False))


def too_large(size: int, fitting: int, most: int) -> InvalidInput:
    """The refusal of a page by number of `size` resources, of which so many fit."""
    largest = max(fitting, ALWAYS_SERVED)
    return InvalidInput(
        FieldError(
            "VAL-004",
            "pageSize",
            f"`pageSize` must be at most {largest} for this page: its resources are large, and a page is "
            f"limited to {most} bytes. Alternatively select less with `fields`, or omit `page` and follow "
            "`next_page_token`",
            f"at most {largest}",
            str(size),
        )
    )


def _is_made(part: Column) -> bool:
    return part.is_large and not part.is_stored


def _if(condition: str, text: str) -> str:
    return f"CASE WHEN {condition} THEN {text} END"


def _is_within(column: str, most: int) -> str:
    """Whether a stored text has at most so many bytes, or some more if compressed; unpacked when nothing else tells."""
    size, compression = f"pg_column_size({column})", f"pg_column_compression({column})"
    return (
        f"CASE WHEN {size} <= {most * _SLACK // _ANY} THEN true WHEN {compression} IS NULL THEN {size} <= {most}"
        f" WHEN {compression} = 'pglz' AND {size} <= {most * _SLACK // _PGLZ} THEN true"
        f" ELSE octet_length({column}::text) <= {most} END"
    )


def _size(part: Column) -> str:
    if not part.is_stored:
        return f"coalesce(pg_column_size({part.text}), 0)"
    return (
        f"CASE WHEN pg_column_compression({part.text}) IS NULL THEN pg_column_size({part.text})"
        f" ELSE octet_length({part.text}::text) END"
    )
