"""TLS of the listeners: a certificate and its key from files, read at the start; a renewed one needs a new start."""

import ssl
from collections.abc import Iterator
from pathlib import Path

from hyperfleet.settings import Settings, Tls, listeners, value


class BadCertificate(ValueError):
    """Certificate and key cannot be used; the text says why and what to do."""


def context(tls: Tls) -> ssl.SSLContext:
    """What a listener encrypts by, TLS 1.2 and later; raises BadCertificate."""
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        made.load_cert_chain(tls.cert_file, tls.key_file, password=_no_password)
    except (OSError, ValueError) as failure:
        # The library names neither of the two files.
        reason = getattr(failure, "reason", None) or failure
        raise BadCertificate(
            f"the certificate in {tls.cert_file} and the key in {tls.key_file} cannot be used ({reason}); "
            "both must be PEM and match, and the key must have no password."
        ) from None
    return made


def _no_password() -> str:
    # Else the library would ask for it on the terminal and wait.
    raise ValueError("the key has a password")


def contradictions(configured: Settings) -> Iterator[tuple[str, str]]:
    """What is wrong with the TLS of the listeners: the setting, and a sentence."""
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
