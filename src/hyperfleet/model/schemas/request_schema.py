"""The schema of a request body: whether a body matches it, and the faults of one that does not.

The compiled schema decides in about a microsecond, and a valid body costs nothing more. The code that reads a body adds
the faults that a schema cannot express; `in_order` sorts all of them into one list.
"""

from collections.abc import Iterable
from functools import cached_property
from typing import Any

from hyperfleet.errors import FieldError
from hyperfleet.model.schemas import openapi
from hyperfleet.model.schemas.explanation import MOST_FAULTS, Explanation
from hyperfleet.model.schemas.json_schema import compiled


class RequestSchema:
    """The schema of a body; built once, used by any number of concurrent calls."""

    def __init__(self, document: dict[str, Any], name: str) -> None:
        """Reads the component `name` of an OpenAPI document, an object with `properties`; raises BadSchema."""
        self._component = openapi.converted(document, name)
        self._validator = compiled(self._component.schema)

    @cached_property
    def _explanation(self) -> Explanation:
        # Compiling it takes longer than everything else, and a service may never need it.
        return Explanation(self._component)

    @cached_property
    def _positions(self) -> dict[str, int]:
        members = self._explanation.resolved(self._component.schema)["properties"]
        return {name: position for position, name in enumerate(members)}

    def faults(self, members: dict[str, Any]) -> list[FieldError]:
        """The faults of a decoded body: the first one of each field, at most MOST_FAULTS."""
        if self._validator.is_valid(members):
            return []
        found: dict[str, FieldError] = {}
        for fault in self._explanation.faults(members, "", MOST_FAULTS):
            found.setdefault(fault.field, fault)
        return list(found.values())

    def in_order(self, faults: Iterable[FieldError]) -> list[FieldError]:
        """Faults in the order of the members in the document, with unknown members first."""
        return sorted(faults, key=lambda fault: self._positions.get(_member(fault.field), -1))


def _member(path: str) -> str:
    """The member of the body in which a path begins."""
    return path.partition(".")[0].partition("[")[0]
