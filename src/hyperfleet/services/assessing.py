"""A status for whoever writes a resource for another reason than a report.

A rule that cannot be evaluated must not keep anybody from changing or deleting: its condition stays as it was, and the
log says why. Only a report is refused for it (services/reporting.py).
"""

from typing import Any
from uuid import UUID

from hyperfleet.model.assessment import assess
from hyperfleet.model.kind import Kind
from hyperfleet.model.resource import Status
from hyperfleet.telemetry import logging

_log = logging.get("rules")


def status(kind: Kind, id: UUID, **facts: Any) -> Status:
    """The status that `assess` makes of these facts."""
    found = assess(kind, **facts)
    for failure in found.failures:
        _log.warning(
            "a rule could not be evaluated, its condition stays as it was",
            kind=kind.name,
            id=str(id),
            condition=failure.type,
            reason=failure.reason,
        )
    return found.status
