"""The whole status of a resource: what aggregation makes of its reports, then what its kind's own rules add.

Every write of a status comes from here: `begun` aggregates, the kind's rules answer (services/assessing.py), and
`finished` puts both together. Kinds without rules have no question, and pay nothing for those of others.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from hyperfleet.model import rendering
from hyperfleet.model.kind import Kind
from hyperfleet.model.rules.mapping import Answer, Failure, Mapped, Question
from hyperfleet.model.status import aggregation
from hyperfleet.model.status.condition import Condition, Status, transition_time
from hyperfleet.model.status.report import Summary

_array: Final = msgspec.json.Decoder(list[msgspec.Raw])


class _Adapter(msgspec.Struct):
    adapter: str


_adapter: Final = msgspec.json.Decoder(_Adapter)


class Evidence(NamedTuple):
    """What a kind's rules look at beside its status: the resource's envelope, and its reports as they are served."""

    envelope: bytes
    reports: Sequence[bytes] = ()


def evidence(envelope: bytes | None, reports: bytes | None) -> Evidence | None:
    """What is stored, `reports` as an array; None where that was not read, because the kind has no rules."""
    if envelope is None or reports is None:
        return None
    return Evidence(envelope, [bytes(report) for report in _array.decode(reports)])


def replaced(found: Evidence | None, adapter: str, report: bytes) -> Evidence | None:
    """The same with this report in place of the adapter's last one."""
    if found is None:
        return None
    others = [other for other in found.reports if _adapter.decode(other).adapter != adapter]
    return Evidence(found.envelope, [*others, report])


class Assessment(NamedTuple):
    """A status, and the rules that could not be evaluated: their conditions are as they were before."""

    status: Status
    failures: tuple[Failure, ...] = ()


class Begun(NamedTuple):
    """A status as far as aggregation goes, and what the kind's own rules are asked, None where they are not."""

    status: Status
    question: Question | None
    previous: Status | None
    reference_time: datetime


def begun(
    kind: Kind,
    *,
    generation: int,
    reference_time: datetime,
    deleted: bool,
    previous: Status | None,
    reports: Sequence[Summary],
    has_children: bool,
    evidence: Evidence | None,
) -> Begun:
    """The status of a resource, see `aggregate`; `evidence` may be None for a kind without rules only."""
    status = aggregation.aggregate(
        generation=generation,
        reference_time=reference_time,
        deleted=deleted,
        previous=previous,
        required=kind.required_adapters,
        reports=reports,
        has_children=has_children,
    )
    # Without a counted adapter there are no conditions at all (C3).
    question = None
    if kind.conditions and status.conditions:
        assert evidence is not None
        summaries = b",".join(rendering.summary(kept) for kept in sorted(reports, key=lambda kept: kept.adapter))
        resource = rendering.resource(evidence.envelope, 0, rendering.status(status), summaries)
        question = Question(kind.conditions, resource, tuple(evidence.reports))
    return Begun(status, question, previous, reference_time)


def finished(begun: Begun, answers: Iterable[Answer]) -> Assessment:
    """The status with what the rules say; `answers` are in their order. A rule that failed leaves its condition."""
    if begun.question is None:
        return Assessment(begun.status)
    status, previous = begun.status, begun.previous
    before = {condition.type: condition for condition in previous.conditions} if previous is not None else {}
    ordered: list[Condition] = []
    failed: list[Failure] = []
    for answer in answers:
        if isinstance(answer, Mapped):
            old = before.get(answer.type)
            ordered.append(_condition(answer, status.conditions[0], old, begun.reference_time))
        elif isinstance(answer, Failure):
            failed.append(answer)
            ordered += [before[answer.type]] if answer.type in before else []
    return Assessment(msgspec.structs.replace(status, conditions=(*status.conditions, *ordered)), tuple(failed))


def _condition(said: Mapped, reconciled: Condition, old: Condition | None, reference_time: datetime) -> Condition:
    superseded = old is not None and old.status == "True" and old.observed_generation < reconciled.observed_generation
    flipped = reference_time if superseded and said.status == "False" else reconciled.last_updated_time
    return Condition(
        type=said.type,
        status=said.status,
        reason=said.reason,
        message=said.message,
        observed_generation=reconciled.observed_generation,
        created_time=old.created_time if old is not None else reference_time,
        last_updated_time=reconciled.last_updated_time,
        last_transition_time=transition_time(old, said.status, flipped),
    )
