"""Downloads an issuer's keys: one bounded GET with httpcore2, without threads or cookies.

The issuer may be broken or hostile. The library limits the response's head; this file limits the body and the
redirects, and refuses a redirect to another scheme. The caller sets the deadline: cancelling a download closes its
connection at once.

The library is imported by the first download only. The import takes a tenth of a second and a mebibyte, which a
process that fetches no keys does not pay.
"""

import ssl
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, unquote, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

from hyperfleet.settings.jwt_configs import is_loopback, require_secure

if TYPE_CHECKING:
    from httpcore2 import AsyncConnectionPool, Response

LARGEST: Final = 1 << 18
MOST_PIECES: Final = 4096
"""The most chunks of one response. Every chunk costs the same, so many tiny ones would keep this process busy."""

MOST_REDIRECTS: Final = 3
_LONGEST_REASON: Final = 300
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_HEADERS: Final[dict[bytes | str, bytes | str]] = {
    "Accept": "application/jwk-set+json, application/json",
    "Accept-Encoding": "identity",
    "User-Agent": "hyperfleet-api",
    "Connection": "close",
}


class DownloadFailed(Exception):
    """The response cannot be used; the message gives the reason, for the log."""


async def get(url: str, trust: ssl.SSLContext) -> bytes:
    """The body of a 200 response. Raises DownloadFailed for any other response, a too large one, or none at all."""
    import httpcore2

    try:
        for _ in range(1 + MOST_REDIRECTS):
            answer = await _answer(url, trust)
            if isinstance(answer, bytes):
                return answer
            url = _redirected(url, *answer)
    except httpcore2.ProxyError as failure:
        raise DownloadFailed(f"the proxy returned status {_reason(failure)}") from None
    except httpcore2.RemoteProtocolError as failure:
        raise DownloadFailed(f"the response is not HTTP/1.1, or was truncated: {_reason(failure)}") from None
    except (httpcore2.NetworkError, OSError, ValueError) as failure:
        raise DownloadFailed(_reason(failure)) from None
    raise DownloadFailed(f"the URL redirects more than {MOST_REDIRECTS} times")


def _reason(failure: BaseException) -> str:
    """The operating system's message. The library wraps the original failure in an argument, and then in a cause."""
    wrapped = failure.args[0] if failure.args else None
    cause = (wrapped if isinstance(wrapped, BaseException) else failure).__cause__
    return str(cause or failure)[:_LONGEST_REASON] or type(failure).__name__


def _redirected(url: str, status: int, location: str) -> str:
    if status not in _REDIRECTS or not location:
        raise DownloadFailed(f"the response has status {status}")
    target = urljoin(url, location)
    if urlsplit(target).scheme != urlsplit(url).scheme:
        raise DownloadFailed("the URL redirects to another scheme")
    try:
        return require_secure(target)
    except ValueError as wrong:
        raise DownloadFailed(f"the redirect's location {wrong}") from None


async def _answer(url: str, trust: ssl.SSLContext) -> bytes | tuple[int, str]:
    """The body of a 200 response; for any other response its status and `Location`."""
    from httpcore2 import URL

    parts = urlsplit(url)
    host, proxy = parts.hostname or "", _proxy(parts)
    # A proxy needs brackets around an IPv6 address; the library does not write them.
    named = f"[{host}]" if proxy and ":" in host else host
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    async with (
        _connections(proxy, trust) as connections,
        connections.stream(
            "GET",
            URL(scheme=parts.scheme, host=named, port=parts.port, target=target),
            headers={"Host": parts.netloc, **_HEADERS},
            extensions={"sni_hostname": host},
        ) as answer,
    ):
        headers = {name.lower(): value.decode("latin-1") for name, value in answer.headers}
        if answer.status != 200:
            return answer.status, headers.get(b"location", "")
        if headers.get(b"content-encoding", "identity").lower() != "identity":
            raise DownloadFailed("the response is compressed although no compression was requested")
        return await _body(answer)


def _proxy(parts: SplitResult) -> str | None:
    """The proxy that the environment sets for a URL, or None. Loopback addresses never use a proxy."""
    host = parts.hostname or ""
    proxy = getproxies().get("https") if parts.scheme == "https" and not is_loopback(host) else None
    return proxy if proxy and not proxy_bypass(f"{host}:{parts.port or 443}") else None


def _connections(proxy: str | None, trust: ssl.SSLContext) -> "AsyncConnectionPool":
    from httpcore2 import URL, AsyncConnectionPool, Proxy

    if proxy is None:
        return AsyncConnectionPool(ssl_context=trust)
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    if parts.scheme != "http" or not parts.hostname:
        raise DownloadFailed("the proxy for https in the environment must begin with http://")
    url = URL(scheme="http", host=parts.hostname, port=parts.port or 3128, target="/")
    user = None if parts.username is None else (unquote(parts.username), unquote(parts.password or ""))
    auth = user and (user[0].encode(), user[1].encode())
    return AsyncConnectionPool(ssl_context=trust, proxy=Proxy(url, auth=auth))


async def _body(answer: "Response") -> bytes:
    body = bytearray()
    pieces = 0
    async for piece in answer.aiter_stream():
        body += piece
        pieces += 1
        if len(body) > LARGEST:
            raise DownloadFailed(f"the response is larger than {LARGEST >> 10} KiB")
        if pieces > MOST_PIECES:
            raise DownloadFailed(f"the response has more than {MOST_PIECES} chunks")
    return bytes(body)
