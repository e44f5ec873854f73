"""The declaration of a kind. The Catalog (model/catalog.py) checks a set of kinds.

A kind is a row of configuration, never a folder of code: every difference between two kinds is a field here.
"""

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Literal

from hyperfleet.model.rules.mapping import ConditionRule
from hyperfleet.model.schemas.spec_schema import SpecSchema

ParentPolicy = Literal["restrict", "cascade"]


class AnyAdapter(Enum):
    """`required_adapters: any`: every adapter that reports is counted, and a deletion awaits it."""

    ANY = "any"


RequiredAdapters = tuple[str, ...] | AnyAdapter
"""The adapters that a kind requires by name, which may be none, or any adapter."""

ADAPTER_NAME: Final = re.compile("[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
"""The form of an adapter's name (contract: Reports), in reports and in the kinds that require it."""

ADAPTERS_PER_RESOURCE: Final = 100
"""The most adapters that may report on one resource."""

CONDITIONS_OF_ALL: Final = ("Reconciled", "LastKnownReconciled")
"""The types of the conditions that every kind has."""

SUCCESS: Final = "Successful"
"""The suffix of the condition type for an adapter's success."""

MOST_CONDITIONS: Final = 64
"""The most conditions in a report."""


@dataclass(frozen=True, slots=True)
class ReferenceRule:
    """References of one type: `least` to `most` resources of the kind `target`; `most` None means no limit."""

    type: str
    target: str
    least: int = 0
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """A declared kind (contract: Kinds).

    `name` is the word in `kind` members, `plural` the word in paths, and `title` the word in sentences.
    `parent` is the owner's kind, None for a top-level kind. Name lengths are inclusive.
    `required_adapters` decide the phase and the conditions, and a deletion awaits them: see aggregate() and
    deletion.asked().
    `spec_schema_name` is the component of a provider's document that describes the `spec`, `{name}Spec` by default.
    With `require_spec_schema`, the service does not start without it.
    `spec_schema` validates a `spec`; None accepts anything. It is not part of the declaration: comparison ignores it.
    `not_found_code` is the code of a 404, so that callers can tell a missing owner from a missing child.
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
        """The adapters required by name, empty for `any`."""
        return () if isinstance(self.required_adapters, AnyAdapter) else self.required_adapters

    @property
    def one(self) -> str:
        """The title with its article: `a cluster`, `an upgrade policy`."""
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
    """The condition type for an adapter's success (contract: Aggregation): `DnsAdapterSuccessful` for `dns-adapter`."""
    return "".join(part[:1].upper() + part[1:] for part in adapter.split("-")) + SUCCESS
