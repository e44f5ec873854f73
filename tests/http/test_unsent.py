"""Large responses that callers read slowly: they are counted, limited, and finally abandoned."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from starlette.types import ASGIApp, Message

from hyperfleet.errors import Unavailable
from hyperfleet.http.app import application
from hyperfleet.http.buffered import PAUSE_SECONDS
from hyperfleet.http.unsent import LIGHT, PIECE, SLOWEST, SMALL, TOGETHER, WHOLE, Unsent, close_connections
from hyperfleet.store.database import Database
from testbed.fleet import CATALOG, create
from tests.http import asgi
from tests.http.conftest import impatient

CLUSTERS = "/api/hyperfleet/v1/clusters"
SETTLES = 2 * PAUSE_SECONDS
"""Seconds after which an answer that was read is looked for again."""

LARGE = {"blob": "x" * 2 * WHOLE}


def read(app: ASGIApp, path: str, *headers: tuple[str, str]) -> Any:
    return asgi.send(app, "GET", path, headers=headers)


@asynccontextmanager
async def unread(app: ASGIApp, path: str) -> AsyncIterator[asyncio.Event]:
    """A request whose caller reads nothing of the response's body until the event is set."""
    taken, waits = asyncio.Event(), asyncio.Event()

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            waits.set()
            await taken.wait()

    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b""}

    async def ask() -> None:
        await app(scope | {"headers": [(b"host", b"test")], "client": ("127.0.0.1", "1")}, receive, send)

    request = asyncio.create_task(ask())
    await waits.wait()
    yield taken
    taken.set()
    await request


async def test_lists_are_refused_while_too_many_bytes_wait_for_slow_readers(db: Database) -> None:
    id = (await create(db, "large", spec=LARGE))["id"]
    app = application(db, CATALOG, impatient(max_unsent_bytes=2 * WHOLE))
    async with unread(app, CLUSTERS):
        for path in (CLUSTERS, "/api/hyperfleet/v1/resources", f"{CLUSTERS}/{id}/nodepools"):
            refused = await read(app, path)
            assert refused.status == 503, path
            assert refused.problem["code"] == "HYPERFLEET-SVC-001"
            assert "pageSize" in refused.problem["detail"]
            assert refused.headers["retry-after"] == "5"
        assert (await read(app, f"{CLUSTERS}/{id}?fields=name")).status == 200
        renamed = await asgi.send(
            app, "PATCH", f"{CLUSTERS}/{id}", pieces=[json.dumps({"labels": {"a": "b"}}).encode()]
        )
        assert renamed.status == 200
    await asyncio.sleep(SETTLES)
    assert (await read(app, CLUSTERS)).status == 200


async def test_a_list_for_which_concurrent_lists_leave_no_room_is_refused_too(db: Database) -> None:
    await create(db, "large", spec=LARGE)
    app = application(db, CATALOG, impatient(max_unsent_bytes=7 * WHOLE))
    waiting = [unread(app, CLUSTERS) for _ in range(3)]
    for each in waiting:
        await each.__aenter__()
    assert (await read(app, CLUSTERS)).status == 503
    assert (await read(app, CLUSTERS + "?fields=name")).status == 200
    await waiting.pop().__aexit__(None, None, None)
    await asyncio.sleep(SETTLES)
    assert (await read(app, CLUSTERS)).status == 200
    for each in waiting:
        await each.__aexit__(None, None, None)


async def test_a_response_counts_in_its_sent_form(db: Database) -> None:
    await create(db, "large", spec=LARGE)
    app = application(db, CATALOG, impatient(max_unsent_bytes=WHOLE))
    assert (await read(app, CLUSTERS)).status == 200, "one answer always has room"
    async with unread(app, CLUSTERS):
        assert (await read(app, CLUSTERS, ("accept-encoding", "gzip"))).status == 503
    await asyncio.sleep(SETTLES)
    assert (await read(app, CLUSTERS, ("accept-encoding", "gzip"))).headers["content-encoding"] == "gzip"


@pytest.mark.parametrize("size", [WHOLE + 1, 3 * PIECE, 3 * PIECE + 1])
async def test_a_body_arrives_complete_in_any_number_of_pieces(size: int) -> None:
    body = bytes(number % 251 for number in range(size))
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    assert await Unsent(1, 1.0).deliver(body, {"client": ("127.0.0.1", "1")}, send)
    assert b"".join(message["body"] for message in sent) == body
    assert [message["more_body"] for message in sent] == [True] * (len(sent) - 1) + [False]
    assert max(len(message["body"]) for message in sent) <= PIECE


async def test_a_caller_has_the_write_timeout_plus_the_time_at_the_slowest_rate() -> None:
    async def send(message: Message) -> None:
        if not message["more_body"]:
            await asyncio.Event().wait()

    began = asyncio.get_running_loop().time()
    assert not await Unsent(1, 0.2).deliver(bytes(3 * PIECE), {"client": ("127.0.0.1", "1")}, send)
    assert 0.2 + 3 * PIECE / SLOWEST <= asyncio.get_running_loop().time() - began < 10


