"""Logs: one JSON object or one readable line for each record, from our own code and from libraries alike.

Call sites write `_log.info("event", field=value)`. Every record written during a request has the request's id.
"""

import logging as standard
import os
import socket
import sys
from collections.abc import Callable, Mapping, MutableMapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, BinaryIO, Final

import msgspec
import structlog

from hyperfleet import settings
from hyperfleet.model.excerpt import printable
from hyperfleet.model.rules.secret import MASK, Names, Secret, masked
from hyperfleet.telemetry import tracing
from hyperfleet.telemetry.lines import Lines

REQUEST_ID: ContextVar[str] = ContextVar("REQUEST_ID")
"""The id of the request being served; unset outside requests."""

_DEEPEST: Final = 8
_LOOKED_INTO: Final = (dict, list, tuple, Secret)

Event = MutableMapping[str, Any]

_lines: Lines | None = None


def get(component: str) -> Any:
    """The logger of one part of the service; each of its records has `component`."""
    return structlog.get_logger(component=component)


def configure(configured: settings.Logging, *, version: str, hostname: str = "") -> None:
    """Configures this process's logs; call it once, before the first record."""
    level = standard.getLevelNamesMapping()[configured.level.upper()]
    output = stream(configured)
    lines = Lines(output)
    fixed = {"version": version, "hostname": hostname or socket.gethostname()}
    renderer = _text(colored=_takes_colors(output)) if is_for_people(configured) else _json
    processors: list[Any] = [_standard_members(fixed)]
    if configured.masking.enabled:
        names = (*configured.masking.headers, *configured.masking.fields)
        processors.append(_masking(Names(names)))
    structlog.configure(
        processors=[*processors, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=True,
    )
    global _lines
    if _lines is not None:
        _lines.drain()
    _lines = lines
    root = standard.getLogger()
    root.handlers = [_Bridge([*processors, renderer], lines)]
    root.setLevel(max(level, standard.INFO))
    # Alembic logs its set-up on every import; our own record lists what was migrated.
    standard.getLogger("alembic").setLevel(max(level, standard.WARNING))


def stream(configured: settings.Logging) -> BinaryIO:
    """The stream that logs are written to."""
    return (sys.stderr if configured.output == "stderr" else sys.stdout).buffer


def is_for_people(configured: settings.Logging) -> bool:
    """Whether logs are text: if the settings say so, or on a terminal by default."""
    return configured.format == "text" or (configured.format == "auto" and stream(configured).isatty())


def _takes_colors(output: BinaryIO) -> bool:
    """Whether to color text: on a terminal that supports it, unless NO_COLOR is set (no-color.org)."""
    return output.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def drain() -> None:
    """Writes the buffered lines; call it where a process skips Python's exit handlers."""
    if _lines is not None:
        _lines.drain()


class _Bridge(standard.Handler):
    """Passes the records of libraries that use the standard module through the same processors as ours."""

    def __init__(self, processors: list[Any], lines: Lines) -> None:
        super().__init__()
        self._processors = processors
        self._lines = lines

    def emit(self, record: standard.LogRecord) -> None:
        """Passes the record on. Arguments that do not fit its text must not make the caller fail."""
        try:
            message = record.getMessage()
        except (TypeError, ValueError, KeyError):
            message = f"{record.msg} {record.args}"
        event: Any = {"event": message, "component": record.name}
        if record.exc_info:
            event["exc_info"] = record.exc_info
        for processor in self._processors:
            event = processor(None, record.levelname.lower(), event)
        self._lines.take(event)


def _standard_members(fixed: Mapping[str, str]) -> Callable[[Any, str, Event], Event]:
    def add(_logger: Any, level: str, event: Event) -> Event:
        record: Event = {
            "timestamp": datetime.now(UTC),
            "level": level,
            "message": event.pop("event", ""),
            "component": event.pop("component", ""),
            **fixed,
        }
        request_id = REQUEST_ID.get(None)
        if request_id is not None:
            record["request_id"] = request_id
        ids = tracing.ids()
        if ids is not None:
            record["trace_id"], record["span_id"] = ids
        failure = event.pop("exc_info", None)
        if failure:
            record["traceback"] = _traceback(failure)
        record.update(event)
        return record

    return add


def _traceback(failure: Any) -> str:
    information = sys.exc_info() if failure is True else failure
    if isinstance(information, BaseException):
        information = (type(information), information, information.__traceback__)
    return standard.Formatter().formatException(information)


def _masking(names: Names) -> Callable[[Any, str, Event], Event]:
    def mask(_logger: Any, _level: str, event: Event) -> Event:
        for key, value in event.items():
            if key in names:
                event[key] = MASK
            elif isinstance(value, _LOOKED_INTO):
                event[key] = masked(value, names, _DEEPEST)
        return event

    return mask


def _described(value: Any) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - an object that cannot describe itself must not fail the event that names it
        return object.__repr__(value)


_encode: Final = msgspec.json.Encoder(enc_hook=_described).encode


def _json(_logger: Any, _level: str, event: Event) -> bytes:
    try:
        return _encode(event)
    except (UnicodeEncodeError, ValueError, RecursionError):
        # A record that JSON cannot represent, such as one with a lone surrogate, is still logged, with escapes.
        return _encode({key: _spellable(value) for key, value in event.items()})


def _spellable_deeply(value: Any) -> Any:
    try:
        _encode(value)
    except (UnicodeEncodeError, ValueError, RecursionError):
        return _spellable(value)
    return value


def _spellable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    return value if isinstance(value, int | float | datetime) else ascii(value)


_COLORS: Final = {"WARNING": "33", "ERROR": "31", "CRITICAL": "31"}
_DIM: Final = "2"


def _text(*, colored: bool) -> Callable[[Any, str, Event], bytes]:
    def paint(text: str, color: str | None) -> str:
        # The text is already printable, so only the service's own escapes reach the terminal.
        return f"\x1b[{color}m{text}\x1b[0m" if colored and color else text

    def render(_logger: Any, _level: str, event: Event) -> bytes:
        time, level = event.pop("timestamp"), event.pop("level").upper()
        said = printable(f"{event.pop('component')}: {_spellable_deeply(event.pop('message'))}")
        event.pop("version", None)
        event.pop("hostname", None)
        traceback = event.pop("traceback", None)
        rest = "".join(f" {key}={_encode(_spellable_deeply(value)).decode()}" for key, value in event.items())
        head = f"{paint(f'{time:%H:%M:%S.%f}', _DIM)} {paint(f'{level:7}', _COLORS.get(level))} {said}"
        lines = [head + paint(printable(rest), _DIM), *map(printable, traceback.split("\n") if traceback else ())]
        return "\n".join(lines).encode(errors="backslashreplace")

    return render
