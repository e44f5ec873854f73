"""Requests as the server passes them to the application, for cases that no HTTP client sends: raw paths, bodies in
pieces, callers that disconnect."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Message


@dataclass(frozen=True, slots=True)
class Response:
    """The response; `headers` by lower-case name."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def problem(self) -> dict[str, Any]:
        """The body as an object."""
        return dict(json.loads(self.body))


async def send(
    app: ASGIApp,
    method: str,
    path: str | bytes,
    *,
    pieces: Sequence[bytes] = (b"",),
    pause: float = 0.0,
    leaves: bool = False,
    headers: Sequence[tuple[str, str | bytes]] = (),
    host: str | None = "localhost:8000",
    version: str = "1.1",
    peer: str = "127.0.0.1",
) -> Response:
    """The application's response to a body in `pieces`, with `pause` seconds before each. A caller that `leaves`
    disconnects after them, without an end of the body. Without pieces the body never arrives. `host` is added as a
    header unless `headers` has one."""
    raw = path.encode() if isinstance(path, str) else path
    raw_path, _, query = raw.partition(b"?")
    left = list(pieces)
    answered: list[Message] = []

    async def receive() -> Message:
        if not left:
            if leaves:
                return {"type": "http.disconnect"}
            await asyncio.Event().wait()
        await asyncio.sleep(pause)
        piece = left.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(left) or leaves}

    async def answer(message: Message) -> None:
        answered.append(message)

    own = [(b"host", host.encode())] if host is not None and "host" not in {name.lower() for name, _ in headers} else []
    sent = own + [
        (name.lower().encode(), value.encode() if isinstance(value, str) else value) for name, value in headers
    ]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": version,
        "method": method,
        "scheme": "http",
        "path": raw_path.decode("latin-1"),
        "raw_path": raw_path,
        "query_string": query,
        "root_path": "",
        "headers": sent,
        "client": (peer, 1),
        "server": ("127.0.0.1", 8000),
    }
    await app(scope, receive, answer)
    start, *bodies = answered
    names = [name.decode() for name, _ in start["headers"]]
    assert len(names) == len(set(names)), "a header was sent twice"
    found = {name.decode(): value.decode() for name, value in start["headers"]}
    return Response(start["status"], found, b"".join(message.get("body", b"") for message in bodies))
