"""The bytes of resources, statuses and reports, as stored and served. Only this module defines their spelling.

Stored bytes are served as they are: a read joins `envelope` and `status` without parsing them. Increase `VERSION` with
every change of the spelling, so that rows with an older spelling can be found.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache, lru_cache
from hashlib import blake2b
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from hyperfleet.model.caller import Tenancy
from hyperfleet.model.kind import AnyAdapter, Kind
from hyperfleet.model.resource import Desired, Draft, Owner
from hyperfleet.model.status.condition import Condition, ReportedCondition, Status, TimedCondition
from hyperfleet.model.status.report import Report, Summary

VERSION: Final = 1
API_ROOT: Final = "/api/hyperfleet/v1"

WITHOUT_ADAPTERS: Final = b'%b,"resource_version":"%d","status":%b}'
"""A resource in a list, from its envelope without the last brace, its version and its status."""

_encode: Final = msgspec.json.Encoder().encode
_raw: Final = msgspec.Raw


def timestamp(time: datetime) -> str:
    """RFC 3339 in UTC, always with six fractional digits and `Z`, so that the texts sort as the times do."""
    # The encoder is six times as fast as isoformat(), but omits a fraction of zero.
    text = _encode(time)
    return text[1:-1].decode() if time.microsecond else text[1:-2].decode() + ".000000Z"


def _time(time: datetime) -> msgspec.Raw:
    """A timestamp as JSON text."""
    text = _encode(time)
    return _raw(text if time.microsecond else text[:-2] + b'.000000Z"')


def href(kind: Kind, id: UUID, owner: Owner | None) -> str:
    """The relative address of a resource, under its owner for a child; fixed at creation."""
    if owner is None:
        return f"{API_ROOT}/{kind.plural}/{id}"
    return f"{API_ROOT}/{owner.kind.plural}/{owner.id}/{kind.plural}/{id}"


class Envelope(NamedTuple):
    """A resource's JSON up to and including `spec`, split at the addresses of the other resources that are `named`.

    The address of another resource depends on its owner, so only a statement that reads its row can fill it in. The
    quoted address of `named[i]` belongs between `texts[i]` and `texts[i + 1]`: there is one more text than addresses.
    """

    texts: tuple[bytes, ...]
    named: tuple[UUID, ...]

    @property
    def whole(self) -> bytes:
        """The text of an envelope that names no other resource."""
        (text,) = self.texts
        return text

    @property
    def unaddressed(self) -> bytes:
        """The text with null for each address; the storing statement fills them in."""
        return b"null".join(self.texts)


def envelope(
    draft: Draft, *, kind: Kind, id: UUID, href: str, owner: Owner | None, created_time: datetime, created_by: str
) -> Envelope:
    """The envelope of a new resource."""
    time = _time(created_time)
    members: dict[str, Any] = {"kind": kind.name, "id": str(id), "href": href, "name": draft.name}
    named: list[UUID] = []
    if owner is not None:
        members["owner_references"] = _named(owner.kind.name, owner.id, named)
    members["generation"] = 1
    if kind.references:
        members["references"] = _references(kind, draft.desired, named)
    members |= {
        "labels": draft.desired.labels,
        "created_time": time,
        "updated_time": time,
        "created_by": created_by,
        "updated_by": created_by,
        "spec": _raw(draft.desired.spec),
    }
    return _cut(members, named)


def changed(
    members: Mapping[str, msgspec.Raw],
    *,
    kind: Kind,
    generation: int,
    time: datetime,
    by: str,
    new: Desired,
    names: Collection[str],
) -> Envelope:
    """The envelope of a resource whose desired state becomes `new`; desired members not in `names` keep their bytes."""
    made: dict[str, Any] = {**members, "generation": generation, "updated_time": _time(time), "updated_by": by}
    named: list[UUID] = []
    if "spec" in names:
        made["spec"] = _raw(new.spec)
    if "labels" in names:
        made["labels"] = new.labels
    if "references" in names:
        made["references"] = _references(kind, new, named)
    return _cut(made, named)


def marked_deleted(members: Mapping[str, msgspec.Raw], *, generation: int, time: datetime, by: str) -> bytes:
    """The envelope of a resource whose deletion begins."""
    spec = {"spec": members["spec"]}
    made: dict[str, Any] = {name: text for name, text in members.items() if name != "spec"}
    made |= {"generation": generation, "updated_time": _time(time), "updated_by": by}
    return _encode(made | {"deleted_time": _time(time), "deleted_by": by} | spec)


def declared(envelope: bytes, kind: Kind) -> bytes:
    """The envelope, with empty `references` if its kind now declares some and the resource was stored before that."""
    if not kind.references:
        return envelope
    found = members(envelope)
    if "references" in found:
        return envelope
    ordered: dict[str, Any] = {}
    for name, value in found.items():
        ordered[name] = value
        if name == "generation":
            ordered["references"] = {}
    return _encode(ordered)


def desired(members: Mapping[str, msgspec.Raw]) -> Desired:
    """The desired state of a resource, from the members of its envelope."""
    references = _targets(members["references"]) if "references" in members else {}
    return Desired(
        bytes(members["spec"]),
        _labels(members["labels"]),
        {type: tuple(target.id for target in targets) for type, targets in references.items()},
    )


class _Target(msgspec.Struct):
    id: UUID


_targets: Final = msgspec.json.Decoder(dict[str, list[_Target]]).decode
_labels: Final = msgspec.json.Decoder(dict[str, str]).decode

members: Final[Callable[[bytes], dict[str, msgspec.Raw]]] = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
"""The members of an envelope, each as JSON text."""

# A placeholder for an address: the text is split there. Callers' texts cannot contain it, because JSON escapes NUL.
_HERE: Final = msgspec.Raw(b"\0")


def _named(kind: str, id: UUID, named: list[UUID]) -> dict[str, Any]:
    named.append(id)
    return {"kind": kind, "id": str(id), "href": _HERE}


def _references(kind: Kind, desired: Desired, named: list[UUID]) -> dict[str, Any]:
    """References as served, in the order in which the kind declares their types."""
    return {
        rule.type: [_named(rule.target, id, named) for id in desired.references[rule.type]]
        for rule in kind.references
        if desired.references.get(rule.type)
    }


def _cut(members: dict[str, Any], named: list[UUID]) -> Envelope:
    return Envelope(tuple(_encode(members).split(b"\0")), tuple(named))


def with_tenancy(envelope: bytes, tenancy: bytes) -> bytes:
    """The envelope as served if tenancy is enabled; `tenancy` is the text in its column."""
    return b'%b,"tenancy":%b}' % (envelope[:-1], served_tenancy(tenancy))


def resource(envelope: bytes, resource_version: int, status: bytes, summaries: bytes | None) -> bytes:
    """The resource as served, joined from its stored parts. `summaries` are the items of `status.adapters` with commas
    between them, empty if there are none; None omits `adapters`, as lists do."""
    if summaries is None:
        return WITHOUT_ADAPTERS % (envelope[:-1], resource_version, status)
    return b'%b,"resource_version":"%d","status":%b,"adapters":[%b]}}' % (
        envelope[:-1],
        resource_version,
        status[:-1],
        summaries,
    )


class StatusTexts(NamedTuple):
    """A status as stored: `status` as served, without `adapters`, and two texts for searches.

    `condition_status` is `{"Reconciled":"False",…}`; `conditions` is `{"Reconciled":{"t","u","g","r"},…}`: last
    transition, last update, generation and reason.
    """

    status: bytes
    condition_status: bytes
    conditions: bytes


def status_texts(computed: Status) -> StatusTexts:
    """A status as stored. A time that appears in two of the texts is encoded once."""
    served: list[dict[str, Any]] = []
    details: dict[str, Any] = {}
    for condition in computed.conditions:
        updated, transition = _time(condition.last_updated_time), _time(condition.last_transition_time)
        members = _said(condition)
        members["observed_generation"] = condition.observed_generation
        members["created_time"] = _time(condition.created_time)
        members["last_updated_time"] = updated
        members["last_transition_time"] = transition
        served.append(members)
        details[condition.type] = {
            "t": transition,
            "u": updated,
            "g": condition.observed_generation,
            "r": condition.reason,
        }
    status = {
        "phase": computed.phase,
        "observed_generation": computed.observed_generation,
        "last_transition_time": _time(computed.last_transition_time),
        "last_updated_time": _time(computed.last_updated_time),
        "conditions": served,
    }
    statuses = {condition.type: condition.status for condition in computed.conditions}
    return StatusTexts(_encode(status), _encode(statuses), _encode(details))


def summary(kept: Summary) -> bytes:
    """An item of `status.adapters`."""
    return _encode(
        {
            "adapter": kept.adapter,
            "observed_generation": kept.observed_generation,
            "last_report_time": _time(kept.last_report_time),
            "conditions": [
                {**_said(condition), "last_transition_time": _time(condition.last_transition_time)}
                for condition in kept.conditions
            ],
        }
    )


class _Adapter(msgspec.Struct):
    adapter: str


_adapter: Final = msgspec.json.Decoder(_Adapter)


def adapter(report: bytes) -> str:
    """The adapter of a stored report."""
    return _adapter.decode(report).adapter


class StoredCondition(msgspec.Struct, frozen=True):
    """The part of a condition in a stored report that the next report needs."""

    type: str
    created_at: datetime


class StoredReport(msgspec.Struct, frozen=True):
    """The part of an adapter's stored report that its next report needs, decoded from the bytes of `report`."""

    created_time: datetime
    conditions: tuple[StoredCondition, ...]


