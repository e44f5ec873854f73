"""The settings of a configuration file, read from YAML nodes: texts, lists of texts, and lists of entries.

Nodes are read rather than values: a node has its line number, and its text is free of YAML's typing.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Final, get_type_hints

import yaml

from hyperfleet.assembly.yaml_documents import is_null
from hyperfleet.cli.complaints import Complaints
from hyperfleet.model.spelling import did_you_mean, nearest_name
from hyperfleet.settings import Form

_WITH_USER: Final = re.compile(r"://[^@]*@")

Content = str | tuple[str, ...]
"""The text of a setting, or the texts of a list."""


@dataclass(frozen=True)
class Entries:
    """The valid entries of a list, and the source of each member's value, by its path."""

    values: tuple[Any, ...]
    sources: Mapping[str, str] = field(default_factory=dict)


def is_unset(node: yaml.Node) -> bool:
    """Whether the node is empty, or null without quotes."""
    return is_null(node) or (isinstance(node, yaml.ScalarNode) and not node.value)


def source(node: yaml.Node, file: str) -> str:
    """The node's file and line."""
    return f"{file} line {node.start_mark.line + 1}"


def content(node: yaml.Node) -> Content:
    """The text of a scalar or the texts of a list; for any other node, a list that every form rejects."""
    if isinstance(node, yaml.ScalarNode):
        return str(node.value)
    if isinstance(node, yaml.SequenceNode):
        return tuple(item.value if isinstance(item, yaml.ScalarNode) else "\0" for item in node.value)
    return ("\0",)


def shown(given: Content) -> str:
    """The wrong value, to end a sentence with; empty for a URL that names a user, because it may contain a password."""
    return "" if _WITH_USER.search(given if isinstance(given, str) else "\n".join(given)) else f", not {given!r}"


def read(form: Form, given: Content) -> Any:
    """The value of a content in this form; raises ValueError, which says what the value must be."""
    if form.is_list:
        if isinstance(given, str):
            if given == form.word:
                return given
            raise ValueError("must be a list of strings" + (f", or {form.word}" if form.word else ""))
        return tuple(form.read(text) for text in given)
    if not isinstance(given, str):
        raise ValueError("must be a single value")
    return form.read(given)


def entries(node: yaml.Node, entry: type, path: str, file: str, mistakes: Complaints) -> Entries:
    """The list of entries of the setting at `path`, each of the class `entry`; adds its faults to `mistakes`.

    A member that is wrong or missing is None.
    """
    reading = _Reading(file, mistakes)
    return Entries(reading.list(node, entry, path), reading.sources)


class _Reading:
    """Walks the nodes of a list of entries together with the classes that declare them."""

    def __init__(self, file: str, mistakes: Complaints) -> None:
        self.sources: dict[str, str] = {}
        self._file = file
        self._mistakes = mistakes

    def list(self, node: yaml.Node, entry: type, path: str) -> tuple[Any, ...]:
        if not isinstance(node, yaml.SequenceNode):
            self._wrong(node, path, "must be a list of entries")
            return ()
        return tuple(self._entry(item, entry, f"{path}[{position}]") for position, item in enumerate(node.value))

    def _entry(self, node: yaml.Node, of: type, path: str) -> Any:
        """An instance of the class `of` from a mapping node."""
        if not isinstance(node, yaml.MappingNode):
            self._wrong(node, path, f"must be a mapping with {', '.join(item.name for item in fields(of))}")
            return of()
        types = get_type_hints(of)
        given = self._given(node, list(types), path)
        members: dict[str, Any] = {}
        for item in fields(of):
            below = f"{path}.{item.name}"
            if is_dataclass(types[item.name]):
                # An absent mapping is read as empty, so that its required members are reported as missing.
                members[item.name] = self._entry(given.get(item.name, _nothing_at(node)), types[item.name], below)
            elif item.name in given:
                members[item.name] = self._member(given[item.name], item.metadata, below)
            elif item.metadata.get("is_required"):
                self._wrong(node, below, "is missing")
        return of(**members)

    def _given(self, node: yaml.MappingNode, known: Sequence[str], path: str) -> dict[str, yaml.Node]:
        """The nodes of the members that are set, by name."""
        given: dict[str, yaml.Node] = {}
        seen: set[str] = set()
        for key, value in node.value:
            name = key.value
            if name not in known:
                what = f"{source(key, self._file)}: setting {path}.{name} is unknown"
                self._mistakes.add(path, what + did_you_mean(nearest_name(name, known)))
            elif name in seen:
                self._wrong(key, f"{path}.{name}", "appears twice in the same mapping")
            elif not is_unset(value):
                given[name] = value
                self.sources[f"{path}.{name}"] = source(key, self._file)
            seen.add(name)
        return given

    def _member(self, node: yaml.Node, said: Mapping[str, Any], path: str) -> Any:
        entry = said.get("entry")
        if entry is not None:
            return self.list(node, entry, path)
        text = content(node)
        try:
            return read(said["form"], text)
        except ValueError as wrong:
            self._wrong(node, path, f"{wrong}{shown(text)}")
            return None

    def _wrong(self, node: yaml.Node, path: str, sentence: str) -> None:
        self._mistakes.add(path, f"{path} ({source(node, self._file)}): {sentence}.")


def _nothing_at(node: yaml.Node) -> yaml.MappingNode:
    """An empty mapping node in place of a missing one."""
    return yaml.MappingNode("tag:yaml.org,2002:map", [], node.start_mark, node.end_mark)
