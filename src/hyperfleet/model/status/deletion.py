"""Deletion: what a resource that is being deleted still waits for, and when it is gone (contract: Delete)."""

from collections.abc import Iterable, Sequence

from hyperfleet.model.kind import AnyAdapter, RequiredAdapters
from hyperfleet.model.status.report import Summary, is_finalized


def asked(required: RequiredAdapters, reporting: Iterable[str]) -> Sequence[str]:
    """The adapters that a deletion asks to let go; `reporting` are the adapters with a report on the resource.

    K1  Of a kind that names adapters these, in the order given, whether they have reported or not.
    K2  Of a kind that requires any, each adapter that has a report, by name: it may hold something outside.
    K3  Of a kind that requires none, none.
    """
    return sorted(reporting) if isinstance(required, AnyAdapter) else required


def awaited(required: RequiredAdapters, *, generation: int, reports: Iterable[Summary]) -> list[str]:
    """The adapters asked that have not said `Finalized=True` at exactly this generation."""
    said = {
        summary.adapter: summary.observed_generation == generation and is_finalized(summary.conditions)
        for summary in reports
    }
    return [adapter for adapter in asked(required, said) if not said.get(adapter)]


def is_gone(
    required: RequiredAdapters,
    *,
    generation: int,
    reports: Iterable[Summary],
    has_children: bool,
    is_referenced: bool,
) -> bool:
    """Whether a resource that is being deleted has nothing left to wait for, so that its row goes.

    G1  It has no children left, being deleted or not.
    G2  No other resource references it.
    G3  Every adapter asked (K1 to K3) has reported `Finalized=True` at the current generation; at an older one does
        not count.
    """
    return not has_children and not is_referenced and not awaited(required, generation=generation, reports=reports)
