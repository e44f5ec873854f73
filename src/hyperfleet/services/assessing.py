"""The status of a resource, with the mapping rules of its kind, for every write (model/assessment.py).

Rules are evaluated in this process if that is surely quick, otherwise in a child process that can be stopped. A rule
that cannot be evaluated must not block changes or deletions: its condition stays as it was, and the reason is logged
(`assessed`). Only reports are refused for it (services/reporting.py).
"""

from collections.abc import Sequence
from contextvars import ContextVar
from typing import Final
from uuid import UUID

import msgspec

from hyperfleet.model import assessment
from hyperfleet.model.assessment import Assessment
from hyperfleet.model.kind import Kind
from hyperfleet.model.rules import mapping
from hyperfleet.model.rules.expression import EvaluationFailed
from hyperfleet.model.rules.mapping import Answer, Failure, Mapped, Question
from hyperfleet.model.standing import Standing
from hyperfleet.services import confining
from hyperfleet.services.confining import Overrun, Program
from hyperfleet.store.database import DEADLINE
from hyperfleet.telemetry import logging

SECONDS: Final = 0.5
"""Processor time that all rules of a kind may take together on one resource."""

MOST_OVERRUNS: Final = 3
"""How many resources of one request may exceed the limit before the rules of further ones are skipped."""

_overruns: ContextVar[tuple[float | None, int]] = ContextVar("_overruns", default=(None, 0))
"""The deadline of a request, which identifies the request, and its overruns so far."""

_log = logging.get("rules")
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(list[str | None]).decode


async def assess(kind: Kind, standing: Standing) -> Assessment:
    """The resource with the status that `model/assessment.py` computes. Raises DeadlineExceeded."""
    begun = assessment.begun(kind, standing)
    if begun.question is None:
        return assessment.finished(begun)
    return assessment.finished(begun, await _answers(begun.question))


async def assessed(kind: Kind, standing: Standing) -> Standing:
    """The same for requests that must not be rejected; failures are logged.

    A deletion may assess a whole tree within one request: after MOST_OVERRUNS it skips the resources that may take
    long, so that the request ends in time.
    """
    begun = assessment.begun(kind, standing)
    if begun.question is None:
        return assessment.finished(begun).standing
    found = assessment.finished(begun, await _within_the_request(begun.question))
    tell(kind, standing.id, found.failures)
    return found.standing


def tell(kind: Kind, id: UUID, failures: Sequence[Failure]) -> None:
    """Logs the rules that could not be evaluated."""
    for failure in failures:
        _log.warning(
            "a mapping rule could not be evaluated; its condition is unchanged",
            kind=kind.name,
            id=str(id),
            condition=failure.type,
            reason=failure.reason,
        )


async def _within_the_request(question: Question) -> list[Answer]:
    deadline = DEADLINE.get(None)
    known, overruns = _overruns.get()
    if known != deadline:
        overruns = 0
    light = _light(question)
    if light is not None:
        return light
    if deadline is not None and overruns >= MOST_OVERRUNS:
        return [
            Failure(rule.type, "rules on other resources of this request exceeded the limit") for rule in question.rules
        ]
    answers, has_overrun = await _confined(question)
    if has_overrun:
        _overruns.set((deadline, overruns + 1))
    return answers


async def _answers(question: Question) -> list[Answer]:
    light = _light(question)
    return (await _confined(question))[0] if light is None else light


def _light(question: Question) -> list[Answer] | None:
    """The answers if they surely take no time, else None."""
    if mapping.size_of(question) <= mapping.LIGHT_BYTES:
        mapper = mapping.compiled(question.rules)
        try:
            facts = mapper.facts(question)
        except EvaluationFailed as failure:
            return [Failure(rule.type, str(failure)) for rule in question.rules]
        if facts.steps <= mapping.LIGHT_STEPS:
            return list(mapper.answers(facts))
    return None


async def _confined(question: Question) -> tuple[list[Answer], bool]:
    """The answers, and whether a rule exceeded its limit."""
    program = Program("conditions", question.rules, question.rules)
    value = _encode((msgspec.Raw(question.resource), tuple(map(msgspec.Raw, question.reports))))
    try:
        parts, limit = await confining.run(program, value, seconds=SECONDS), None
    except Overrun as overrun:
        parts, limit = overrun.parts, overrun.limit
    answers = [_answer(part) for part in parts]
    if limit is None:
        return answers, False
    taken = f"{SECONDS:g} s of CPU time" if limit == "time" else f"{confining.MEMORY >> 20} MiB of memory"
    first, *others = question.rules[len(parts) :]
    answers.append(Failure(first.type, f"evaluation takes more than {taken} on this resource and its reports"))
    # The rules after it were not tried: each might take as long.
    return [
        *answers,
        *(Failure(rule.type, f"the preceding rule {first.type} exceeded the limit") for rule in others),
    ], True


def _answer(part: bytes) -> Answer:
    values = _decode(part)
    if len(values) == len(Failure._fields):
        return Failure(*map(str, values))
    return Mapped(*values) if values else None  # type: ignore[arg-type]
