"""The id of a resource: a UUID in one spelling, so that equal ids are equal texts."""

import re
from typing import Final
from uuid import UUID

PATTERN: Final = "[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}"
_CANONICAL: Final = re.compile(PATTERN)


def uuid(text: str) -> UUID | None:
    """The UUID in a text, in lower case with hyphens; None for any other text."""
    return UUID(text) if _CANONICAL.fullmatch(text) else None
