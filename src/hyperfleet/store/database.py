"""The pool of connections, transactions and deadlines: every request runs its statements through this module.

Migrations, probes and the gauges of the backlog have connections of their own, so that load does not delay them.

The service has its own pool, because the driver's pool resets every returned connection, with a round trip that halves
the reads. No statement leaves state on a connection, so nothing needs a reset. Single statements run without BEGIN.
"""

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Protocol, TypeAlias, TypeVar

import asyncpg

from hyperfleet import settings
from hyperfleet.errors import DatabaseFailure, Unavailable
from hyperfleet.store.connections import (
    ConnectionBroken,
    RolledBack,
    connect,
    translated,
)
from hyperfleet.store.deadlines import DEADLINE as DEADLINE
from hyperfleet.store.deadlines import within
from hyperfleet.store.searches import Places, Searches
from hyperfleet.store.shares import Share, Shares, Widths
from hyperfleet.store.statements import Statement as Statement
from hyperfleet.telemetry import logging, metrics, tracing

Row: TypeAlias = asyncpg.Record
Result = TypeVar("Result")

_log = logging.get("database")


_LEAVING = (asyncpg.QueryCanceledError, asyncpg.ReadOnlySQLTransactionError)

_NONE_FREE = "Timed out waiting for a free database connection."

_BEGIN = Statement("BEGIN", "BEGIN")
_COMMIT = Statement("COMMIT", "COMMIT")
_ROLLBACK = Statement("ROLLBACK", "ROLLBACK")


@dataclass(slots=True, eq=False)
class _Connection:
    driver: asyncpg.Connection
    retire_at: float
    idle_since: float = 0.0


class Connection(Protocol):
    """The pool or one of its transactions. Values are passed by the names of parameters, or by their numbers."""

    async def fetch(self, statement: Statement, /, *values: object, **named: object) -> list[Row]:
        """All rows."""
        ...

    async def fetch_row(self, statement: Statement, /, *values: object, **named: object) -> Row | None:
        """The first row, None without one."""
        ...


class Transaction:
    """Runs statements in one transaction, on one connection; `Database.in_transaction` makes it."""

    def __init__(self, database: "Database", connection: _Connection) -> None:
        self._database = database
        self._connection = connection

    async def fetch(self, statement: Statement, /, *values: object, **named: object) -> list[Row]:
        """All rows."""
        values = statement.values(named) if statement.names else values
        return await self._database._run(self._connection, statement, values)

    async def fetch_row(self, statement: Statement, /, *values: object, **named: object) -> Row | None:
        """The first row, None without one."""
        rows = await self.fetch(statement, *values, **named)
        return rows[0] if rows else None


