"""The schema of a kind's `spec`, from a component of an OpenAPI 3.0 document (contract: Kinds).

Checking a valid spec is one call into compiled code; only an invalid one takes the slow explanation. The document is
bounded while it is converted (openapi.py, breadth.py, pattern.py), the spec when it is decoded. `is_light` says whether
both together certainly end at once; all others are checked where the check can be stopped (services/checking.py).
"""

from dataclasses import replace
from typing import Any, Final

from hyperfleet.errors import FieldError
from hyperfleet.model.schemas import breadth, openapi, wording
from hyperfleet.model.schemas.explanation import MOST_FAULTS, Explanation
from hyperfleet.model.schemas.json_schema import DEEPEST, BadSchema, Component, Uncompilable, compiled

__all__ = ["BadSchema", "SpecSchema"]

FIELD: Final = "spec"
CODE: Final = "VAL-000"
"""Every fault in a spec against its schema, also a single one (contract: Errors)."""

LIGHT_STEPS: Final = 1_000_000
"""Steps, of a state of a pattern or of a schema each, up to which a check holds nobody up."""


class SpecSchema:
    """What a spec must be; made once, used by any number of calls at once.

    `deepest` is how deep a spec may be nested: DEEPEST, or less when the schema's alternatives multiply (breadth.py).
    """

    def __init__(self, document: dict[str, Any], name: str) -> None:
        """Reads the component `name`; raises BadSchema with every mistake, each with its place."""
        try:
            self._use(openapi.converted(document, name))
        except Uncompilable:
            raise BadSchema([f"{openapi.COMPONENTS}{name} cannot be compiled."]) from None

    @classmethod
    def of(cls, component: Component) -> "SpecSchema":
        """The same from a component that was read before."""
        schema = cls.__new__(cls)
        schema._use(component)
        return schema

    def _use(self, component: Component) -> None:
        self.component = component
        self.deepest = breadth.deepest(component)
        self._lightest = LIGHT_STEPS // breadth.steps_per_byte(component, LIGHT_STEPS)
        self._validator = compiled(component.schema)
        self._explanation = Explanation(component)

    def is_light(self, size: int) -> bool:
        """Whether a spec of so many bytes is surely checked, and explained, at once."""
        return size <= self._lightest

    def faults(self, spec: dict[str, Any]) -> list[FieldError]:
        """What is wrong with a decoded spec, at most MOST_FAULTS, with paths such as `spec.pools[0].nodes`."""
        if self.deepest < DEEPEST and _depth(spec) > self.deepest:
            sentence = f"must not be nested deeper than {self.deepest} levels"
            found = [wording.other(FIELD, sentence, f"at most {self.deepest}")]
        elif self._validator.is_valid(spec):
            return []
        else:
            found = self._explanation.faults(spec, FIELD, MOST_FAULTS)
        return [replace(fault, code=CODE) for fault in found]


def _depth(value: object) -> int:
    """How deep objects and lists are nested in a value; 0 for one without any below it."""
    depth = -1
    level: list[object] = [value]
    while level:
        depth += 1
        below: list[object] = []
        for each in level:
            if isinstance(each, dict):
                below += each.values()
            elif isinstance(each, list):
                below += each
        level = below
    return depth
