"""Requests as bytes on a socket, against the whole service: what the HTTP server refuses, and what it passes on."""

import json
import socket
from collections.abc import Iterator
from typing import Final

import pytest

from testbed.calls import CLUSTERS
from testbed.serving import Service, folder

BODY: Final = b'{"spec":{}}'
CHUNKED: Final = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with folder() as place:
        started = Service(place, HYPERFLEET_SERVER_WORKERS="1").start()
        try:
            yield started.ready()
        finally:
            started.stop()


def answered(service: Service, sent: bytes) -> tuple[int, str]:
    """Status and code of the response; no code without a problem document."""
    with socket.create_connection(("127.0.0.1", service.api), timeout=10) as connection:
        connection.sendall(sent)
        head, body = _head(connection, b"")
        if head.startswith(b"HTTP/1.1 100"):
            head, body = _head(connection, body)
        lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
        length = int(lines.get(b"content-length", b"0"))
        while len(body) < length and (piece := connection.recv(65536)):
            body += piece
    status = int(head.split(b" ")[1])
    return status, json.loads(body).get("code", "") if body else ""


def _head(connection: socket.socket, received: bytes) -> tuple[bytes, bytes]:
    """The next head of a response, and the bytes after it."""
    while b"\r\n\r\n" not in received and (piece := connection.recv(65536)):
        received += piece
    head, _, rest = received.partition(b"\r\n\r\n")
    return head, rest


def get(*lines: bytes, version: bytes = b"1.1", path: str = "/api/hyperfleet") -> bytes:
    return b"\r\n".join([b"GET %b HTTP/%b" % (path.encode(), version), *lines, b"", b""])


def post(*lines: bytes, body: bytes = BODY) -> bytes:
    return b"\r\n".join([b"POST %b HTTP/1.1" % CLUSTERS.encode(), b"Host: a", *lines, b"", body])


BAD: Final = "HYPERFLEET-VAL-005"
NO_NAME: Final = (400, "HYPERFLEET-VAL-001")
"""The body was read: it lacks a name."""


@pytest.mark.parametrize(
    ("name", "sent", "expected"),
    [
        ("one host", get(b"Host: a"), (200, "")),
        ("no host", get(), (400, BAD)),
        ("an empty host", get(b"Host:"), (400, BAD)),
        ("two hosts", get(b"Host: a", b"Host: a"), (400, BAD)),
        ("a host that is none", get(b"Host: a b/c@d"), (400, BAD)),
        ("no host before HTTP/1.1", get(version=b"1.0"), (200, "")),
        ("an address with its host", get(b"Host: a", path="http://other:1/api/hyperfleet"), (200, "")),
        ("a line that goes on in the next", get(b"Host: a", b"X-A: b", b" c"), (400, "")),
        ("a blank before the colon", get(b"Host: a", b"X-A : b"), (400, "")),
        ("a NUL", get(b"Host: a", b"X-A: b\0c"), (400, "")),
        ("another version", get(b"Host: a", version=b"1.2"), (400, "")),
        ("headers of 30,000 bytes", get(b"Host: a", b"X-A: " + b"a" * 30_000), (200, "")),
        ("headers of 100 KB", get(b"Host: a", b"X-A: " + b"a" * 100_000), (431, BAD)),
        ("headers of 400 KB", get(b"Host: a", b"X-A: " + b"a" * 400_000), (431, "")),
        ("101 headers", get(b"Host: a", *[b"X-A: b"] * 101), (431, "")),
        ("an address of 70 KB", get(b"Host: a", path="/" + "a" * 70_000), (414, "")),
        ("a length", post(b"Content-Length: %d" % len(BODY)), NO_NAME),
        ("a length with a plus", post(b"Content-Length: +%d" % len(BODY)), (400, "")),
        ("a negative length", post(b"Content-Length: -1"), (400, "")),
        ("a hexadecimal length", post(b"Content-Length: 0xb"), (400, "")),
        ("a list of lengths", post(b"Content-Length: 11, 11"), (400, "")),
        ("two lengths", post(b"Content-Length: 11", b"Content-Length: 12"), (400, "")),
        ("no length at all", post(b"Content-Length:"), (400, "")),
        ("chunks", post(b"Transfer-Encoding: chunked", body=CHUNKED), NO_NAME),
        ("chunks in gzip", post(b"Transfer-Encoding: gzip, chunked", body=CHUNKED), (501, BAD)),
        (
            "chunks in gzip, in two lines",
            post(b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked", body=CHUNKED),
            (501, BAD),
        ),
        ("chunks in chunks", post(b"Transfer-Encoding: chunked, chunked", body=CHUNKED), (400, BAD)),
        ("gzip without chunks", post(b"Transfer-Encoding: gzip", body=CHUNKED), (400, "")),
        ("a coding that ends alike", post(b"Transfer-Encoding: xchunked", body=CHUNKED), (400, "")),
        ("an expectation", post(b"Expect: 100-continue", b"Content-Length: 11"), NO_NAME),
        ("no media type", post(b"Content-Length: 11", b"Content-Type: ;"), (415, BAD)),
        (
            "two media types",
            post(b"Content-Length: 11", b"Content-Type: application/json", b"Content-Type: text/plain"),
            (415, BAD),
        ),
        ("a page of another site", post(b"Content-Length: 11", b"Origin: http://b"), (403, "HYPERFLEET-AUZ-001")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_request_has_one_interpretation_or_is_refused(
    name: str, sent: bytes, expected: tuple[int, str], service: Service
) -> None:
    assert answered(service, sent) == expected, name


def test_the_gateway_must_be_the_peer_of_the_connection() -> None:
    gateway = {
        "HYPERFLEET_SERVER_TRUSTED_GATEWAY_ENABLED": "true",
        "HYPERFLEET_SERVER_TRUSTED_GATEWAY_IDENTITY_HEADER": "X-HyperFleet-Identity",
    }
    with folder() as place:
        # Networks are a list, and lists come only from files.
        file = place / "config.yaml"
        for networks, expected in (("[10.0.0.0/8]", (401, "HYPERFLEET-AUT-001")), ("[127.0.0.0/8]", (200, ""))):
            file.write_text(f"server: {{trusted_gateway: {{allow: {networks}}}}}\n")
            service = Service(
                place, variables=gateway, HYPERFLEET_CONFIG=str(file), HYPERFLEET_SERVER_WORKERS="1"
            ).start()
            try:
                service.ready()
                sent = get(b"Host: a", b"X-HyperFleet-Identity: mary", b"X-Forwarded-For: 10.0.0.1", path=CLUSTERS)
                assert answered(service, sent) == expected
                assert answered(service, get(b"Host: a", path=CLUSTERS)) == (401, "HYPERFLEET-AUT-001")
                [warning] = service.lines("a gateway is trusted to identify callers, without tokens")
                assert warning["level"] == "warning"
            finally:
                service.stop()
