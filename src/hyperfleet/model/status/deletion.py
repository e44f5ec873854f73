"""Deletion: what it waits for, and when it is complete (contract: Delete)."""

from collections.abc import Iterable, Sequence

from hyperfleet.model.kind import AnyAdapter, RequiredAdapters
from hyperfleet.model.status.report import Summary, is_finalized


def asked(required: RequiredAdapters, reporting: Iterable[str]) -> Sequence[str]:
    """The adapters that a deletion asks for `Finalized=True`; `reporting` are those with a report on the resource.

    K1  If the kind names adapters: those, in the order given, whether they have reported or not.
    K2  If the kind requires any: every adapter with a report, sorted by name, because it may hold external resources.
    K3  If the kind requires none: none.
    """
    return sorted(reporting) if isinstance(required, AnyAdapter) else required


def awaited(required: RequiredAdapters, *, generation: int, reports: Iterable[Summary]) -> list[str]:
    """The asked adapters that have not reported `Finalized=True` at exactly this generation."""
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
    """Whether the deletion of a resource is complete, so that its row can be deleted.

    G1  No children are left, whether they are being deleted or not.
    G2  No other resource references it.
    G3  Every asked adapter (K1 to K3) has reported `Finalized=True` at the current generation. A report at an older
        generation does not count.
    """
    return not has_children and not is_referenced and not awaited(required, generation=generation, reports=reports)
