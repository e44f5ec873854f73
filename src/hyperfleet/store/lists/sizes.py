"""How a list stays within its limit of bytes: the database compares sizes before it sends the values.

Nearly every page has small resources only, which must not pay for the limit. So each row has a share of the page. While
no row exceeds its share, the page is within its limit without adding anything up. A row that exceeds its share comes
without its large columns. Then the list is repeated with a running sum, and from then on begins with it (ADR 0016).
"""

from collections.abc import Iterable, Sequence
from itertools import accumulate
from operator import itemgetter
from typing import Final, NamedTuple

from hyperfleet.errors import FieldError, InvalidInput
from hyperfleet.store.clauses.projections import Column, Projection
from hyperfleet.store.database import Row

ALWAYS_SERVED: Final = 20
"""A numbered page of up to this many resources is served however large they are, so that callers can continue."""

# How many bytes one compressed byte expands to at most: with PostgreSQL's own method, and with any method.
_PGLZ: Final = 88
_ANY: Final = 256

_SLACK: Final = 8
"""A compressed text is decompressed to measure it only if it could exceed its share this many times, because that costs
a fifth of a page of a thousand. The service cuts off the excess of such pages when they have arrived."""


class Limit(NamedTuple):
    """The limit of a page: `most` bytes for `rows` requested rows. `is_summed`: their sizes are added up; otherwise
    each row has its share."""

    most: int
    rows: int
    is_summed: bool = False


class Measured(NamedTuple):
    """A projection within a limit: its SELECT list, and the source of its rows, named `resources`.

    `flags` are further columns, which `exceed`, `served` and `are_even` read.
    """

    columns: str
    flags: str
    source: str


def measured(projected: Projection, limit: Limit | None, body: str, order: str) -> Measured:
    """How to read `projected` from the rows of `body`, which has this `order`, within a limit unless it is None."""
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
    # OFFSET makes the database compute each value once, however often it is used.
    list_of_made = ", ".join(f"{text} AS {name}" for text, name in made.items())
    too_large = " OR ".join(f"pg_column_size({name}) > {share}" for name in made.values())
    return Measured(
        columns,
        f", {too_large} AS is_too_large",
        f"{rows} LEFT JOIN LATERAL (SELECT {list_of_made} OFFSET 0) AS made ON true",
    )


def share_of(projected: Projection, limit: Limit) -> int:
    """How many bytes each large column of a row may have; no shares are possible when it is not positive."""
    large = sum(part.is_large for part in projected.parts)
    return (limit.most // limit.rows - projected.most) // max(large, 1)


def exceed(projected: Projection, limit: Limit | None, rows: Sequence[Row]) -> bool:
    """Whether a row exceeds its share, and so lacks large columns: then the list must be repeated with a sum."""
    if limit is None or limit.is_summed:
        return False
    for number, part in enumerate(projected.parts):
        if part.is_stored and None in map(itemgetter(number), rows):
            return True
    return any(_is_made(part) for part in projected.parts) and any(row["is_too_large"] for row in rows)


def served(projected: Projection, limit: Limit | None, rows: Sequence[Row]) -> list[bytes]:
    """The resources of a page: as many of the rows as fit within its limit, at least one."""
    if limit is not None and limit.is_summed:
        return [projected.render(row) for row in rows[: _fitting(limit, [row["upto"] for row in rows])]]
    items = [projected.render(row) for row in rows]
    return items if limit is None else items[: _fitting(limit, accumulate(map(len, items)))]


def _fitting(limit: Limit, ends: Iterable[int]) -> int:
    return max(sum(end <= limit.most for end in ends), 1)


def are_even(limit: Limit, rows: Sequence[Row]) -> bool:
    """Whether each row is within its share, so that sizes need not be added up the next time."""
    ends = [row["upto"] for row in rows]
    return all(end - begin <= limit.most // limit.rows for begin, end in zip([0, *ends], ends, strict=False))


def too_large(size: int, fitting: int, most: int) -> InvalidInput:
    """The error for a numbered page of `size` resources, of which only `fitting` fit."""
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
    """Whether a stored text has at most `most` bytes, or a few more if compressed; decompressed only if necessary."""
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
