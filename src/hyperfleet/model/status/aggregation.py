"""Aggregation: `aggregate()`, a pure function, computes conditions and a phase from the adapters' reports.

The docstrings number the rules, those for conditions as in the contract (1 Reconciled, 2 LastKnownReconciled,
3 `<Adapter>Successful`). The golden cases in `tests/cases/aggregation` name the rule that they test. The result must be
a fixed point: aggregating again with it as `previous` must change nothing, because rows are recomputed at any time.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Final

import msgspec

from hyperfleet.model.kind import AnyAdapter, RequiredAdapters, success_type
from hyperfleet.model.status.condition import Condition, Status, TimedCondition, transition_time
from hyperfleet.model.status.deletion import asked
from hyperfleet.model.status.report import Summary, Verdict, deciding_condition, is_finalized, shortened, verdict

RECONCILED: Final = "Reconciled"
LAST_KNOWN_RECONCILED: Final = "LastKnownReconciled"

_SILENCE: Final = "No adapter has reported yet"

# Adapters are few, but callers choose their names and could send many, so the cache is bounded.
_success_type = lru_cache(maxsize=4096)(success_type)


class _Heard(msgspec.Struct, frozen=True, gc=False):
    """The report of one counted adapter; `deciding` and `verdict` are None if the report gives none."""

    adapter: str
    generation: int
    time: datetime
    conditions: tuple[TimedCondition, ...]
    deciding: TimedCondition | None
    verdict: Verdict | None


class _View(msgspec.Struct, frozen=True, gc=False):
    """The input of the rules. `counted` names every counted adapter, `heard` has their reports, and `decided` has the
    reports with a verdict, all in the order of the conditions. `asked` are the adapters that a deletion asks for
    `Finalized=True`. `before` has the previous conditions by type."""

    generation: int
    reference_time: datetime
    deleted: bool
    has_children: bool
    asked: Sequence[str]
    counted: Sequence[str]
    heard: Sequence[_Heard]
    decided: Sequence[_Heard]
    before: Mapping[str, Condition]


def aggregate(
    *,
    generation: int,
    reference_time: datetime,
    deleted: bool,
    previous: Status | None,
    required: RequiredAdapters,
    reports: Sequence[Summary],
    has_children: bool,
) -> Status:
    """The status of a resource. It depends only on the arguments, and not on the order of `reports`.

    `reference_time` is the resource's `updated_time`; `previous` is the stored status, None at creation; `reports` has
    one summary for each adapter, none for a generation above the resource's (see `admit`).

    C1  Adapters required by name are counted, with or without a report; reports of other adapters change nothing.
    C2  If none or any is required, every adapter with a report is counted.
    C3  Conditions are Reconciled (1), LastKnownReconciled (2), then `<Adapter>Successful` (3).
    C4  A condition keeps the `created_time` of the previous condition, else takes the reference time.
    C5  There are no conditions while no adapter is counted, unless any is required: then the first two exist from
        creation.

    P1  The phase is Failed if a counted report at the current generation says `Failed=True`, also during a deletion.
    P2  Else it is Ready if the resource is not being deleted, at least one adapter is counted, and each one succeeds at
        exactly the current generation.
    P3  Else it is NotReady.
    P4  `observed_generation` is the lowest of the counted reports, including those without a verdict; 0 if there are
        none.
    P5  `last_updated_time` is the oldest time of a counted report; the reference time if there are none.
    P6  `last_transition_time` is kept while the phase is the same. When the phase changes, it is the latest of the
        reference time and the times of the counted reports. At creation it is the reference time.
    """
    view = _view(generation, reference_time, deleted, previous, required, reports, has_children)
    heard = view.heard
    phase = _phase(view)
    times = [one.time for one in heard]
    if previous is None:
        changed = reference_time
    elif previous.phase == phase:
        changed = previous.last_transition_time
    else:
        changed = max([reference_time, *times])
    return Status(
        phase,
        min([one.generation for one in heard], default=0),
        changed,
        min(times, default=reference_time),
        (_reconciled(view), _last_known_reconciled(view), *_successful(view))
        if view.counted or isinstance(required, AnyAdapter)
        else (),
    )


def _view(
    generation: int,
    reference_time: datetime,
    deleted: bool,
    previous: Status | None,
    required: RequiredAdapters,
    reports: Sequence[Summary],
    has_children: bool,
) -> _View:
    by_adapter = {summary.adapter: summary for summary in reports}
    counted = sorted(by_adapter) if isinstance(required, AnyAdapter) or not required else required
    heard = [_hear(by_adapter[adapter]) for adapter in counted if adapter in by_adapter]
    return _View(
        generation,
        reference_time,
        deleted,
        has_children,
        asked(required, by_adapter) if deleted else (),
        counted,
        heard,
        [one for one in heard if one.verdict is not None],
        {condition.type: condition for condition in previous.conditions} if previous is not None else {},
    )


def _hear(summary: Summary) -> _Heard:
    deciding = deciding_condition(summary.conditions)
    return _Heard(
        summary.adapter,
        summary.observed_generation,
        summary.last_report_time,
        summary.conditions,
        deciding,
        verdict(deciding),
    )


def _phase(view: _View) -> str:
    generation = view.generation
    ready = not view.deleted and 0 < len(view.counted) == len(view.heard)
    for one in view.heard:
        if one.generation == generation and one.deciding is not None and one.deciding.type == "Failed":
            return "Failed"
        if one.verdict != "succeeds" or one.generation != generation:
            ready = False
    return "Ready" if ready else "NotReady"


def _reconciled(view: _View) -> Condition:
    """Reconciled: the adapters have reached the desired state.

    1.1  Not being deleted: True if at least one adapter is counted and each succeeds at exactly the current generation.
    1.2  Being deleted: always False. The deletion awaits each adapter that it asks (see deletion.asked) until the
         adapter reports `Finalized=True` at the current generation, whatever its verdict.
    1.3  `observed_generation` is the current generation.
    1.4  `last_updated_time` is the oldest time of the counted reports at the current generation that have a verdict
         (being deleted: with or without one), else the reference time.
    1.5  `last_transition_time` is kept without a flip. A flip from True to False at a newer generation than the
         previous condition's takes the reference time. Any other flip, or a first condition, takes `last_updated_time`.
    1.6  The reason is `ReconciledAll` if True.
    1.7  It is `ReconciledWaitingForChildren` if the deletion awaits no adapter and children are left.
    1.8  Else it is `ReconciledMissingAdapters`. The message lists the adapters that do not succeed at the current
         generation (being deleted: that are awaited), and the counted adapters with a verdict at any generation; both
         sorted. While no adapter is counted, it is "No adapter has reported yet".
    """
    current = [one for one in view.heard if one.generation == view.generation]
    if view.deleted:
        done = {one.adapter for one in current if is_finalized(one.conditions)}
        missing = [adapter for adapter in view.asked if adapter not in done]
        times = [one.time for one in current]
    else:
        done = {one.adapter for one in current if one.verdict == "succeeds"}
        missing = [adapter for adapter in view.counted if adapter not in done]
        times = [one.time for one in current if one.verdict is not None]
    is_true = not view.deleted and not missing and bool(view.counted)
    if is_true:
        reason = "ReconciledAll"
        message = "All required adapters reported Available=True or Finalized=True at the current generation"
    elif view.deleted and view.has_children and not missing:
        reason = "ReconciledWaitingForChildren"
        message = "Deletion in progress. All required adapters reported Finalized=True but child resources still exist"
    elif not view.counted:
        reason, message = "ReconciledMissingAdapters", _SILENCE
    else:
        reason = "ReconciledMissingAdapters"
        wanted = "Finalized=True" if view.deleted else "Available=True"
        reporting = _names([one.adapter for one in view.decided])
        message = f"Required adapters not reporting {wanted}: {_names(missing)}. Currently reporting: {reporting}"
    updated = min(times, default=view.reference_time)
    before = view.before.get(RECONCILED)
    superseded = before is not None and before.status == "True" and before.observed_generation < view.generation
    return _condition(
        view,
        RECONCILED,
        is_true=is_true,
        reason=reason,
        message=message,
        generation=view.generation,
        updated=updated,
        flipped=view.reference_time if superseded else updated,
    )


def _last_known_reconciled(view: _View) -> Condition:
    """LastKnownReconciled: the last generation at which every counted adapter succeeded still works. It is sticky.

    The first match of 2.1 to 2.4 applies:
    2.1  A counted adapter has no verdict, or no adapter is counted: False, `AdaptersMissingReports`.
    2.2  All succeed at one generation: True at that generation, `AllAdaptersReconciled`.
    2.3  All succeed, at several generations: unchanged. While it is False, or if there was no condition before, the
         reason is `AdaptersNotAtSameGeneration`.
    2.4  Some fail: True if it was True and none fails at the generation that it tracks, its `observed_generation`; else
         False, `AdapterReportedNotAvailable`.

    2.5  `observed_generation` while True: the one generation (2.2), or unchanged (2.3, 2.4).
    2.6  While False: the highest generation of a verdict, else unchanged, or 1 if there was no condition before.
    2.7  `last_updated_time`: the oldest report time if 2.2 applies; while False with a failure at
         `observed_generation`, the oldest time of a verdict at that generation; else unchanged, or the reference time
         if there was no condition before.
    2.8  A flip, or a first condition, takes this `last_updated_time` as `last_transition_time`; otherwise it is kept.

    While it is True, the reason is `AllAdaptersReconciled`. The contract gives no messages; these name the adapters.
    """
    decided, before = view.decided, view.before.get(LAST_KNOWN_RECONCILED)
    failing = [one for one in decided if one.verdict == "fails"]
    generations = {one.generation for one in decided}
    complete = 0 < len(decided) == len(view.counted)
    agreed = complete and not failing and len(generations) == 1
    tracked: int | None = None
    if agreed:
        tracked = decided[0].generation
    elif complete and before is not None and before.status == "True":
        lost = any(one.generation == before.observed_generation for one in failing)
        tracked = None if lost else before.observed_generation
    if tracked is not None:
        generation, reason = tracked, "AllAdaptersReconciled"
        message = f"Every adapter succeeded at generation {tracked}"
    else:
        generation = max(generations, default=before.observed_generation if before is not None else 1)
        reason, message = _doubt(view, failing)
    # If it is True without agreement, no adapter fails at its generation (2.4).
    if agreed or any(one.generation == generation for one in failing):
        updated = min(one.time for one in decided if one.generation == generation)
    else:
        updated = before.last_updated_time if before is not None else view.reference_time
    return _condition(
        view,
        LAST_KNOWN_RECONCILED,
        is_true=tracked is not None,
        reason=reason,
        message=message,
        generation=generation,
        updated=updated,
        flipped=updated,
    )


def _doubt(view: _View, failing: list[_Heard]) -> tuple[str, str]:
    """Why LastKnownReconciled is False, in the order of its rules: a reason, and a message that names the adapters."""
    if not view.counted:
        return "AdaptersMissingReports", _SILENCE
    if len(view.decided) < len(view.counted):
        speaking = {one.adapter for one in view.decided}
        silent = [adapter for adapter in view.counted if adapter not in speaking]
        return "AdaptersMissingReports", f"Adapters without a verdict: {_names(silent)}"
    if failing:
        return "AdapterReportedNotAvailable", f"Adapters that fail: {_names([one.adapter for one in failing])}"
    return "AdaptersNotAtSameGeneration", "Every adapter succeeds, but not all at the same generation"


def _successful(view: _View) -> list[Condition]:
    """`<Adapter>Successful`: one for each counted adapter with a verdict.

    3.1  They are in the order of `required`; if none or any is required, sorted by adapter.
    3.2  True if the adapter succeeds, at any generation, else False.
    3.3  Reason and message are those of the deciding condition, omitted if it has none; a message is cut at 1,024
         characters. `observed_generation` and `last_updated_time` are the report's generation and time.
    3.4  A flip, or a first condition, takes `last_updated_time` as `last_transition_time`; otherwise it is kept.
    3.5  If none or any is required, two adapters may share a type: the first by name has the condition.
    """
    made: dict[str, Condition] = {}
    for one in view.decided:
        type = _success_type(one.adapter)
        if type not in made and one.deciding is not None:
            made[type] = _condition(
                view,
                type,
                is_true=one.verdict == "succeeds",
                reason=one.deciding.reason,
                message=shortened(one.deciding.message),
                generation=one.generation,
                updated=one.time,
                flipped=one.time,
            )
    return list(made.values())


def _condition(
    view: _View,
    type: str,
    *,
    is_true: bool,
    reason: str | None,
    message: str | None,
    generation: int,
    updated: datetime,
    flipped: datetime,
) -> Condition:
    """A condition with the times kept from the previous one; `flipped` is its transition time if none is kept."""
    before = view.before.get(type)
    status: Final = "True" if is_true else "False"
    return Condition(
        type=type,
        status=status,
        reason=reason,
        message=message,
        observed_generation=generation,
        created_time=before.created_time if before is not None else view.reference_time,
        last_updated_time=updated,
        last_transition_time=transition_time(before, status, flipped),
    )


def _names(adapters: list[str]) -> str:
    return f"[{', '.join(sorted(adapters))}]"
