"""Searching in tests: the golden fleet and its cases, a second opinion on what a tree is true of, and random trees.

`is_true` decides on a resource as it is served, in plain Python, and shares nothing with the SQL it is compared with.
"""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import yaml
from hypothesis import strategies as st

from hyperfleet.model.fields import FIELDS, Field
from hyperfleet.model.lexer import Value
from hyperfleet.model.search import (
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
    flags = re.DOTALL | re.ASCII | (re.IGNORECASE if ignore_case else 0)
    if not ignore_case:
        return re.fullmatch(made, value, flags) is not None
    return re.fullmatch(_ascii_lower(made), _ascii_lower(value), re.DOTALL) is not None


def _ascii_lower(text: str) -> str:
    return "".join(char.lower() if char.isascii() else char for char in text)


_TEXTS: Final = st.sampled_from(
    ["", "alpha", "Alpha", "prod", "True", "3", "eu-west-1", "o'brien@example.com", 'a"b', "a\\b", "%", "50%", "_", "ä", "🚀"]
    + ["line\nbreak", "2026-01-01", "018f0000-0000-7000-8000-000000000001", "018F0000-0000-7000-8000-000000000001"]
) | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
_NUMBERS: Final = (
    st.sampled_from([0, 1, 2, 3, 9, 10, 2**31 - 1, 2**31, -(2**31) - 1, 10**30, Decimal("0.1"), Decimal("9.5"), Decimal("1E-7")])
    | st.integers(-(10**40), 10**40)
    | st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9).map(
        lambda value: int(value) if value == int(value) else value
    )
)
_TIMES: Final = st.builds(lambda hours: FIRST_DAY + timedelta(hours=hours), st.integers(-50, 3000)) | st.datetimes(
    timezones=st.just(UTC)
)
_PARTS: Final = st.sampled_from(
    ["region", "replicas", "note", "network", "cidr", "deep", "a", "b", "c", "0", "min", "machine.type", "machineType", "", "x y"]
) | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=4)
_KEYS: Final = st.sampled_from(["environment", "tier", "app.kubernetes.io/name", "rank", "no such", "..", "a'b"])
_TYPES: Final = st.sampled_from(["Reconciled", "DnsSuccessful", "Dns.v2Successful", "Nothing"])


def _paths(field: Field) -> st.SearchStrategy[tuple[str, ...]]:
    if field.name == "spec.<path>":
        return st.lists(_PARTS, min_size=1, max_size=4).map(tuple)
    if field.name == "labels.<key>":
        return st.tuples(_KEYS)
    return st.tuples(_TYPES) if "<" in field.name else st.just(())


_SEARCHED: Final = [field for field in FIELDS.values() if field.searchable]
REFERENCES: Final = st.sampled_from(_SEARCHED).flatmap(lambda field: st.builds(FieldRef, st.just(field), _paths(field)))
PATTERNS: Final = st.lists(st.sampled_from(["%", "_", "\\%", "\\_", "\\\\", "a", "e", "A", "Ä", "@", "'", "-"]), max_size=6).map("".join)
_OPERATORS: Final[list[Operator]] = ["=", "<", "<=", ">", ">="]


def _atoms(ref: FieldRef) -> st.SearchStrategy[Expression]:
    own, kind = st.just(ref), ref.field.type
    ordered: list[st.SearchStrategy[Any]] = [
        *([_TEXTS] if kind in ("text", "any") else []),
        *([_NUMBERS] if kind in ("integer", "any") else []),
        *([_TIMES] if kind == "time" else []),
    ]
    atoms: list[st.SearchStrategy[Expression]] = [st.builds(Absence, own)]
    for values in ordered:
        atoms.append(st.builds(Comparison, own, st.sampled_from(_OPERATORS), values))
        atoms.append(st.builds(Range, own, values, values))
    listed = st.one_of(*ordered, st.booleans()) if kind == "any" else st.one_of(*ordered)
    atoms.append(st.builds(Comparison, own, st.just("="), listed))
    atoms.append(st.builds(Membership, own, st.lists(listed, min_size=1, max_size=20).map(tuple)))
    if kind in ("text", "any"):
        atoms.append(st.builds(Match, own, PATTERNS, st.booleans()))
    return st.one_of(atoms)


TREES: Final[st.SearchStrategy[Expression]] = st.recursive(
    REFERENCES.flatmap(_atoms),
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(And, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)


def row(resource: dict[str, Any]) -> list[Any]:
    """The resource as values of ROW_COLUMNS: what the store keeps of it to search in."""
    from hyperfleet.model import rendering

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
