"""One bounded GET: an issuer's keys, without a thread and without a client library.

Whoever answers may be broken or hostile: its head, its body and the number of redirects are bounded, and none of them
leads from https to anything else. How long it may take is the caller's to bound: a cancelled download closes at once.
"""

import asyncio
import ssl
from base64 import b64encode
from typing import Final, NamedTuple
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

from hyperfleet.settings.jwt_configs import is_loopback, require_secure

LARGEST: Final = 1 << 18
MOST_REDIRECTS: Final = 3
_LONGEST_HEAD: Final = 1 << 15
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


class DownloadFailed(Exception):
    """There is no usable answer; the text says why, for the log."""


class _Streams(NamedTuple):
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class _Head(NamedTuple):
    status: int
    headers: dict[str, str]


async def get(url: str, trust: ssl.SSLContext) -> bytes:
    """The body of a 200 answer; raises DownloadFailed for any other, one that is too large, and no answer at all."""
    try:
        return await _followed(url, trust)
    except asyncio.IncompleteReadError:
        raise DownloadFailed("the answer ended too early") from None
    except asyncio.LimitOverrunError:
        raise DownloadFailed("the answer has too long a head") from None
    except (OSError, ValueError) as failure:
        raise DownloadFailed(str(failure) or type(failure).__name__) from None


async def _followed(url: str, trust: ssl.SSLContext) -> bytes:
    for _ in range(1 + MOST_REDIRECTS):
        streams = await _connected(url, trust)
        try:
            head = await _asked(streams, url)
            if head.status == 200:
                return await _body(streams.reader, head.headers)
        finally:
            streams.writer.transport.abort()
        if head.status not in _REDIRECTS or "location" not in head.headers:
            raise DownloadFailed(f"the answer has the status {head.status}")
        url = _redirected(url, head.headers["location"])
    raise DownloadFailed(f"it redirects more than {MOST_REDIRECTS} times")


def _redirected(url: str, location: str) -> str:
    target = urljoin(url, location)
    if urlsplit(target).scheme != urlsplit(url).scheme:
        raise DownloadFailed("it redirects to another scheme")
    try:
        return require_secure(target)
    except ValueError as wrong:
        raise DownloadFailed(f"it redirects to what {wrong}") from None


async def _connected(url: str, trust: ssl.SSLContext) -> _Streams:
    """A connection to the host of the URL, through the proxy that the environment names for it."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "http":
        return _Streams(*await asyncio.open_connection(host, parts.port or 80, limit=_LONGEST_HEAD))
    port = parts.port or 443
    proxy = getproxies().get("https")
    if not proxy or is_loopback(host) or proxy_bypass(f"{host}:{port}"):
        return _Streams(*await asyncio.open_connection(host, port, ssl=trust, limit=_LONGEST_HEAD))
    return await _through(proxy, host, port, trust)


async def _through(proxy: str, host: str, port: int, trust: ssl.SSLContext) -> _Streams:
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    if parts.scheme != "http" or not parts.hostname:
        raise DownloadFailed("the proxy that the environment names for https must begin with http://")
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 3128, limit=_LONGEST_HEAD)
    try:
        at = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        lines = [f"CONNECT {at} HTTP/1.1", f"Host: {at}"]
        if parts.username is not None:
            user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            lines.append(f"Proxy-Authorization: Basic {b64encode(user.encode()).decode()}")
        writer.write("\r\n".join([*lines, "", ""]).encode())
        answered = await _head(reader)
        if answered.status != 200:
            raise DownloadFailed(f"the proxy answers with the status {answered.status}")
        await writer.start_tls(trust, server_hostname=host)
    except BaseException:
        writer.transport.abort()
        raise
    return _Streams(reader, writer)


async def _asked(streams: _Streams, url: str) -> _Head:
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = (
        f"GET {path} HTTP/1.1",
        f"Host: {parts.netloc}",
        "Accept: application/jwk-set+json, application/json",
        "Accept-Encoding: identity",
        "User-Agent: hyperfleet-api",
        "Connection: close",
    )
    streams.writer.write("\r\n".join([*lines, "", ""]).encode("ascii"))
    head = await _head(streams.reader)
    while 100 <= head.status < 200:
        head = await _head(streams.reader)
    return head


async def _head(reader: asyncio.StreamReader) -> _Head:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    if not version.startswith("HTTP/1.") or not (rest[:3].isascii() and rest[:3].isdigit()):
        raise DownloadFailed("the answer is not HTTP")
    pairs = (line.partition(":") for line in lines if line)
    return _Head(int(rest[:3]), {name.strip().lower(): value.strip() for name, _, value in pairs})


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise DownloadFailed("the answer is compressed, which was not asked for")
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return await _chunks(reader)
    length = headers.get("content-length")
    if length is None:
        return await _to_the_end(reader)
    if not (length.isascii() and length.isdigit()):
        raise DownloadFailed("the answer has a wrong length")
    return await reader.readexactly(_bounded(int(length[:20])))


async def _to_the_end(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while part := await reader.read(1 << 16):
        body += part
        _bounded(len(body))
    return bytes(body)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
        _bounded(len(body) + size)
        body += await reader.readexactly(size)
        if await reader.readexactly(2) != b"\r\n":
            raise DownloadFailed("the answer is not HTTP")
    return bytes(body)


def _bounded(size: int) -> int:
    if not 0 <= size <= LARGEST:
        raise DownloadFailed(f"the answer is larger than {LARGEST >> 10} KiB")
    return size