async def test_there_is_room_up_to_the_limit_but_not_beyond() -> None:
    unsent = Unsent(100, 1.0)
    await unsent.find_room(1000)
    unsent.hold(60)
    await unsent.find_room(40)
    with pytest.raises(Unavailable):
        await unsent.find_room(41)
    unsent.hold(40)
    with pytest.raises(Unavailable):
        await unsent.find_room()
    unsent.hold(-1)
    await unsent.find_room()


@pytest.mark.parametrize(("size", "counted"), [(SMALL, 0), (SMALL + 1, SMALL + 1), (WHOLE, WHOLE), (WHOLE + 1, WHOLE)])
async def test_a_body_counts_after_the_server_has_accepted_it(size: int, counted: int) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    unsent = Unsent(1 << 30, 1.0)
    assert await unsent.deliver(bytes(size), {"client": ("127.0.0.1", "1")}, send)
    assert (len(sent), unsent.buffered.now) == (1 if size <= WHOLE else 3, counted)


async def test_responses_that_callers_have_read_or_abandoned_do_not_count() -> None:
    async def send(message: Message) -> None:
        """Accepts and drops the message."""

    with socket.create_server(("127.0.0.1", 0)) as listener:
        callers = [socket.create_connection(listener.getsockname()) for _ in range(3)]
        taken = [listener.accept()[0] for _ in callers]
        addresses = [caller.getsockname() for caller in callers]
        unsent = Unsent(3 * WHOLE, 1.0)
        # The first has read its response, the second reads nothing, the third has disconnected.
        taken[1].setblocking(False)
        with suppress(BlockingIOError):
            while True:
                taken[1].send(bytes(WHOLE))
        for each in (callers[2], taken[2]):
            each.close()
        for address in addresses:
            await unsent.deliver(bytes(WHOLE), {"client": address}, send)
        assert unsent.buffered.now == 3 * WHOLE
        with pytest.raises(Unavailable):
            await unsent.find_room(WHOLE)
        await asyncio.sleep(SETTLES)
        await unsent.find_room(2 * WHOLE)
        assert unsent.buffered.now == WHOLE
        with pytest.raises(Unavailable):
            await unsent.find_room(2 * WHOLE + 1)
        callers[1].close()
        await asyncio.sleep(SETTLES)
        await unsent.find_room(3 * WHOLE)
        for each in (*callers, *taken):
            each.close()


async def test_connections_are_closed_by_the_callers_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        callers = [socket.create_connection(listener.getsockname()) for _ in range(2)]
        accepted = [listener.accept()[0] for _ in callers]
        host, port = callers[0].getsockname()
        assert close_connections(frozenset({(host, str(port))})) == 1
        callers[0].settimeout(5)
        assert callers[0].recv(1) == b""
        accepted[1].sendall(b"x")
        assert callers[1].recv(1) == b"x"
        for each in (*callers, *accepted):
            each.close()


async def test_large_lists_are_built_two_at_a_time_with_small_ones_beside_them() -> None:
    unsent, going = Unsent(1 << 30, 5.0), asyncio.Event()
    begun: list[str] = []

    async def make(name: str, size: int) -> bytes:
        begun.append(name)
        await going.wait()
        return bytes(size)

    def asked(name: str, items: int) -> asyncio.Task[bytes]:
        return asyncio.create_task(unsent.made(name, items, lambda: make(name, items)))

    large = [asked(f"large-{number}", 1000) for number in range(4)]
    small = [asked(f"small-{number}", 100) for number in range(4)]
    await asyncio.sleep(0.01)
    assert sum(name.startswith("large") for name in begun) == TOGETHER
    assert sum(name.startswith("small") for name in begun) == len(small)
    going.set()
    await asyncio.gather(*large, *small)
    assert len(begun) == 8


async def test_a_large_list_reserves_its_room_before_it_is_built() -> None:
    unsent, going = Unsent(10 * LIGHT, 5.0), asyncio.Event()

    async def make() -> bytes:
        await going.wait()
        return bytes(4 * LIGHT)

    going.set()
    assert len(await unsent.made("known", 1, make)) == 4 * LIGHT
    going.clear()
    two = [asyncio.create_task(unsent.made("known", 1, make)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await unsent.made("known", 1, make)
    going.set()
    await asyncio.gather(*two)
    await unsent.made("known", 1, make)


async def test_a_large_list_that_gets_no_turn_in_time_is_refused() -> None:
    unsent = Unsent(1 << 30, 0.1)

    async def never() -> bytes:
        await asyncio.Event().wait()
        return b""

    stuck = [asyncio.create_task(unsent.made("large", 1000, never)) for _ in range(TOGETHER)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await unsent.made("large", 1000, never)
    for each in stuck:
        each.cancel()
    await asyncio.gather(*stuck, return_exceptions=True)
    assert await unsent.made("small", 1000, lambda: asyncio.sleep(0, b"x")) == b"x"
