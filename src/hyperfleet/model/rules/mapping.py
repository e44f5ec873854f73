"""Mapped conditions: what a kind's rules in CEL make of its reports and the resource (contract: Aggregation, 4).

4.1  A rule sees `resource`, as a read gives it but for its version and the mapped conditions, and `statuses`: each
     report's adapter, observed_generation, conditions and data. Reports with a condition that is Unknown are left out.
4.2  Secrets are masked in both, by the names of members.
4.3  The condition is there while `when` is true; `status` gives True or False.
4.4  A `reason` of more than 256 characters is left out, a `message` is cut at 2,048; empty ones are left out.
4.5  Generation and times are those of Reconciled (1.3, 1.4, 1.5), `created_time` by C4.
4.6  A rule that cannot be evaluated gives no result; whoever asked decides what that means.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple

import msgspec

from hyperfleet.errors import Mistakes
from hyperfleet.model.rules.expression import BadExpression, Environment, EvaluationFailed, Expression, largest, plain
from hyperfleet.model.rules.secret import masked

LONGEST_REASON: Final = 256
LONGEST_MESSAGE: Final = 2048

LIGHT_BYTES: Final = 64 << 10
"""Bytes of a resource and its reports up to which it is worth a look whether the rules are surely done at once."""

LIGHT_STEPS: Final = 4_000_000
"""Steps (workload.py) of all rules of a kind that are surely done at once."""


@dataclass(frozen=True, slots=True)
class ConditionRule:
    """One mapped condition as it is declared: its type, and CEL texts.

    The condition is there while `when` is true; `status` gives True or False, `reason` and `message` texts.
    """

    type: str
    when: str
    status: str
    reason: str
    message: str


class Mapped(NamedTuple):
    """What a rule says; reason and message are None where they are left out."""

    type: str
    status: Literal["True", "False"]
    reason: str | None
    message: str | None


class Failure(NamedTuple):
    """A rule that could not be evaluated: the condition's type, and why."""

    type: str
    reason: str


Answer = Mapped | Failure | None
"""What one rule gives: None where its `when` is false."""


class Question(NamedTuple):
    """What the rules of a kind are asked: the resource as it is served, and its reports; JSON each."""

    rules: tuple[ConditionRule, ...]
    resource: bytes
    reports: tuple[bytes, ...]


class Facts(NamedTuple):
    """A question as expressions see it, and the steps that its rules take at most."""

    activation: Any
    steps: int


class BadConditions(Mistakes):
    """The expressions of a kind's rules cannot be used."""


class _Compiled(NamedTuple):
    type: str
    when: Expression
    status: Expression
    reason: Expression
    message: Expression


class Mapper:
    """The compiled rules of a kind, all or none: raises BadConditions with every mistake."""

    def __init__(self, rules: Sequence[ConditionRule]) -> None:
        self._environment = Environment(maps=("resource",), lists=("statuses",))
        self._rules: list[_Compiled] = []
        mistakes: list[str] = []
        for rule in rules:
            wanted: tuple[tuple[str, str, Literal["bool", "truth", "text"]], ...] = (
                ("when", rule.when, "bool"),
                ("output.status", rule.status, "truth"),
                ("output.reason", rule.reason, "text"),
                ("output.message", rule.message, "text"),
            )
            compiled: list[Expression] = []
            for part, text, result in wanted:
                try:
                    compiled.append(self._environment.compile(text, result))
                except BadExpression as wrong:
                    mistakes.append(f"the condition {rule.type}: invalid {part} expression: {wrong}.")
            if len(compiled) == len(wanted):
                self._rules.append(_Compiled(rule.type, *compiled))
        if mistakes:
            raise BadConditions(mistakes)

    def facts(self, question: Question) -> Facts:
        """What the rules look at. Raises EvaluationFailed."""
        resource: dict[str, Any] = _decode(question.resource)
        # The write that this is for gives the version.
        resource.pop("resource_version", None)
        reports = [*map(_decode, question.reports)]
        values = {
            "resource": plain(masked(resource)),
            "statuses": [_seen(report) for report in reports if _is_known(report)],
        }
        size, widest = size_of(question), max(largest(values["resource"]), largest(values["statuses"]))
        steps = sum(part.workload.steps(size, widest) for rule in self._rules for part in rule[1:])
        return Facts(self._environment.facts(values), steps)

    def answers(self, facts: Facts) -> Iterator[Answer]:
        """What the rules say, one after the other, in their order."""
        for rule in self._rules:
            try:
                yield _said(rule, facts.activation) if rule.when.truth(facts.activation) else None
            except EvaluationFailed as failure:
                yield Failure(rule.type, str(failure))


def size_of(question: Question) -> int:
    """Bytes of the resource and the reports."""
    return len(question.resource) + sum(map(len, question.reports))


@lru_cache(maxsize=256)
def compiled(rules: tuple[ConditionRule, ...]) -> Mapper:
    """The compiled rules of a kind; raises BadConditions."""
    return Mapper(rules)


_decode: Final = msgspec.json.Decoder().decode


def _said(rule: _Compiled, facts: Any) -> Mapped:
    status: Final = "True" if rule.status.truth(facts) else "False"
    reason, message = rule.reason.text(facts), rule.message.text(facts)
    return Mapped(
        rule.type, status, reason if 0 < len(reason) <= LONGEST_REASON else None, message[:LONGEST_MESSAGE] or None
    )


def _seen(report: Mapping[str, Any]) -> dict[str, Any]:
    """What rules see of a report as it is served."""
    seen = {name: report[name] for name in ("adapter", "observed_generation", "conditions", "data")}
    return dict(plain(masked(seen)))


def _is_known(report: Mapping[str, Any]) -> bool:
    return all(condition["status"] != "Unknown" for condition in report["conditions"])
