"""The configured token issuers: checks their settings, and builds the parts that verify their tokens.

Files are read once at startup, so that a bad file stops the start. A key file is read again when a token names an
unknown key.
"""

import asyncio
import re
import ssl
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

from hyperfleet.assembly import files
from hyperfleet.http.access import downloads
from hyperfleet.http.access.issuer_keys import IssuerKeys, Source
from hyperfleet.http.access.key_sets import BadKeySet, KeySet, key_set
from hyperfleet.http.access.verifier import DEFAULT_IDENTITY_CLAIMS, Issuer
from hyperfleet.settings import BadSettings, Jwt
from hyperfleet.settings import Issuer as Entry

PATH: Final = "server.jwt.configs"


def trusted(jwt: Jwt) -> tuple[Issuer, ...]:
    """The trusted issuers; empty if callers need no token.

    Raises BadSettings with every mistake in the files that the entries name.
    """
    if not jwt.enabled:
        return ()
    sources: list[Source] = []
    mistakes: list[str] = []
    for position, entry in enumerate(jwt.configs):
        try:
            sources.append(_source(entry))
        except _BadFile as wrong:
            mistakes.append(f"{PATH}[{position}].{wrong}.")
    if mistakes:
        raise BadSettings(mistakes)
    return tuple(_issuer(entry, source) for entry, source in zip(jwt.configs, sources, strict=True))


def contradictions(jwt: Jwt) -> Iterator[tuple[str, str]]:
    """Conflicts between settings that are valid on their own: the path of a setting, and a sentence."""
    if not jwt.configs:
        yield (
            PATH,
            f"{PATH} is empty, so every token would be rejected; add an issuer, or set server.jwt.enabled to false.",
        )
    seen: set[str] = set()
    for position, entry in enumerate(jwt.configs):
        path = f"{PATH}[{position}]"
        if entry.issuer_url is not None and entry.issuer_url in seen:
            yield path, f"{path}.issuer_url: duplicate entry for {entry.issuer_url}."
        seen.add(entry.issuer_url or "")
        if bool(entry.jwk_cert_url) == bool(entry.jwk_cert_file):
            given = "both are set" if entry.jwk_cert_url else "neither is set"
            yield path, f"{path}: set exactly one of jwk_cert_url and jwk_cert_file; {given}."
        if entry.jwk_cert_ca_file and not (entry.jwk_cert_url or "").startswith("https://"):
            yield path, f"{path}.jwk_cert_ca_file: requires a jwk_cert_url that begins with https://."
        if entry.identity_header and entry.identity_header.lower() == (entry.header or "Authorization").lower():
            yield path, f"{path}.identity_header: already used for tokens; use a different header."


class _BadFile(Exception):
    """A file that an entry names cannot be used; the text names the file and the reason."""


def _issuer(entry: Entry, source: Source) -> Issuer:
    url = entry.issuer_url or ""
    return Issuer(
        url,
        IssuerKeys(url, source),
        audience=entry.audience or "",
        identity_claims=(entry.identity_claim,) if entry.identity_claim else DEFAULT_IDENTITY_CLAIMS,
        identity_pattern=re.compile(entry.identity_claim_pattern) if entry.identity_claim_pattern else None,
        groups_claim=entry.groups_claim or "groups",
        header=(entry.header or "Authorization").lower(),
        identity_header=entry.identity_header or "",
    )


def _source(entry: Entry) -> Source:
    """The source of the issuer's keys; raises _BadFile when a file that it needs cannot be used."""
    if entry.jwk_cert_file:
        path = Path(entry.jwk_cert_file)
        try:
            if not key_set(files.content(path, downloads.LARGEST), KeySet()).keys:
                raise BadKeySet("the key set is empty, so every token would be rejected")
        except (OSError, BadKeySet) as wrong:
            raise _BadFile(f"jwk_cert_file: {path} cannot be used: {_reason(wrong)}") from None
        return partial(asyncio.to_thread, files.content, path, downloads.LARGEST)
    try:
        trust = ssl.create_default_context(cafile=entry.jwk_cert_ca_file)
    except (OSError, ValueError) as wrong:
        reason = "the file contains no PEM certificate" if isinstance(wrong, ssl.SSLError) else _reason(wrong)
        raise _BadFile(f"jwk_cert_ca_file: {entry.jwk_cert_ca_file} cannot be used: {reason}") from None
    return partial(downloads.get, entry.jwk_cert_url or "", trust)


def _reason(wrong: Exception) -> str:
    return files.reason(wrong) if isinstance(wrong, OSError) else str(wrong)
