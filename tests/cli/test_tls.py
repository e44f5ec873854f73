"""Listeners with TLS: their ports accept nothing else, and an unusable certificate is reported."""

import http.client
import ssl
import subprocess
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from testbed.calls import CLUSTERS
from testbed.programs import called
from testbed.serving import Service, folder
from testbed.waiting import eventually


def certificate(place: Path, *, password: bytes = b"") -> tuple[Path, Path]:
    """A self-signed certificate for localhost and its key, as files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    place.mkdir(exist_ok=True)
    (place / "tls.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    kept = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    (place / "tls.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, kept)
    )
    return place / "tls.crt", place / "tls.key"


def settings(listener: str, cert: Path, key: Path) -> dict[str, str]:
    prefix = f"HYPERFLEET_{listener.upper()}_TLS_"
    return {prefix + "ENABLED": "true", prefix + "CERT_FILE": str(cert), prefix + "KEY_FILE": str(key)}


def asked(port: int, path: str, trust: ssl.SSLContext) -> int:
    """The status of a GET over TLS, 0 without a response."""
    try:
        with closing(http.client.HTTPSConnection("localhost", port, timeout=10, context=trust)) as connection:
            connection.request("GET", path)
            return connection.getresponse().status
    except ConnectionError:
        return 0


def test_every_listener_can_use_tls_and_then_nothing_else() -> None:
    with folder() as place:
        cert, key = certificate(place / "tls")
        every = {n: v for each in ("server", "metrics", "health") for n, v in settings(each, cert, key).items()}
        trust = ssl.create_default_context(cafile=str(cert))
        service = Service(place, variables=every).start()
        try:
            eventually(lambda: service.ended() is not None or asked(service.health, "/readyz", trust) == 200, "ready")
            assert service.ended() is None, service.text()
            assert asked(service.api, CLUSTERS, trust) == 200
            assert asked(service.metrics, "/metrics", trust) == 200
            eventually(lambda: bool(service.lines("ready")), "logged as ready")
            [ready] = service.lines("ready")
            assert all(ready[name].startswith("https://") for name in ("api", "metrics", "health"))
            for port, path in ((service.api, CLUSTERS), (service.metrics, "/metrics"), (service.health, "/healthz")):
                assert service.status(port, path) == 0
            old = ssl.create_default_context(cafile=str(cert))
            old.maximum_version = ssl.TLSVersion.TLSv1_2
            assert asked(service.api, CLUSTERS, old) == 200
            assert asked(service.health, "/healthz", old) == 200
            assert service.lines("a probe failed") == []
            service.signal()
            assert service.wait() == 0
        finally:
            service.stop()


def config(**settings: str) -> subprocess.CompletedProcess[str]:
    return called("config", variables=settings)


@pytest.mark.parametrize("listener", ["server", "metrics", "health"])
def test_mistakes_in_the_files_are_reported_before_the_start(tmp_path: Path, listener: str) -> None:
    cert, key = certificate(tmp_path / "one")
    _, other = certificate(tmp_path / "two")
    _, locked = certificate(tmp_path / "three", password=b"secret")
    none = tmp_path / "none.pem"
    path = f"{listener}.tls"
    assert config(**settings(listener, cert, key)).returncode == 0
    for pair, said in (
        ((cert, none), f"{path}.key_file: file {none} does not exist."),
        ((none, key), f"{path}.cert_file: file {none} does not exist."),
        ((cert, other), f"{path}: the certificate in {cert} and the key in {other} cannot be used"),
        ((cert, locked), "the key has a password"),
        ((key, key), "cannot be used"),
    ):
        refused = config(**settings(listener, *pair))
        assert refused.returncode == 1
        assert said in refused.stderr
    enabled = config(**{f"HYPERFLEET_{listener.upper()}_TLS_ENABLED": "true"})
    assert enabled.returncode == 1
    assert f"{path}.cert_file: must be set when {path}.enabled is true." in enabled.stderr
    assert f"{path}.key_file: must be set" in enabled.stderr
