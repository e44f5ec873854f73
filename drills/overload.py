"""Offers four times the service's capacity: the excess must be refused at once, and the rest must stay fast.

The request keeps the database busy: a search over a fleet of 5,000 that no index supports. Requests are sent on
schedule whether or not earlier ones have been answered. The client runs in its own process.
"""

import asyncio
import json
import multiprocessing
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench import service as bench_service
from hyperfleet.store.shares import SEARCHES_IN_FLIGHT
from testbed.calls import CLUSTERS
from testbed.serving import Service

HEAD = (
    "offered/s",
    "for s",
    "200",
    "200/s",
    "p50 ms",
    "p99 ms",
    "503",
    "503 p50 ms",
    "503 p99 ms",
    "other",
)
FLEET: Final = 5_000
LIMIT: Final = 16
WORKERS: Final = 2
SECONDS: Final = 15.0
REFUSED_PAUSE_SECONDS: Final = 0.05
QUERY: Final = "?pageSize=1&search=spec.note%20%3D%20%27nothing%20has%20this%27"


@dataclass
class Seen:
    """The seconds that each 200 (`taken`) and 503 (`refused`) took; `other` counts other answers, and missing ones."""

    seconds: float = 0.0
    taken: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    other: int = 0


async def _ask(port: int, path: str, seen: Seen, free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]) -> None:
    began = time.perf_counter()
    try:
        if free:
            reader, writer = free.pop()
        else:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            began = time.perf_counter()
        writer.write(f"GET {path} HTTP/1.1\r\nHost: drill\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
    except (OSError, asyncio.IncompleteReadError):
        seen.other += 1
        return
    took = time.perf_counter() - began
    status = head.split(b" ", 2)[1]
    {b"200": seen.taken, b"503": seen.refused}.get(status, []).append(took)
    seen.other += status not in (b"200", b"503")
    free.append((reader, writer))


async def _offer(port: int, path: str, rate: float, seconds: float) -> Seen:
    """Sends requests at a fixed rate."""
    seen = Seen()
    free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    tasks: set[asyncio.Task[None]] = set()
    began = time.perf_counter()
    for number in range(int(rate * seconds)):
        pause = began + number / rate - time.perf_counter()
        if pause > 0:
            await asyncio.sleep(pause)
        task = asyncio.create_task(_ask(port, path, seen, free))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    if tasks:
        await asyncio.wait(tasks)
    seen.seconds = time.perf_counter() - began
    return seen


async def _saturate(port: int, path: str, callers: int, seconds: float) -> Seen:
    """Runs this many callers, each repeating the request as soon as it is answered."""
    seen = Seen()
    until = time.perf_counter() + seconds

    async def one() -> None:
        free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        while time.perf_counter() < until:
            refused = len(seen.refused)
            await _ask(port, path, seen, free)
            if len(seen.refused) > refused:
                await asyncio.sleep(REFUSED_PAUSE_SECONDS)

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(callers)))
    seen.seconds = time.perf_counter() - began
    return seen


def _in_a_process(what: str, port: int, path: str, amount: float, seconds: float) -> Seen:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_run, (what, port, path, amount, seconds))


def _run(what: str, port: int, path: str, amount: float, seconds: float) -> Seen:
    if what == "offer":
        return asyncio.run(_offer(port, path, amount, seconds))
    return asyncio.run(_saturate(port, path, int(amount), seconds))


def _percentile(of: list[float], share: float) -> str:
    return f"{sorted(of)[min(int(len(of) * share), len(of) - 1)] * 1000:.1f}" if of else "–"


def drill(folder: Path) -> list[list[str]]:
    """A row for the load that just saturates the service, and one for four times as much."""
    variables = {
        "HYPERFLEET_SERVER_WORKERS": str(WORKERS),
        "HYPERFLEET_SERVER_MAX_IN_FLIGHT": str(LIMIT),
        "HYPERFLEET_DATABASE_POOL_MAX_CONNECTIONS": "4",
    }
    filled = Service(folder).start()
    try:
        filled.ready()
        asyncio.run(bench_service.fill(FLEET, f"http://127.0.0.1:{filled.api}"))
    finally:
        filled.stop()
    service = Service(folder, variables=variables).start()
    try:
        service.ready()
        path = CLUSTERS + QUERY
        _in_a_process("saturate", service.api, path, 4, 2.0)
        full = _in_a_process("saturate", service.api, path, WORKERS * LIMIT * SEARCHES_IN_FLIGHT, SECONDS)
        capacity = len(full.taken) / full.seconds
        over = _in_a_process("offer", service.api, path, 4 * capacity, SECONDS)
    finally:
        service.stop()
    rows = []
    for name, seen in ((f"{capacity:.0f} (full)", full), (f"{4 * capacity:.0f} (four times)", over)):
        rows.append(
            [
                name,
                f"{seen.seconds:.0f}",
                f"{len(seen.taken):,}",
                f"{len(seen.taken) / seen.seconds:.0f}",
                _percentile(seen.taken, 0.5),
                _percentile(seen.taken, 0.99),
                f"{len(seen.refused):,}",
                _percentile(seen.refused, 0.5),
                _percentile(seen.refused, 0.99),
                str(seen.other),
            ]
        )
    assert over.refused, "nothing was refused"
    assert over.other == 0, json.dumps(rows)
    return rows
