"""Bodies to the model: what a caller wants created, what an adapter reports. Nothing behind this checks them again.

Every mistake is collected, in the caller's words and under the caller's names, before one error tells of all of them.
`spec`, `data` and `metadata` are encoded once here and travel as these bytes.
"""

import re
from collections.abc import Container
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from hyperfleet.errors import FieldError, InvalidInput
from hyperfleet.http import references
from hyperfleet.http.limits import too_large
from hyperfleet.model import lexer
from hyperfleet.model.catalog import Catalog
from hyperfleet.model.condition import ReportedCondition
from hyperfleet.model.kind import ADAPTER_NAME, MOST_CONDITIONS, Kind
from hyperfleet.model.report import Report
from hyperfleet.model.resource import Desired, Draft

LARGEST_INTEGER: Final = 2**31 - 1
MOST_LABELS: Final = 64
LONGEST_LABEL_KEY: Final = 255
LONGEST_REASON: Final = 1024
LONGEST_FORCE_REASON: Final = 1024
LONGEST_MESSAGE: Final = 32768
MOST_REPORT_DATA: Final = 256 << 10
MOST_MISTAKES: Final = 100
FUTURE: Final = timedelta(minutes=5)

_DRAFT: Final = ("kind", "name", "spec", "labels", "references")
_READ_ONLY: Final = frozenset(
    {"id", "href", "owner_references", "generation", "resource_version", "status"}
    | {"created_time", "updated_time", "deleted_time", "created_by", "updated_by", "deleted_by"}
)
_REPORT: Final = ("adapter", "observed_generation", "observed_time", "conditions", "data", "metadata")
_CONDITION: Final = ("type", "status", "reason", "message")
_SET_BY_SERVICE: Final = frozenset(
    {"adapter", "observed_generation", "created_at", "updated_at", "last_transition_time"}
)
_STATUSES: Final = ("True", "False", "Unknown")

