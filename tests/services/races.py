"""Forced races: the order of lock waits is arranged, so that a race is lost on every run, not only sometimes.

A door is a row that a test holds locked. Writers of it wait in order of arrival, as PostgreSQL grants row locks. Once
opened, the door lets them through one by one.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest

from hyperfleet.errors import HyperFleetError
from hyperfleet.store.connections import ConnectionBroken, RolledBack
from hyperfleet.store.database import Database, Statement

_HELD = Statement("HELD", "SELECT FROM resources WHERE id = $1 FOR UPDATE")
_WAITING = Statement(
    "WAITING",
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
)
Outcome = Any


class Door:
    """Locked until the context ends; `pending` are the waiting tasks, in order."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.pending: list[asyncio.Task[Outcome]] = []

    async def enters(self, work: Awaitable[Any]) -> None:
        """Starts the work, and returns when it waits for a lock. An error that refuses the work is its result."""
        before = await self._waiting()
        task = asyncio.create_task(_outcome(work))
        self.pending.append(task)
        for _ in range(2000):
            if task.done() or await self._waiting() > before:
                return
            await asyncio.sleep(0.002)
        raise AssertionError("it neither waits nor ends")

    async def _waiting(self) -> int:
        row = await self._db.fetch_row(_WAITING)
        assert row is not None
        return int(row[0])

    async def outcomes(self) -> list[Outcome]:
        """The result of each task, after the door was opened."""
        return await asyncio.wait_for(asyncio.gather(*self.pending), timeout=30)


@asynccontextmanager
async def locked(db: Database, id: str) -> AsyncIterator[Door]:
    """A door at the row of a resource."""
    async with db._held() as connection:
        await connection.driver.execute("BEGIN")
        await connection.driver.fetch(_HELD.text, UUID(id))
        door = Door(db)
        try:
            yield door
        finally:
            await connection.driver.execute("COMMIT")


async def _outcome(work: Awaitable[Any]) -> Outcome:
    try:
        return await work
    except (HyperFleetError, RolledBack, ConnectionBroken) as refused:
        return refused


def spoil(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, *replacements: tuple[str, str]) -> None:
    """Replaces a statement with one of other text, for example with the wrong locks."""
    old: Statement = getattr(module, name)
    text = old.text
    for right, wrong in replacements:
        assert right in text, f"{name} has no {right!r} any more"
        text = text.replace(right, wrong)
    monkeypatch.setattr(module, name, Statement(old.name, text, is_read=old.is_read))
