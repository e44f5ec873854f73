"""Copies components of a provider's OpenAPI document into ours, with everything that they reference.

A referenced schema keeps its name, unless our document has a component with that name; then it gets a new one. A
reference may be any pointer into the provider's document, so its target need not be a component.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

COMPONENTS: Final = "#/components/schemas/"

_NO_NAME: Final = re.compile(r"[^A-Za-z0-9._-]+")
_DATA: Final = frozenset({"default", "enum", "example", "examples"})
_NAMED: Final = frozenset({"properties", "patternProperties"})


def adopt(provider: Mapping[str, Any], schemas: dict[str, Any], wanted: Mapping[str, str]) -> frozenset[str]:
    """Copies components of the provider's document into `schemas`; returns the provider's names of those it found.

    `wanted` maps each of the provider's components to its name in our document, where it replaces the existing one.
    """
    theirs = (provider.get("components") or {}).get("schemas") or {}
    found = frozenset(name for name in wanted if name in theirs)
    names = {COMPONENTS + name: wanted[name] for name in found}
    _Adoption(provider, schemas, names).run()
    return found


class _Adoption:
    """One run of `adopt`; `names` maps pointers into the provider's document to names in ours."""

    def __init__(self, provider: Mapping[str, Any], schemas: dict[str, Any], names: dict[str, str]) -> None:
        self._provider = provider
        self._schemas = schemas
        self._names = names
        self._waiting = list(names)

    def run(self) -> None:
        while self._waiting:
            pointer = self._waiting.pop()
            self._schemas[self._names[pointer]] = self._schema(_target(self._provider, pointer))

    def _schema(self, given: Any) -> Any:
        """Converts a schema, or a list of schemas, so that its references point into our document."""
        if isinstance(given, list):
            return [self._schema(item) for item in given]
        if not isinstance(given, dict):
            return given
        out: dict[str, Any] = {}
        for word, value in given.items():
            if word in _DATA:
                out[word] = value
            elif word in _NAMED and isinstance(value, dict):
                out[word] = {name: self._schema(member) for name, member in value.items()}
            elif word == "$ref" and isinstance(value, str):
                out[word] = self._reference(value)
            elif word == "discriminator" and isinstance(value, dict):
                out[word] = self._discriminator(value)
            else:
                out[word] = self._schema(value)
        return out

    def _discriminator(self, given: dict[str, Any]) -> dict[str, Any]:
        mapping = given.get("mapping")
        if not isinstance(mapping, dict):
            return given
        whole = {value: to if "#" in to or "/" in to else COMPONENTS + to for value, to in mapping.items()}
        return {**given, "mapping": {value: self._reference(to) for value, to in whole.items()}}

    def _reference(self, given: str) -> str:
        pointer = unquote(given)
        if pointer not in self._names:
            self._names[pointer] = name = self._free_name(pointer)
            # This reserves the name; `run` adds the schema itself later.
            self._schemas[name] = {}
            self._waiting.append(pointer)
        return COMPONENTS + self._names[pointer]

    def _free_name(self, pointer: str) -> str:
        last = _NO_NAME.sub("_", pointer.rpartition("/")[2]) or "schema"
        return next(name for name in _candidates(last) if name not in self._schemas)


def _candidates(name: str) -> Iterator[str]:
    yield name
    yield f"Provider{name}"
    number = 2
    while True:
        yield f"Provider{name}{number}"
        number += 1


def _target(document: Mapping[str, Any], pointer: str) -> Any:
    """The target of a pointer; an empty schema when there is none."""
    at: Any = document
    for part in pointer.removeprefix("#/").split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(at, list):
            at = at[int(name)] if name.isdecimal() and int(name) < len(at) else {}
        else:
            at = at.get(name, {}) if isinstance(at, Mapping) else {}
    return at
