"""The forms of settings: each reads text and writes values, and every leaf of the tree has one.

Every value arrives as text, also from YAML, so the form alone determines which values a setting accepts.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import unquote

from hyperfleet.model.rules.secret import MASK
from hyperfleet.model.rules.secret import Secret as Secret


@dataclass(frozen=True)
class Form:
    """How a setting is written: a description, the value of a text, and the text of a value.

    `read` raises ValueError, which says what the value must be. For a list it reads one item; `word` is a single word
    that may replace the list.
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


def line(text: str) -> str:
    """The text; raises ValueError unless it is one line of printable characters."""
    if not text.isprintable():
        raise ValueError("must be one line without control characters")
    return text


def _lines(text: str) -> str:
    if not text.replace("\n", "").replace("\t", "").isprintable():
        raise ValueError("must not contain control characters other than line breaks and tabs")
    return text


_URL: Final = re.compile(
    r"postgres(?:ql)?://(?:(?P<caller>[^@/?#\[\]]*)@)?(?P<hosts>[^@/?#]*)(?:/[^@/?#]*)?(?:\?(?P<query>[^#]*))?"
)
_HOST: Final = re.compile(r"(?:[^:\[\]]*|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?")
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")


def _database_url(text: str) -> Secret:
    """Checks the URL as strictly as the driver, which would fail later, with a message that repeats the secret."""
    url = _URL.fullmatch(text)
    if not url or not re.fullmatch("[!-~]*", text) or _BAD_ESCAPE.search(text):
        raise ValueError(
            "must be postgresql://user:password@host:port/name; percent-encode / ? # @ [ ] % and "
            "non-ASCII characters in user and password, such as %2F for /"
        )
    if url["hosts"] and not all(map(_is_host, url["hosts"].split(","))):
        raise ValueError(
            "must have a comma-separated list of host or host:port after the @, with ports from 1 to 65535"
        )
    if url["query"] and not all(map(_is_parameter, url["query"].split("&"))):
        raise ValueError("must have parameters such as ?sslmode=require&connect_timeout=10 after the database name")
    return Secret(text)


def _is_host(text: str) -> bool:
    host = _HOST.fullmatch(text)
    return bool(text and host and (host["port"] is None or _is_port(host["port"])))


def _is_parameter(text: str) -> bool:
    name, _, value = text.partition("=")
    several = unquote(value).split(",")
    if name == "port":
        return all(map(_is_port, several))
    if name == "host":
        return all(each.startswith("/") or _is_host(each) for each in several)
    return bool(name and value)


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 1 <= int(text) <= 65535


def choice(*names: str, also: Mapping[str, str] = MappingProxyType({})) -> Form:
    """One of these words; `also` maps synonyms to them."""

    def read(text: str) -> str:
        word = also.get(text, text)
        if word not in names:
            raise ValueError(f"must be one of {', '.join(names)}")
        return word

    return Form(" or ".join(names), read)


def whole(least: int, most: int) -> Form:
    """A whole number from `least` to `most`, both included."""

    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,18}", text) or not least <= int(text) <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return int(text)

    return Form(f"{least} to {most}", read)


TEXT: Final = Form("text", line)
BOOLEAN: Final = Form("true or false", _boolean, lambda value: str(value).lower())
DURATION: Final = Form("duration", _seconds, _written_seconds)
SIZE: Final = Form("size", _bytes, _written_bytes)
PORT: Final = whole(1, 65535)
SECRET: Final = Form("secret text", lambda text: Secret(line(text)), lambda value: MASK if value else "")
DATABASE_URL: Final = Form("secret URL", _database_url, SECRET.write)
TEXTS: Final = Form("list of strings", line, ", ".join, is_list=True)
TEXTS_OR_ANY: Final = Form("list of strings, or any", line, ", ".join, is_list=True, word="any")
EXPRESSION: Final = Form("CEL expression", _lines)


def _no_text(_: str) -> Any:
    raise ValueError("must be a list of entries")


ENTRIES: Final = Form("list of entries", _no_text, lambda _: "", is_list=True)

_FORMS: Final = {str: TEXT, bool: BOOLEAN, Secret: SECRET, tuple: TEXTS}


def setting(default: Any, help: str, form: Form | None = None) -> Any:
    """A leaf: its default, its help, and its form if the type of the default does not imply it."""
    return field(default=default, metadata={"help": help, "form": form or _FORMS[type(default)]})


def entries(of: type, help: str, default: tuple[Any, ...] = ()) -> Any:
    """A leaf that is a list of entries of the class `of`."""
    return field(default=default, metadata={"help": help, "form": ENTRIES, "entry": of})


def member(help: str, form: Form = TEXT, *, absent: str = "") -> Any:
    """A member of an entry, None if it is not set; `absent` describes the effect of that."""
    return field(default=None, metadata={"help": help, "form": form, "absent": absent})


def required(help: str, form: Form = TEXT) -> Any:
    """A member that every entry must set; None only in a rejected entry."""
    return field(default=None, metadata={"help": help, "form": form, "is_required": True})
