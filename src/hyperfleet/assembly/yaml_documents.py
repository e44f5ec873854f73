"""Reads YAML 1.2 or JSON files: as plain JSON values, for documents such as OpenAPI, or as nodes with line numbers.

Files are read event by event, so neither depth nor aliases can exhaust the stack or the memory. `on`, `no`,
`2026-01-31` and `1:30` are text, as the authors of such documents intend; common readers of YAML 1.1 convert them.
"""

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from hyperfleet.assembly import files

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
# A parser's message may quote the file and leak a secret, such as the alias `*hunter2`. `'<scalar>'` is a YAML term.
_QUOTED: Final = re.compile(r" *(['\"])(?!<[a-z -]+>\1).{2,}\1")
_TAG: Final = "tag:yaml.org,2002:"
_TAGS: Final = {None, "!", *(_TAG + name for name in ("str", "int", "float", "bool", "null", "map", "seq"))}


class BadFile(ValueError):
    """The file cannot be read, or is neither YAML nor JSON.

    The text gives the line and the reason. It quotes the file's content only when the file is read as values.
    """


def read(path: Path) -> Any:
    """The file's content as JSON values, with strings as the names of objects; raises BadFile."""
    root = nodes(path)
    return None if root is None else _value(root, {})


def nodes(path: Path) -> yaml.Node | None:
    """The root node of a file, None if it is empty; raises BadFile. An alias yields the same node, not a copy."""
    try:
        return _Builder().build(files.content(path, LARGEST).decode("utf-8-sig"))
    except OSError as failure:
        raise BadFile(files.reason(failure)) from None
    except UnicodeDecodeError:
        raise BadFile("the file is not UTF-8") from None
    except yaml.MarkedYAMLError as failure:
        mark = failure.problem_mark or failure.context_mark
        problem = _QUOTED.sub("", failure.problem or "it is malformed")
        raise BadFile(f"line {mark.line + 1 if mark else 1}: {problem}") from None
    except yaml.YAMLError:
        raise BadFile("it contains characters that YAML does not allow") from None


def is_null(node: yaml.Node) -> bool:
    """Whether a node is empty or null, without quotes."""
    return isinstance(node, yaml.ScalarNode) and node.style is None and _WORDS.get(node.value, "") is None


class _Builder:
    """Builds nodes from events, with a stack of open nodes instead of recursion."""

    def __init__(self) -> None:
        self._open: list[tuple[yaml.CollectionNode, str | None]] = []
        self._name: list[yaml.Node | None] = []
        self._anchors: dict[str, yaml.Node] = {}
        self._result: yaml.Node | None = None
        self._documents = 0

    def build(self, text: str) -> yaml.Node | None:
        events: Iterator[Any] = yaml.parse(text, Loader=_LOADER)
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                self._documents += 1
                if self._documents > 1:
                    raise _wrong(event, "the file has a second document")
            elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
                self._begin(event)
            elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
                self._name.pop()
                # The anchor is registered only when the node is complete, so that no node can contain itself.
                self._add(*self._open.pop())
            elif isinstance(event, yaml.AliasEvent):
                if event.anchor not in self._anchors or self._expects_name():
                    wrong = (
                        "mapping keys must be strings" if self._expects_name() else "an alias has no anchor before it"
                    )
                    raise _wrong(event, wrong)
                self._add(self._anchors[event.anchor])
            elif isinstance(event, yaml.ScalarEvent):
                self._add(_scalar(event), event.anchor)
        return self._result

    def _begin(self, event: Any) -> None:
        if len(self._open) >= DEEPEST:
            raise _wrong(event, f"nesting is deeper than {DEEPEST} levels")
        if self._expects_name():
            raise _wrong(event, "mapping keys must be strings")
        of = yaml.MappingNode if isinstance(event, yaml.MappingStartEvent) else yaml.SequenceNode
        self._open.append((of(event.tag, [], event.start_mark, event.end_mark), event.anchor))
        self._name.append(None)

    def _expects_name(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1][0], yaml.MappingNode) and self._name[-1] is None

    def _add(self, node: yaml.Node, anchor: str | None = None) -> None:
        if anchor is not None:
            self._anchors[anchor] = node
        if not self._open:
            self._result = node
        elif self._expects_name():
            self._name[-1] = node
        elif isinstance(self._open[-1][0], yaml.MappingNode):
            self._open[-1][0].value.append((self._name[-1], node))
            self._name[-1] = None
        else:
            self._open[-1][0].value.append(node)


def _scalar(event: Any) -> yaml.Node:
    # Without quotes, the style is empty or None, depending on the parser.
    return yaml.ScalarNode(event.tag, event.value, event.start_mark, event.end_mark, style=event.style or None)


def _value(node: yaml.Node, known: dict[int, Any]) -> Any:
    """The value of a node; `known` has the values of earlier nodes, for their aliases."""
    if id(node) in known:
        return known[id(node)]
    if node.tag not in _TAGS:
        raise _wrong(node, f"the tag {node.tag} is not supported")
    value: Any
    if isinstance(node, yaml.ScalarNode):
        is_text = node.tag in ("!", _TAG + "str") or (node.tag is None and node.style is not None)
        value = node.value if is_text else _plain(node)
    elif isinstance(node, yaml.SequenceNode):
        value = [_value(item, known) for item in node.value]
    else:
        value = {}
        for name, item in node.value:
            if name.value in value:
                raise _wrong(name, f"{name.value!r} appears twice in the same mapping")
            value[name.value] = _value(item, known)
    known[id(node)] = value
    return value


def _plain(node: yaml.ScalarNode) -> Any:
    """The value of an unquoted scalar, by the core schema of YAML 1.2."""
    text = node.value
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
    raise _wrong(node, f"{text[:80]} cannot be represented in JSON")


def _wrong(at: Any, sentence: str) -> BadFile:
    return BadFile(f"line {at.start_mark.line + 1}: {sentence}")
