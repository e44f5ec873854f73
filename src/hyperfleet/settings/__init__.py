"""Every setting of the service, as one tree of frozen classes; files, environment, flags, help and docs derive from it.

This module only declares settings; cli/configuration.py reads them. A scalar setting at `server.port` is `server:
{port: …}` in a file, `HYPERFLEET_SERVER_PORT` in the environment and `--server-port` as a flag. A flag beats the
environment, which beats the file, which beats the default. An empty value leaves the setting unset. A list of entries
can be set in a file only; it is a tuple of the class of its entries (`settings/entities.py`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from hyperfleet.errors import Mistakes
from hyperfleet.model.rules.secret import NAMES
from hyperfleet.settings import table
from hyperfleet.settings.authorization import NAME_OF_CLAIM, NAME_OF_HEADER, NETWORKS
from hyperfleet.settings.authorization import Dimension as Dimension
from hyperfleet.settings.authorization import Rule as Rule
from hyperfleet.settings.entities import Entity as Entity
from hyperfleet.settings.forms import BOOLEAN as BOOLEAN
from hyperfleet.settings.forms import BOOLEANS as BOOLEANS
from hyperfleet.settings.forms import DATABASE_URL as DATABASE_URL
from hyperfleet.settings.forms import DURATION as DURATION
from hyperfleet.settings.forms import ENTRIES as ENTRIES
from hyperfleet.settings.forms import PORT as PORT
from hyperfleet.settings.forms import SECRET as SECRET
from hyperfleet.settings.forms import SIZE as SIZE
from hyperfleet.settings.forms import TEXT as TEXT
from hyperfleet.settings.forms import TEXTS as TEXTS
from hyperfleet.settings.forms import Form as Form
from hyperfleet.settings.forms import Secret as Secret
from hyperfleet.settings.forms import choice as _choice
from hyperfleet.settings.forms import entries as _entries
from hyperfleet.settings.forms import setting as _setting
from hyperfleet.settings.forms import whole as _whole
from hyperfleet.settings.jwt_configs import RED_HAT_SSO
from hyperfleet.settings.jwt_configs import Issuer as Issuer
from hyperfleet.settings.table import PREFIX as PREFIX
from hyperfleet.settings.table import Row as Row
from hyperfleet.settings.table import value as value

IN_FLIGHT_PER_CONNECTION: Final = 20


@dataclass(frozen=True)
class Timeouts:
    """Time limits of a request, in seconds."""

    read: float = _setting(5.0, "Time limit for receiving a request's body.", DURATION)
    write: float = _setting(
        30.0,
        "Deadline of a request, including its statements in the database; also the time that a "
        "caller has to read a response, plus a second for every 128 KiB of a large response.",
        DURATION,
    )
    search: float = _setting(
        10.0,
        "Deadline of a list with `search`, or with an `order` other than `created_time`; after it the caller gets 504.",
        DURATION,
    )


@dataclass(frozen=True)
class Jwt:
    """Authentication by token."""

    enabled: bool = _setting(
        True,
        "Whether callers need a token. If false, every caller may do everything.",
    )
    configs: tuple[Issuer, ...] = _entries(
        Issuer,
        "The issuers whose tokens are accepted, identified by `iss` ([Callers](callers.md)). Unset: "
        "Red Hat's external SSO.",
        (RED_HAT_SSO,),
    )


@dataclass(frozen=True)
class Authorization:
    """Which callers may do what, if callers need a token."""

    enabled: bool = _setting(True, "Whether access rules apply. If false, every caller may do everything.")
    rules: tuple[Rule, ...] = _entries(
        Rule,
        "Access rules: a caller may do what any rule allows ([Callers](callers.md)). Unset: "
        "everything except `force-delete`, which requires the group `hyperfleet-admin`.",
    )


@dataclass(frozen=True)
class Tenant:
    """Tenancy: several tenants share one service."""

    enabled: bool = _setting(False, "Whether callers see only the resources of their own tenant.")
    system_header: str = _setting(
        "",
        "A header that marks system callers with the value `true`: they see every tenant, and may "
        "only read and report.",
        NAME_OF_HEADER,
    )
    system_claim: str = _setting(
        "",
        "A claim that marks system callers with the value true; it takes precedence over the header.",
        NAME_OF_CLAIM,
    )
    header: str = _setting(
        "",
        'A header with all dimensions as one JSON object, such as `{"org": "red"}`, used for '
        "dimensions without a value from their claim or their own header.",
        NAME_OF_HEADER,
    )
    dimensions: tuple[Dimension, ...] = _entries(
        Dimension,
        "The dimensions that identify a caller's tenant ([Callers](callers.md)); at least one must be required.",
    )


@dataclass(frozen=True)
class TrustedGateway:
    """A gateway in front of the service that has already authenticated callers."""

    enabled: bool = _setting(
        False,
        "Whether a gateway identifies callers, without tokens. Anyone who can send its header from "
        "its address can impersonate any caller.",
    )
    identity_header: str = _setting(
        "",
        "The header with the caller's identity. The gateway must remove this header from the requests of callers.",
        NAME_OF_HEADER,
    )
    allow: tuple[str, ...] = _setting(
        (),
        "The networks of the gateway; requests from other addresses get 401. Unset: only this "
        "machine. Required if the service listens on any address other than loopback.",
        NETWORKS,
    )


@dataclass(frozen=True)
class Tls:
    """TLS of a listener."""

    enabled: bool = _setting(False, "Whether this listener requires TLS (1.2 or later).")
    cert_file: str = _setting("", "A PEM file with the certificate and its intermediate certificates; read at startup.")
    key_file: str = _setting("", "A PEM file with the certificate's key, without a password.")


@dataclass(frozen=True)
class Server:
    """The REST API's listener and its limits."""

    title: ClassVar = "The API"

    host: str = _setting(
        "localhost", "The address that the API listens on; 0.0.0.0 means every IPv4 address of the machine."
    )
    port: int = _setting(8000, "The API's port.", PORT)
    hostname: str = _setting("", "The name of this instance in logs. Unset: the machine's host name.")
    workers: int = _setting(
        0,
        "Number of worker processes. 0: one for each core that the container may use, but no more "
        "than fit into its memory limit at 200 MiB plus 400 MiB for each worker.",
        _whole(0, 256),
    )
    timeouts: Timeouts = Timeouts()
    max_body_size: int = _setting(1 << 20, "The largest accepted request body.", SIZE)
    max_page_bytes: int = _setting(
        16 << 20,
        "The maximum size of the resources in one page of a list, before compression; a larger "
        "resource is returned as a page by itself.",
        SIZE,
    )
    max_unsent_bytes: int = _setting(
        256 << 20,
        "The maximum size of unread large responses that a worker keeps; beyond it lists get 503.",
        SIZE,
    )
    max_in_flight: int = _setting(
        0,
        "The maximum number of requests in progress in a worker; further requests get 503. 0: 20 for "
        "each database connection.",
        _whole(0, 1_000_000),
    )
    openapi_schema_path: str = _setting(
        "",
        "An OpenAPI 3.0 document, in YAML or JSON, whose component `ClusterSpec` describes the "
        "`spec` of clusters, `NodePoolSpec` that of node pools, and so on. Unset: the project's own "
        "document, which accepts any object.",
    )
    tls: Tls = Tls()
    jwt: Jwt = Jwt()
    authorization: Authorization = Authorization()
    tenant: Tenant = Tenant()
    trusted_gateway: TrustedGateway = TrustedGateway()

    def in_flight(self, connections: int) -> int:
        """The most requests that a worker with this many database connections handles at once."""
        return self.max_in_flight or IN_FLIGHT_PER_CONNECTION * connections


