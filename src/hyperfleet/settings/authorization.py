"""The entries of `server.authorization.rules` and `server.tenant.dimensions`: permissions, and a caller's tenancy.

assembly/access_rules.py checks that entries fit together and that expressions compile.
"""

import re
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Final

from hyperfleet.settings.forms import BOOLEAN, EXPRESSION, TEXTS, Form, line, member, required

DIMENSION: Final = re.compile(r"[A-Za-z0-9._-]{1,63}")
"""The syntax of a dimension's key."""

VALUE_LENGTH: Final = 128
VALUE: Final = re.compile(rf"[A-Za-z0-9._-]{{1,{VALUE_LENGTH}}}")
"""The syntax of a dimension's value; identifiers of clouds have up to 79 characters."""

HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")


def _header(text: str) -> str:
    if not HEADER.fullmatch(text):
        raise ValueError("must be a header name")
    return text


def _key(text: str) -> str:
    if not DIMENSION.fullmatch(text):
        raise ValueError("must be 1 to 63 letters, digits, `.`, `_` and `-`")
    return text


def pointer_steps(pointer: str) -> list[str]:
    """The names in a JSON Pointer (RFC 6901), which begins with a slash."""
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer[1:].split("/")]


def _claim(text: str) -> str:
    if line(text).startswith("/") and re.search("~(?![01])", text):
        raise ValueError("begins with a slash, so it must be a JSON Pointer (write ~ as ~0 and / as ~1)")
    return text


def _network(text: str) -> str:
    try:
        ip_network(text, strict=False)
    except ValueError:
        raise ValueError("must be addresses or networks such as 10.0.0.7 or 10.0.0.0/8") from None
    return text


NETWORKS: Final = Form("list of networks", _network, ", ".join, is_list=True)
NAME_OF_CLAIM: Final = Form("claim name", _claim)
NAME_OF_HEADER: Final = Form("header name", _header)
_KEY: Final = Form("word", _key)


@dataclass(frozen=True)
class Rule:
    """An access rule."""

    name: str | None = required("The name of the rule in logs.")
    verbs: tuple[str, ...] | None = required(
        "The verbs that the rule allows: `read`, `create`, `update`, `delete`, `force-delete`, `report`, or `*`.", TEXTS
    )
    kinds: tuple[str, ...] | None = member("The kinds of resources that the rule covers.", TEXTS, absent="`*`, all")
    when: str | None = required("True for the callers to whom the rule applies.", EXPRESSION)


@dataclass(frozen=True)
class Dimension:
    """A dimension of tenancy, and where its value comes from."""

    key: str | None = required("The name of the dimension in stored resources; do not change it later.", _KEY)
    header: str | None = member(
        "The header with the value, set by a gateway that removes it from the requests of callers. "
        "Set this, `claim` or `server.tenant.header`; the claim takes precedence over headers.",
        NAME_OF_HEADER,
    )
    claim: str | None = member("The claim with the value: a name, a dotted path or a JSON Pointer.", NAME_OF_CLAIM)
    required: bool | None = member("Whether callers without this dimension are rejected.", BOOLEAN, absent="`false`")
