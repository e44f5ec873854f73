"""Searching in tests: the golden fleet and its cases, a second opinion on what a tree is true of, and random trees.

`is_true` decides on a resource as it is served, in plain Python, and shares nothing with the SQL it is compared with.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import yaml
from hypothesis import strategies as st

from hyperfleet.model import rendering
from hyperfleet.model.search.fields import FIELDS, Field
from hyperfleet.model.search.lexer import Value
from hyperfleet.model.search.parser import (
    OPERATORS,
    Absence,
    And,
    Comparison,
    Expression,
    FieldRef,
    Match,
    Membership,
    Not,
    Operator,
    Or,
    Range,
)

CASES: Final = Path(__file__).parent / "cases" / "search"
FIRST_DAY: Final = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Case:
    """A search text and what comes of it: the names it finds, or the position at which it is refused."""

    behaviour: str
    search: str
    finds: frozenset[str] | None
    refused: int | None
    says: str


def fleet() -> list[dict[str, Any]]:
    """The golden fleet, each row as its resource is served; numbers in spec are exact."""
    rows = yaml.load((CASES / "the-fleet.yaml").read_text(), Loader=yaml.BaseLoader)
    made: dict[str, dict[str, Any]] = {}
    for number, (name, row) in enumerate(rows.items(), start=1):
        created = FIRST_DAY + timedelta(days=number - 1)
        kind = row.get("kind", "Cluster")
        resource: dict[str, Any] = {
            "kind": kind,
            "id": f"018f0000-0000-7000-8000-0000000000{number:02d}",
            "href": f"/api/hyperfleet/v1/{kind.lower()}s/{number}",
            "name": name,
            "generation": int(row.get("generation", 1)),
            "labels": row.get("labels", {}),
            "created_time": created,
            "updated_time": created + timedelta(hours=1),
            "created_by": row.get("created_by", "ann@example.com"),
            "updated_by": row.get("updated_by", "ann@example.com"),
            "spec": json.loads(row["spec"], parse_float=Decimal),
            "status": {
                "phase": row.get("phase", "NotReady"),
                "observed_generation": int(row.get("observed_generation", 0)),
                "last_updated_time": created,
                "last_transition_time": created,
                "conditions": [_condition(*pair) for pair in row.get("conditions", {}).items()],
            },
        }
        if "owner" in row:
            owner = made[row["owner"]]
            resource["owner_references"] = {"kind": owner["kind"], "id": owner["id"], "href": owner["href"]}
        if "deleted_time" in row:
            resource |= {"deleted_time": datetime.fromisoformat(row["deleted_time"]), "deleted_by": row["deleted_by"]}
        made[name] = resource
    return list(made.values())


def _condition(type: str, said: str) -> dict[str, Any]:
    status, generation, updated, changed, reason = said.split()
    return {
        "type": type,
        "status": status,
        "reason": reason,
        "observed_generation": int(generation),
        "last_updated_time": datetime.fromisoformat(updated),
        "last_transition_time": datetime.fromisoformat(changed),
    }


def cases() -> list[Case]:
    """Every golden case; `finds` may begin with `all but`, or be `nothing`."""
    names = frozenset(resource["name"] for resource in fleet())
    found = []
    for path in sorted(CASES.glob("*.yaml")):
        if path.stem == "the-fleet":
            continue
        for case in yaml.load(path.read_text(), Loader=yaml.BaseLoader):
            refused = int(case["refused"]) if "refused" in case else None
            finds = None if refused is not None else _names(case["finds"], names)
            found.append(Case(path.stem, case["search"], finds, refused, case.get("says", "")))
    return found


def _names(said: str, known: frozenset[str]) -> frozenset[str]:
    listed = frozenset(said.removeprefix("all but ").split()) - {"nothing", "all"}
    assert listed <= known, f"the fleet has no {listed - known}"
    return known - listed if said == "all" or said.startswith("all but ") else listed


def is_true(tree: Expression, resource: dict[str, Any]) -> bool:
    """Whether a resource satisfies the tree."""
    match tree:
        case And(terms):
            return all(is_true(term, resource) for term in terms)
        case Or(terms):
            return any(is_true(term, resource) for term in terms)
        case Not(term):
            return not is_true(term, resource)
        case Absence(ref):
            return _value(resource, ref) is None
        case Comparison(ref, operator, wanted):
            return _compares(_value(resource, ref), operator, wanted)
        case Membership(ref, wanted):
            return any(_compares(_value(resource, ref), "=", one) for one in wanted)
        case Range(ref, low, high):
            value = _value(resource, ref)
            return _compares(value, ">=", low) and _compares(value, "<=", high)
        case Match(ref, pattern, ignore_case):
            value = _value(resource, ref)
            return isinstance(value, str) and _fits(value, pattern, ignore_case)


def _value(resource: dict[str, Any], ref: FieldRef) -> Any:
    name, path = ref.field.name, ref.path
    if name.startswith("status.conditions"):
        (condition,) = [one for one in resource["status"]["conditions"] if one["type"] == path[0]] or [{}]
        return condition.get(name.partition(">.")[2] or "status")
    if name in ("owner_id", "owner_kind"):
        return resource.get("owner_references", {}).get(name.removeprefix("owner_"))
    parts = [*name.partition(".<")[0].split("."), *path] if path else name.split(".")
    value: Any = resource
    for part in parts:
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _compares(value: Any, operator: Operator, wanted: Value) -> bool:
    if _sort(value) != _sort(wanted):
        return False
    one, other = (value.encode(), wanted.encode()) if isinstance(wanted, str) else (value, wanted)
    if operator == "=":
        return bool(one == other)
    if operator in ("<", "<="):
        return bool(one < other or (operator == "<=" and one == other))
    return bool(one > other or (operator == ">=" and one == other))


def _sort(value: Any) -> type:
    """What a value is compared as; what JSON calls a number is one thing."""
    return Decimal if isinstance(value, int) and not isinstance(value, bool) else type(value)


def _fits(value: str, pattern: str, ignore_case: bool) -> bool:
    made, escaped = "", False
    for char in pattern:
        if escaped or char not in "\\%_":
            made += re.escape(char)
            escaped = False
        elif char == "\\":
            escaped = True
        else:
            made += ".*" if char == "%" else "."
    if ignore_case:
        made, value = _ascii_lower(made), _ascii_lower(value)
    return re.fullmatch(made, value, re.DOTALL) is not None


def _ascii_lower(text: str) -> str:
    return "".join(char.lower() if char.isascii() else char for char in text)


_UPPER_ID: Final = "018F0000-0000-7000-8000-000000000001"
_ODD_TEXTS: Final = ["", "True", "3", "%", "_", "a\\b", 'a"b', "ä", "🚀", "line\nbreak", _UPPER_ID, "no id"]
_ODD_NUMBERS: Final = [0, 2**31 - 1, 2**31, -(2**31) - 1, 10**400, Decimal("2.5"), Decimal("1E-7"), Decimal("1E-400")]
_TEXTS: Final = st.sampled_from(_ODD_TEXTS) | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5)
_NUMBERS: Final = st.sampled_from(_ODD_NUMBERS) | st.integers(-5, 12)
_TIMES: Final = st.datetimes(timezones=st.just(UTC)).map(lambda time: time.replace(fold=0))
_PATTERNS: Final = st.lists(
    st.sampled_from(["%", "%", "_", "\\%", "\\_", "\\\\", "a", "e", "A", "Ä", "@", "'", "-"]), max_size=6
).map("".join)
_ORDERED: Final = {"text": _TEXTS, "integer": _NUMBERS, "time": _TIMES, "any": st.one_of(_TEXTS, _NUMBERS)}
_OPERATORS: Final[list[Operator]] = ["=", "<", "<=", ">", ">="]
_SEARCHED: Final = [field for field in FIELDS.rows if field.searchable]
_TYPES: Final[list[tuple[str, ...]]] = [("Reconciled",), ("DnsSuccessful",), ("Dns.v2Successful",), ("Nothing",)]


def _ways(value: Any, before: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every way into a document through members of objects."""
    found = [before] if before else []
    if isinstance(value, dict):
        for key, inside in value.items():
            found += _ways(inside, (*before, key))
    return found