class Database:
    """A pool of connections to one PostgreSQL, one per process."""

    def __init__(
        self,
        configured: settings.Database,
        *,
        application_name: str = "hyperfleet-api",
        limits: settings.Server = settings.Server(),  # noqa: B008 - a frozen value
        slow_searches: Places | None = None,
    ) -> None:
        """`slow_searches` are the places that the workers of a service share, None when there are no other workers."""
        self._settings = configured
        self._application_name = application_name
        connections = configured.pool.max_connections
        widths = Widths.of(connections, limits.in_flight(connections))
        self.shares = Shares(widths, lock_seconds=configured.lock_timeout)
        self.searches = Searches(
            quick=widths.quick_searches,
            most=widths.searches,
            seconds=limits.timeouts.search,
            others=self.shares.others,
            places=slow_searches,
        )
        self._idle: list[_Connection] = []
        self._waiters: deque[asyncio.Future[_Connection | None]] = deque()
        self._open = 0
        self._closed = False
        self._closing: set[asyncio.Task[None]] = set()
        self._reaper: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connects once, so that a wrong setting shows at the start. After Unavailable, the pool is usable later."""
        self._reaper = asyncio.create_task(self._retire_idle_connections())
        self._release(await self._acquire())

    async def close(self) -> None:
        """Closes idle connections now, and connections in use when they are returned."""
        self._closed = True
        if self._reaper is not None:
            self._reaper.cancel()
        while self._idle:
            self._discard(self._idle.pop())
        if self._closing:
            await asyncio.wait(self._closing, timeout=5)
        self.searches.close()

    async def fetch_row(self, statement: Statement, /, *values: object, **named: object) -> Row | None:
        """The first row of a statement outside any transaction, None without one."""
        rows = await self._fetch(statement, statement.values(named) if statement.names else values)
        return rows[0] if rows else None

    async def fetch(self, statement: Statement, /, *values: object, **named: object) -> list[Row]:
        """All rows of a statement outside any transaction.

        The statement is sent a second time when that is safe: a read whose connection broke, and any statement that the
        database rolled back in favour of another transaction.
        """
        return await self._fetch(statement, statement.values(named) if statement.names else values)

    async def _fetch(self, statement: Statement, values: tuple[object, ...]) -> list[Row]:
        if statement.is_read:
            return await self._fetch_surely(statement, values)
        await self._enter(self.shares.others)
        try:
            return await self._fetch_surely(statement, values)
        finally:
            self.shares.others.leave()

    async def _fetch_surely(self, statement: Statement, values: tuple[object, ...]) -> list[Row]:
        try:
            return await self._fetch_once(statement, values)
        except ConnectionBroken as broken:
            if not statement.is_read:
                raise Unavailable(
                    "The database connection was lost. A write may have been stored: read before you repeat it."
                ) from broken
        except RolledBack:
            pass
        try:
            return await self._fetch_once(statement, values)
        except (ConnectionBroken, RolledBack) as failure:
            raise Unavailable("The database is unavailable.") from failure

    async def in_transaction(
        self, work: Callable[[Transaction], Awaitable[Result]], *, deletes: bool = False
    ) -> Result:
        """Runs `work` in a transaction and returns its result after the commit; rolls back when `work` raises.

        `work` runs a second time when the database rolled back the first run in favour of another transaction, so its
        statements must be its only effect. Pass `deletes` when it locks a chain of owners or a tree: only the database
        can determine which rows these are, so few such transactions run at once.
        """
        if deletes:
            await self._enter(self.shares.deletions)
        try:
            await self._enter(self.shares.others)
            try:
                return await self._transactions(work)
            finally:
                self.shares.others.leave()
        finally:
            if deletes:
                self.shares.deletions.leave()

    async def _transactions(self, work: Callable[[Transaction], Awaitable[Result]]) -> Result:
        try:
            return await self._transaction(work)
        except ConnectionBroken as broken:
            raise Unavailable(
                "The database connection was lost. A write may have been stored: read before you repeat it."
            ) from broken
        except RolledBack:
            pass
        try:
            return await self._transaction(work)
        except (ConnectionBroken, RolledBack) as failure:
            raise Unavailable("The database is unavailable.") from failure

    async def _transaction(self, work: Callable[[Transaction], Awaitable[Result]]) -> Result:
        async with self._held() as connection:
            await self._run(connection, _BEGIN, ())
            try:
                result = await work(Transaction(self, connection))
                await self._run(connection, _COMMIT, ())
            except BaseException:
                if connection.driver.is_in_transaction():
                    await self._run(connection, _ROLLBACK, ())
                raise
            return result

    async def _enter(self, share: Share) -> None:
        """Takes a place in a share; raises Unavailable when none is free in time."""
        started = perf_counter()
        try:
            waited = await share.enter(within(self._settings.pool.request_timeout))
        except TimeoutError:
            metrics.count_database_error("pool_exhausted")
            raise Unavailable(_NONE_FREE) from None
        if waited:
            metrics.observe_pool_wait(perf_counter() - started)

    async def _fetch_once(self, statement: Statement, values: tuple[object, ...]) -> list[Row]:
        connection = self._idle.pop() if self._idle else await self._acquire()
        if connection.driver.is_closed():
            self._discard(connection)
            connection = await self._acquire()
        try:
            return await self._run(connection, statement, values)
        finally:
            self._release(connection)

    @asynccontextmanager
    async def _held(self) -> AsyncIterator[_Connection]:
        connection = await self._acquire()
        try:
            yield connection
        finally:
            self._release(connection)

    async def _run(self, connection: _Connection, statement: Statement, values: tuple[Any, ...]) -> list[Row]:
        if not tracing.is_on():
            return await self._send(connection, statement, values)
        with tracing.statement(statement.name):
            return await self._send(connection, statement, values)

    async def _send(self, connection: _Connection, statement: Statement, values: tuple[Any, ...]) -> list[Row]:
        started = perf_counter()
        try:
            rows: list[Row] = await connection.driver.fetch(statement.sql, *values, timeout=self._remaining())
        except BaseException as failure:
            # A new connection is cheaper than finding out the state of this one. And when this server no longer accepts
            # writes, the next connection must go to another server.
            if not isinstance(failure, asyncpg.PostgresError) or isinstance(failure, _LEAVING):
                connection.retire_at = 0.0
            translation = translated(failure, statement.name)
            if translation is None:
                raise
            raise translation from failure
        seconds = perf_counter() - started
        metrics.observe_statement(statement.name, seconds)
        if self._settings.debug:
            _log.info("statement", statement=statement.name, seconds=round(seconds, 6), rows=len(rows))
        return rows

    def _remaining(self) -> float:
        """Seconds until the request's deadline, when the driver cancels the statement on the server."""
        deadline = DEADLINE.get(None)
        if deadline is None:
            return self._settings.pool.request_timeout
        # The driver treats a time-out of 0 as none.
        return max(deadline - asyncio.get_running_loop().time(), 0.000001)

    async def _acquire(self) -> _Connection:
        """An open connection: an idle one, a new one, or the next one that is returned."""
        while True:
            while self._idle:
                connection = self._idle.pop()
                if not connection.driver.is_closed():
                    return connection
                self._discard(connection)
            if self._closed:
                raise Unavailable("The service is shutting down.")
            if self._open < self._settings.pool.max_connections:
                return await self._connect()
            returned = await self._wait_for_return()
            if returned is not None:
                return returned

    async def _connect(self) -> _Connection:
        self._open += 1
        try:
            driver = await connect(self._settings, application_name=self._application_name, timeout=self._remaining())
        except BaseException as failure:
            self._open -= 1
            self._pass_on(None)
            translation = translated(failure, "CONNECT")
            if translation is None:
                raise
            if isinstance(translation, ConnectionBroken | RolledBack | DatabaseFailure):
                translation = Unavailable("The database is unavailable.")
            raise translation from failure
        # Lifetimes differ, so that connections opened together are not all renewed together.
        lifetime = self._settings.pool.conn_max_lifetime * random.uniform(0.9, 1.1)
        self._report_use()
        return _Connection(driver, retire_at=asyncio.get_running_loop().time() + lifetime)

    async def _wait_for_return(self) -> _Connection | None:
        """The next returned connection, in the order of requests; None when there is room for a new one."""
        waiter: asyncio.Future[_Connection | None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        started = perf_counter()
        try:
            async with asyncio.timeout(self._remaining()):
                connection = await waiter
        except BaseException as failure:
            if waiter.done() and not waiter.cancelled():
                self._pass_on(waiter.result())
            if not isinstance(failure, TimeoutError):
                raise
            metrics.count_database_error("pool_exhausted")
            raise Unavailable(_NONE_FREE) from failure
        metrics.observe_pool_wait(perf_counter() - started)
        return connection

    def _release(self, connection: _Connection) -> None:
        now = asyncio.get_running_loop().time()
        if connection.driver.is_closed() or now >= connection.retire_at or self._closed:
            self._discard(connection)
            return
        connection.idle_since = now
        if self._waiters:
            self._pass_on(connection)
        else:
            self._idle.append(connection)

    def _pass_on(self, connection: _Connection | None) -> None:
        """Hands a connection, or with None the room for a new one, to the waiter that has waited longest."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        if connection is not None:
            self._idle.append(connection)

    def _discard(self, connection: _Connection) -> None:
        self._open -= 1
        self._pass_on(None)
        task = asyncio.create_task(_shut(connection.driver))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        self._report_use()

    def _report_use(self) -> None:
        metrics.set_connections(self._open, self._open - len(self._idle))

    async def _retire_idle_connections(self) -> None:
        """Closes idle connections beyond their limits of number and age; the one idle longest is at the front."""
        pool = self._settings.pool
        while True:
            await asyncio.sleep(min(pool.conn_max_idle_time / 2, 5.0))
            now = asyncio.get_running_loop().time()
            while self._idle and (
                len(self._idle) > pool.max_idle_connections or now - self._idle[0].idle_since > pool.conn_max_idle_time
            ):
                self._discard(self._idle.pop(0))
            self._report_use()


async def _shut(driver: asyncpg.Connection) -> None:
    try:
        await driver.close(timeout=2)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        driver.terminate()
