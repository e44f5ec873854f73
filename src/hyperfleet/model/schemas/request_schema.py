"""The schema of a request body: whether a body fits it, and the list of what is wrong with one that does not.

The compiled schema decides, in about a microsecond, and a good body costs nothing more. What no schema can say is added
by those who read the body; `in_order` puts both lists into one.
"""

from collections.abc import Iterable
from functools import cached_property
from typing import Any

from hyperfleet.errors import FieldError
from hyperfleet.model.schemas import openapi
from hyperfleet.model.schemas.explanation import MOST_FAULTS, Explanation
from hyperfleet.model.schemas.json_schema import compiled


class RequestSchema:
    """What a body must be; made once, used by any number of calls at once."""

    def __init__(self, document: dict[str, Any], name: str) -> None:
        """Reads the component `name` of an OpenAPI document, an object that names its members; raises BadSchema."""
        self._component = openapi.converted(document, name)
        self._validator = compiled(self._component.schema)

    @cached_property
    def _explanation(self) -> Explanation:
        # Compiling it takes longer than all else, and a service may never need it.
        return Explanation(self._component)

    @cached_property
    def _positions(self) -> dict[str, int]:
        members = self._explanation.resolved(self._component.schema)["properties"]
        return {name: position for position, name in enumerate(members)}

    def faults(self, members: dict[str, Any]) -> list[FieldError]:
        """What is wrong with a decoded body, the first fault of each field, at most MOST_FAULTS."""
        if self._validator.is_valid(members):
            return []
        found: dict[str, FieldError] = {}
        for fault in self._explanation.faults(members, "", MOST_FAULTS):
            found.setdefault(fault.field, fault)
        return list(found.values())

    def in_order(self, faults: Iterable[FieldError]) -> list[FieldError]:
        """Faults in the order of the document's members, those of members that it does not have first."""
        return sorted(faults, key=lambda fault: self._positions.get(_member(fault.field), -1))


def _member(path: str) -> str:
    """The member of the body that a path leads through."""
    return path.partition(".")[0].partition("[")[0]
