"""The whole status of a resource: the aggregation of its reports, then the conditions from its kind's mapping rules.

Every stored status is computed here: `begun` aggregates, the mapping rules are evaluated (services/assessing.py), and
`finished` combines both. A kind without mapping rules has no question, so mapping rules cost it nothing.
"""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from hyperfleet.model import rendering
from hyperfleet.model.kind import Kind
from hyperfleet.model.rules.mapping import Answer, Failure, Mapped, Question
from hyperfleet.model.standing import Standing
from hyperfleet.model.status import aggregation
from hyperfleet.model.status.condition import Condition, Status, transition_time


class Assessment(NamedTuple):
    """A resource with its status, and the rules that could not be evaluated; their conditions are unchanged."""

    standing: Standing
    failures: tuple[Failure, ...] = ()


class Begun(msgspec.Struct, frozen=True):
    """The aggregated status, and the question for the mapping rules, None if there is nothing to evaluate."""

    kind: Kind
    standing: Standing
    status: Status
    question: Question | None


def begun(kind: Kind, standing: Standing) -> Begun:
    """The aggregated status of a resource (see `aggregate`), and the question for its mapping rules."""
    status = aggregation.aggregate(
        generation=standing.generation,
        reference_time=standing.updated_time,
        deleted=standing.is_deleting,
        previous=standing.status,
        required=kind.required_adapters,
        reports=standing.summaries,
        has_children=standing.has_children,
    )
    # Without a counted adapter there may be no conditions at all (C5).
    question = None
    if kind.conditions and status.conditions:
        assert standing.envelope is not None
        text = rendering.status_texts(status).status
        resource = rendering.resource(standing.envelope, 0, text, standing.summaries_text)
        question = Question(kind.conditions, resource, standing.reports)
    return Begun(kind, standing, status, question)


def finished(begun: Begun, answers: Iterable[Answer] = ()) -> Assessment:
    """The resource with its status; `answers` are in the order of the rules. A failed rule keeps its old condition."""
    standing, status = begun.standing, begun.status
    failed: list[Failure] = []
    if begun.question is not None:
        before = {} if standing.status is None else {old.type: old for old in standing.status.conditions}
        reconciled = status.conditions[0]
        ordered = list(status.conditions)
        for answer in answers:
            if isinstance(answer, Mapped):
                ordered.append(_condition(answer, reconciled, before.get(answer.type), standing))
            elif isinstance(answer, Failure):
                failed.append(answer)
                ordered += [before[answer.type]] if answer.type in before else []
        status = msgspec.structs.replace(status, conditions=tuple(ordered))
    return Assessment(standing.assessed(status, rendering.rules(begun.kind)), tuple(failed))


def _condition(said: Mapped, reconciled: Condition, old: Condition | None, standing: Standing) -> Condition:
    superseded = old is not None and old.status == "True" and old.observed_generation < reconciled.observed_generation
    flipped = standing.updated_time if superseded and said.status == "False" else reconciled.last_updated_time
    return Condition(
        type=said.type,
        status=said.status,
        reason=said.reason,
        message=said.message,
        observed_generation=reconciled.observed_generation,
        created_time=old.created_time if old is not None else standing.updated_time,
        last_updated_time=reconciled.last_updated_time,
        last_transition_time=transition_time(old, said.status, flipped),
    )
