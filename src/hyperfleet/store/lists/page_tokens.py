"""Page tokens: where a list goes on, bound to what it lists."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Final
from uuid import UUID

import msgspec

from hyperfleet.errors import FieldError, InvalidInput
from hyperfleet.model import rendering

Key = datetime | int | str | UUID | None

_LONGEST: Final = 8192


def binding(*parts: str) -> str:
    """A digest of what a token belongs to: the scope, the search, the order."""
    return blake2b("\0".join(parts).encode(), digest_size=9).hexdigest()


def token(bound: str, keys: Sequence[Key]) -> str:
    """The token that goes on after the row with these sort keys."""
    texts = [_text(key) for key in keys]
    return urlsafe_b64encode(msgspec.json.encode([bound, *texts])).rstrip(b"=").decode()


def keys(given: str, bound: str, types: Sequence[tuple[str, bool]]) -> list[Key]:
    """The sort keys in a token; raises InvalidInput when it is none of ours, or belongs to another list.

    `types` says of each key its SQL type and whether it may be missing: a token is only as good as who sends it.
    """
    try:
        if len(given) > _LONGEST:
            raise ValueError
        texts = msgspec.json.decode(urlsafe_b64decode(given + "=" * (-len(given) % 4)), type=list[str | None])
        if texts[0] != bound or len(texts) != len(types) + 1:
            raise ValueError
        return [_key(text, *type) for text, type in zip(texts[1:], types, strict=True)]
    except (ValueError, IndexError, binascii.Error, msgspec.MsgspecError) as wrong:
        raise InvalidInput(
            FieldError(
                "VAL-003",
                "page_token",
                "is not the next_page_token of a list with the same search, order and path; start again "
                "without page_token",
            )
        ) from wrong


def _text(key: Key) -> str | None:
    if key is None:
        return None
    return rendering.timestamp(key) if isinstance(key, datetime) else str(key)


def _key(text: str | None, type: str, is_nullable: bool) -> Key:
    if text is None:
        if is_nullable:
            return None
        raise ValueError
    if type == "timestamptz":
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    if type == "uuid":
        return UUID(text)
    if type == "integer":
        number = int(text)
        if not -(2**31) <= number < 2**31:
            raise ValueError
        return number
    if "\0" in text:
        raise ValueError
    return text
