"""The closed sets of words in a search: phases, statuses and types of conditions, kinds.

A mistyped word would always match nothing, or everything, so it is rejected with the nearest word. The parser receives
the words that the service's kinds add; without them, any kind and any type of condition is accepted.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from hyperfleet.model.kind import CONDITIONS_OF_ALL, SUCCESS, Kind, success_type
from hyperfleet.model.search import lexer
from hyperfleet.model.search.fields import FIELDS, Field, Fields
from hyperfleet.model.spelling import nearest_name

SHOWN: Final = 20
"""The most words that an error lists."""


@dataclass(frozen=True, eq=False, slots=True)
class Vocabulary:
    """The words for searches of a list: names of kinds, types of conditions that its resources can have, and fields.

    `any_adapter`: every `<Adapter>Successful` is such a type. Compared by identity, so that it is a cheap key.
    """

    kinds: tuple[str, ...]
    conditions: tuple[str, ...]
    any_adapter: bool
    fields: Fields = FIELDS

    def fault_of_condition(self, type: str) -> str | None:
        """Why a type of condition is invalid, in words for the caller; None if resources can have it."""
        if type in self.conditions or (self.any_adapter and type.endswith(SUCCESS) and type != SUCCESS):
            return None
        more = f", and `<Adapter>Successful`, such as Dns{SUCCESS}" if self.any_adapter else ""
        known = _listed(self.conditions)
        nearest = _nearest(type, self.conditions)
        return f"no resource can have the condition {lexer.shown(type)}; {nearest}the conditions are {known}{more}"

    def choices(self, field: Field) -> tuple[str, ...]:
        """The values that a field can have, empty if they are unlimited."""
        return self.kinds if field.holds_kind else field.choices


ANYTHING: Final = Vocabulary((), (), any_adapter=True)
"""For a service whose kinds are unknown: only phases and statuses are checked."""


def vocabulary(kinds: Iterable[Kind], *, every: Iterable[Kind], fields: Fields = FIELDS) -> Vocabulary:
    """The words for searches of lists of `kinds`, in a service with `every` kind and these fields."""
    types = dict.fromkeys(CONDITIONS_OF_ALL)
    any_adapter = False
    for kind in kinds:
        types |= dict.fromkeys(success_type(adapter) for adapter in kind.named_adapters)
        types |= dict.fromkeys(rule.type for rule in kind.conditions)
        any_adapter = any_adapter or not kind.named_adapters
    return Vocabulary(tuple(kind.name for kind in every), tuple(types), any_adapter, fields)


def fault_of_value(called: str, choices: tuple[str, ...], value: str) -> str:
    """The message for a value that is not one of a field's choices."""
    return f"{called} cannot be {lexer.shown(value)}; {_nearest(value, choices)}the values are {_listed(choices)}"


def _nearest(word: str, known: tuple[str, ...]) -> str:
    nearest = nearest_name(word, known)
    return "" if nearest is None else f"the nearest is `{nearest}`; "


def _listed(words: tuple[str, ...]) -> str:
    more = f" and {len(words) - SHOWN} more" if len(words) > SHOWN else ""
    return ", ".join(words[:SHOWN]) + more
