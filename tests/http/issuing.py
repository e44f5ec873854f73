"""The world outside the service: keys, tokens from an issuer or an attacker, and an issuer on loopback with responses
that tests choose."""

import json
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

from hyperfleet.http.access.issuer_keys import IssuerKeys
from hyperfleet.http.access.verifier import Issuer

ISSUER: Final = "https://issuer.example.com/realms/fleet"
OTHER_ISSUER: Final = "https://other.example.com"
EMAIL: Final = "mary@example.com"

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
_ALGORITHMS: Final = get_default_algorithms()


@cache
def private_key(name: str) -> PrivateKey:
    """A private key, the same throughout a run for a name such as `RS256-one`; the algorithm determines its type."""
    if name.startswith("ES256"):
        return ec.generate_private_key(ec.SECP256R1())
    if name.startswith("ES384"):
        return ec.generate_private_key(ec.SECP384R1())
    if name.startswith("EdDSA"):
        return ed25519.Ed25519PrivateKey.generate()
    size = 1024 if "weak" in name else 2048
    return rsa.generate_private_key(public_exponent=65537, key_size=size)


def jwk(name: str, **members: Any) -> dict[str, Any]:
    """The public key of that name as an issuer publishes it, with the name as `kid`; None omits a member."""
    public = _ALGORITHMS[name[:5]].to_jwk(private_key(name).public_key(), as_dict=True)
    entry = {**public, "kid": name, "alg": name[:5], "use": "sig", **members}
    entry.pop("key_ops", None) if members.get("key_ops") is None else None
    return {member: value for member, value in entry.items() if value is not None}


def key_set(*names: str) -> bytes:
    """The key set that an issuer publishes for its keys of these names."""
    return json.dumps({"keys": [jwk(name) for name in names]}).encode()


def pem(name: str) -> bytes:
    """The public key of that name in PEM form, which anyone may have."""
    return (
        private_key(name)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def part(content: Mapping[str, Any] | bytes) -> bytes:
    """A part of a token."""
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return urlsafe_b64encode(text).rstrip(b"=")


def claims(**changed: Any) -> dict[str, Any]:
    """Valid claims; None omits a claim."""
    now = int(time.time())
    whole = {"iss": ISSUER, "sub": "f:42:mary", "email": EMAIL, "iat": now, "exp": now + 86_400, **changed}
    return {name: value for name, value in whole.items() if value is not None}


def signature(signed: bytes, key: str, algorithm: str) -> bytes:
    """The signature with the key of that name."""
    return _ALGORITHMS[algorithm].sign(signed, private_key(key))


def token(
    key: str = "RS256-one",
    *,
    header: Mapping[str, Any] | bytes | None = None,
    payload: bytes | None = None,
    algorithm: str = "",
    **changed: Any,
) -> bytes:
    """A token signed with the key of that name; `header`'s members are added to its own, None omits one.

    `header` and `payload` as bytes are used unchanged, `changed` are claims.
    """
    by = algorithm or key[:5]
    if not isinstance(header, bytes):
        members = {"alg": by, "typ": "JWT", "kid": key, **(header or {})}
        header = json.dumps({name: value for name, value in members.items() if value is not None}).encode()
    signed = part(header) + b"." + part(claims(**changed) if payload is None else payload)
    return signed + b"." + part(signature(signed, key, by))


def issuer(url: str = ISSUER, key: str = "ES256-one", **changed: Any) -> Issuer:
    """An issuer whose only key is always available."""

    async def published() -> bytes:
        return key_set(key)

    return Issuer(url, IssuerKeys(url, published, cooldown=0.01), **changed)


Page = Callable[["Request"], None]


class LocalIssuer:
    """An issuer on loopback: `publishes` is its key set, `page` writes the response, `paths` are the requested paths.

    It can be stopped and started again on its port.
    """

    def __init__(self, *keys: str) -> None:
        self.publishes = key_set(*keys)
        self.page: Page | None = None
        self.paths: list[str] = []
        self.release = threading.Event()
        self.port = 0
        self._server: ThreadingHTTPServer | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/keys"

    @property
    def requests(self) -> int:
        return len(self.paths)

    def start(self) -> None:
        issuer = self

        class Handling(Request):
            asked = issuer

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handling)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def stop(self) -> None:
        self.release.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        self.release = threading.Event()


class Request(BaseHTTPRequestHandler):
    """A request to the issuer."""

    protocol_version = "HTTP/1.1"
    asked: LocalIssuer

    def do_GET(self) -> None:
        self.asked.paths.append(self.path)
        self.close_connection = True
        try:
            if self.asked.page is not None:
                self.asked.page(self)
            else:
                self.answer(self.asked.publishes)
        except (BrokenPipeError, ConnectionResetError):
            return

    def answer(self, body: bytes, status: int = 200, **headers: str) -> None:
        """Sends a response with a valid head."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def answer_late(self) -> None:
        """Sends the key set after 0.2 seconds."""
        time.sleep(0.2)
        self.answer(self.asked.publishes)

    def write(self, raw: bytes) -> None:
        """Sends these bytes and nothing else."""
        self.wfile.write(raw)

    def hang(self) -> None:
        """Sends nothing until the issuer stops or is told to continue."""
        self.asked.release.wait(60)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@contextmanager
def local_issuer(*keys: str) -> Iterator[LocalIssuer]:
    """A local issuer with these keys, stopped at the end."""
    issuer = LocalIssuer(*keys)
    try:
        yield issuer
    finally:
        issuer.stop()
