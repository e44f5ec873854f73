"""Every setting of the service: one tree of frozen classes, from which files, environment, flags, help and docs follow.

Nothing acts here: `load` turns texts into a `Settings` or lists every mistake at once. A scalar setting at
`server.port` is `server: {port: …}` in a file, `HYPERFLEET_SERVER_PORT` in the environment and `--server-port` as a
flag; a flag beats the environment, which beats the file, which beats the default. An empty value is as unset.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from typing import Any, Final, get_origin, get_type_hints

PREFIX: Final = "HYPERFLEET_"


class Secret(str):
    """A text that is not shown: its `repr` is masked, and so is what prints the configuration."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'********'"


def _setting(default: Any, help: str, *, parse: Callable[[str], Any] | None = None, alias: str = "") -> Any:
    """A leaf: its default, what it is for, how its text is read when the type does not say, another variable for it."""
    return field(default=default, metadata={"help": help, "parse": parse, "alias": alias})


def duration(text: str) -> float:
    """Seconds from `500ms`, `30s`, `5m`, `1h`, also joined: `1m30s`."""
    if not re.fullmatch(r"(\d+(\.\d+)?(ms|s|m|h))+", text):
        raise ValueError("must be a duration such as 500ms, 30s, 5m or 1h")
    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", text))


def size(text: str) -> int:
    """Bytes from `1048576`, `512KiB`, `1MiB`."""
    match = re.fullmatch(r"(\d+)(KiB|MiB|GiB|)", text)
    if not match:
        raise ValueError("must be a number of bytes such as 1048576, 512KiB or 1MiB")
    return int(match[1]) * {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}[match[2]]


