"""The kinds that a configuration declares: the built-in ones, as changed by entries, and new ones.

An entry for a built-in kind changes only the members that it sets. The plural and the owner of a built-in kind are
fixed, because the paths of stored resources contain them.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from hyperfleet.model.catalog import BadCatalog, Catalog
from hyperfleet.model.kind import BUILT_IN, AnyAdapter, Kind, ReferenceRule
from hyperfleet.model.rules.mapping import ConditionRule
from hyperfleet.settings import Entity

_BUILT_IN: Final = {kind.name: kind for kind in BUILT_IN}
_WORDS: Final = re.compile("[A-Z]+(?![a-z])[0-9]*|[A-Z]?[a-z0-9]+")

# The field of a kind for each member of an entry that is used unchanged.
_FIELDS: Final = {
    "plural": "plural",
    "parent_kind": "parent",
    "on_parent_delete": "on_parent_delete",
    "required_adapters": "required_adapters",
    "mandatory_conditions": "mandatory_conditions",
    "name_min_len": "name_min_length",
    "name_max_len": "name_max_length",
    "spec_schema_name": "spec_schema_name",
    "require_spec_schema": "require_spec_schema",
}


def declared(entities: tuple[Entity, ...]) -> tuple[Kind, ...]:
    """The built-in kinds first, then the kinds that entries add, in their order.

    Raises BadCatalog with every mistake in the kinds as a whole.
    """
    kinds = dict(_BUILT_IN)
    mistakes: list[str] = []
    seen: set[str] = set()
    for position, entity in enumerate(entities):
        name = entity.kind or ""
        if name in seen:
            mistakes.append(f"Kind {name}: duplicate entry, entities[{position}].")
            continue
        seen.add(name)
        given = _given(entity)
        if name in _BUILT_IN:
            mistakes += (f"Kind {name}: {mistake}" for mistake in _fixed(_BUILT_IN[name], given))
            kinds[name] = replace(_BUILT_IN[name], **given)
        else:
            kinds[name] = Kind(name, given.pop("plural", ""), title(name), **given)
    try:
        Catalog(kinds.values())
    except BadCatalog as wrong:
        mistakes += wrong.mistakes
    if mistakes:
        raise BadCatalog(mistakes)
    return tuple(kinds.values())


def title(name: str) -> str:
    """A kind's name as words: `WifConfig` becomes `wif config`, `DNSZone` becomes `dns zone`."""
    return " ".join(word.lower() for word in _WORDS.findall(name))


def _fixed(kind: Kind, given: dict[str, Any]) -> Iterator[str]:
    """Removes the fixed members of a built-in kind from `given`; yields a sentence for each that differs."""
    if given.pop("plural", kind.plural) != kind.plural:
        yield f"the plural of a built-in kind is fixed: {kind.plural}."
    if given.pop("parent", kind.parent) != kind.parent:
        kept = f"its parent is fixed: {kind.parent}" if kind.parent else "it cannot have a parent"
        yield f"the kind is built in; {kept}."


def _given(entity: Entity) -> dict[str, Any]:
    """The fields of a kind that an entry sets."""
    given: dict[str, Any] = {
        field: getattr(entity, member) for member, field in _FIELDS.items() if getattr(entity, member) is not None
    }
    if entity.required_adapters == AnyAdapter.ANY.value:
        given["required_adapters"] = AnyAdapter.ANY
    if entity.references:
        given["references"] = tuple(_references(entity))
    if entity.conditions:
        given["conditions"] = tuple(_conditions(entity))
    return given


# Missing members were reported when the entry was read, so incomplete rules are skipped here.


def _references(entity: Entity) -> Iterator[ReferenceRule]:
    for rule in entity.references:
        if rule.ref_type and rule.target_kind:
            yield ReferenceRule(rule.ref_type, rule.target_kind, rule.min or 0, rule.max)


def _conditions(entity: Entity) -> Iterator[ConditionRule]:
    for rule in entity.conditions:
        output = rule.output
        outputs = (output.status.expression, output.reason.expression, output.message.expression)
        texts = [rule.type, rule.when.expression, *outputs]
        if None not in texts:
            yield ConditionRule(*(text or "" for text in texts))
