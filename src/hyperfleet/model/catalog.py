"""The Catalog: the kinds of one running service, checked as a whole.

A mistake missed here fails callers' requests later, so the checks cover every way in which a set of kinds can be wrong,
and report all mistakes at once. Each check is a generator of sentences.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from hyperfleet.errors import Mistakes
from hyperfleet.model.kind import (
    ADAPTER_NAME,
    ADAPTERS_PER_RESOURCE,
    CONDITIONS_OF_ALL,
    MOST_CONDITIONS,
    SUCCESS,
    AnyAdapter,
    Kind,
    success_type,
)
from hyperfleet.model.rules.mapping import BadConditions, compiled
from hyperfleet.model.spelling import did_you_mean, nearest_name

RESERVED_PLURALS: Final = frozenset({"resources", "statuses", "force-delete", "openapi", "openapi-ui", "compatibility"})
"""Words that paths use for something else. Words with a dot need no entry, because a plural cannot contain one."""

RESERVED_NAMES: Final = frozenset({"API", "AdapterStatus", "Resource"})
"""Words with another meaning in `kind` members, alone or with the suffix `List`."""

RESERVED_CONDITIONS: Final = frozenset(CONDITIONS_OF_ALL)
LONGEST_WORD: Final = 63
LONGEST_CONDITION_TYPE: Final = 100

_NAME: Final = re.compile(f"[A-Z][A-Za-z0-9]{{0,{LONGEST_WORD - 1}}}")
_PLURAL: Final = re.compile("[a-z][a-z0-9]*(-[a-z0-9]+)*")
_REFERENCE_TYPE: Final = re.compile(f"[A-Za-z]([-_A-Za-z0-9]{{0,{LONGEST_WORD - 2}}}[A-Za-z0-9])?")
_CONDITION_TYPE: Final = re.compile("[A-Za-z]([-_A-Za-z0-9]*[A-Za-z0-9])?")


class BadCatalog(Mistakes):
    """The set of declared kinds is invalid."""


class Catalog:
    """The kinds of one running service, checked as a whole when it is built; raises BadCatalog with every mistake."""

    def __init__(self, kinds: Iterable[Kind]) -> None:
        self.kinds = tuple(kinds)
        mistakes = tuple(_mistakes(self.kinds))
        if mistakes:
            raise BadCatalog(mistakes)
        self.by_name: Mapping[str, Kind] = MappingProxyType({kind.name: kind for kind in self.kinds})

    @property
    def names_with_rules(self) -> list[str]:
        """The names of the kinds with mapping rules."""
        return [kind.name for kind in self.kinds if kind.conditions]

    def parent_of(self, kind: Kind) -> Kind | None:
        """The kind of the owners, None for a top-level kind."""
        return self.by_name[kind.parent] if kind.parent else None


def _mistakes(kinds: tuple[Kind, ...]) -> Iterator[str]:
    if not kinds:
        yield "No kind is declared; declare at least one."
    names: dict[str, str] = {}
    plurals: set[str] = set()
    for kind in kinds:
        of_kind = (*_word_mistakes(kind, names, plurals), *_adapter_mistakes(kind), *_condition_mistakes(kind))
        yield from (f"Kind {kind.name}: {mistake}" for mistake in of_kind)
        names.setdefault(kind.name.lower(), kind.name)
        plurals.add(kind.plural)
    by_name = {kind.name: kind for kind in kinds}
    for kind in by_name.values():
        of_kind = (*_parent_mistakes(kind, by_name), *_reference_mistakes(kind, by_name))
        yield from (f"Kind {kind.name}: {mistake}" for mistake in of_kind)


def _word_mistakes(kind: Kind, names: Mapping[str, str], plurals: set[str]) -> Iterator[str]:
    """Mistakes in a kind's name, plural and name lengths; `names` and `plurals` are those of the kinds before it."""
    before = names.get(kind.name.lower())
    if before == kind.name:
        yield "it is declared twice."
    elif before is not None:
        yield f"it differs from {before} only in case."
    if not _NAME.fullmatch(kind.name):
        yield f"the name of a kind must be letters and digits, starting with a capital, at most {LONGEST_WORD}."
    elif kind.name.endswith("List") or kind.name in RESERVED_NAMES:
        yield f"the name {kind.name} is reserved{' for lists' if kind.name.endswith('List') else ''}."
    if not kind.plural:
        yield "its plural is missing: the word used in its paths."
    elif kind.plural in RESERVED_PLURALS:
        yield f"the plural {kind.plural!r} is reserved."
    elif not _PLURAL.fullmatch(kind.plural) or len(kind.plural) > LONGEST_WORD:
        yield (
            f"the plural {kind.plural!r} must be lower-case letters and digits, starting with a letter, "
            f"with single hyphens in between, at most {LONGEST_WORD}."
        )
    elif kind.plural in plurals:
        yield f"the plural {kind.plural!r} is taken."
    if not 1 <= kind.name_min_length <= kind.name_max_length:
        yield (
            f"no name has {kind.name_min_length} to {kind.name_max_length} characters; correct "
            "name_min_len and name_max_len."
        )


