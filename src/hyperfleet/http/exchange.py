"""One request on its way through the service, and its answer: what endpoints, middleware and problems hand each other.

A plain object instead of a web library's request: it costs a microsecond, and nothing is read before it is wanted.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from hyperfleet.http.unsent import Unsent
from hyperfleet.model.caller import NOBODY, Caller
from hyperfleet.model.catalog import Catalog
from hyperfleet.model.kind import Kind
from hyperfleet.model.rules.permission import Verb
from hyperfleet.settings import Server
from hyperfleet.store.database import Database

Message = MutableMapping[str, Any]
AsgiScope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

Header = tuple[bytes, bytes]

JSON: Final = b"application/json"
UNKNOWN: Final = "-"


class Answer(NamedTuple):
    """What goes back: status, body, its media type, further headers. Length and id are the middleware's.

    So is the encoding, unless the body has one already: then `encoding` names it.
    """

    status: int
    body: bytes = b""
    media_type: bytes = JSON
    headers: tuple[Header, ...] = ()
    encoding: bytes = b""


class Publication(NamedTuple):
    """An answer made once for all callers: its body, that in gzip or None where it does not pay, a tag of its content.

    `body` is called for whoever does not take gzip.
    """

    body: Callable[[], bytes]
    packed: bytes | None
    media_type: bytes
    tag: bytes
    headers: tuple[Header, ...]


class Use(NamedTuple):
    """An endpoint, and what rules call what it does with resources; None where it does nothing with them."""

    endpoint: "Endpoint"
    verb: Verb | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """A row of the route table bound to the kinds it serves; `kind` is None for rows that serve none.

    `template` is the path as metrics and logs show it, with ids as `-`; `allow` the value of the header `Allow`.
    `media_types` are the possible ones, the preferred one first; `catalog` holds all kinds of the service.
    """

    template: str
    methods: Mapping[str, Use]
    allow: str
    kind: Kind | None = None
    owner_kind: Kind | None = None
    media_types: tuple[str, ...] = (JSON.decode(),)
    catalog: Catalog | None = None


def _nothing(_caller: Caller, _verb: Verb, _kind: Kind) -> bool:
    return False


@dataclass(slots=True)
class Exchange:
    """A request and what is known of it so far.

    Ids are as the path gives them, unchecked. `route` is None until the path is known, `answer` until there is one.
    `kinds` are the kinds that the caller may do this with: the path's, or some of all kinds.
    `may` tells whether the caller may do something else with a kind. `publications` are those of the application, by
    path and media type; `entrance` answers at the service's own addresses. `media_type` is the one of the route's that
    the caller prefers. `held` is how many bytes of the answer count as unsent.
    """

    scope: AsgiScope
    receive: Receive
    method: str
    db: Database
    limits: Server
    unsent: Unsent
    publications: Mapping[tuple[str, str], Publication] = field(default_factory=dict)
    entrance: "Callable[[Exchange], Answer] | None" = None
    media_type: str = JSON.decode()
    caller: Caller = NOBODY
    route: Route | None = None
    kinds: tuple[Kind, ...] = ()
    may: Callable[[Caller, Verb, Kind], bool] = _nothing
    owner_id: str = ""
    id: str = ""
    answer: Answer | None = None
    held: int = 0

    def hold(self, size: int) -> None:
        """Has so many bytes of the answer count as unsent, instead of the previous number."""
        self.unsent.hold(size - self.held)
        self.held = size

    @property
    def kind(self) -> Kind:
        """The kind that the path names; only routes that serve one have it."""
        assert self.route is not None
        assert self.route.kind is not None
        return self.route.kind

    @property
    def catalog(self) -> Catalog:
        """All kinds that the service has."""
        assert self.route is not None
        assert self.route.catalog is not None
        return self.route.catalog

    @property
    def query(self) -> bytes:
        """The query string as sent, still encoded."""
        query: bytes = self.scope["query_string"]
        return query

    def header_lines(self, name: bytes) -> list[bytes]:
        """The values of a header, one for each line of that name; `name` is in small letters."""
        headers: Iterable[tuple[bytes, bytes]] = self.scope["headers"]
        return [value for key, value in headers if key == name]

    def header(self, name: bytes) -> bytes | None:
        """A header's value, lines of the same name joined with commas; None without one. `name` is in small letters."""
        found = self.header_lines(name)
        if not found:
            return None
        return found[0] if len(found) == 1 else b", ".join(found)


Endpoint = Callable[[Exchange], Awaitable[Answer]]