def _choice(*names: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in names:
            raise ValueError(f"must be one of {', '.join(names)}")
        return text

    return parse


def _whole(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"-?\d{1,18}", text) or not least <= int(text) <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return int(text)

    return parse


_port: Final = _whole(0, 65535)


@dataclass(frozen=True)
class Timeouts:
    """How long a request may take, in seconds."""

    read: float = _setting(5.0, "How long a request's body may take to arrive.", parse=duration)
    write: float = _setting(30.0, "The deadline of a request; it reaches the database.", parse=duration)


@dataclass(frozen=True)
class Jwt:
    """Authentication by token."""

    enabled: bool = _setting(True, "Whether callers need a token.", alias="HYPERFLEET_AUTH_ENABLE_JWT")


@dataclass(frozen=True)
class Server:
    """The REST API's listener and its limits."""

    host: str = _setting("localhost", "The address that the API listens on.")
    port: int = _setting(8000, "The API's port.", parse=_port)
    hostname: str = _setting("", "The name of this instance in logs; the machine's own when unset.")
    workers: int = _setting(0, "Worker processes; 0 is one per core.", parse=_whole(0, 256))
    timeouts: Timeouts = Timeouts()
    max_body_size: int = _setting(1 << 20, "The largest body that is accepted.", parse=size)
    max_in_flight: int = _setting(
        0,
        "Requests that a worker has under way at most; more get 503. 0 is 20 for each database connection.",
        parse=_whole(0, 1_000_000),
    )
    jwt: Jwt = Jwt()


@dataclass(frozen=True)
class Ssl:
    """TLS towards the database."""

    mode: str = _setting(
        "disable", "How the database is checked.", parse=_choice("disable", "require", "verify-ca", "verify-full")
    )
    root_cert_file: str = _setting("", "The authorities to trust; the system's own when unset.")


@dataclass(frozen=True)
class Pool:
    """The connections of one process; times in seconds."""

    max_connections: int = _setting(16, "Connections of a process.", parse=_whole(1, 1000))
    max_idle_connections: int = _setting(16, "Connections that stay open unused.", parse=_whole(0, 1000))
    conn_max_lifetime: float = _setting(300.0, "The age at which a connection is renewed.", parse=duration)
    conn_max_idle_time: float = _setting(120.0, "How long a connection stays open unused.", parse=duration)
    request_timeout: float = _setting(30.0, "The deadline of a statement outside any request.", parse=duration)
    conn_retry_attempts: int = _setting(10, "How often the start tries to reach the database.", parse=_whole(1, 10000))
    conn_retry_interval: float = _setting(3.0, "The time between two tries.", parse=duration)


@dataclass(frozen=True)
class Embedded:
    """The PostgreSQL that comes with the package; it serves when no database is configured."""

    data_dir: str = _setting("", "Where its data lie; the user's data home when unset, for root under /var/lib.")


@dataclass(frozen=True)
class Database:
    """Where PostgreSQL is; without a host and a URL the embedded one serves."""

    host: str = _setting("", "The server's name, address or socket directory; several with commas between.")
    port: int = _setting(5432, "The server's port.", parse=_whole(1, 65535))
    name: str = _setting("hyperfleet", "The database.")
    username: str = _setting("hyperfleet", "The role.")
    password: Secret = _setting(Secret(""), "The role's password.")
    url: Secret = _setting(Secret(""), "All of the above in one: postgresql://user:password@host:port/name.")
    embedded: Embedded = Embedded()
    ssl: Ssl = Ssl()
    pool: Pool = Pool()
    statement_cache: bool = _setting(True, "Prepared statements; off behind a PgBouncer older than 1.21.")
    debug: bool = _setting(False, "Logs every statement by name and time.")

    @property
    def is_configured(self) -> bool:
        """Whether an external database is named; else the embedded one serves."""
        return bool(self.host or self.url)


@dataclass(frozen=True)
class Masking:
    """What never shows in a log."""

    enabled: bool = _setting(True, "Whether values of the names below are masked, at any depth.")
    headers: tuple[str, ...] = _setting(
        ("authorization", "cookie", "set-cookie", "proxy-authorization", "x-api-key"), "Header names."
    )
    fields: tuple[str, ...] = _setting(
        ("password", "token", "secret", "credential", "api_key", "private_key", "access_key", "pull_secret"),
        "Words in field names.",
    )


@dataclass(frozen=True)
class Logging:
    """Logs."""

    level: str = _setting("info", "The least level that is written.", parse=_choice("debug", "info", "warning", "error"))
    format: str = _setting("json", "json, or text for people.", parse=_choice("json", "text"))
    output: str = _setting("stdout", "stdout or stderr.", parse=_choice("stdout", "stderr"))
    masking: Masking = Masking()


@dataclass(frozen=True)
class Metrics:
    """The metrics listener."""

    host: str = _setting("localhost", "The address that metrics are served on.")
    port: int = _setting(8080, "The metrics' port.", parse=_port)


@dataclass(frozen=True)
class Health:
    """The health listener; times in seconds."""

    host: str = _setting("localhost", "The address that probes are served on.")
    port: int = _setting(8083, "The probes' port.", parse=_port)
    shutdown_timeout: float = _setting(20.0, "How long requests in flight may take at a stop.", parse=duration)
    db_ping_timeout: float = _setting(2.0, "How long the database may take to answer a probe.", parse=duration)


@dataclass(frozen=True)
class Settings:
    """The effective settings of one process."""

    server: Server = Server()
    database: Database = Database()
    logging: Logging = Logging()
    metrics: Metrics = Metrics()
    health: Health = Health()


@dataclass(frozen=True)
class Row:
    """A leaf of the tree: its path and the names that follow from it."""

    path: str
    type: Any
    default: Any
    help: str
    parse: Callable[[str], Any] | None
    alias: str

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return PREFIX + self.path.upper().replace(".", "_")

    @property
    def flag(self) -> str:
        """Its flag."""
        return "--" + self.path.replace(".", "-").replace("_", "-")

    @property
    def is_secret(self) -> bool:
        """Whether its value is masked, and may come from a file."""
        return self.type is Secret

    @property
    def is_scalar(self) -> bool:
        """Whether it can be a variable and a flag; lists stand in files only."""
        return get_origin(self.type) is not tuple


class BadSettings(ValueError):
    """The configuration is wrong; `mistakes` lists everything that is, one sentence each."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = tuple(mistakes)


@dataclass(frozen=True)
class Loaded:
    """The settings, and for each path where its value came from: `default`, `file …`, a variable, a flag."""

    settings: Settings
    sources: Mapping[str, str]


def rows(of: type = Settings, prefix: str = "") -> Iterator[Row]:
    """Every setting, in the order of the tree."""
    types = get_type_hints(of)
    for item in fields(of):
        path = prefix + item.name
        if is_dataclass(types[item.name]):
            yield from rows(types[item.name], path + ".")
        else:
            assert item.default is not MISSING
            metadata = item.metadata
            yield Row(path, types[item.name], item.default, metadata["help"], metadata["parse"], metadata["alias"])
