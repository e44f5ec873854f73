"""A session outside the service locks one cluster's row for 45 seconds, while forty callers change that cluster.

Each of the forty retries its change after a 503, until it is stored. Others read, report and create meanwhile, and must
not notice. When the lock is released, every change must be stored.
"""

import asyncio
import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from drills import callers, fleets
from drills.callers import Client, Pace, Request, Seen
from drills.searchers import create, read, report, row
from hyperfleet.postgres import embedded
from hyperfleet.store.connections import connect
from testbed.calls import CLUSTERS, asked
from testbed.serving import Service

HEAD = ("row held", "request", "a second", "sent", "not 2xx", "p50 ms", "p99 ms")
HELD_SECONDS: Final = 45.0
SECONDS: Final = 20.0
CHANGERS: Final = 40
LONGEST_ANSWER_SECONDS: Final = 11.0
LARGEST_GROWTH: Final = 2.0
HOLD: Final = "SELECT FROM resources WHERE id = $1 FOR UPDATE"


async def _hold(data: Path, id: str, seconds: float) -> None:
    server = embedded.status(data)
    assert server is not None
    connection = await connect(server.settings(), application_name="a stranger")
    async with connection.transaction():
        await connection.fetch(HOLD, id)
        await asyncio.sleep(seconds)
    await connection.close()


def _held(data: Path, id: str, seconds: float) -> None:
    asyncio.run(_hold(data, id, seconds))


async def _change(port: int, path: str, until: float) -> Seen:
    client, seen = Client(port), Seen()

    async def one(number: int) -> None:
        change = Request("PATCH", path, {"labels": {f"n-{number}": "1"}})
        while await client.ask(change, seen) != 200:
            assert time.time() < until, f"not stored: {seen.statuses}"
            await asyncio.sleep(1)

    await asyncio.gather(*(one(number) for number in range(CHANGERS)))
    return seen


def _changed(port: int, path: str, until: float) -> Seen:
    return asyncio.run(_change(port, path, until))


@contextmanager
def _changers(service: Service, id: str) -> Iterator[Seen]:
    """Runs the locking session and the forty callers; the yielded Seen is filled when the context ends."""
    seen = Seen()
    path = f"{CLUSTERS}/{id}"
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        holding = pool.apply_async(_held, (service.data, id, HELD_SECONDS))
        time.sleep(1)
        changing = pool.apply_async(_changed, (service.api, path, time.time() + 2 * HELD_SECONDS))
        yield seen
        holding.get()
        seen.add(changing.get())


def _paces(ids: list[str], prefix: str) -> dict[str, Pace]:
    return {
        "read of another": Pace(100, partial(read, ids)),
        "report on another": Pace(30, partial(report, ids)),
        "create": Pace(15, partial(create, prefix)),
    }


def drill(folder: Path) -> list[list[str]]:
    """A row for each kind of request, before and during the lock, and one for the changes to the locked cluster."""
    service = Service(folder).start()
    try:
        service.ready()
        held, *ids = fleets.filled(service, 100, {"region": "eu"})
        callers.paced(service.api, _paces(ids, "warm"), 3)
        before = callers.paced(service.api, _paces(ids, "before"), SECONDS)
        with _changers(service, held) as changes:
            meanwhile = callers.paced(service.api, _paces(ids, "meanwhile"), HELD_SECONDS - 5)
        labels = asked(service.api, "GET", f"{CLUSTERS}/{held}")[1]["labels"]
    finally:
        service.stop()
    paces = _paces([], "")
    rows = [
        row(word, name, f"{paces[name].rate:g}", [seen])
        for word, seen_by_name in (("no", before), ("yes", meanwhile))
        for name, seen in seen_by_name.items()
    ]
    rows.append(row("yes", f"change of it, {CHANGERS} callers", "–", [changes]))
    assert labels == {f"n-{number}": "1" for number in range(CHANGERS)}, f"lost: {labels}"
    assert changes.statuses == Counter({503: changes.statuses[503], 200: CHANGERS}), changes.statuses
    assert max(changes.seconds) < LONGEST_ANSWER_SECONDS, max(changes.seconds)
    for name, seen in meanwhile.items():
        assert set(seen.statuses) <= {200, 201}, f"{name}: {seen.statuses}"
        growth = seen.milliseconds(0.99) / before[name].milliseconds(0.99)
        assert growth <= LARGEST_GROWTH, f"the p99 of each {name} grew {growth:.1f} times: {rows}"
    return rows
