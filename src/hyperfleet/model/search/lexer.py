"""Splits search text into tokens: names, values, signs and keywords, each with its position.

The parser sees only tokens. A token's value is final: numbers are exact, times are timezone-aware UTC, escapes are
resolved. Positions in messages count characters from 1, because people read them. The table of fields is not used here.
"""

import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Final, NamedTuple

from hyperfleet.model.excerpt import printable

DIGITS: Final = 1000
"""The most digits of a number before the decimal point, and after it; stored numbers never have more."""

KEYWORDS: Final = frozenset({"and", "or", "not", "in", "like", "ilike", "between", "is", "null", "true", "false"})

Number = int | Decimal
Value = str | int | Decimal | bool | datetime


class Misread(ValueError):
    """The text is invalid at `position`; `message` is for the caller, and says what is allowed there."""

    def __init__(self, position: int, message: str) -> None:
        super().__init__(message)
        self.position = position
        self.message = message


class Token(NamedTuple):
    """One token of the text, from `start` up to `end`, both counted from 0.

    `kind` is `name`, `text`, `pattern`, `number`, `time`, `boolean`, `sign`, `end`, or the keyword or bracket itself.
    A `pattern` is a quoted text with an escaped wildcard, which only `like` accepts. The value of a name is its pieces:
    dotted text at even indexes, bracketed parts at odd ones.
    """

    kind: str
    value: Value | tuple[str, ...]
    start: int
    end: int


NAME_PART: Final = re.compile(r"[A-Za-z0-9_/-]+")
"""A part of a name that needs no brackets."""
LABEL_KEY: Final = re.compile(r"[A-Za-z0-9_./-]+")
"""A label's key that needs no brackets; it may contain dots."""

_QUOTED: Final = r"""'[^'\\]*(?:(?:\\.|'')[^'\\]*)*'|"[^"\\]*(?:\\.[^"\\]*)*\""""
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_BRACKET: Final = re.compile(rf"\[[ \t\r\n]*({_QUOTED})[ \t\r\n]*\]((?:\.[A-Za-z0-9_./-]+)?)", re.DOTALL)
_TOKEN: Final = re.compile(
    rf"""(?P<name>{_NAME.pattern})
    | (?P<text>{_QUOTED})
    | (?P<sign>==|!=|<>|<=|>=|[=<>])
    | (?P<mark>[(),\[\]])
    | (?P<time>[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}(?:[Tt][0-9:.]+(?:[Zz]|[+-][0-9:]+)?)?)
    | (?P<number>[+-]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    | (?P<space>[ \t\r\n]+)
    """,
    re.VERBOSE | re.DOTALL,
)
_WORD: Final = re.compile(r"[A-Za-z0-9_.:/+-]")
_TIME: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?(?:[Zz]|([+-])([0-9]{2}):([0-9]{2})))?"
)
_ZONELESS: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?: [0-9:]+)?")
_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")
_ESCAPE: Final = re.compile(r"\\(u[0-9A-Fa-f]{4}(?:\\u[0-9A-Fa-f]{4})*|.)|''", re.DOTALL)
_ESCAPES: Final = {"\\": "\\", "'": "'", '"': '"', "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_NO_ESCAPE: Final = (
    "unknown escape; use `\\\\ \\' \\\" \\/ \\b \\f \\n \\r \\t \\uXXXX`, in patterns of `like` also `\\% \\_`"
)
_NO_BRACKET: Final = (
    "expected one quoted name in brackets, such as `spec['machine.type']`; array items cannot be searched"
)
_SIGNS: Final = {"==": "=", "<>": "!="}
_SHOWN: Final = 80


def tokens(text: str) -> list[Token]:
    """All tokens of the text, followed by an `end`; raises Misread."""
    refuse_unstorable(text)
    found: list[Token] = []
    position, length = 0, len(text)
    while position < length:
        match = _TOKEN.match(text, position)
        if match is None:
            raise Misread(position + 1, _unreadable(text, position))
        kind, end = match.lastgroup, match.end()
        if kind == "name":
            token = _word(text, position, end)
        elif kind == "text":
            token = _quoted(text, position, end)
        elif kind == "sign":
            sign = match.group()
            token = Token("sign", _SIGNS.get(sign, sign), position, end)
        elif kind == "mark":
            token = Token(match.group(), "", position, end)
        elif kind == "space":
            position = end
            continue
        else:
            token = _bare_value(text, kind, position, end)
        found.append(token)
        position = token.end
    found.append(Token("end", "", length, length))
    return found


def refuse_unstorable(text: str) -> None:
    """Raises Misread for a character that PostgreSQL cannot store, anywhere in the text."""
    unstorable = _UNSTORABLE.search(text)
    if unstorable:
        raise Misread(
            unstorable.start() + 1, "NUL and lone surrogates are not allowed; stored text never contains them"
        )


def name(text: str, position: int) -> Token | None:
    """The name, with its bracketed parts, that begins at `position` (from 0), None if there is none. Raises Misread."""
    match = _NAME.match(text, position)
    return _bracketed(text, position, match.end()) if match else None


