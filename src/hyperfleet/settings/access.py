"""Entries of `server.authorization.rules` and `server.tenant.dimensions`: who may do what, whose tenant a caller is.

What fits together, and whether expressions compile, is for cli/access_rules.py to say.
"""

import re
from dataclasses import dataclass
from typing import Final

from hyperfleet.settings.forms import BOOLEAN, EXPRESSION, TEXTS, Form, member, required

DIMENSION: Final = re.compile(r"[A-Za-z0-9._-]{1,63}")
"""How dimensions and their values are written."""

HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")


def _header(text: str) -> str:
    if not HEADER.fullmatch(text):
        raise ValueError("must be the name of a header")
    return text


def _key(text: str) -> str:
    if not DIMENSION.fullmatch(text):
        raise ValueError("must be 1 to 63 letters, digits, `.`, `_` and `-`")
    return text


NAME_OF_HEADER: Final = Form("name of a header", _header)
_KEY: Final = Form("word", _key)


@dataclass(frozen=True)
class Rule:
    """A rule of who may do what."""

    name: str | None = required("What log lines call it.")
    verbs: tuple[str, ...] | None = required(
        "What it allows: `read`, `create`, `update`, `delete`, `force-delete`, `report`, or `*`.", TEXTS
    )
    kinds: tuple[str, ...] | None = member("With resources of which kinds, by their `kind`.", TEXTS, absent="`*`, all")
    when: str | None = required("True for the callers that it holds for.", EXPRESSION)


@dataclass(frozen=True)
class Dimension:
    """What says one thing of whose tenant a caller is."""

    key: str | None = required("What the dimension is called in stored resources; it stays.", _KEY)
    header: str | None = member(
        "The header that brings the value, from a gateway which removes it from what callers send. Either this or"
        " `claim` must be given.",
        NAME_OF_HEADER,
    )
    claim: str | None = member("The claim of the token that brings it; a path such as `org.id` leads into objects.")
    required: bool | None = member("Whether a caller without it is refused.", BOOLEAN, absent="`false`")
