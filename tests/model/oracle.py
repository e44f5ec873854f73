"""The contract's page on aggregation and reports, implemented a second time: slow, plain, and structured differently.

Each function answers one question about a list of rows, one row per counted adapter, in the order of the page; no
result is shared. The module imports no code that decides anything, so that one mistake cannot affect both.
Statuses are dictionaries with JSON names and datetime values. The page gives no messages for
LastKnownReconciled, so `message` is left out there.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from hyperfleet.model.kind import AnyAdapter, RequiredAdapters
from hyperfleet.model.status.condition import Status
from hyperfleet.model.status.report import Report, Summary

Row = dict[str, Any]


def plain(status: Status) -> dict[str, Any]:
    """A computed status in the shape of `status`."""
    conditions = []
    for condition in status.conditions:
        members = {name: getattr(condition, name) for name in condition.__struct_fields__}
        if condition.type == "LastKnownReconciled":
            del members["message"]
        conditions.append(members)
    return {
        "phase": status.phase,
        "observed_generation": status.observed_generation,
        "last_transition_time": status.last_transition_time,
        "last_updated_time": status.last_updated_time,
        "conditions": conditions,
    }


def is_out_of_date(report: Report, generation: int, stored: Summary | None) -> bool:
    """Whether the response is 204."""
    said = {condition.type: condition.status for condition in report.conditions}
    reasons = [report.observed_generation > generation]
    if stored is not None:
        reasons.append(report.observed_generation < stored.observed_generation)
        before = stored.last_report_time
        if report.is_whole_second:
            before -= timedelta(microseconds=before.microsecond)
        reasons.append(report.observed_generation == stored.observed_generation and report.observed_time < before)
        reasons.append(_decides(said) is not None and said[str(_decides(said))] == "Unknown" and not _finalized(said))
    return any(reasons)


def status(
    *,
    generation: int,
    reference_time: datetime,
    deleted: bool,
    previous: dict[str, Any] | None,
    required: RequiredAdapters,
    reports: Sequence[Summary],
    has_children: bool,
) -> dict[str, Any]:
    """What a read of the resource shows under `status`, without `adapters`."""
    rows = _rows(required, reports)
    told = [row for row in rows if row["reported"]]
    phase = _phase(rows, generation, deleted)
    if previous is None:
        transition = reference_time
    elif previous["phase"] != phase:
        transition = max([reference_time, *(row["time"] for row in told)])
    else:
        transition = previous["last_transition_time"]
    before = {} if previous is None else {condition["type"]: condition for condition in previous["conditions"]}
    conditions: list[dict[str, Any]] = []
    if rows or required is AnyAdapter.ANY:
        conditions.append(
            _reconciled(rows, generation, reference_time, deleted, required, has_children, before.get("Reconciled"))
        )
        conditions.append(_last_known(rows, reference_time, before.get("LastKnownReconciled")))
        for row in rows:
            type = _successful_type(row["adapter"])
            if row["verdict"] != "none" and type not in [condition["type"] for condition in conditions]:
                conditions.append(_successful(row, type, reference_time, before.get(type)))
    return {
        "phase": phase,
        "observed_generation": min([row["generation"] for row in told]) if told else 0,
        "last_transition_time": transition,
        "last_updated_time": min([row["time"] for row in told]) if told else reference_time,
        "conditions": conditions,
    }


def _decides(said: Mapping[str, str]) -> str | None:
    if said.get("Failed") == "True":
        return "Failed"
    return next((type for type in ("Available", "Ready") if type in said), None)


def _finalized(said: Mapping[str, str]) -> bool:
    return said.get("Finalized") == "True"


def _rows(required: RequiredAdapters, reports: Sequence[Summary]) -> list[Row]:
    rows = []
    named = [] if required is AnyAdapter.ANY else list(required)
    for adapter in named or sorted(summary.adapter for summary in reports):
        row: Row = {"adapter": adapter, "reported": False, "verdict": "none", "failed": False, "finalized": False}
        for summary in reports:
            if summary.adapter == adapter:
                said = {condition.type: condition.status for condition in summary.conditions}
                decides = _decides(said)
                verdict = {"True": "success", "False": "failure"}.get(said[decides], "none") if decides else "none"
                row |= {
                    "reported": True,
                    "generation": summary.observed_generation,
                    "time": summary.last_report_time,
                    "failed": said.get("Failed") == "True",
                    "finalized": _finalized(said),
                    "verdict": "failure" if decides == "Failed" else verdict,
                    "words": next((said for said in summary.conditions if said.type == decides), None),
                }
        rows.append(row)
    return rows


def _with_verdict(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row["verdict"] != "none"]


def _at(rows: list[Row], generation: int) -> list[Row]:
    return [row for row in rows if row["reported"] and row["generation"] == generation]


def _phase(rows: list[Row], generation: int, deleted: bool) -> str:
    if any(row["failed"] for row in _at(rows, generation)):
        return "Failed"
    succeeding = [row for row in _at(rows, generation) if row["verdict"] == "success"]
    return "Ready" if rows and not deleted and succeeding == rows else "NotReady"


def _reconciled(
    rows: list[Row],
    generation: int,
    reference_time: datetime,
    deleted: bool,
    required: RequiredAdapters,
    has_children: bool,
    before: dict[str, Any] | None,
) -> dict[str, Any]:
    now = _at(rows, generation)
    if deleted:
        awaited = {
            row["adapter"]
            for row in rows
            if (required is AnyAdapter.ANY or row["adapter"] in required) and not (row in now and row["finalized"])
        }
        times = [row["time"] for row in now]
    else:
        awaited = {row["adapter"] for row in rows if not (row in now and row["verdict"] == "success")}
        times = [row["time"] for row in _with_verdict(now)]
    updated = min(times) if times else reference_time
    status = "True" if rows and not deleted and awaited == set() else "False"
    if status == "True":
        reason = "ReconciledAll"
        message = "All required adapters reported Available=True or Finalized=True at the current generation"
    elif deleted and has_children and awaited == set():
        reason = "ReconciledWaitingForChildren"
        message = "Deletion in progress. All required adapters reported Finalized=True but child resources still exist"
    elif rows == []:
        reason, message = "ReconciledMissingAdapters", "No adapter has reported yet"
    else:
        reason = "ReconciledMissingAdapters"
        reporting = sorted(row["adapter"] for row in _with_verdict(rows))
        message = f"Required adapters not reporting {'Finalized' if deleted else 'Available'}=True: ["
        message += ", ".join(sorted(awaited)) + "]. Currently reporting: [" + ", ".join(reporting) + "]"
    if before is None:
        transition = updated
    elif before["status"] == status:
        transition = before["last_transition_time"]
    elif (before["status"], status) == ("True", "False") and generation > before["observed_generation"]:
        transition = reference_time
    else:
        transition = updated
    return _made("Reconciled", status, generation, before, reference_time, updated, transition) | {
        "reason": reason,
        "message": message,
    }


def _last_known(rows: list[Row], reference_time: datetime, before: dict[str, Any] | None) -> dict[str, Any]:
    voices = _with_verdict(rows)
    was_true = before is not None and before["status"] == "True"
    failures = [row for row in voices if row["verdict"] == "failure"]
    generations = sorted({row["generation"] for row in voices})
    agree = rows != [] and len(voices) == len(rows) and not failures and len(generations) == 1
    if len(voices) < len(rows) or rows == []:
        status, reason = "False", "AdaptersMissingReports"
    elif agree:
        status, reason = "True", "AllAdaptersReconciled"
    elif not failures:
        status, reason = ("True", "AllAdaptersReconciled") if was_true else ("False", "AdaptersNotAtSameGeneration")
    elif before is not None and was_true and not _at(failures, before["observed_generation"]):
        status, reason = "True", "AllAdaptersReconciled"
    else:
        status, reason = "False", "AdapterReportedNotAvailable"

    as_before = (1, reference_time) if before is None else (before["observed_generation"], before["last_updated_time"])
    if status == "True":
        observed = generations[0] if agree else as_before[0]
    else:
        observed = generations[-1] if generations else as_before[0]

    if agree:
        updated = min(row["time"] for row in rows)
    elif status == "False" and _at(failures, observed):
        updated = min(row["time"] for row in _at(voices, observed))
    else:
        updated = as_before[1]
    transition = before["last_transition_time"] if before is not None and before["status"] == status else updated
    return _made("LastKnownReconciled", status, observed, before, reference_time, updated, transition) | {
        "reason": reason
    }


def _successful_type(adapter: str) -> str:
    words = [word for word in adapter.split("-") if word]
    return "".join(word[0].upper() + word[1:] for word in words) + "Successful"


def _successful(row: Row, type: str, reference_time: datetime, before: dict[str, Any] | None) -> dict[str, Any]:
    status = "True" if row["verdict"] == "success" else "False"
    transition = row["time"]
    if before is not None and before["status"] == status:
        transition = before["last_transition_time"]
    return _made(type, status, row["generation"], before, reference_time, row["time"], transition) | {
        "reason": row["words"].reason,
        "message": row["words"].message,
    }


def _made(
    type: str,
    status: str,
    observed: int,
    before: dict[str, Any] | None,
    reference_time: datetime,
    updated: datetime,
    transition: datetime,
) -> dict[str, Any]:
    return {
        "type": type,
        "status": status,
        "observed_generation": observed,
        "created_time": reference_time if before is None else before["created_time"],
        "last_updated_time": updated,
        "last_transition_time": transition,
    }
