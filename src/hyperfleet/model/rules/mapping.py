"""Mapping rules: CEL rules that compute conditions from a resource and its reports (contract: Aggregation, 4).

4.1  A rule sees `resource`, in the form of a GET but without version, tenancy and mapped conditions, and `statuses`:
     each report's adapter, observed_generation, conditions and data. Reports with an Unknown condition are omitted.
4.2  Secrets are masked in both, by the names of members.
4.3  The condition exists while `when` is true; `status` gives True or False.
4.4  A `reason` of more than 256 characters is omitted, a `message` is cut at 2,048; empty ones are omitted.
4.5  Generation and times are those of Reconciled (1.3, 1.4, 1.5); `created_time` follows C4.
4.6  A rule that cannot be evaluated gives a Failure; the use case decides what follows from it.
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
"""The size in bytes of a resource and its reports above which its rules always run in a child process."""

LIGHT_STEPS: Final = 4_000_000
"""The most steps (workload.py) of all rules of a kind that run in the worker itself."""


@dataclass(frozen=True, slots=True)
class ConditionRule:
    """A mapping rule as declared: the type of its condition, and expressions in CEL.

    The condition exists while `when` is true; `status` gives True or False, `reason` and `message` give texts.
    """

    type: str
    when: str
    status: str
    reason: str
    message: str


class Mapped(NamedTuple):
    """The condition that a rule gives; reason and message are None if they are omitted."""

    type: str
    status: Literal["True", "False"]
    reason: str | None
    message: str | None


class Failure(NamedTuple):
    """A rule that could not be evaluated: the condition's type, and why."""

    type: str
    reason: str


Answer = Mapped | Failure | None
"""The result of one rule, None if its `when` is false."""


class Question(NamedTuple):
    """The input of a kind's rules: the resource as served, and its reports, each as JSON."""

    rules: tuple[ConditionRule, ...]
    resource: bytes
    reports: tuple[bytes, ...]


class Facts(NamedTuple):
    """A question as expressions see it, and the most steps that its rules can take."""

    activation: Any
    steps: int


class BadConditions(Mistakes):
    """The expressions of a kind's rules are invalid."""


class _Compiled(NamedTuple):
    type: str
    when: Expression
    status: Expression
    reason: Expression
    message: Expression


class Mapper:
    """The compiled rules of a kind. Raises BadConditions with every mistake in any of them."""

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
        """The question as the rules see it. Raises EvaluationFailed."""
        resource: dict[str, Any] = _decode(question.resource)
        # The write in progress has yet to assign the version.
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
        """The answers of the rules, one at a time, in their order."""
        for rule in self._rules:
            try:
                yield _said(rule, facts.activation) if rule.when.truth(facts.activation) else None
            except EvaluationFailed as failure:
                yield Failure(rule.type, str(failure))


def size_of(question: Question) -> int:
    """The bytes of the resource and the reports."""
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
    """The part of a served report that rules see."""
    seen = {name: report[name] for name in ("adapter", "observed_generation", "conditions", "data")}
    return dict(plain(masked(seen)))


def _is_known(report: Mapping[str, Any]) -> bool:
    return all(condition["status"] != "Unknown" for condition in report["conditions"])