def report(received: Report, kept: Summary, previous: StoredReport | None, *, now: datetime) -> bytes:
    """A report as stored, and as served under `/statuses`.

    `kept` is its summary, which has the transition times. Creation times come from the adapter's `previous` report. The
    same report after the same previous one gives the same bytes.
    """
    created = {condition.type: condition.created_at for condition in previous.conditions} if previous else {}
    observed = _time(received.observed_time)
    members: dict[str, Any] = {
        "adapter": received.adapter,
        "observed_generation": received.observed_generation,
        "conditions": [
            {
                **_said(said),
                "adapter": received.adapter,
                "observed_generation": received.observed_generation,
                "created_at": _time(created.get(timed.type, received.observed_time)),
                "updated_at": observed,
                "last_transition_time": _time(timed.last_transition_time),
            }
            # Messages come from the report, because the summary's may be cut.
            for said, timed in zip(received.conditions, kept.conditions, strict=True)
        ],
        "data": _raw(received.data),
    }
    if received.metadata is not None:
        members["metadata"] = _raw(received.metadata)
    members["created_time"] = _time(previous.created_time if previous else now)
    members["last_report_time"] = observed
    return _encode(members)


def _said(condition: Condition | ReportedCondition | TimedCondition) -> dict[str, Any]:
    """The members of a condition that precede its generation and times."""
    members: dict[str, Any] = {"type": condition.type, "status": condition.status}
    if condition.reason is not None:
        members["reason"] = condition.reason
    if condition.message is not None:
        members["message"] = condition.message
    return members


