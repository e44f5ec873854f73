"""Callers in their own process that send requests at a fixed pace, and count the answers and their times.

Requests are sent on schedule whether or not earlier ones have been answered, so a late answer delays no other request.
"""

import asyncio
import json
import multiprocessing
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, NamedTuple

SETTLING_SECONDS: Final = 2.0
TYPES: Final = {"PATCH": "application/merge-patch+json"}


class Request(NamedTuple):
    """A request to send; `body` is None for a request without one."""

    method: str
    path: str
    body: object = None


@dataclass
class Seen:
    """The number of answers by status, and the seconds that each answer took."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    def milliseconds(self, share: float) -> float:
        """The time within which this share of the answers arrived, in milliseconds."""
        return sorted(self.seconds)[min(int(len(self.seconds) * share), len(self.seconds) - 1)] * 1000

    def add(self, other: "Seen") -> None:
        """Adds another's counts and times."""
        self.statuses += other.statuses
        self.seconds += other.seconds


class Client:
    """Connections to one service; a request without an answer has status 0."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, request: Request, seen: Seen) -> int:
        """Sends a request, adds its answer to `seen`, and returns the status."""
        body = b"" if request.body is None else json.dumps(request.body).encode()
        head = f"{request.method} {request.path} HTTP/1.1\r\nHost: drill\r\nContent-Length: {len(body)}\r\n"
        if body:
            head += f"Content-Type: {TYPES.get(request.method, 'application/json')}\r\n"
        began = time.perf_counter()
        try:
            reader, writer = self._free.pop() if self._free else await asyncio.open_connection("127.0.0.1", self._port)
            writer.write(head.encode() + b"\r\n" + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = int(answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
            await reader.readexactly(length)
        except (OSError, asyncio.IncompleteReadError):
            seen.statuses[0] += 1
            return 0
        seen.seconds.append(time.perf_counter() - began)
        status = int(answer.split(b" ", 2)[1])
        seen.statuses[status] += 1
        self._free.append((reader, writer))
        return status


@dataclass(frozen=True)
class Pace:
    """Requests of one kind: `rate` per second; `request` makes each from its number, from 0."""

    rate: float
    request: Callable[[int], Request]


async def _paced(client: Client, pace: Pace, seconds: float) -> Seen:
    seen = Seen()
    tasks: set[asyncio.Task[int]] = set()
    began = time.perf_counter()
    for number in range(int(pace.rate * seconds)):
        pause = began + number / pace.rate - time.perf_counter()
        if pause > 0:
            await asyncio.sleep(pause)
        task = asyncio.create_task(client.ask(pace.request(number), seen))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    if tasks:
        await asyncio.wait(tasks)
    return seen


async def _together(port: int, paces: Mapping[str, Pace], seconds: float) -> dict[str, Seen]:
    client = Client(port)
    seen = await asyncio.gather(*(_paced(client, pace, seconds) for pace in paces.values()))
    return dict(zip(paces, seen, strict=True))


def _run(port: int, paces: Mapping[str, Pace], seconds: float) -> dict[str, Seen]:
    return asyncio.run(_together(port, paces, seconds))


def paced(port: int, paces: Mapping[str, Pace], seconds: float) -> dict[str, Seen]:
    """Sends requests at these paces for `seconds`; returns what was seen. `paces` and its values must be picklable."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_run, (port, paces, seconds))


async def _again_and_again(port: int, request: Request, callers: int, until: float) -> Seen:
    client, seen = Client(port), Seen()

    async def one() -> None:
        while time.time() < until:
            if await client.ask(request, seen) == 503:
                await asyncio.sleep(1)

    await asyncio.gather(*(one() for _ in range(callers)))
    return seen


def _run_again(port: int, request: Request, callers: int, until: float) -> Seen:
    return asyncio.run(_again_and_again(port, request, callers, until))


@contextmanager
def beside(port: int, request: Request, callers: int, seconds: float) -> Iterator[Seen]:
    """Runs more callers while the context lasts: each repeats the request as soon as it is answered, for `seconds`.

    The yielded Seen is filled when the context ends.
    """
    seen = Seen()
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        pool.apply(time.sleep, (SETTLING_SECONDS,))
        running = pool.apply_async(_run_again, (port, request, callers, time.time() + SETTLING_SECONDS + seconds))
        time.sleep(SETTLING_SECONDS)
        yield seen
        seen.add(running.get())
