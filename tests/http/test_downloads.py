"""One bounded GET: what it requests, how large a response may be, whom it trusts, which redirects it follows."""

import asyncio
import datetime
import ipaddress
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from hyperfleet.http.access.downloads import LARGEST, MOST_REDIRECTS, DownloadFailed, get
from hyperfleet.settings.jwt_configs import require_secure

TRUST: Final = ssl.create_default_context()
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(serve: Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """The port of a server on loopback."""
    tasks: set[asyncio.Task[None]] = set()

    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        try:
            await serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(session, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def answering(*heads: bytes, asked: list[bytes] | None = None) -> Serve:
    """Answers each request with the next of these responses, and repeats the last."""
    left = list(heads)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        if asked is not None:
            asked.append(request)
        writer.write(left.pop(0) if len(left) > 1 else left[0])
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    return serve


def ok(body: bytes, *lines: bytes) -> bytes:
    return b"\r\n".join([b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(body), *lines, b"", body])


def redirect(to: str) -> bytes:
    return b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: %b\r\n\r\n" % to.encode()


async def fetched(serve: Serve, path: str = "/keys") -> bytes:
    async with serving(serve) as port:
        return await get(f"http://127.0.0.1:{port}{path}", TRUST)


async def failure(serve: Serve) -> str:
    with pytest.raises(DownloadFailed) as caught:
        await fetched(serve)
    return str(caught.value)


async def test_it_requests_the_path_and_query_without_an_encoding() -> None:
    asked: list[bytes] = []
    assert await fetched(answering(ok(b"{}"), asked=asked), "/realms/a/certs?v=1") == b"{}"
    first, *lines = asked[0].decode().split("\r\n")
    assert first == "GET /realms/a/certs?v=1 HTTP/1.1"
    assert {"Accept-Encoding: identity", "Connection: close"} <= set(lines)
    assert lines[0].startswith("Host: 127.0.0.1:")


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (ok(b""), b""),
        (ok(b"abc", b"Content-Type: text/html"), b"abc"),
        (b"HTTP/1.0 200 OK\r\n\r\nto the end", b"to the end"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + ok(b"abc"), b"abc"),
        (
            b"HTTP/1.1 200\r\nTRANSFER-ENCODING: Chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
            b"abc0123456789",
        ),
        (ok(b"x" * LARGEST), b"x" * LARGEST),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * LARGEST, b"x" * LARGEST),
    ],
    ids=lambda value: value[:60].decode(),
)
async def test_a_body_arrives_however_it_is_framed(answer: bytes, body: bytes) -> None:
    assert await fetched(answering(answer)) == body


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (ok(b"x" * (LARGEST + 1)), "larger than 256 KiB"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (LARGEST + 1), "larger than 256 KiB"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n" + b"x" * (LARGEST + 1),
            "larger than 256 KiB",
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 5000, "more than 4096 chunks"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", ""),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", ""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", "bad Content-Length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\n", "bad Content-Length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", "truncated"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", "compressed"),
        (b"HTTP/1.1 200 OK\r\n", "truncated"),
        (b"", "truncated"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 20_000, "too long"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 two hundred\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "status 404"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "status 204"),
        (b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", "status 302"),
        (redirect("https://127.0.0.1/keys"), "another scheme"),
        (redirect("ftp://127.0.0.1/keys"), "another scheme"),
        (redirect("file:///etc/passwd"), "another scheme"),
        (redirect("//example.com/keys"), "must begin with https"),
        (redirect("http://user:secret@127.0.0.1/keys"), "must not contain a user"),
        (redirect("http://[::1/keys"), ""),
        (redirect("/again"), f"more than {MOST_REDIRECTS} times"),
    ],
    ids=lambda value: value[-50:].decode() if isinstance(value, bytes) else value,
)
async def test_the_log_gets_the_reason_for_an_unusable_response(answer: bytes, words: str) -> None:
    assert words in await failure(answering(answer))


async def test_a_redirect_to_another_path_of_the_same_scheme_is_followed() -> None:
    asked: list[bytes] = []
    answers = [redirect("/there"), redirect("further?a=b"), ok(b"found")]
    assert await fetched(answering(*answers, asked=asked), "/a/b") == b"found"
    assert [request.split()[1] for request in asked] == [b"/a/b", b"/there", b"/further?a=b"]