_NAME: Final = re.compile("[a-z0-9](?:[-a-z0-9]*[a-z0-9])?")
_LABEL: Final = re.compile("[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LABEL_PREFIX: Final = re.compile("[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")

_encode: Final = msgspec.json.Encoder().encode
Members = dict[str, Any]
Wrong = list[FieldError]


def draft(members: Members, kind: Kind) -> Draft:
    """What a caller wants created (contract: Create); raises InvalidInput with every mistake."""
    wrong: Wrong = []
    check_known(members, _DRAFT, _READ_ONLY, "", wrong)
    given = members.get("kind")
    if given is not None and given != kind.name:
        code = "VAL-002" if isinstance(given, str) else "VAL-003"
        wrong.append(FieldError(code, "kind", f"`kind` must be `{kind.name}`", kind.name, shown(given)))
    name = _name(members, kind, wrong)
    spec = _required(members, "spec", "", wrong)
    if spec is not None and not isinstance(spec, dict):
        wrong.append(mistyped("spec", "an object", spec))
    elif spec is not None and kind.spec_schema is not None:
        wrong += kind.spec_schema.faults(spec)
    labels = labels_of(members, wrong)
    referenced = references.targets(_object(members, "references", wrong) or {}, kind, wrong)
    references.check_numbers(referenced, kind, wrong)
    if wrong:
        raise InvalidInput(*wrong)
    return Draft(name, Desired(_encode(spec), labels, referenced))


def report(members: Members, kind: Kind, *, now: datetime) -> Report:
    """What an adapter reports (contract: Reports); raises BadRequest (413), InvalidInput with every mistake."""
    wrong: Wrong = []
    data, metadata = _object(members, "data", wrong), _object(members, "metadata", wrong)
    encoded = b"{}" if data is None else _encode(data)
    more = None if metadata is None else _encode(metadata)
    if len(encoded) + len(more or b"") > MOST_REPORT_DATA:
        raise too_large(MOST_REPORT_DATA, "`data` and `metadata` together")
    check_known(members, _REPORT, (), "", wrong)
    adapter = _adapter(members, wrong)
    generation = _generation(members, wrong)
    time = _observed_time(members, now, wrong)
    conditions = _conditions(members, kind, wrong)
    if wrong:
        raise InvalidInput(*wrong)
    return Report(adapter, generation, time, conditions, encoded, more)


def kind_named(members: Members, catalog: Catalog) -> Kind:
    """The kind that a body says, where the path leaves it open; raises InvalidInput."""
    wrong: Wrong = []
    name = _required(members, "kind", "", wrong)
    kind = catalog.by_name.get(name) if isinstance(name, str) else None
    if name is not None and kind is None:
        choices = ", ".join(catalog.by_name)
        code = "VAL-002" if isinstance(name, str) else "VAL-003"
        wrong.append(FieldError(code, "kind", f"`kind` must be one of {choices}", choices, shown(name)))
    if kind is None:
        raise InvalidInput(*wrong)
    return kind


def reason(members: Members) -> str:
    """Why a resource is removed by force (contract: Delete): a text for the audit log; raises InvalidInput.

    It says something, so blanks alone are refused, and so are control characters but tabs and line breaks.
    """
    wrong: Wrong = []
    check_known(members, ("reason",), (), "", wrong)
    text = _required(members, "reason", "", wrong)
    if text is not None and not isinstance(text, str):
        wrong.append(mistyped("reason", "a string", text))
    elif text is not None and not (text.strip() and len(text) <= LONGEST_FORCE_REASON):
        limit = f"1 to {LONGEST_FORCE_REASON} characters"
        message = f"`reason` must say in {limit} why it is removed by force"
        wrong.append(FieldError("VAL-004", "reason", message, limit, str(len(text))))
    elif text is not None and _CONTROL.search(text):
        message = "`reason` must not have control characters but tabs and line breaks"
        wrong.append(FieldError("VAL-003", "reason", message, value=text))
    if wrong:
        raise InvalidInput(*wrong)
    return str(text)


def adapter_named(members: Members) -> str | None:
    """The adapter of a report that may be wrong otherwise; None when it has no proper name."""
    name = members.get("adapter")
    return name if isinstance(name, str) and ADAPTER_NAME.fullmatch(name) else None


def check_known(members: Members, known: tuple[str, ...], ignored: Container[str], path: str, wrong: Wrong) -> None:
    """Adds members that are neither known nor ignored."""
    for name in members:
        if len(wrong) >= MOST_MISTAKES:
            break
        if name not in known and name not in ignored:
            message = f"`{path}{cut(name)}` is not known; known are {', '.join(known)}"
            wrong.append(FieldError("VAL-002", path + name, message))


def _required(members: Members, name: str, path: str, wrong: Wrong) -> Any:
    """A member that must be there and not null; None, and a mistake, when it is not."""
    value = members.get(name)
    if value is None:
        code, message = ("VAL-003", "must not be null") if name in members else ("VAL-001", "is missing")
        wrong.append(FieldError(code, path + name, f"`{path}{name}` {message}"))
    return value


def _object(members: Members, name: str, wrong: Wrong) -> Members | None:
    value = members.get(name)
    if value is None or isinstance(value, dict):
        return value
    wrong.append(mistyped(name, "an object", value))
    return None


def mistyped(field: str, type: str, value: object) -> FieldError:
    """The error of a value of another type than `type`, in words."""
    return FieldError("VAL-003", field, f"`{field}` must be {type}", value=shown(value))


def shown(value: object) -> str | None:
    """A scalar as the caller wrote it, for the error that names it; None for what is too large to repeat."""
    if isinstance(value, str):
        return value
    return _encode(value).decode() if isinstance(value, bool | int | float) else None


def cut(text: str) -> str:
    """A name that a caller made up, short enough for an error."""
    return text if len(text) <= 80 else text[:80] + "…"


def _name(members: Members, kind: Kind, wrong: Wrong) -> str:
    name = _required(members, "name", "", wrong)
    if name is None:
        return ""
    if not isinstance(name, str):
        wrong.append(mistyped("name", "a string", name))
        return ""
    least, most = kind.name_min_length, kind.name_max_length
    if not least <= len(name) <= most:
        limit = f"{least} to {most} characters"
        wrong.append(FieldError("VAL-004", "name", f"`name` of {kind.one} must have {limit}", limit, name))
    elif not _NAME.fullmatch(name):
        message = "`name` must be of small letters, digits and hyphens, with a letter or digit at both ends"
        wrong.append(FieldError("VAL-003", "name", message, f"^{_NAME.pattern}$", name))
    return name


def labels_of(members: Members, wrong: Wrong) -> dict[str, str]:
    """The labels of a body, empty without any; what is wrong with them joins `wrong`."""
    labels = _object(members, "labels", wrong) or {}
    if len(labels) > MOST_LABELS:
        message = f"`labels` must have {MOST_LABELS} members at most"
        wrong.append(FieldError("VAL-004", "labels", message, f"at most {MOST_LABELS}", str(len(labels))))
        return {}
    for key, value in labels.items():
        check_label(key, value, wrong)
    return labels


def check_label(key: str, value: object, wrong: Wrong) -> None:
    """A label's syntax, as Kubernetes has it."""
    field = f"labels.{cut(key)}"
    prefix, slash, name = key.rpartition("/")
    if not 1 <= len(key) <= LONGEST_LABEL_KEY:
        limit = f"1 to {LONGEST_LABEL_KEY} characters"
        wrong.append(FieldError("VAL-004", field, f"the key of `{field}` must have {limit}", limit, key))
    elif not _LABEL.fullmatch(name) or (slash and not (len(prefix) <= 253 and _LABEL_PREFIX.fullmatch(prefix))):
        message = (
            f"the key of `{field}` must be up to 63 letters, digits, `-`, `_` and `.`, with a letter or digit at both"
            " ends, and may have a domain name and `/` before it"
        )
        wrong.append(FieldError("VAL-003", field, message, value=key))
    if not isinstance(value, str):
        wrong.append(mistyped(field, "a string", value))
    elif len(value) > 63:
        wrong.append(FieldError("VAL-004", field, f"`{field}` must have 63 characters at most", "at most 63", value))
    elif value and not _LABEL.fullmatch(value):
        message = f"`{field}` must be letters, digits, `-`, `_` and `.`, with a letter or digit at both ends, or empty"
        wrong.append(FieldError("VAL-003", field, message, value=value))


def _adapter(members: Members, wrong: Wrong) -> str:
    name = _required(members, "adapter", "", wrong)
    if name is None:
        return ""
    if not isinstance(name, str):
        wrong.append(mistyped("adapter", "a string", name))
    elif not 1 <= len(name) <= 63:
        wrong.append(FieldError("VAL-004", "adapter", "`adapter` must have 1 to 63 characters", "1 to 63", name))
    elif not ADAPTER_NAME.fullmatch(name):
        message = "`adapter` must be letters, digits, `-`, `_` and `.`, with a letter or digit at both ends"
        wrong.append(FieldError("VAL-003", "adapter", message, value=name))
    return str(name)


def _generation(members: Members, wrong: Wrong) -> int:
    given = _required(members, "observed_generation", "", wrong)
    if given is None:
        return 0
    whole = isinstance(given, int) or (isinstance(given, float) and given.is_integer())
    if isinstance(given, bool) or not whole:
        wrong.append(mistyped("observed_generation", "a whole number", given))
        return 0
    if not 1 <= given <= LARGEST_INTEGER:
        limit = f"from 1 to {LARGEST_INTEGER}"
        message = f"`observed_generation` must be {limit}"
        wrong.append(FieldError("VAL-004", "observed_generation", message, limit, shown(given)))
        return 0
    return int(given)


def _observed_time(members: Members, now: datetime, wrong: Wrong) -> datetime:
    """The time of a report, `now` when it gives none."""
    given = members.get("observed_time")
    if given is None:
        return now
    if not isinstance(given, str):
        wrong.append(mistyped("observed_time", "a string", given))
        return now
    try:
        if given[10:11] not in ("T", "t"):
            raise ValueError("a time is written as 2026-01-31T12:00:00Z")
        time = lexer.time(given)
    except ValueError as failure:
        message = f"`observed_time` must be an RFC 3339 time: {failure}"
        wrong.append(FieldError("VAL-003", "observed_time", message, value=given))
        return now
    if time > now + FUTURE:
        message = "`observed_time` must not be more than 5 minutes ahead of the service's clock"
        wrong.append(FieldError("VAL-004", "observed_time", message, "at most 5 minutes ahead", given))
    return time


def _conditions(members: Members, kind: Kind, wrong: Wrong) -> tuple[ReportedCondition, ...]:
    given = _required(members, "conditions", "", wrong)
    if given is None:
        return ()
    if not isinstance(given, list):
        wrong.append(mistyped("conditions", "a list", given))
        return ()
    if not 1 <= len(given) <= MOST_CONDITIONS:
        limit = f"1 to {MOST_CONDITIONS}"
        message = f"`conditions` must have {limit} items"
        wrong.append(FieldError("VAL-004", "conditions", message, limit, str(len(given))))
        return ()
    seen: set[str] = set()
    conditions = tuple(_condition(item, f"conditions[{position}]", seen, wrong) for position, item in enumerate(given))
    for type in kind.mandatory_conditions:
        if type not in seen:
            message = f"`conditions` of {kind.one} must have one of type `{type}`"
            wrong.append(FieldError("VAL-001", "conditions", message, type))
    return conditions


def _condition(item: object, path: str, seen: set[str], wrong: Wrong) -> ReportedCondition:
    """One reported condition; its type joins those `seen`. What the service sets itself is left out."""
    if not isinstance(item, dict):
        wrong.append(mistyped(path, "an object", item))
        return ReportedCondition("", "Unknown")
    check_known(item, _CONDITION, _SET_BY_SERVICE, f"{path}.", wrong)
    type = _required(item, "type", f"{path}.", wrong)
    if type is not None:
        if not isinstance(type, str):
            wrong.append(mistyped(f"{path}.type", "a string", type))
        elif not type:
            wrong.append(FieldError("VAL-004", f"{path}.type", f"`{path}.type` must not be empty", "at least 1", ""))
        elif type in seen:
            wrong.append(FieldError("VAL-002", f"{path}.type", f"`{path}.type` must be given once only", value=type))
        else:
            seen.add(type)
    status = _required(item, "status", f"{path}.", wrong)
    if status is not None and status not in _STATUSES:
        code = "VAL-002" if isinstance(status, str) else "VAL-003"
        message = f"`{path}.status` must be one of the strings True, False and Unknown"
        wrong.append(FieldError(code, f"{path}.status", message, "True, False, Unknown", shown(status)))
    reason = _text(item, "reason", LONGEST_REASON, path, wrong)
    return ReportedCondition(type, status, reason, _text(item, "message", LONGEST_MESSAGE, path, wrong))


def _text(item: Members, name: str, longest: int, path: str, wrong: Wrong) -> str | None:
    value = item.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        wrong.append(mistyped(f"{path}.{name}", "a string", value))
        return None
    if len(value) > longest:
        message = f"`{path}.{name}` must have {longest} characters at most"
        wrong.append(FieldError("VAL-004", f"{path}.{name}", message, f"at most {longest}", str(len(value))))
    return value