def page(kind: str, items: Sequence[bytes], *, page: int | None, total: int | None, token: str | None) -> bytes:
    """A list as served. `kind` is the word before `List`; members that are None are omitted."""
    members = [b'{"kind":"%bList"' % kind.encode()]
    if page is not None:
        members.append(b'"page":%d' % page)
    members.append(b'"size":%d' % len(items))
    if total is not None:
        members.append(b'"total":%d' % total)
    if token is not None:
        members.append(b'"next_page_token":"%b"' % token.encode())
    members.append(b'"items":[%b]}' % b",".join(items))
    return b",".join(members)


def labels(given: Mapping[str, str]) -> bytes:
    """Labels as a JSON object."""
    return _encode(given)


@lru_cache(maxsize=1024)
def tenancy(given: Tenancy) -> bytes:
    """Dimensions and their values as a JSON object."""
    return _encode(dict(given))


@lru_cache(maxsize=1024)
def served_tenancy(stored: bytes) -> bytes:
    """A tenancy as served: sorted and without spaces, however the database spells it."""
    return _encode(dict(sorted(msgspec.json.decode(stored).items())))


@cache
def rules(kind: Kind) -> str:
    """A digest of the rules and the spelling of a stored status. A row with another digest is out of date."""
    required = "any" if isinstance(kind.required_adapters, AnyAdapter) else kind.required_adapters
    computed_by = (VERSION, required, bool(kind.references), *kind.conditions)
    return blake2b(repr(computed_by).encode(), digest_size=8).hexdigest()


def digest(kinds: Iterable[Kind]) -> str:
    """A digest of the names and rules of these kinds, equal for two services that compute the same statuses."""
    named = [(kind.name, rules(kind)) for kind in kinds]
    return blake2b(repr(named).encode(), digest_size=8).hexdigest()


def same(one: bytes, other: bytes) -> bool:
    """Whether two JSON texts have the same value. Key order is ignored; `1` equals `1.0`, but not `true`."""
    return one == other or same_value(msgspec.json.decode(one), msgspec.json.decode(other))


def same_value(one: Any, other: Any) -> bool:
    """The same for two decoded JSON values."""
    kind = type(one)
    if kind is not type(other):
        return kind is not bool and type(other) is not bool and bool(one == other)
    if kind is dict:
        if len(one) != len(other):
            return False
        return all(name in other and same_value(value, other[name]) for name, value in one.items())
    if kind is list:
        return len(one) == len(other) and all(map(same_value, one, other))
    return bool(one == other)
