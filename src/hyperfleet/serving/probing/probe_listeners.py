"""A small HTTP server for probes and scrapes: one thread for all connections, and a few threads for slow pages.

Anyone who can connect could open many connections and send nothing, or one byte a second. So the number of connections
and threads, and the time and size of a request, are bounded. A page that must respond first, such as liveness, never
waits for a thread.
"""

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from email.utils import formatdate
from http import HTTPStatus
from typing import Final, NamedTuple

from hyperfleet import settings
from hyperfleet.errors import Unavailable
from hyperfleet.serving import certificates
from hyperfleet.serving.addresses import Address, refusal
from hyperfleet.telemetry import logging

MOST_CONNECTIONS: Final = 256
"""The most connections of a listener; a new one closes the connection that has waited longest for its request."""

REQUEST_SECONDS: Final = 10.0
"""The total time, in seconds, for a request to arrive, including the TLS handshake."""

ANSWER_SECONDS: Final = 10.0
"""The total time, in seconds, to produce a response and send it."""

LARGEST_REQUEST: Final = 16 << 10
PAGE_THREADS: Final = 4
BACKLOG: Final = 128

_log = logging.get("probes")


class Page(NamedTuple):
    """A response to a GET."""

    status: int
    media_type: str
    body: bytes


class Source(NamedTuple):
    """The function that makes a page; with `blocks` it queries a database or reads files, and runs in a thread."""

    page: Callable[[], Page]
    blocks: bool = False


class _Request(NamedTuple):
    method: str
    path: str
    keeps_open: bool


