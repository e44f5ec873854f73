"""Parses request bodies into drafts and reports. Nothing after this checks them again.

The request schemas find most mistakes; this file checks what a schema cannot express. All mistakes are collected, under
the names the caller used, and one error reports them together. `spec`, `data` and `metadata` are encoded once here and
are passed on as bytes.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from hyperfleet.errors import FieldError, InvalidInput
from hyperfleet.http.reading import label_keys, reference_bodies, request_schemas
from hyperfleet.http.reading.limits import too_large
from hyperfleet.model.catalog import Catalog
from hyperfleet.model.kind import ADAPTER_NAME, MOST_CONDITIONS, Kind
from hyperfleet.model.resource import Desired, Draft
from hyperfleet.model.schemas import wording
from hyperfleet.model.search import lexer
from hyperfleet.model.status.condition import ReportedCondition
from hyperfleet.model.status.report import Report

MOST_REPORT_DATA: Final = 256 << 10
"""The most bytes of `data` and `metadata` together, as the service encodes them."""

MOST_CONDITION_BYTES: Final = 64 << 10
"""The most bytes of `conditions`, encoded likewise: every read of the resource and every later report carries them."""

FUTURE: Final = timedelta(minutes=5)
EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""An earlier `observed_time` is rejected: it is the zero value of an adapter that forgot to set the time."""

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")

_encode: Final = msgspec.json.Encoder().encode
Members = dict[str, Any]
Wrong = list[FieldError]


def draft(members: Members, kind: Kind, spec_faults: Iterable[FieldError] = ()) -> Draft:
    """Parses a create (contract: Create); raises InvalidInput with every mistake.

    `spec_faults` are the faults of the `spec` by its own schema (services/checking.py).
    """
    schema = request_schemas.creation(kind)
    wrong = schema.faults(members)
    wrong += spec_faults
    named = members.get("labels") or {}
    if isinstance(named, dict) and len(named) <= label_keys.MOST:
        label_keys.check_keys(named, wrong)
    referenced = reference_bodies.targets(members.get("references"), kind, wrong)
    reference_bodies.check_numbers(referenced, kind, wrong)
    if wrong:
        raise InvalidInput(*schema.in_order(wrong))
    return Draft(members["name"], Desired(_encode(members["spec"]), named, referenced))


def report(members: Members, kind: Kind, *, now: datetime) -> Report:
    """Parses an adapter's report (contract: Reports).

    Raises InvalidInput with every mistake, or BadRequest (413) for a valid report that is too large.
    """
    given = members.get("conditions")
    schema = request_schemas.report()
    wrong = schema.faults(members)
    sent = members.get("observed_time")
    time = _observed_time(sent, now, wrong)
    if isinstance(given, list) and 1 <= len(given) <= MOST_CONDITIONS:
        _check_types(given, kind, wrong)
    if wrong:
        raise InvalidInput(*schema.in_order(wrong))
    data, metadata = members.get("data"), members.get("metadata")
    encoded = _encode(data) if data is not None else b"{}"
    more = _encode(metadata) if metadata is not None else None
    if len(encoded) + len(more or b"") > MOST_REPORT_DATA:
        raise too_large(MOST_REPORT_DATA, "`data` and `metadata` together")
    if len(_encode(given)) > MOST_CONDITION_BYTES:
        raise too_large(MOST_CONDITION_BYTES, "`conditions` together")
    conditions = tuple(
        ReportedCondition(each["type"], each["status"], each.get("reason"), each.get("message"))
        for each in members["conditions"]
    )
    is_whole_second = isinstance(sent, str) and "." not in sent
    return Report(
        members["adapter"], int(members["observed_generation"]), time, conditions, encoded, more, is_whole_second
    )


def kind_named(members: Members, catalog: Catalog) -> Kind:
    """The kind that a body names, for paths that serve all kinds; raises InvalidInput."""
    name = members.get("kind")
    kind = catalog.by_name.get(name) if isinstance(name, str) else None
    if kind is not None:
        return kind
    if "kind" not in members:
        raise InvalidInput(wording.missing("kind"))
    raise InvalidInput(wording.chosen("kind", list(catalog.by_name), name, wording.shown(name)))


def reason(members: Members) -> str:
    """The reason for a force-delete (contract: Delete), a text for the audit log; raises InvalidInput.

    It must not be blank, and must not contain control characters other than tabs and line breaks.
    """
    wrong = request_schemas.forced_deletion().faults(members)
    if wrong:
        raise InvalidInput(*wrong)
    text: str = members["reason"]
    if not text.strip():
        raise InvalidInput(FieldError("VAL-004", "reason", "`reason` must not be blank", "not blank"))
    if _CONTROL.search(text):
        message = "`reason` must not contain control characters other than tabs and line breaks"
        raise InvalidInput(FieldError("VAL-003", "reason", message, value=text))
    return text


def adapter_named(members: Members) -> str | None:
    """The adapter's name in a report that may be invalid otherwise; None when the name itself is invalid."""
    name = members.get("adapter")
    return name if isinstance(name, str) and ADAPTER_NAME.fullmatch(name) else None


def _observed_time(given: object, now: datetime, wrong: Wrong) -> datetime:
    """The report's `observed_time`, or `now` when it is omitted or not a time; adds its faults to `wrong`."""
    if not isinstance(given, str) or any(fault.field == "observed_time" for fault in wrong):
        return now
    try:
        time = lexer.time(given)
    except ValueError as failure:
        # The text has the right form, but no such time exists, or the service cannot represent it.
        message = f"`observed_time` must be an RFC 3339 time: {failure}"
        wrong.append(FieldError("VAL-003", "observed_time", message, value=given))
        return now
    if time > now + FUTURE:
        message = "`observed_time` must not be more than 5 minutes ahead of the service's clock"
        wrong.append(FieldError("VAL-004", "observed_time", message, "at most 5 minutes ahead", given))
    elif time < EARLIEST:
        message = "`observed_time` must not be before the year 2000; leave it out to mean now"
        wrong.append(FieldError("VAL-004", "observed_time", message, "2000-01-01T00:00:00Z or later", given))
    return time


def _check_types(given: list[Any], kind: Kind, wrong: Wrong) -> None:
    """Adds faults for duplicate condition types and for missing mandatory types."""
    seen: set[str] = set()
    for position, each in enumerate(given):
        type = each.get("type") if isinstance(each, dict) else None
        if not isinstance(type, str):
            continue
        if type in seen and type:
            wrong.append(wording.repeated(f"conditions[{position}].type", type))
        seen.add(type)
    for type in kind.mandatory_conditions:
        if type not in seen:
            message = f"`conditions` must include one of type `{type}` for {kind.one}"
            wrong.append(FieldError("VAL-001", "conditions", message, type))
