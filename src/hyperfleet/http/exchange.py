"""One request and its answer, as passed between the middleware, the endpoints and the problem documents.

This is a plain object instead of a web framework's request: it costs a microsecond to create, and it reads headers,
query and body only when asked.
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
    """A response: status, body, media type and further headers. The middleware adds the length and the request id.

    The middleware also compresses the body, unless `encoding` says how it is already encoded.
    """

    status: int
    body: bytes = b""
    media_type: bytes = JSON
    headers: tuple[Header, ...] = ()
    encoding: bytes = b""


class Publication(NamedTuple):
    """A static answer, built once for all callers.

    `body` returns the plain body, for callers that do not accept gzip. `packed` is the body in gzip, or None for a body
    too small to compress. `tag` is a hash of the content.
    """

    body: Callable[[], bytes]
    packed: bytes | None
    media_type: bytes
    tag: bytes
    headers: tuple[Header, ...]


class Use(NamedTuple):
    """An endpoint and its verb in access rules; the verb is None where the endpoint serves no resources."""

    endpoint: "Endpoint"
    verb: Verb | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """A row of the route table bound to a kind and its owner's kind; `kind` is None for rows that serve no kind.

    `template` is the path in metrics and logs, with `-` in place of ids; `allow` is the value of the `Allow` header.
    `media_types` are those the route can return, the default first; `catalog` holds all kinds of the service.
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
    """A request, and what has been found out about it so far.

    `owner_id` and `id` come from the path, unchecked. `route` is None until the path is matched, `answer` until there
    is one. `kinds` are the kinds that access rules allow for this request: the path's kind, or some of all kinds. `may`
    returns whether the caller may use another verb on a kind. `publications` are the static answers by path and media
    type; `entrance` answers at the service's own addresses. `media_type` is the caller's preferred one among the
    route's. `held` is how many bytes of the answer count as unsent.
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
        """Sets how many bytes of the answer count as unsent, replacing the previous number."""
        self.unsent.hold(size - self.held)
        self.held = size

    @property
    def kind(self) -> Kind:
        """The path's kind; fails on routes that serve no kind."""
        assert self.route is not None
        assert self.route.kind is not None
        return self.route.kind

    @property
    def catalog(self) -> Catalog:
        """All kinds of the service."""
        assert self.route is not None
        assert self.route.catalog is not None
        return self.route.catalog

    @property
    def query(self) -> bytes:
        """The query string as sent, still encoded."""
        query: bytes = self.scope["query_string"]
        return query

    def header_lines(self, name: bytes) -> list[bytes]:
        """The values of a header, one per line; `name` must be lower case."""
        headers: Iterable[tuple[bytes, bytes]] = self.scope["headers"]
        return [value for key, value in headers if key == name]

    def header(self, name: bytes) -> bytes | None:
        """A header's value, repeated lines joined with commas, or None; `name` must be lower case."""
        found = self.header_lines(name)
        if not found:
            return None
        return found[0] if len(found) == 1 else b", ".join(found)


Endpoint = Callable[[Exchange], Awaitable[Answer]]