class _Listener:
    """Serves on `listener` until stopped; everything except `stop` runs in the thread of its event loop."""

    def __init__(self, listener: socket.socket, pages: Mapping[str, Source], tls: ssl.SSLContext | None) -> None:
        self._socket = listener
        self._pages = pages
        paths = json.dumps({"paths": sorted(pages)}).encode() + b"\n"
        self._not_found = Page(404, "application/json", paths)
        self._tls = tls
        self._loop = asyncio.new_event_loop()
        self._threads = ThreadPoolExecutor(PAGE_THREADS, thread_name_prefix="page")
        self._stopped = asyncio.Event()
        self._connections: set[asyncio.Task[None]] = set()
        # Connections that wait for a request, in the order of their waiting time, longest first.
        self._waiting: dict[asyncio.Task[None], None] = {}

    def run(self) -> None:
        """Serves until `stop`."""
        self._loop.run_until_complete(self._served())
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._loop.close()

    def stop(self) -> None:
        """Makes `run` return; called from another thread."""
        self._loop.call_soon_threadsafe(self._stopped.set)

    async def _served(self) -> None:
        accepting = self._loop.create_task(self._accept())
        await self._stopped.wait()
        ending = [accepting, *self._connections]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)

    async def _accept(self) -> None:
        while True:
            try:
                connection, _ = await self._loop.sock_accept(self._socket)
            except OSError as failure:
                _log.warning("a probe's connection could not be accepted", reason=failure.strerror)
                await asyncio.sleep(0.1)
                continue
            if len(self._connections) < MOST_CONNECTIONS or self._make_room():
                connection.setblocking(False)
                task = self._loop.create_task(self._serve(connection))
                self._connections.add(task)
                self._waiting[task] = None
                task.add_done_callback(self._forget)
            else:
                connection.close()
            # Accepting does not yield while more connections are pending; this lets other tasks run.
            await asyncio.sleep(0)

    def _make_room(self) -> bool:
        oldest = next(iter(self._waiting), None)
        if oldest is None:
            return False
        del self._waiting[oldest]
        oldest.cancel()
        return True

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._connections.discard(task)
        self._waiting.pop(task, None)

    async def _serve(self, connection: socket.socket) -> None:
        """Answers the requests of one connection, and closes it."""
        reader = asyncio.StreamReader(limit=LARGEST_REQUEST)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport: asyncio.BaseTransport | None = None
        try:
            async with asyncio.timeout(REQUEST_SECONDS) as limit:
                transport, _ = await self._loop.connect_accepted_socket(lambda: protocol, connection, ssl=self._tls)
                assert isinstance(transport, asyncio.WriteTransport)
                # Makes drain() wait until the last byte has been sent.
                transport.set_write_buffer_limits(0)
                writer = asyncio.StreamWriter(transport, protocol, reader, self._loop)
                while (request := await self._requested(reader)) is not None:
                    limit.reschedule(self._loop.time() + ANSWER_SECONDS)
                    await self._answer(request, writer)
                    if not request.keeps_open:
                        break
                    limit.reschedule(self._loop.time() + REQUEST_SECONDS)
            transport.close()
        except (OSError, TimeoutError, ValueError) as failure:
            _log.debug("a probe's connection was closed early", reason=str(failure) or type(failure).__name__)
        finally:
            if transport is None:
                connection.close()
            elif not transport.is_closing():
                transport.abort()  # type: ignore[attr-defined]

    async def _requested(self, reader: asyncio.StreamReader) -> _Request | None:
        """The next request, None at the end of the connection; raises ValueError for a request that is too large."""
        task = asyncio.current_task()
        assert task is not None
        self._waiting.setdefault(task, None)
        lines: list[str] = []
        size = 0
        while (line := await reader.readline()).strip():
            size += len(line)
            if size > LARGEST_REQUEST:
                raise ValueError("the request is too large")
            lines.append(line.decode("latin-1").strip())
        self._waiting.pop(task, None)
        return _parsed(lines) if lines and line else None

    async def _answer(self, request: _Request, writer: asyncio.StreamWriter) -> None:
        page = await self._page(request)
        lines = [
            f"HTTP/1.1 {page.status} {HTTPStatus(page.status).phrase}",
            f"Date: {formatdate(usegmt=True)}",
            f"Content-Type: {page.media_type}",
            f"Content-Length: {len(page.body)}",
            "Cache-Control: no-store",
            *(["Allow: GET, HEAD"] if page.status == 405 else []),
            f"Connection: {'keep-alive' if request.keeps_open else 'close'}",
        ]
        head = "\r\n".join([*lines, "", ""]).encode()
        writer.write(head if request.method == "HEAD" else head + page.body)
        await writer.drain()
        _log.debug("probe", path=request.path, status=page.status)

    async def _page(self, request: _Request) -> Page:
        if request.method not in ("GET", "HEAD"):
            return self._not_found._replace(status=405 if request.method else 400)
        source = self._pages.get(request.path)
        if source is None:
            return self._not_found
        try:
            if source.blocks:
                return await self._loop.run_in_executor(self._threads, source.page)
            return source.page()
        except Exception:  # noqa: BLE001 - any failure gets a response, and its traceback is logged
            _log.exception("a probe failed", path=request.path)
            return Page(500, "text/plain; charset=utf-8", b"")


def _parsed(lines: list[str]) -> _Request:
    """Parses the lines of a request; without a method if they are not HTTP."""
    words = lines[0].split(" ")
    if len(words) != 3 or words[2] not in ("HTTP/1.0", "HTTP/1.1"):
        return _Request("", "", keeps_open=False)
    headers = {name.lower(): value.strip().lower() for name, _, value in (line.partition(":") for line in lines[1:])}
    asked = headers.get("connection", "")
    keeps_open = "keep-alive" in asked if words[2] == "HTTP/1.0" else "close" not in asked
    # A body is never read, so no request can follow one.
    has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    return _Request(words[0], words[1].partition("?")[0], keeps_open=keeps_open and not has_body)


@contextmanager
def listening(address: Address, setting: str, pages: Mapping[str, Source], tls: settings.Tls) -> Iterator[None]:
    """Serves these pages within the context; raises Unavailable when the port cannot be bound."""
    context = certificates.context(tls) if tls.enabled else None
    with socket.socket(address.family, socket.SOCK_STREAM) as bound:
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((address.host, address.port))
            bound.listen(BACKLOG)
        except OSError as failure:
            raise Unavailable(refusal(failure, address, setting)) from failure
        bound.setblocking(False)
        listener = _Listener(bound, pages, context)
        thread = threading.Thread(target=listener.run, name=setting, daemon=True)
        thread.start()
        try:
            yield
        finally:
            listener.stop()
            thread.join()