def shown(text: str) -> str:
    """A caller's text for a message: quoted, on one line, with control characters escaped, and cut if it is long."""
    return f"`{printable(text, _SHOWN)}`"


def literal(value: Value) -> str:
    """The value as written in a search; `tokens` reads it back."""
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def time(text: str) -> datetime:
    """An RFC 3339 time, or the start of a date in UTC, cut to microseconds; raises ValueError with advice."""
    match = _TIME.fullmatch(text)
    if match is None:
        if _ZONELESS.fullmatch(text):
            raise ValueError("a time must end with `Z` or an offset such as `+02:00` (in a URL `%2B02:00`)")
        raise ValueError("write a time as 2026-01-31T12:00:00Z, a date as 2026-01-31")
    year, month, day, hour, minute, second, fraction, sign, hours, minutes = match.groups()
    try:
        zone = UTC
        if sign:
            offset = timedelta(hours=_below(hours, 24), minutes=_below(minutes, 60))
            zone = timezone(-offset if sign == "-" else offset)
        micro = int((fraction or "0")[:6].ljust(6, "0"))
        parts = (int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), micro)
        return datetime(*parts, tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("there is no such date or time") from None


def _below(digits: str, limit: int) -> int:
    value = int(digits)
    if value >= limit:
        raise ValueError(digits)
    return value


def _word(text: str, start: int, end: int) -> Token:
    lower = text[start:end].lower()
    if lower in KEYWORDS:
        if lower in ("true", "false"):
            return Token("boolean", lower == "true", start, end)
        return Token(lower, "", start, end)
    return _bracketed(text, start, end)


def _bracketed(text: str, start: int, end: int) -> Token:
    if not text.startswith("[", end):
        return Token("name", (text[start:end],), start, end)
    pieces = [text[start:end]]
    while text.startswith("[", end):
        match = _BRACKET.match(text, end)
        if match is None:
            raise Misread(end + 1, _NO_BRACKET)
        inside = _quoted(text, match.start(1), match.end(1))
        if inside.kind == "pattern":
            raise Misread(inside.start + 1, "`\\%` and `\\_` are allowed only in patterns of `like`")
        pieces += (str(inside.value), match.group(2))
        end = match.end()
    return Token("name", tuple(pieces), start, end)


def _quoted(text: str, start: int, end: int) -> Token:
    body = text[start + 1 : end - 1]
    single = text[start] == "'"
    if "\\" not in body and not (single and "''" in body):
        return Token("text", body, start, end)
    kind = "text"

    def plain(match: re.Match[str]) -> str:
        nonlocal kind
        escape = match.group(1)
        if escape is None:
            return "'" if single else "''"
        if len(escape) > 1:
            return _unicode(escape, start + 2 + match.start())
        if escape in "%_":
            kind = "pattern"
            return "\\" + escape
        if escape not in _ESCAPES:
            raise Misread(start + 2 + match.start(), _NO_ESCAPE)
        return _ESCAPES[escape]

    value = _ESCAPE.sub(plain, body)
    return Token(kind, value, start, end)


def _unicode(escapes: str, position: int) -> str:
    r"""The text of a run of `uXXXX\uXXXX…`; two surrogates make one character, and a lone one is an error."""
    units = [int(unit, 16) for unit in escapes[1:].split("\\u")]
    try:
        found = b"".join(unit.to_bytes(2, "big") for unit in units).decode("utf-16-be")
    except UnicodeDecodeError:
        raise Misread(position, "a lone surrogate is not a character") from None
    if "\0" in found:
        raise Misread(position, "NUL is not allowed; stored text never contains it")
    return found


def _bare_value(text: str, kind: str | None, start: int, end: int) -> Token:
    if end < len(text) and _WORD.match(text, end):
        word = start
        while end < len(text) and _WORD.match(text, end):
            end += 1
        raise Misread(start + 1, f"{shown(text[word:end])} is neither a number nor a time; put text in quotes")
    raw = text[start:end]
    if kind == "number":
        return Token("number", _number(raw, start + 1), start, end)
    try:
        return Token("time", time(raw), start, end)
    except ValueError as wrong:
        raise Misread(start + 1, str(wrong)) from None


def _number(raw: str, position: int) -> Number:
    if raw.isdigit() and len(raw) <= DIGITS:
        return int(raw)
    _, _, exponent = raw.lower().partition("e")
    if len(exponent) <= 6:
        value = Decimal(raw)
        if not value:
            return 0
        places = value.as_tuple().exponent
        if value.adjusted() < DIGITS and isinstance(places, int) and places >= -DIGITS:
            return int(value) if int(value) == value else value
    raise Misread(position, f"a number is limited to {DIGITS} digits before and {DIGITS} after the decimal point")


def _unreadable(text: str, position: int) -> str:
    char = text[position]
    if char in "'\"":
        return f"unterminated text: the closing {char} is missing"
    return f"{shown(char)} is not part of a name, a value or an operator; put text in quotes"
