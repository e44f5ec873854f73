"""How settings are written: each form reads a text and writes a value, and a leaf of the tree is made with one.

Every value arrives as a text, also from YAML, so a form is the only place that says what a setting may be.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

MASK: Final = "********"


class Secret(str):
    """A text that is not shown: its `repr` is masked, and so is what prints the configuration."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"'{MASK}'"


@dataclass(frozen=True)
class Form:
    """How a setting is written: what it may be, its value from a text and the text of a value.

    `read` raises ValueError, which says what the value must be. Of a list it reads one item; `word` is a single text
    that may take the place of the list.
    """

    description: str
    read: Callable[[str], Any]
    write: Callable[[Any], str] = str
    is_list: bool = False
    word: str | None = None


_UNITS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_LONGEST_SECONDS: Final = 7 * 24 * 3600.0
_BYTES: Final = {"GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10, "": 1}
BOOLEANS: Final = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


def _seconds(text: str) -> float:
    if not re.fullmatch(r"([0-9]{1,9}(\.[0-9]{1,9})?(ms|s|m|h))+", text):
        raise ValueError("must be a duration such as 500ms, 30s, 5m or 1h")
    parts = re.findall(r"([0-9.]+)(ms|s|m|h)", text)
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if not 0 < seconds <= _LONGEST_SECONDS:
        raise ValueError("must be more than 0s and at most 168h")
    return seconds


def _written_seconds(seconds: float) -> str:
    unit = next((unit for unit, length in _UNITS.items() if seconds >= length and seconds % length == 0), "ms")
    return f"{seconds / _UNITS[unit]:g}{unit}"


def _bytes(text: str) -> int:
    match = re.fullmatch(r"([0-9]{1,12})(KiB|MiB|GiB|)", text)
    size = int(match[1]) * _BYTES[match[2]] if match else 0
    if not 0 < size <= 1 << 30:
        raise ValueError("must be a size such as 65536, 512KiB or 1MiB, at most 1GiB")
    return size


def _written_bytes(size: int) -> str:
    unit = next(unit for unit, length in _BYTES.items() if size % length == 0)
    return f"{size // _BYTES[unit]}{unit}"


def _boolean(text: str) -> bool:
    if text.lower() not in BOOLEANS:
        raise ValueError("must be true or false")
    return BOOLEANS[text.lower()]


def _line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must be one line without control characters")
    return text


def _lines(text: str) -> str:
    if not text.replace("\n", "").replace("\t", "").isprintable():
        raise ValueError("must be a text without control characters")
    return text


def _database_url(text: str) -> Secret:
    if not re.match(r"postgres(ql)?://", text):
        raise ValueError("must begin with postgresql://")
    return Secret(text)


def choice(*names: str) -> Form:
    """One of these words."""

    def read(text: str) -> str:
        if text not in names:
            raise ValueError(f"must be one of {', '.join(names)}")
        return text

    return Form(" or ".join(names), read)


def whole(least: int, most: int) -> Form:
    """A whole number within these bounds, both included."""

    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,18}", text) or not least <= int(text) <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return int(text)

    return Form(f"{least} to {most}", read)


TEXT: Final = Form("text", _line)
BOOLEAN: Final = Form("true or false", _boolean, lambda value: str(value).lower())
DURATION: Final = Form("duration", _seconds, _written_seconds)
SIZE: Final = Form("size", _bytes, _written_bytes)
PORT: Final = whole(1, 65535)
SECRET: Final = Form("secret text", lambda text: Secret(_line(text)), lambda value: MASK if value else "")
DATABASE_URL: Final = Form("secret URL", _database_url, SECRET.write)
TEXTS: Final = Form("list of texts", _line, ", ".join, is_list=True)
TEXTS_OR_ANY: Final = Form("list of texts, or any", _line, ", ".join, is_list=True, word="any")
EXPRESSION: Final = Form("CEL expression", _lines)


def _no_text(_: str) -> Any:
    raise ValueError("must be a list of entries")


ENTRIES: Final = Form("list of entries", _no_text, lambda _: "", is_list=True)

_FORMS: Final = {str: TEXT, bool: BOOLEAN, Secret: SECRET, tuple: TEXTS}


def setting(default: Any, help: str, form: Form | None = None, *, alias: str = "", alias_wins: bool = False) -> Any:
    """A leaf: its default, what it is for, how it is written when its type does not say, another variable for it.

    With `alias_wins` that variable is taken where the leaf's own says otherwise; else that is a mistake.
    """
    return field(
        default=default,
        metadata={"help": help, "form": form or _FORMS[type(default)], "alias": alias, "alias_wins": alias_wins},
    )


def entries(of: type, help: str, default: tuple[Any, ...] = ()) -> Any:
    """A leaf that is a list of entries, each with the members of the class `of`."""
    return field(default=default, metadata={"help": help, "form": ENTRIES, "entry": of})


def member(help: str, form: Form = TEXT, *, absent: str = "") -> Any:
    """A member of an entry, None where it is not given; `absent` says in words what holds then."""
    return field(default=None, metadata={"help": help, "form": form, "absent": absent})


def required(help: str, form: Form = TEXT) -> Any:
    """A member that every entry must give; None only in an entry that is refused."""
    return field(default=None, metadata={"help": help, "form": form, "is_required": True})
