"""Access rules: who may do what, in CEL over the caller (operations: Callers, Authorization).

A rule's expression sees only the caller, so a caller's permissions are computed once and apply to all of its requests.
An action is allowed if any rule allows it. A rule that fails allows nothing. A rule that could take too long on a
caller's claims is not evaluated, which counts as a failure.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple, get_args

import msgspec

from hyperfleet.errors import Mistakes
from hyperfleet.model.caller import Caller
from hyperfleet.model.rules.expression import BadExpression, Environment, EvaluationFailed, Expression, largest, plain

Verb = Literal["read", "create", "update", "delete", "force-delete", "report"]
VERBS: Final[tuple[Verb, ...]] = get_args(Verb)
EVERY: Final = "*"
SYSTEM_VERBS: Final = frozenset[Verb](("read", "report"))
"""The most that system callers may do, whatever the rules allow."""

ADMINISTRATORS: Final = "hyperfleet-admin"


MOST_STEPS: Final = 200_000_000
"""The most steps (workload.py) that a rule may take on a caller."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Callers for whom `when` is true may do `verbs` with resources of `kinds`; `*` means all."""

    name: str
    verbs: tuple[str, ...]
    kinds: tuple[str, ...]
    when: str


DEFAULT: Final = (
    Rule("everybody", ("read", "create", "update", "delete", "report"), (EVERY,), "true"),
    Rule("administrators", (EVERY,), (EVERY,), f"{ADMINISTRATORS!r} in caller.groups"),
)


class BadRules(Mistakes):
    """The set of rules is invalid."""


class Failure(NamedTuple):
    """A rule that could not be evaluated for a caller, and why."""

    rule: str
    reason: str


Allowed = Mapping[Verb, frozenset[str]]
"""For each verb, the names of the kinds that a caller may use it on."""


class Grants(NamedTuple):
    """What a caller may do: the names of the kinds by verb, the rules that applied, and the rules that failed."""

    kinds: Allowed
    applied: tuple[str, ...]
    failed: tuple[Failure, ...]


class Permissions:
    """The compiled rules of a service; `kinds` are the names of its kinds. Raises BadRules with every mistake."""

    def __init__(self, rules: Sequence[Rule], kinds: Sequence[str]) -> None:
        mistakes = list(_mistakes(rules, kinds))
        environment = Environment(maps=("caller",))
        self._environment = environment
        self._rules = []
        for rule in rules:
            try:
                self._rules.append((rule, environment.compile(rule.when, "bool")))
            except BadExpression as wrong:
                mistakes.append(f"rule {rule.name!r}: invalid `when` expression: {wrong}.")
        if mistakes:
            raise BadRules(mistakes)
        self._kinds = frozenset(kinds)
        # Many callers match the same rules, so they share the result.
        self._allowed = lru_cache(maxsize=256)(self._allowed_by)

    def grants(self, caller: Caller) -> Grants:
        """What the rules allow this caller."""
        applied: list[str] = []
        failed: list[Failure] = []
        seen = described(caller)
        size, widest = len(msgspec.json.encode(seen)), largest(seen)
        try:
            facts = self._environment.facts({"caller": seen})
        except EvaluationFailed as failure:
            failed = [Failure(rule.name, str(failure)) for rule, _ in self._rules]
            return Grants(self._allowed(()), (), tuple(failed))
        for rule, when in self._rules:
            try:
                _require_light(when, size, widest)
                if not when.truth(facts):
                    continue
            except EvaluationFailed as failure:
                failed.append(Failure(rule.name, str(failure)))
                continue
            applied.append(rule.name)
        return Grants(self._allowed(tuple(applied)), tuple(applied), tuple(failed))

    def _allowed_by(self, applied: tuple[str, ...]) -> Allowed:
        """What these rules allow together."""
        rules = [rule for rule, _ in self._rules if rule.name in applied]
        return {
            verb: frozenset(
                kind for rule in rules if _covers(rule.verbs, verb) for kind in self._kinds if _covers(rule.kinds, kind)
            )
            for verb in VERBS
        }


def described(caller: Caller) -> dict[str, Any]:
    """The caller as expressions see it."""
    groups, claims = caller.attributes()
    return {
        "identity": caller.identity,
        "issuer": caller.issuer,
        "groups": list(groups),
        "claims": plain(dict(claims)),
        "system": caller.is_system,
        "tenancy": dict(caller.tenancy),
    }


def _require_light(when: Expression, size: int, widest: int) -> None:
    if when.workload.steps(size, widest) > MOST_STEPS:
        raise EvaluationFailed(
            f"it could take too long on claims of {size} bytes with lists of up to {widest} items; nest "
            "fewer loops, or match against a literal pattern"
        )


def _covers(names: Sequence[str], name: str) -> bool:
    return EVERY in names or name in names


def _mistakes(rules: Sequence[Rule], kinds: Sequence[str]) -> Iterator[str]:
    if not rules:
        yield "the list of rules is empty, so callers could do nothing; add a rule."
    seen: set[str] = set()
    for rule in rules:
        if rule.name in seen:
            yield f"rule {rule.name!r} appears twice."
        seen.add(rule.name)
        for what, given, known in (("verb", rule.verbs, VERBS), ("kind", rule.kinds, kinds)):
            if not given:
                yield f"rule {rule.name!r} has no {what}; write {EVERY!r} for all."
            for name in given:
                if name != EVERY and name not in known:
                    yield f"rule {rule.name!r}: {name!r} is not a {what}; use one of {', '.join(known)}, or {EVERY}."