@dataclass(frozen=True)
class Ssl:
    """TLS for the connection to the database."""

    mode: str = _setting(
        "disable",
        "Whether the connection is encrypted, and how the server's certificate is verified.",
        _choice("disable", "require", "verify-ca", "verify-full"),
    )
    root_cert_file: str = _setting("", "A PEM file of the trusted authorities. Unset: those of the system.")


@dataclass(frozen=True)
class Pool:
    """The connection pool of one process; times in seconds."""

    max_connections: int = _setting(
        16,
        "The maximum number of connections of a worker process; lowered if the database grants too "
        "few for all workers.",
        _whole(1, 1000),
    )
    max_idle_connections: int = _setting(16, "The number of idle connections that stay open.", _whole(0, 1000))
    conn_max_lifetime: float = _setting(300.0, "The age at which a connection is replaced.", DURATION)
    conn_max_idle_time: float = _setting(120.0, "How long an idle connection stays open.", DURATION)
    request_timeout: float = _setting(30.0, "Deadline of a statement outside a request.", DURATION)
    conn_retry_attempts: int = _setting(
        10, "The number of attempts to reach the database at startup.", _whole(1, 10000)
    )
    conn_retry_interval: float = _setting(3.0, "The time between two attempts.", DURATION)


@dataclass(frozen=True)
class Embedded:
    """The PostgreSQL in the package, used when no database is configured."""

    data_dir: str = _setting(
        "",
        "The data directory of the embedded PostgreSQL. Unset: in the user's data home, for root in "
        "/var/lib/hyperfleet.",
    )