def _adapter_mistakes(kind: Kind) -> Iterator[str]:
    types: dict[str, str] = {}
    named = kind.named_adapters
    if len(named) > ADAPTERS_PER_RESOURCE:
        yield f"it requires {len(named)} adapters; the limit is {ADAPTERS_PER_RESOURCE}."
    for adapter, times in Counter(named).items():
        if not ADAPTER_NAME.fullmatch(adapter):
            yield (
                f"the required adapter {adapter!r} cannot report: adapter names must be letters, digits, `-`, "
                f"`_` and `.`, start and end with a letter or digit, and have at most {LONGEST_WORD} "
                "characters."
            )
            continue
        if adapter == AnyAdapter.ANY.value:
            yield (
                "its list of required adapters contains `any`; to require every adapter that reports, write "
                "`required_adapters: any` without a list."
            )
        if times > 1:
            yield f"the required adapter {adapter} is listed {times} times."
        condition = success_type(adapter)
        if condition in types:
            yield (
                f"the required adapters {types[condition]} and {adapter} would share the condition {condition}; "
                "rename one of them."
            )
        types[condition] = adapter


def _condition_mistakes(kind: Kind) -> Iterator[str]:
    """Mistakes in the conditions that reports must have, and in the mapping rules."""
    if len(kind.mandatory_conditions) > MOST_CONDITIONS:
        yield f"it has {len(kind.mandatory_conditions)} mandatory conditions; a report is limited to {MOST_CONDITIONS}."
    for type, times in Counter(kind.mandatory_conditions).items():
        if not type.strip():
            yield "a mandatory condition is empty."
        elif times > 1:
            yield f"the mandatory condition {type} is listed {times} times."
    own = {success_type(adapter) for adapter in kind.named_adapters}
    for type, times in Counter(rule.type for rule in kind.conditions).items():
        if not _CONDITION_TYPE.fullmatch(type) or len(type) > LONGEST_CONDITION_TYPE:
            yield (
                f"the condition type {type!r} must be letters, digits, `-` and `_`, start with a letter, end "
                f"with a letter or digit, and have at most {LONGEST_CONDITION_TYPE} characters."
            )
        elif type in RESERVED_CONDITIONS or type in own or (not kind.named_adapters and type.endswith(SUCCESS)):
            yield f"the condition type {type} is reserved for the service."
        if times > 1:
            yield f"the condition {type} is declared {times} times."
    try:
        if kind.conditions:
            compiled(kind.conditions)
    except BadConditions as wrong:
        yield from wrong.mistakes


def _parent_mistakes(kind: Kind, by_name: Mapping[str, Kind]) -> Iterator[str]:
    if kind.parent is None:
        return
    if kind.parent not in by_name:
        yield f"its parent {kind.parent} is not declared{did_you_mean(nearest_name(kind.parent, by_name))}"
        return
    owners = [kind.name]
    parent: str | None = kind.parent
    while parent is not None and parent in by_name and parent not in owners:
        owners.append(parent)
        parent = by_name[parent].parent
    if parent == kind.name:
        yield f"its owners form a cycle, {' > '.join([*owners, kind.name])}."


def _reference_mistakes(kind: Kind, by_name: Mapping[str, Kind]) -> Iterator[str]:
    seen: set[str] = set()
    for rule in kind.references:
        what = f"the reference {rule.type!r}"
        if not _REFERENCE_TYPE.fullmatch(rule.type):
            yield (
                f"{what} must be letters, digits, `-` and `_`, start with a letter, end with a letter or "
                f"digit, and have at most {LONGEST_WORD} characters."
            )
        elif rule.type in seen:
            yield f"{what} is declared twice."
        seen.add(rule.type)
        if rule.least < 0 or (rule.most is not None and rule.most < max(1, rule.least)):
            yield f"{what} allows {rule.least} to {rule.most} targets; max must be at least 1 and at least min."
        if rule.target not in by_name:
            guess = did_you_mean(nearest_name(rule.target, by_name))
            yield f"{what} targets {rule.target}, which is not declared{guess}"
        elif rule.least > 0:
            way = _needs(rule.target, kind.name, by_name)
            if way:
                yield f"{what} can never be satisfied: {' needs '.join([kind.name, *way])} first."


def _needs(name: str, needed: str, by_name: Mapping[str, Kind]) -> list[str]:
    """A chain of kinds from `name` to `needed`, each of which needs a resource of the next to exist; else empty.

    A resource needs its owner and the targets of its mandatory references.
    """
    ways = [[name]]
    seen = {name}
    for way in ways:
        if way[-1] == needed:
            return way
        kind = by_name[way[-1]]
        following = [kind.parent, *(rule.target for rule in kind.references if rule.least > 0)]
        for after in following:
            if after is not None and after in by_name and after not in seen:
                seen.add(after)
                ways.append([*way, after])
    return []
