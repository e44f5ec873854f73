"""Kinds: what is declared of them, and the Catalog that checks the whole set.

A kind is a row of configuration, never a folder of code: whatever differs between two kinds is a field here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from hyperfleet.model.mapping import ConditionRule
from hyperfleet.model.spec_schema import SpecSchema

ParentPolicy = Literal["restrict", "cascade"]

RESERVED_PLURALS = frozenset(
    {"resources", "statuses", "force-delete", "openapi", "openapi.yaml", "openapi.html", "openapi-ui", "compatibility"}
)


@dataclass(frozen=True, slots=True)
class ReferenceRule:
    """References of one type: resources of the kind `target` are named, `least` to `most` of them (None: no limit)."""

    type: str
    target: str
    least: int = 0
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """A declared kind (contract: Kinds).

    `name` is the word in `kind` members, `plural` the one in paths, `title` the one in sentences for people.
    `parent` names the owner's kind, None for a kind at the top. Name lengths are inclusive.
    `spec_schema_name` is the component of a provider's document that describes its `spec`, `{name}Spec` by default;
    `require_spec_schema` refuses to start without it.
    `spec_schema` is what a `spec` must be, None while anything is taken; where it comes from is not part of the kind.
    `not_found_code` is the code of its 404, so that callers can tell a missing owner from a missing child.
    """

    name: str
    plural: str
    title: str
    parent: str | None = None
    on_parent_delete: ParentPolicy = "restrict"
    required_adapters: tuple[str, ...] = ()
    mandatory_conditions: tuple[str, ...] = ()
    name_min_length: int = 1
    name_max_length: int = 100
    not_found_code: str = "NTF-001"
    spec_schema_name: str = ""
    require_spec_schema: bool = False
    references: tuple[ReferenceRule, ...] = ()
    conditions: tuple[ConditionRule, ...] = ()
    spec_schema: SpecSchema | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not self.spec_schema_name:
            object.__setattr__(self, "spec_schema_name", f"{self.name}Spec")


BUILT_IN = (
    Kind("Cluster", "clusters", "cluster", name_min_length=3, name_max_length=53, not_found_code="NTF-002"),
    Kind(
        "NodePool",
        "nodepools",
        "node pool",
        parent="Cluster",
        on_parent_delete="cascade",
        name_min_length=3,
        name_max_length=15,
        not_found_code="NTF-003",
    ),
)


class BadCatalog(ValueError):
    """The declared kinds do not fit together; `mistakes` lists everything that is wrong, one sentence each."""

    def __init__(self, mistakes: Iterable[str]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(self.mistakes))


class Catalog:
    """The kinds of one running service, checked as a whole when built; raises BadCatalog with every mistake at once."""

    def __init__(self, kinds: Iterable[Kind]) -> None:
        self.kinds = tuple(kinds)
        mistakes = _mistakes(self.kinds)
        if mistakes:
            raise BadCatalog(mistakes)
        self.by_name: Mapping[str, Kind] = MappingProxyType({kind.name: kind for kind in self.kinds})
        self.by_plural: Mapping[str, Kind] = MappingProxyType({kind.plural: kind for kind in self.kinds})

    def parent_of(self, kind: Kind) -> Kind | None:
        """The kind of its owners, None at the top."""
        return self.by_name[kind.parent] if kind.parent else None

    def children_of(self, kind: Kind) -> tuple[Kind, ...]:
        """The kinds that it owns, in the order declared."""
        return tuple(child for child in self.kinds if child.parent == kind.name)


def _mistakes(kinds: tuple[Kind, ...]) -> list[str]:
    if not kinds:
        return ["No kind is declared; a service without kinds has nothing to serve."]
    found: list[str] = []
    names: set[str] = set()
    plurals: set[str] = set()
    for kind in kinds:
        if kind.name in names:
            found.append(f"Kind {kind.name} is declared twice.")
        if kind.plural in plurals:
            found.append(f"Kind {kind.name}: the plural {kind.plural!r} is taken.")
        if kind.plural in RESERVED_PLURALS:
            found.append(f"Kind {kind.name}: the plural {kind.plural!r} is reserved.")
        if not 1 <= kind.name_min_length <= kind.name_max_length:
            found.append(
                f"Kind {kind.name}: name lengths {kind.name_min_length} to {kind.name_max_length} fit no name."
            )
        found.extend(_adapter_mistakes(kind))
        names.add(kind.name)
        plurals.add(kind.plural)
    found.extend(_ownership_mistakes({kind.name: kind for kind in kinds}))
    return found


def _adapter_mistakes(kind: Kind) -> list[str]:
    found: list[str] = []
    types: dict[str, str] = {}
    for adapter in kind.required_adapters:
        condition = success_type(adapter)
        if condition in types:
            found.append(
                f"Kind {kind.name}: required adapters {types[condition]} and {adapter} share the condition {condition}."
            )
        types[condition] = adapter
    return found


def _ownership_mistakes(by_name: dict[str, Kind]) -> list[str]:
    found: list[str] = []
    for kind in by_name.values():
        if kind.parent is not None and kind.parent not in by_name:
            found.append(f"Kind {kind.name}: its parent {kind.parent} is not declared.")
            continue
        seen = [kind.name]
        parent = kind.parent
        while parent is not None and parent in by_name and parent not in seen:
            seen.append(parent)
            parent = by_name[parent].parent
        if parent == kind.name:
            found.append(f"Kind {kind.name}: its owners form a loop, {' > '.join([*seen, kind.name])}.")
    return found


def success_type(adapter: str) -> str:
    """The condition type of an adapter's success: `dns-adapter` is `DnsAdapterSuccessful` (contract: Aggregation)"""
    return "".join(part[:1].upper() + part[1:] for part in adapter.split("-")) + "Successful"