@dataclass(frozen=True)
class Database:
    """How to reach PostgreSQL; without a host and a URL, the embedded one is used."""

    title: ClassVar = "The database"

    host: str = _setting(
        "",
        "The server's name, address or socket directory; separate several with commas. Unset: the embedded PostgreSQL.",
    )
    port: int = _setting(5432, "The server's port.", PORT)
    name: str = _setting("hyperfleet", "The database.")
    username: str = _setting("hyperfleet", "The role.")
    password: Secret = _setting(Secret(""), "The role's password.")
    url: Secret = _setting(
        Secret(""), "All of the above as one URL, postgresql://user:password@host:port/name.", DATABASE_URL
    )
    embedded: Embedded = Embedded()
    ssl: Ssl = Ssl()
    pool: Pool = Pool()
    lock_timeout: float = _setting(
        5.0,
        "How long a write waits for a lock that another session holds; then the caller gets 503. "
        "`migrate` sets it on the role, so run `migrate` after a change.",
        DURATION,
    )
    statement_cache: bool = _setting(
        True, "Whether to use prepared statements. Turn this off behind a PgBouncer older than 1.21."
    )
    debug: bool = _setting(False, "Whether to log the name and duration of every statement.")

    @property
    def is_configured(self) -> bool:
        """Whether an external database is configured; otherwise the embedded one is used."""
        return bool(self.host or self.url)


@dataclass(frozen=True)
class Masking:
    """What is masked in logs."""

    enabled: bool = _setting(True, "Whether to mask secrets in logs, at any depth.")
    headers: tuple[str, ...] = _setting(
        ("authorization", "cookie", "set-cookie", "proxy-authorization", "x-api-key"),
        "Names of headers whose values are masked.",
    )
    fields: tuple[str, ...] = _setting(
        NAMES,
        "Fields whose name contains one of these are masked; case, `_`, `-` and `.` are ignored.",
    )


@dataclass(frozen=True)
class Otel:
    """Traces."""

    enabled: bool = _setting(
        False,
        "Whether to trace requests and statements; the standard variables `OTEL_*` configure the exporter.",
    )


@dataclass(frozen=True)
class Logging:
    """Logs."""

    title: ClassVar = "Logs"

    level: str = _setting(
        "info",
        "The lowest level that is logged; `warn` means `warning`.",
        _choice("debug", "info", "warning", "error", also={"warn": "warning"}),
    )
    format: str = _setting(
        "auto",
        "One JSON object per line, or human-readable text; `auto` means text on a terminal, JSON elsewhere.",
        _choice("auto", "json", "text"),
    )
    output: str = _setting("stdout", "Where logs are written.", _choice("stdout", "stderr"))
    masking: Masking = Masking()
    otel: Otel = Otel()


@dataclass(frozen=True)
class Metrics:
    """The metrics listener."""

    host: str = _setting("localhost", "The address that metrics are served on.")
    port: int = _setting(8080, "The metrics' port.", PORT)
    tls: Tls = Tls()
    reconciliation_stuck_threshold: float = _setting(
        600.0, "The time after which a resource that is not reconciled, or is being deleted, counts as stuck.", DURATION
    )


@dataclass(frozen=True)
class Health:
    """The health listener; times in seconds."""

    host: str = _setting("localhost", "The address that probes are served on.")
    port: int = _setting(8083, "The probes' port.", PORT)
    tls: Tls = Tls()
    shutdown_timeout: float = _setting(20.0, "How long requests in progress may take during a shutdown.", DURATION)
    db_ping_timeout: float = _setting(2.0, "How long the database may take to respond to a probe.", DURATION)


@dataclass(frozen=True)
class Settings:
    """The effective settings of one process."""

    server: Server = Server()
    database: Database = Database()
    logging: Logging = Logging()
    metrics: Metrics = Metrics()
    health: Health = Health()
    entities: tuple[Entity, ...] = _entries(
        Entity,
        "Kinds of resources: an entry declares a kind, or changes Cluster or NodePool ([Kinds](kinds.md)).",
    )


class BadSettings(Mistakes):
    """The configuration is wrong."""


@dataclass(frozen=True)
class Loaded:
    """The settings, and the source of each value by path: `default`, a file and line, a variable, or a flag."""

    settings: Settings
    sources: Mapping[str, str]


def rows() -> Iterator[Row]:
    """Every setting, in the order of the tree."""
    return table.rows(Settings)


def titles() -> dict[str, str]:
    """The title of each group of settings in help, by its path."""
    return table.titles(Settings)


def listeners() -> tuple[str, ...]:
    """The groups of settings that configure a listener, with an address and TLS."""
    return tuple(row.path.removesuffix(".tls.enabled") for row in rows() if row.path.endswith(".tls.enabled"))


def built(values: Mapping[str, Any]) -> Settings:
    """The settings with these values by path, and the defaults elsewhere."""
    made: Settings = table.built(values, Settings)
    return made
