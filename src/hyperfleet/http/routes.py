"""The route table: one row per path with its methods, expanded for every kind.

A row is complete: it has each endpoint's verb, the media types it returns, and whether it is open. Metrics, logs and
traces show its path. The order of the rows does not matter: a literal segment takes precedence over a variable.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from hyperfleet.http import endpoints
from hyperfleet.http.description import publications
from hyperfleet.http.description.entrance import ADDRESSES
from hyperfleet.http.exchange import Route, Use
from hyperfleet.http.media_types import JSON
from hyperfleet.model.catalog import Catalog
from hyperfleet.model.rendering import API_ROOT
from hyperfleet.model.resource import ANY

_KIND: Final = "{plural}"
_OWNER: Final = "{owner_plural}"
_VARIABLE: Final = re.compile(r"\{[a-z_]+\}")


class Row(NamedTuple):
    """A row of the route table; `{plural}` and `{owner_plural}` are the plurals of each kind and its owner.

    An open row needs no token.
    """

    path: str
    methods: Mapping[str, Use]
    media_types: tuple[str, ...] = (JSON,)
    is_open: bool = False

    @property
    def shape(self) -> tuple[bool, ...]:
        """Whether each segment is a variable; of two rows that match a path, the one with the smaller shape wins."""
        return tuple(segment.startswith("{") for segment in self.path.split("/"))


_LIST: Final = {"GET": Use(endpoints.list_resources, "read"), "POST": Use(endpoints.create, "create")}
_READ: Final = {
    "GET": Use(endpoints.read, "read"),
    "PATCH": Use(endpoints.change, "update"),
    "DELETE": Use(endpoints.delete, "delete"),
}
_FORCE: Final = {"POST": Use(endpoints.force_delete, "force-delete")}
_REPORT: Final = Use(endpoints.report, "report")
_REPORTS: Final = {"GET": Use(endpoints.list_reports, "read"), "POST": _REPORT, "PUT": _REPORT}

_PUBLISHED: Final = {"GET": Use(endpoints.published)}

ROWS: Final = (
    Row(API_ROOT + "/{plural}", _LIST),
    Row(API_ROOT + "/{plural}/{id}", _READ),
    Row(API_ROOT + "/{plural}/{id}/statuses", _REPORTS),
    Row(API_ROOT + "/{plural}/{id}/force-delete", _FORCE),
    Row(API_ROOT + "/{owner_plural}/{owner_id}/{plural}", _LIST),
    Row(API_ROOT + "/{owner_plural}/{owner_id}/{plural}/{id}", _READ),
    Row(API_ROOT + "/{owner_plural}/{owner_id}/{plural}/{id}/statuses", _REPORTS),
    Row(API_ROOT + "/{owner_plural}/{owner_id}/{plural}/{id}/force-delete", _FORCE),
    Row(API_ROOT + "/compatibility", {"GET": Use(endpoints.compatibility)}, is_open=True),
    *(Row(path, {"GET": Use(endpoints.service)}, forms, is_open=True) for path, forms in ADDRESSES.items()),
    *(Row(path, _PUBLISHED, forms, is_open=True) for path, forms in publications.DOCUMENT.items()),
    *(Row(path, _PUBLISHED, (media_type,), is_open=True) for path, media_type in publications.PARTS.items()),
)


def ranked(rows: Sequence[Row]) -> list[Row]:
    """The rows in the order in which a path is matched against them; raises ValueError for invalid rows.

    No two rows may match the same paths, and every endpoint that serves resources needs a verb for access rules.
    """
    for shape, times in Counter(_VARIABLE.sub("{}", row.path) for row in rows).items():
        if times > 1:
            raise ValueError(f"{times} routes are for the paths {shape}.")
    for row in rows:
        for method, use in row.methods.items():
            if (use.verb is None) is not (row.is_open or _KIND not in row.path):
                raise ValueError(f"{method} {row.path} needs a verb if it is of a kind and not open, and else none.")
    return sorted(rows, key=lambda row: row.shape)


def routes(row: Row, catalog: Catalog) -> Iterator[Route]:
    """Expands a row into one route for each kind that it serves."""
    methods = dict(row.methods)
    allow = ", ".join(sorted({*methods, "OPTIONS"} | ({"HEAD"} if "GET" in methods else set())))
    for kind in (*catalog.kinds, ANY) if _KIND in row.path else (None,):
        owner = catalog.parent_of(kind) if kind is not None and _OWNER in row.path else None
        if _OWNER in row.path and owner is None:
            continue
        path = row.path
        if kind is not None:
            path = path.replace(_KIND, kind.plural).replace(_OWNER, owner.plural if owner else "")
        yield Route(_VARIABLE.sub("-", path), methods, allow, kind, owner, row.media_types, catalog)