def _literal(value: Any) -> Any:
    """The value as a search holds it, where every whole number is an integer however it was written."""
    return int(value) if isinstance(value, Decimal) and value == value.to_integral_value() else value


def _known(field: Field) -> list[tuple[FieldRef, list[Any]]]:
    """References to a field under which the fleet has something or could have, each with the values that are there."""
    resources = fleet()
    paths: Iterable[tuple[str, ...]] = [()]
    if field.name == "spec.<path>":
        odd = [("replicas", "min", "x"), ("theta",), ("list", "0"), ("x y", "'")]
        paths = dict.fromkeys([*(way for one in resources for way in _ways(one["spec"])), *odd])
    elif field.name == "labels.<key>":
        paths = dict.fromkeys([*((key,) for one in resources for key in one["labels"]), ("..",), ("a'b",)])
    elif "<" in field.name:
        paths = _TYPES
    known = []
    for path in paths:
        ref = FieldRef(field, path)
        values = [_literal(_value(one, ref)) for one in resources]
        known.append((ref, [value for value in values if isinstance(value, str | int | Decimal | datetime)]))
    return known


_KNOWN: Final = {field.name: _known(field) for field in _SEARCHED}


@st.composite
def _atoms(draw: st.DrawFn) -> Expression:
    """A term on any field, whose values the fleet mostly has."""
    field = draw(st.sampled_from(_SEARCHED))
    ref, there = draw(st.sampled_from(_KNOWN[field.name]))
    comparable = [value for value in there if not isinstance(value, bool)]

    def value(*, ordered: bool) -> Any:
        if field.choices and not ordered:
            return draw(st.sampled_from(field.choices))
        known = comparable if ordered else there
        if known and draw(st.integers(0, 3)):
            return draw(st.sampled_from(known))
        if field.type == "any" and not ordered and draw(st.booleans()):
            return draw(st.booleans())
        return draw(_ORDERED[field.type])

    forms = ["equal", "ordered", "range", "list", "absent", *(["like"] if "like" in OPERATORS[field.type] else [])]
    form = draw(st.sampled_from(forms))
    if form == "equal":
        return Comparison(ref, "=", value(ordered=False))
    if form == "ordered":
        operator = draw(st.sampled_from(_OPERATORS))
        return Comparison(ref, operator, value(ordered=operator != "="))
    if form == "range":
        low, high = value(ordered=True), value(ordered=True)
        return Range(ref, low, high if _sort(low) is _sort(high) else low)
    if form == "list":
        return Membership(ref, tuple(value(ordered=False) for _ in range(draw(st.sampled_from([1, 2, 3, 20])))))
    return Absence(ref) if form == "absent" else Match(ref, draw(_PATTERNS), draw(st.booleans()))


