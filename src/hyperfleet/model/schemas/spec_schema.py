"""The schema of a kind's `spec`, from a component of an OpenAPI 3.0 document (contract: Kinds).

Checking a valid spec takes one call into compiled code; only an invalid one needs the slow explanation. The document is
bounded during conversion (openapi.py, breadth.py, pattern.py), the spec on decoding. `is_light` says whether a check is
certain to be quick; all other specs are checked where the check can be stopped (services/checking.py).
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
"""The code of every fault in a spec, even of a single one (contract: Errors)."""

LIGHT_STEPS: Final = 1_000_000
"""The most steps of a check that runs in the worker itself; a step is a state of a pattern, or a schema."""


class SpecSchema:
    """The schema of a spec; built once, used by any number of concurrent calls.

    `deepest` is how deep a spec may be nested: DEEPEST, or less if the schema's alternatives multiply (breadth.py).
    """

    def __init__(self, document: dict[str, Any], name: str) -> None:
        """Reads the component `name`; raises BadSchema with every mistake, each with its place."""
        try:
            self._use(openapi.converted(document, name))
        except Uncompilable:
            raise BadSchema([f"{openapi.COMPONENTS}{name} cannot be compiled."]) from None

    @classmethod
    def of(cls, component: Component) -> "SpecSchema":
        """The schema from a component that has been converted before."""
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
        """Whether checking and explaining a spec of `size` bytes is certain to be quick."""
        return size <= self._lightest

    def faults(self, spec: dict[str, Any]) -> list[FieldError]:
        """The faults of a decoded spec, at most MOST_FAULTS, with paths such as `spec.pools[0].nodes`."""
        if self.deepest < DEEPEST and _depth(spec) > self.deepest:
            sentence = f"must not be nested deeper than {self.deepest} levels"
            found = [wording.other(FIELD, sentence, f"at most {self.deepest}")]
        elif self._validator.is_valid(spec):
            return []
        else:
            found = self._explanation.faults(spec, FIELD, MOST_FAULTS)
        return [replace(fault, code=CODE) for fault in found]


def _depth(value: object) -> int:
    """How many levels of values are below a value; 0 if there are none."""
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