async def test_a_refused_connection_is_a_failure_and_a_cancelled_download_closes() -> None:
    async with serving(answering(ok(b""))) as port:
        pass
    with pytest.raises(DownloadFailed):
        await get(f"http://127.0.0.1:{port}/", TRUST)
    closed = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        try:
            await reader.read()
        finally:
            closed.set()

    async with serving(hang) as port:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await get(f"http://127.0.0.1:{port}/", TRUST)
        async with asyncio.timeout(5):
            await closed.wait()


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    """The TLS context of a server on loopback, and the file of the authority that signed its certificate."""
    folder = tmp_path_factory.mktemp("authority")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test authority")])
    now = datetime.datetime.now(datetime.UTC)
    names = [
        x509.DNSName("localhost"),
        x509.DNSName("issuer.example.com"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    ]
    usage = {name: name in ("digital_signature", "key_cert_sign", "crl_sign") for name in (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )}  # fmt: skip
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.KeyUsage(**usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    file, secret = folder / "ca.pem", folder / "key.pem"
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, secret)
    return context, file


async def test_https_needs_a_certificate_of_a_trusted_authority(certified: tuple[ssl.SSLContext, Path]) -> None:
    tls, file = certified
    async with serving(answering(ok(b"keys")), tls) as port:
        assert await get(f"https://localhost:{port}/", ssl.create_default_context(cafile=file)) == b"keys"
        with pytest.raises(DownloadFailed, match=r"(?i)certificate"):
            await get(f"https://localhost:{port}/", TRUST)


def proxy_to(port: int, asked: list[bytes], answer: bytes = b"HTTP/1.1 200 Connected\r\n\r\n") -> Serve:
    """A proxy that connects every CONNECT to one port of this machine."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while part := await reader.read(1 << 16):
            writer.write(part)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        if b" 200 " not in answer:
            await writer.drain()
            return
        inner = await asyncio.open_connection("127.0.0.1", port)
        try:
            await asyncio.gather(copy(reader, inner[1]), copy(inner[0], writer))
        finally:
            inner[1].transport.abort()

    return serve


async def _through_a_proxy(certified: tuple[ssl.SSLContext, Path], monkeypatch: pytest.MonkeyPatch) -> int:
    """Requests an external host and this machine; returns how often the proxy was used."""
    tls, file = certified
    trust = ssl.create_default_context(cafile=file)
    asked: list[bytes] = []
    async with serving(answering(ok(b"keys")), tls) as port, serving(proxy_to(port, asked)) as proxy:
        monkeypatch.setenv("https_proxy", f"http://mary:s%20x@127.0.0.1:{proxy}")
        monkeypatch.setenv("no_proxy", "")
        assert await get("https://issuer.example.com/keys", trust) == b"keys"
        assert asked[0].startswith(b"CONNECT issuer.example.com:443 HTTP/1.1\r\nHost: issuer.example.com:443\r\n")
        assert b"Proxy-Authorization: Basic bWFyeTpzIHg=\r\n" in asked[0]
        assert await get(f"https://localhost:{port}/", trust) == b"keys"
        assert len(asked) == 1, "this machine is not behind a proxy"
        monkeypatch.setenv("no_proxy", "issuer.example.com")
        with pytest.raises(DownloadFailed):
            await get("https://issuer.example.com/keys", trust)
        return len(asked)


async def test_a_proxy_from_the_environment_is_used_for_external_hosts(
    certified: tuple[ssl.SSLContext, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await _through_a_proxy(certified, monkeypatch) == 1


def test_a_proxy_works_on_the_event_loop_of_workers(
    certified: tuple[ssl.SSLContext, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    work: Coroutine[Any, Any, int] = _through_a_proxy(certified, monkeypatch)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(work) == 1


async def test_a_proxy_gets_an_ipv6_address_in_brackets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "")
    asked: list[bytes] = []
    async with serving(proxy_to(1, asked, b"HTTP/1.1 403 Forbidden\r\n\r\n")) as proxy:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy}")
        with pytest.raises(DownloadFailed, match="proxy returned status 403"):
            await get("https://[2001:db8::1]/keys", TRUST)
    assert asked[0].startswith(b"CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n")


async def test_an_issuers_cookie_is_not_sent_back() -> None:
    asked: list[bytes] = []
    cookie = redirect("/there").replace(b"\r\n\r\n", b"\r\nSet-Cookie: a=b; Path=/\r\n\r\n")
    assert await fetched(answering(cookie, ok(b"found"), asked=asked)) == b"found"
    assert len(asked) == 2
    assert all(b"cookie" not in request.lower() for request in asked)


async def test_a_failed_connection_has_the_systems_reason() -> None:
    async with serving(answering(ok(b""))) as port:
        pass
    with pytest.raises(DownloadFailed, match=rf"\('127.0.0.1', {port}\)"):
        await get(f"http://127.0.0.1:{port}/", TRUST)


def test_the_library_is_not_imported_before_the_first_download() -> None:
    program = "import sys; import hyperfleet.assembly.application; print('httpcore2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


async def test_a_proxy_that_refuses_or_is_not_a_proxy_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "")
    asked: list[bytes] = []
    async with serving(proxy_to(1, asked, b"HTTP/1.1 407 Authentication Required\r\n\r\n")) as proxy:
        monkeypatch.setenv("https_proxy", f"127.0.0.1:{proxy}")
        with pytest.raises(DownloadFailed, match="proxy returned status 407"):
            await get("https://issuer.example.com/keys", TRUST)
    monkeypatch.setenv("https_proxy", "socks5://127.0.0.1:1080")
    with pytest.raises(DownloadFailed, match="must begin with http"):
        await get("https://issuer.example.com/keys", TRUST)


@pytest.mark.parametrize(
    ("url", "is_right"),
    [
        ("https://sso.example.com/realms/fleet", True),
        ("https://sso.example.com:8443/", True),
        ("https://10.0.0.1/keys?a=b", True),
        ("http://localhost:8080/keys", True),
        ("http://127.0.0.1/keys", True),
        ("http://127.8.9.1/keys", True),
        ("http://[::1]:8080/keys", True),
        ("http://sso.example.com/", False),
        ("http://10.0.0.1/", False),
        ("http://localhost.example.com/", False),
        ("http://127.0.0.1.example.com/", False),
        ("http://0.0.0.0/", False),
        ("https://", False),
        ("https:///keys", False),
        ("//sso.example.com", False),
        ("sso.example.com", False),
        ("file:///etc/keys", False),
        ("https://user@sso.example.com/", False),
        ("https://:secret@sso.example.com/", False),
        ("https://sso.example.com/#keys", False),
        ("https://sso.example.com/a b", False),
        ("https://sso.example.com/a\r\nHost: b", False),
        ("https://sso.example.com:99999/", False),
        ("https://sso.example.com:port/", False),
        ("https://[::1/", False),
        ("https://söö.example.com/", False),
        ("https://sso.example.com/" + "a" * 2000, False),
    ],
)
def test_a_url_is_https_or_on_this_machine(url: str, is_right: bool) -> None:
    if is_right:
        assert require_secure(url) == url
        return
    with pytest.raises(ValueError, match="must"):
        require_secure(url)
