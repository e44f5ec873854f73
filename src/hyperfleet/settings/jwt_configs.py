"""An entry of `server.jwt.configs`: a trusted issuer, and how its tokens identify a caller.

The rule for URLs is here because it applies twice: to configured URLs, and to redirects from an issuer.
"""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from hyperfleet.settings.authorization import NAME_OF_CLAIM, NAME_OF_HEADER
from hyperfleet.settings.forms import Form, line, member, required

_ADDRESS: Final = re.compile(r"[!-~]{1,2000}")


def is_loopback(host: str) -> bool:
    """Whether a host, without its port, is a loopback address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def require_secure(url: str) -> str:
    """Returns the URL; raises ValueError unless it is https, or http on loopback, without user and fragment."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("must be a URL such as https://sso.example.com/realms/fleet") from None
    if not _ADDRESS.fullmatch(url) or parts.scheme not in ("https", "http") or not host:
        raise ValueError("must be a URL such as https://sso.example.com/realms/fleet")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError("must begin with https://; http:// is for loopback addresses only")
    if parts.username is not None or parts.fragment:
        raise ValueError("must not contain a user, password or fragment")
    return url


def _pattern(text: str) -> str:
    try:
        re.compile(line(text))
    except re.error as wrong:
        raise ValueError(f"must be a regular expression ({wrong})") from None
    return text


_URL: Final = Form("URL", require_secure)
_PATTERN: Final = Form("regular expression", _pattern)


@dataclass(frozen=True)
class Issuer:
    """A trusted issuer of tokens."""

    issuer_url: str | None = required("The exact `iss` of the issuer's tokens.", _URL)
    jwk_cert_url: str | None = member(
        "The URL of the issuer's keys, a JSON Web Key Set. Set either this or `jwk_cert_file`.", _URL
    )
    jwk_cert_file: str | None = member("A file with the issuer's keys, read again when a token names an unknown key.")
    jwk_cert_ca_file: str | None = member(
        "A PEM file of the trusted authorities for `jwk_cert_url`.", absent="those of the system"
    )
    header: str | None = member(
        "The header with the token, after `Bearer` or `ServiceAccount`; in a header other than "
        "`Authorization` the token may be sent alone.",
        NAME_OF_HEADER,
        absent="`Authorization`",
    )
    audience: str | None = member("The required audience (`aud`) of a token.", absent="any, or none")
    identity_claim: str | None = member(
        "The claim with the caller's identity: a name, a dotted path such as `user.name`, or a JSON "
        "Pointer such as `/kubernetes.io/serviceaccount/name`. An `email` whose `email_verified` is "
        "false is rejected.",
        NAME_OF_CLAIM,
        absent="`email` unless its `email_verified` is false, else `sub`",
    )
    identity_claim_pattern: str | None = member(
        "A pattern that the whole identity must match.", _PATTERN, absent="anything"
    )
    identity_header: str | None = member(
        "A header in which a trusted gateway sends the caller's identity; it takes precedence over "
        "the claim. The gateway must remove it from the requests of callers.",
        NAME_OF_HEADER,
    )
    groups_claim: str | None = member(
        "The claim with the caller's groups: a name, a dotted path such as `realm_access.roles`, or a JSON Pointer.",
        NAME_OF_CLAIM,
        absent="`groups`",
    )


RED_HAT_SSO: Final = Issuer(
    issuer_url="https://sso.redhat.com/auth/realms/redhat-external",
    jwk_cert_url="https://sso.redhat.com/auth/realms/redhat-external/protocol/openid-connect/certs",
)
