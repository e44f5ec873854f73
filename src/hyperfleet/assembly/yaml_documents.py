"""A file in YAML 1.2 or JSON as plain JSON values, for documents that other people's tools write.

Read event by event: `on`, `no`, `2026-01-31` and `1:30` are texts, as the authors of such documents mean them and the
usual readers of YAML 1.1 do not; and neither depth nor aliases can exhaust the stack or the memory.
"""

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

LARGEST: Final = 10 << 20
DEEPEST: Final = 200

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_WORDS: Final = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_WHOLE: Final = re.compile("[-+]?[0-9]{1,1000}")
_OTHER_BASES: Final = re.compile("0o[0-7]{1,100}|0x[0-9a-fA-F]{1,100}")
_NUMBER: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NO_NUMBER: Final = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_TAG: Final = "tag:yaml.org,2002:"
_TAGS: Final = {None, "!", *(_TAG + name for name in ("str", "int", "float", "bool", "null", "map", "seq"))}


class BadFile(ValueError):
    """The file cannot be read, or is neither YAML nor JSON; the text says what is wrong, and in which line."""


def read(path: Path) -> Any:
    """What the file holds: objects with texts as names, lists, texts, numbers, booleans, null; raises BadFile."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise BadFile(f"it is larger than {LARGEST >> 20} MiB")
        return _Builder().build(content.decode("utf-8-sig"))
    except OSError as failure:
        raise BadFile(failure.strerror or "it cannot be read") from None
    except UnicodeDecodeError:
        raise BadFile("it is not UTF-8") from None
    except yaml.MarkedYAMLError as failure:
        mark = failure.problem_mark or failure.context_mark
        raise BadFile(f"line {mark.line + 1 if mark else 1}: {failure.problem}") from None
    except yaml.YAMLError as failure:
        raise BadFile(" ".join(str(failure).split())) from None


class _Builder:
    """Values from events; a list of what is open takes the place of recursion."""

    def __init__(self) -> None:
        self._open: list[tuple[Any, str | None]] = []
        self._name: list[str | None] = []
        self._anchors: dict[str, Any] = {}
        self._result: Any = None
        self._documents = 0

    def build(self, text: str) -> Any:
        for event in _events(text):
            if isinstance(event, yaml.DocumentStartEvent):
                self._documents += 1
                if self._documents > 1:
                    raise _wrong(event, "a second document begins")
            elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
                self._begin(event)
            elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
                self._end(event)
            elif isinstance(event, yaml.AliasEvent):
                if event.anchor not in self._anchors:
                    raise _wrong(event, f"the alias *{event.anchor} refers to nothing before it")
                self._add(self._anchors[event.anchor], event)
            elif isinstance(event, yaml.ScalarEvent):
                self._scalar(event)
        return self._result

    def _begin(self, event: Any) -> None:
        if event.tag not in _TAGS:
            raise _wrong(event, f"the tag {event.tag} is not known")
        if len(self._open) >= DEEPEST:
            raise _wrong(event, f"it is nested deeper than {DEEPEST}")
        if self._expects_name():
            raise _wrong(event, "a name must be a text")
        self._open.append(({} if isinstance(event, yaml.MappingStartEvent) else [], event.anchor))
        self._name.append(None)

    def _end(self, event: Any) -> None:
        value, anchor = self._open.pop()
        self._name.pop()
        # Only now, so that nothing can hold itself.
        if anchor is not None:
            self._anchors[anchor] = value
        self._add(value, event)

    def _scalar(self, event: Any) -> None:
        if self._expects_name():
            name = str(event.value)
            if name in self._open[-1][0]:
                raise _wrong(event, f"{name!r} appears twice in one mapping")
            self._name[-1] = name
            return
        if event.tag not in _TAGS:
            raise _wrong(event, f"the tag {event.tag} is not known")
        is_text = event.tag in ("!", _TAG + "str") or (event.tag is None and event.style not in (None, ""))
        value = event.value if is_text else _plain(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = value
        self._add(value, event)

    def _expects_name(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1][0], dict) and self._name[-1] is None

    def _add(self, value: Any, event: Any) -> None:
        if not self._open:
            self._result = value
            return
        holder = self._open[-1][0]
        if isinstance(holder, list):
            holder.append(value)
            return
        name = self._name[-1]
        if name is None:
            raise _wrong(event, "a name must be a text")
        holder[name] = value
        self._name[-1] = None


def _events(text: str) -> Iterator[Any]:
    return iter(yaml.parse(text, Loader=_LOADER))


def _plain(event: Any) -> Any:
    """The value of a scalar without quotes, by the core schema of YAML 1.2."""
    text = event.value
    if text in _WORDS:
        return _WORDS[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    if _OTHER_BASES.fullmatch(text):
        return int(text, 0)
    if _NUMBER.fullmatch(text):
        number = float(text)
        if math.isfinite(number):
            return number
    elif not _NO_NUMBER.fullmatch(text):
        return text
    raise _wrong(event, f"{text[:80]} is not a number that JSON can hold")


def _wrong(event: Any, sentence: str) -> BadFile:
    return BadFile(f"line {event.start_mark.line + 1}: {sentence}")
