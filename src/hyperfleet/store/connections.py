"""How a connection is made, and what the driver's errors mean: the boundary between asyncpg and the rest.

`json` and `jsonb` values are the bytes of their text in both directions: responses are rendered when they are written,
so nothing is parsed in between. The driver's own messages are logged and never served.
"""

import ssl
from typing import Final

import asyncpg

from hyperfleet import settings
from hyperfleet.errors import DatabaseFailure, DeadlineExceeded, Unavailable
from hyperfleet.store.shares import Held
from hyperfleet.telemetry import logging, metrics

STATEMENTS_PER_CONNECTION: Final = 64
LONGEST_KEPT_STATEMENT: Final = 4096
CONNECT_SECONDS: Final = 10.0
_STANDBY: Final = "it is a standby; set database.host to the primary, or to all servers separated by commas"
_JSONB_VERSION: Final = b"\x01"

_log = logging.get("database")


class ConnectionBroken(Exception):
    """The connection broke during a statement, which may or may not have taken effect."""


class RolledBack(Exception):
    """The database rolled back the transaction in favour of another (deadlock, serialization); nothing was stored."""


async def connect(
    configured: settings.Database, *, application_name: str, timeout: float = CONNECT_SECONDS
) -> asyncpg.Connection:
    """An open connection to the primary among the configured servers; `timeout` in seconds.

    A standby lags, so what is read there may be stale without notice; only a URL can request one.

    Several hosts are tried in turn, beginning with the last known primary. Each has a share of the time, so that a host
    that does not respond leaves time for the others. Raises what the driver raises; `translated` classifies it.
    """
    hosts = [host.strip() for host in configured.host.split(",")]
    hosts.sort(key=lambda host: host != _right.get(configured.host))
    share = min(timeout, CONNECT_SECONDS) / len(hosts)
    for host in hosts:
        try:
            connection = await _connect(configured, host, application_name, share)
        except (OSError, *_AWAY):
            if host == hosts[-1]:
                raise
        else:
            _right[configured.host] = host
            return connection
    raise AssertionError(hosts)


_right: dict[str, str] = {}
"""The last known primary of each configured list of hosts."""


async def _connect(
    configured: settings.Database, host: str, application_name: str, timeout: float
) -> asyncpg.Connection:
    try:
        connection: asyncpg.Connection = await asyncpg.connect(
            # Arguments beside a URL would override the URL.
            dsn=str(configured.url) if configured.url else None,
            host=host or None,
            port=configured.port if host else None,
            user=None if configured.url else configured.username,
            password=str(configured.password) if configured.password else None,
            database=None if configured.url else configured.name,
            ssl=_ssl(configured.ssl),
            timeout=timeout,
            statement_cache_size=STATEMENTS_PER_CONNECTION if configured.statement_cache else 0,
            max_cached_statement_lifetime=0,
            # The plan of a long search takes much of the server's memory and is hardly ever used twice.
            max_cacheable_statement_size=LONGEST_KEPT_STATEMENT,
            target_session_attrs=None if "target_session_attrs=" in str(configured.url) else "primary",
            server_settings={"application_name": application_name},
        )
    except asyncpg.TargetServerAttributeNotMatched:
        raise asyncpg.TargetServerAttributeNotMatched(_STANDBY) from None
    try:
        # Each call asks the server for the OID of the type.
        await connection.set_type_codec(
            "json", schema="pg_catalog", encoder=_unchanged, decoder=_unchanged, format="binary"
        )
        await connection.set_type_codec(
            "jsonb", schema="pg_catalog", encoder=_JSONB_VERSION.__add__, decoder=_without_version, format="binary"
        )
    except BaseException:
        connection.terminate()
        raise
    return connection


def _unchanged(value: bytes) -> bytes:
    return value


def _without_version(value: bytes) -> bytes:
    return value[1:]


def _ssl(configured: settings.Ssl) -> ssl.SSLContext | str | None:
    """The driver's argument for the mode; None leaves it to the URL."""
    if configured.mode == "disable":
        return None
    if configured.mode == "require":
        return "require"
    context = ssl.create_default_context(cafile=configured.root_cert_file or None)
    context.check_hostname = configured.mode == "verify-full"
    return context


_AWAY: Final = (
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.TargetServerAttributeNotMatched,
)

_BROKEN: Final = (
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)


_LATE: Final = "The database did not respond in time. A write may have been stored: read before you repeat it."
_FULL: Final = (
    "The database's disk is full. Nothing was stored; ask the service's operator to free space, then try again."
)


def translated(failure: BaseException, statement: str) -> Exception | None:
    """The service's exception for a failure of the driver during `statement`; None when it is not the driver's."""
    if isinstance(failure, TimeoutError | asyncpg.QueryCanceledError):
        return _logged("timeout", failure, statement, DeadlineExceeded(_LATE))
    if isinstance(failure, asyncpg.LockNotAvailableError):
        return _logged("lock_timeout", failure, statement, Held())
    if isinstance(failure, asyncpg.SerializationError | asyncpg.DeadlockDetectedError):
        return _logged("rolled_back", failure, statement, RolledBack(statement))
    if isinstance(failure, asyncpg.ReadOnlySQLTransactionError):
        return _logged(
            "read_only", failure, statement, Unavailable("The database is read-only at the moment; try again later.")
        )
    if isinstance(failure, asyncpg.DiskFullError):
        return _logged("disk_full", failure, statement, Unavailable(_FULL, retry_after=10))
    if isinstance(failure, _AWAY):
        return _logged("connection", failure, statement, Unavailable("The database is unavailable."))
    if isinstance(failure, _BROKEN):
        return _logged("connection", failure, statement, ConnectionBroken(statement))
    if isinstance(failure, asyncpg.PostgresError):
        return _logged("other", failure, statement, DatabaseFailure("The database returned an error."))
    return None


def is_refusal(failure: BaseException) -> bool:
    """Whether the server refuses the role or its password, so that another attempt is pointless."""
    return isinstance(failure, asyncpg.InvalidAuthorizationSpecificationError)


def _logged(error_type: metrics.DatabaseError, failure: BaseException, statement: str, meaning: Exception) -> Exception:
    metrics.count_database_error(error_type)
    _log.warning(
        "database error",
        statement=statement,
        error_type=error_type,
        sqlstate=getattr(failure, "sqlstate", None),
        driver=type(failure).__name__,
        text=str(failure),
    )
    return meaning
