"""Kinds: what is declared of them. What a set of them must fulfil is the Catalog's (model/catalog.py).

A kind is a row of configuration, never a folder of code: whatever differs between two kinds is a field here.
"""

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Literal

from hyperfleet.model.rules.mapping import ConditionRule
from hyperfleet.model.schemas.spec_schema import SpecSchema

ParentPolicy = Literal["restrict", "cascade"]


class AnyAdapter(Enum):
    """`required_adapters: any`: whoever reports is counted, and is asked to let go when the resource is deleted."""

    ANY = "any"


RequiredAdapters = tuple[str, ...] | AnyAdapter
"""The adapters that a kind names, none of them perhaps, or any."""

ADAPTER_NAME: Final = re.compile("[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
"""What an adapter is called (contract: Reports), by those who report and by kinds that require it."""

ADAPTERS_PER_RESOURCE: Final = 100
"""How many adapters report on one resource at most."""

CONDITIONS_OF_ALL: Final = ("Reconciled", "LastKnownReconciled")
"""The types of the conditions that every kind has."""

SUCCESS: Final = "Successful"
"""The suffix of the condition types of adapters' success."""

MOST_CONDITIONS: Final = 64
"""How many conditions a report has at most."""


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
    `required_adapters` decide phase and conditions, and a deletion awaits them: see aggregate() and deletion.asked().
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
    required_adapters: RequiredAdapters = ()
    mandatory_conditions: tuple[str, ...] = ()
    name_min_length: int = 1
    name_max_length: int = 100
    not_found_code: str = "NTF-001"
    spec_schema_name: str = ""
    require_spec_schema: bool = False
    references: tuple[ReferenceRule, ...] = ()
    conditions: tuple[ConditionRule, ...] = ()
    spec_schema: SpecSchema | None = field(default=None, compare=False, repr=False)

    @property
    def named_adapters(self) -> tuple[str, ...]:
        """The adapters that it requires by name, none where any will do."""
        return () if isinstance(self.required_adapters, AnyAdapter) else self.required_adapters

    @property
    def one(self) -> str:
        """Its title with the article: `a cluster`, `an upgrade policy`."""
        return f"{'an' if self.title[:1] in ('a', 'e', 'i', 'o', 'u') else 'a'} {self.title}"

    def __post_init__(self) -> None:
        if not self.spec_schema_name:
            object.__setattr__(self, "spec_schema_name", f"{self.name}Spec")


BUILT_IN = (
    Kind(
        "Cluster",
        "clusters",
        "cluster",
        required_adapters=AnyAdapter.ANY,
        name_min_length=3,
        name_max_length=53,
        not_found_code="NTF-002",
    ),
    Kind(
        "NodePool",
        "nodepools",
        "node pool",
        parent="Cluster",
        on_parent_delete="cascade",
        required_adapters=AnyAdapter.ANY,
        name_min_length=3,
        name_max_length=15,
        not_found_code="NTF-003",
    ),
)


def success_type(adapter: str) -> str:
    """The condition type of an adapter's success: `dns-adapter` is `DnsAdapterSuccessful` (contract: Aggregation)"""
    return "".join(part[:1].upper() + part[1:] for part in adapter.split("-")) + SUCCESS
