"""Who is asking. Without authentication every caller is the system, and may do everything (operations: Callers)."""

from hyperfleet.model.resource import SYSTEM, Caller


def caller() -> Caller:
    """The caller of a request; decided before its body is looked at."""
    return SYSTEM
