"""Page tokens: where the next page of a list begins, bound to that list."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Final
from uuid import UUID

import msgspec

from hyperfleet.errors import FieldError, InvalidInput
from hyperfleet.model import rendering
from hyperfleet.model.search.fields import Field, SqlType

Key = datetime | int | str | UUID | None

_LONGEST: Final = 8192


def binding(*parts: str) -> str:
    """A digest of the list that a token belongs to: its scope, its search, its order."""
    return blake2b("\0".join(parts).encode(), digest_size=9).hexdigest()


def token(bound: str, keys: Sequence[Key]) -> str:
    """The token for the page after the row with these sort keys."""
    texts = [_text(key) for key in keys]
    return urlsafe_b64encode(msgspec.json.encode([bound, *texts])).rstrip(b"=").decode()


def keys(given: str, bound: str, fields: Sequence[Field]) -> list[Key]:
    """The values of the sort keys `fields` in a token, each checked for its type, since anybody can make up a token.

    Raises InvalidInput when the token is malformed or belongs to another list.
    """
    try:
        if len(given) > _LONGEST:
            raise ValueError
        texts = msgspec.json.decode(urlsafe_b64decode(given + "=" * (-len(given) % 4)), type=list[str | None])
        if texts[0] != bound or len(texts) != len(fields) + 1:
            raise ValueError
        return [_key(text, field) for text, field in zip(texts[1:], fields, strict=True)]
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


def _key(text: str | None, field: Field) -> Key:
    if text is not None:
        return _READ[field.sql_type](text)
    if not field.is_nullable:
        raise ValueError
    return None


def _time(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


def _whole(bits: int) -> Callable[[str], int]:
    """A reader of whole numbers that a column of so many bits can hold."""

    def read(text: str) -> int:
        number = int(text)
        if not -(1 << bits - 1) <= number < 1 << bits - 1:
            raise ValueError
        return number

    return read


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError
    return text


_READ: Final[dict[SqlType, Callable[[str], Key]]] = {
    "text": _storable,
    "uuid": UUID,
    "integer": _whole(32),
    "bigint": _whole(64),
    "timestamptz": _time,
}
"""The reader of a key's text, by the type of its column; no list is sorted by JSON."""
