"""Golden cases of admission and aggregation: the small language of the case files, and the lives that they describe.

Times are written `@5`, in seconds after noon, or `@5.5` for an adapter that writes fractions; generations `g1`;
conditions `Available=False(Quota, no room left)`, where the parentheses hold an optional reason and message. In a
summary each condition is followed by the time of its last flip, `since@5`. A case checks only the values that it has.

A case of aggregation is a life: events (`created @0`, `changed @9`, `deleted @9`, `dns reports g1 @5 Available=True`,
`children appear`, `children go`, `required are dns, vm`, or `any`, or `nobody`; after `changed unseen @9` nothing is
aggregated until the next one), and between them the expected state at that moment:
`phase` (`Ready g1 updated@5 changed@5`), `order` (the types of all conditions), a condition by its type
(`True g1 updated@5 changed@5 created@0 Reason`, or `absent`) and, as `<type> says`, its message.
For a kind with mapping rules, a case has the rules as `mapped`, the resource's `spec`, and the `data` that adapters
send from an event on (`dns sends {"zone": "a"}`).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, cast
from uuid import UUID

import yaml
from msgspec import structs

from hyperfleet.model import rendering, standing
from hyperfleet.model.assessment import begun, finished
from hyperfleet.model.kind import AnyAdapter, Kind, RequiredAdapters
from hyperfleet.model.resource import Desired, Draft, Scope
from hyperfleet.model.rules.mapping import ConditionRule, compiled
from hyperfleet.model.status.condition import Condition, ConditionStatus, ReportedCondition, Status, TimedCondition
from hyperfleet.model.status.report import Admission, Report, Summary, admit, summarize

CASES: Final = Path(__file__).parents[1] / "cases"
NOON: Final = datetime(2026, 11, 1, 12, tzinfo=UTC)

_CONDITION = re.compile(r"(\S+?)=(True|False|Unknown)(?:\(([^()]*)\))?(?: since@(-?\d+))?(?: |$)")
_REPORT = re.compile(r"g(\d+) @(-?\d+(?:\.\d+)?) (.+)")


@dataclass(frozen=True, slots=True)
class Case:
    """One golden file: its name is the behaviour, `rules` are the rule numbers (from docstrings) that it covers."""

    name: str
    rules: tuple[str, ...]
    body: dict[str, Any]


def cases(folder: str) -> list[Case]:
    """The cases of one folder, by name."""
    return [_case(path) for path in sorted((CASES / folder).glob("*.yaml"))]


def _case(path: Path) -> Case:
    # The base loader keeps every scalar as text: `False` and `1.1` are words of this language.
    body = yaml.load(path.read_text(), Loader=yaml.BaseLoader)
    return Case(path.stem, tuple(body.pop("rules")), body)


def at(seconds: float) -> datetime:
    """The time written `@seconds`."""
    return NOON + timedelta(seconds=seconds)


def conditions(text: str) -> list[tuple[ReportedCondition, datetime | None]]:
    """Conditions as written, each with the time after `since`, or None."""
    found = []
    end = 0
    for match in _CONDITION.finditer(text):
        assert match.start() == end, f"cannot read {text[end:]!r}"
        end = match.end()
        type, status, words, since = match.groups()
        reason, _, message = (words or "").partition(", ")
        condition = ReportedCondition(
            type, cast(ConditionStatus, status), None if words is None else reason, message or None
        )
        found.append((condition, None if since is None else at(int(since))))
    assert end == len(text), f"cannot read {text[end:]!r}"
    return found


def report(text: str, adapter: str = "dns") -> Report:
    """A report as written: `g1 @5 Available=True`."""
    match = _REPORT.fullmatch(text)
    assert match, f"cannot read {text!r}"
    generation, seconds, rest = match.groups()
    said = tuple(said for said, _ in conditions(rest))
    return Report(adapter, int(generation), at(float(seconds)), said, is_whole_second="." not in seconds)


def summary(text: str, adapter: str = "dns") -> Summary:
    """A summary as written: `g1 @5 Available=True since@3`."""
    written = report(text, adapter)
    kept = []
    for condition, since in conditions(text.split(" ", 2)[2]):
        assert since is not None, f"no time of transition in {text!r}"
        kept.append(TimedCondition(condition.type, condition.status, since, condition.reason, condition.message))
    return Summary(adapter, written.observed_generation, written.observed_time, tuple(kept))


@dataclass(slots=True)
class Life:
    """A resource without a database: its stored state, and its status after each event, aggregated like the service."""

    required: RequiredAdapters = ()
    generation: int = 1
    reference_time: datetime = NOON
    deleted: bool = False
    has_children: bool = False
    reports: dict[str, Summary] = field(default_factory=dict)
    status: Status | None = None
    mapped: tuple[ConditionRule, ...] = ()
    spec: bytes = b"{}"
    data: dict[str, bytes] = field(default_factory=dict)
    served: dict[str, bytes] = field(default_factory=dict)

    def inputs(self) -> dict[str, Any]:
        """Every argument of `aggregate` except `previous`."""
        return {
            "generation": self.generation,
            "reference_time": self.reference_time,
            "deleted": self.deleted,
            "required": self.required,
            "reports": [self.reports[adapter] for adapter in sorted(self.reports)],
            "has_children": self.has_children,
        }

    def assessed(self, reports: Sequence[Summary] | None = None) -> Status:
        """Its status, recomputed from the stored state; `reports` may have any order."""
        kind = Kind("Thing", "things", "thing", required_adapters=self.required, conditions=self.mapped)
        draft = Draft("one", Desired(self.spec, {"env": "test"}, {}))
        stored = structs.replace(
            standing.fresh(Scope(kind), draft, UUID(int=1), by="mary", now=NOON).standing,
            generation=self.generation,
            updated_time=self.reference_time,
            is_deleting=self.deleted,
            has_children=self.has_children,
            _status=self.status,
            _summaries=tuple(self.reports.values() if reports is None else reports),
            _reports=tuple(self.served.values()),
        )
        aggregated = begun(kind, stored)
        if aggregated.question is None:
            return finished(aggregated).standing.computed
        mapper = compiled(self.mapped)
        return finished(aggregated, mapper.answers(mapper.facts(aggregated.question))).standing.computed

    def settle(self) -> Status:
        """Aggregates again."""
        self.status = self.assessed()
        return self.status

    def create(self, time: datetime) -> None:
        """The resource is created."""
        self.reference_time = time
        self.settle()

    def change(self, time: datetime, *, deleted: bool = False) -> None:
        """The desired state changes, or the resource is marked as deleted."""
        self.generation += 1
        self.reference_time = time
        self.deleted = self.deleted or deleted
        self.settle()

    def receive(self, received: Report) -> Admission:
        """A report arrives; returns its reception."""
        previous = self.reports.get(received.adapter)
        answer = admit(received, generation=self.generation, previous=previous)
        if answer == "stored":
            received = structs.replace(received, data=self.data.get(received.adapter, b"{}"))
            kept = summarize(received, previous)
            self.reports[received.adapter] = kept
            self.served[received.adapter] = rendering.report(received, kept, None, now=received.observed_time)
            self.settle()
        return answer


def live(case: Case) -> Iterator[tuple[Life, str | None, dict[str, Any]]]:
    """The life of a case: the state after each step, with the event that caused it, or the expected state."""
    life = Life(
        required=_adapters(case.body.get("required", "")),
        mapped=tuple(ConditionRule(**rule) for rule in case.body.get("mapped", ())),
        spec=case.body.get("spec", "{}").encode(),
    )
    for step in case.body["life"]:
        if isinstance(step, str):
            happen(life, step)
            yield life, None if " unseen " in step else step, {}
        else:
            yield life, None, step


def happen(life: Life, event: str) -> None:
    """One event, as written."""
    if match := re.fullmatch(r"(created|changed|deleted) @(-?\d+)", event):
        time = at(int(match[2]))
        if match[1] == "created":
            life.create(time)
        else:
            life.change(time, deleted=match[1] == "deleted")
    elif match := re.fullmatch(r"changed unseen @(-?\d+)", event):
        life.generation, life.reference_time = life.generation + 1, at(int(match[1]))
    elif match := re.fullmatch(r"(\S+) reports (.+)", event):
        assert life.receive(report(match[2], match[1])) == "stored", f"{event!r} is not admitted"
    elif match := re.fullmatch(r"(\S+) sends (\{.*\})", event):
        life.data[match[1]] = match[2].encode()
    elif event in ("children appear", "children go"):
        life.has_children = event == "children appear"
        life.settle()
    elif match := re.fullmatch(r"required are (.*)", event):
        life.required = _adapters(match[1])
        life.settle()
    else:
        raise AssertionError(f"cannot read {event!r}")


def _adapters(text: str) -> RequiredAdapters:
    return AnyAdapter.ANY if text == "any" else tuple(text.split(", ")) if text not in ("", "nobody") else ()


def differences(status: Status, seen: dict[str, Any]) -> list[str]:
    """The differences between a status and a case, one line each."""
    by_type = {condition.type: condition for condition in status.conditions}
    found: list[str] = []
    for key, wanted in seen.items():
        if key == "phase":
            actual = (
                f"{status.phase} g{status.observed_generation} updated@{_seconds(status.last_updated_time)}"
                f" changed@{_seconds(status.last_transition_time)}"
            )
            _compare(found, key, actual, wanted)
        elif key == "order":
            _compare(found, key, " ".join(by_type) or "nothing", wanted, whole=True)
        elif key.endswith(" says"):
            condition = by_type.get(key.removesuffix(" says"))
            _compare(found, key, _message(condition), wanted, whole=True)
        else:
            _compare(found, key, _written(by_type.get(key)), wanted)
    return found


def _message(condition: Condition | None) -> str:
    return "absent" if condition is None else "nothing" if condition.message is None else condition.message


def _compare(found: list[str], key: str, actual: str, wanted: str, *, whole: bool = False) -> None:
    if whole or wanted == "absent" or actual == "absent":
        same = actual == wanted
    else:
        same = set(wanted.split()) <= set(actual.split())
    if not same:
        found.append(f"{key}: {actual}, but should be: {wanted}")


def _written(condition: Condition | None) -> str:
    if condition is None:
        return "absent"
    reason = "no-reason" if condition.reason is None else condition.reason or "empty-reason"
    return (
        f"{condition.status} g{condition.observed_generation} updated@{_seconds(condition.last_updated_time)}"
        f" changed@{_seconds(condition.last_transition_time)} created@{_seconds(condition.created_time)} {reason}"
    )


def _seconds(time: datetime) -> int:
    return int((time - NOON).total_seconds())


def rule_numbers(*functions: Any) -> set[str]:
    """The numbers of the rules in the docstrings of these functions."""
    numbered = re.compile(r"^ *([A-Z]\d|\d\.\d)  ", re.MULTILINE)
    return {number for function in functions for number in numbered.findall(function.__doc__)}