TREES: Final[st.SearchStrategy[Expression]] = st.recursive(
    _atoms(),
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(And, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)


def row(resource: dict[str, Any]) -> list[Any]:
    """The resource as values of ROW_COLUMNS: what the store keeps of it to search in."""
    status = resource["status"]
    owner = resource.get("owner_references", {})
    details = {
        one["type"]: {
            "t": rendering.timestamp(one["last_transition_time"]),
            "u": rendering.timestamp(one["last_updated_time"]),
            "g": one["observed_generation"],
            "r": one["reason"],
        }
        for one in status["conditions"]
    }
    return [
        UUID(resource["id"]),
        UUID(owner["id"]) if owner else None,
        owner.get("kind"),
        *(resource.get(name) for name in ROW_COLUMNS[3:13]),
        *(status[name] for name in ROW_COLUMNS[13:16]),
        status["phase"],
        json.dumps(resource["labels"]).encode(),
        json.dumps({one["type"]: one["status"] for one in status["conditions"]}).encode(),
        json.dumps(details).encode(),
        exact_json(resource["spec"]),
    ]


ROW_COLUMNS: Final = (
    *("id", "owner_id", "owner_kind"),
    *("kind", "name", "href", "generation", "created_time", "updated_time", "deleted_time"),
    *("created_by", "updated_by", "deleted_by"),
    *("observed_generation", "last_updated_time", "last_transition_time", "phase"),
    *("labels", "condition_status", "conditions", "spec"),
)


def exact_json(value: Any) -> bytes:
    """JSON text in which no digit of a number is lost."""
    if isinstance(value, dict):
        return b"{%b}" % b",".join(b"%b:%b" % (json.dumps(key).encode(), exact_json(one)) for key, one in value.items())
    if isinstance(value, list):
        return b"[%b]" % b",".join(map(exact_json, value))
    return str(value).encode() if isinstance(value, Decimal) else json.dumps(value).encode()
