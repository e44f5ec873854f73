"""TLS for the listeners: the certificate and key files are read at startup; a renewed certificate needs a restart."""

import ssl
from collections.abc import Iterator
from pathlib import Path

from hyperfleet.settings import Settings, Tls, listeners, value


class BadCertificate(ValueError):
    """The certificate and key cannot be used; the text gives the reason and the remedy."""


def context(tls: Tls) -> ssl.SSLContext:
    """The TLS context of a listener, for TLS 1.2 and later; raises BadCertificate."""
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        made.load_cert_chain(tls.cert_file, tls.key_file, password=_no_password)
    except (OSError, ValueError) as failure:
        # OpenSSL's error names neither file.
        reason = getattr(failure, "reason", None) or failure
        raise BadCertificate(
            f"the certificate in {tls.cert_file} and the key in {tls.key_file} cannot be used ({reason}); "
            "both must be PEM and match, and the key must have no password."
        ) from None
    return made


def _no_password() -> str:
    # Otherwise OpenSSL would prompt for the password on the terminal and wait.
    raise ValueError("the key has a password")


def contradictions(configured: Settings) -> Iterator[tuple[str, str]]:
    """The mistakes in the listeners' TLS settings: the path of the setting, and a sentence."""
    for listener in listeners():
        path = f"{listener}.tls"
        tls: Tls = value(configured, path)
        if not tls.enabled:
            continue
        files = {f"{path}.cert_file": tls.cert_file, f"{path}.key_file": tls.key_file}
        wrong = [(name, file) for name, file in files.items() if not file or not Path(file).is_file()]
        for name, file in wrong:
            said = f"file {file} does not exist." if file else f"must be set when {path}.enabled is true."
            yield name, f"{name}: {said}"
        if not wrong:
            try:
                context(tls)
            except BadCertificate as failure:
                yield f"{path}.cert_file", f"{path}: {failure}"
