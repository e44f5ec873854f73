"""Deletion: what a resource that is being deleted still waits for, and when it is gone (contract: Delete)."""

from collections.abc import Iterable

from hyperfleet.model.report import Summary, is_finalized


def awaited(required: Iterable[str], *, generation: int, reports: Iterable[Summary]) -> list[str]:
    """The required adapters, in the order given, that have not said `Finalized=True` at exactly this generation."""
    finalized = {
        summary.adapter
        for summary in reports
        if summary.observed_generation == generation and is_finalized(summary.conditions)
    }
    return [adapter for adapter in required if adapter not in finalized]


def is_gone(
    required: Iterable[str],
    *,
    generation: int,
    reports: Iterable[Summary],
    has_children: bool,
    is_referenced: bool,
) -> bool:
    """Whether a resource that is being deleted has nothing left to wait for, so that its row goes.

    G1  It has no children left, being deleted or not.
    G2  No other resource references it.
    G3  Every required adapter has reported `Finalized=True` at the current generation; at an older one does not count.
        A kind that requires no adapter waits for none, whatever reports there are.
    """
    return not has_children and not is_referenced and not awaited(required, generation=generation, reports=reports)
