"""The current state of one resource, from which every decision is computed, and the states that decisions lead to.

A resource is stored as JSON text. The text is decoded when a decision first reads it, and a new value is rendered when
it is first stored or served. Decisions and responses share that one decoding and rendering.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, Generic, NamedTuple, TypeVar
from uuid import UUID

import msgspec

from hyperfleet.model import rendering
from hyperfleet.model.difference import Difference, difference
from hyperfleet.model.kind import Kind
from hyperfleet.model.rendering import Envelope, StatusTexts
from hyperfleet.model.resource import Desired, Draft, Scope
from hyperfleet.model.status import deletion
from hyperfleet.model.status.condition import Status
from hyperfleet.model.status.report import Summary

Value = TypeVar("Value")

_decode_status: Final = msgspec.json.Decoder(Status).decode
_decode_summaries: Final = msgspec.json.Decoder(tuple[Summary, ...]).decode
_decode_reports: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode


class _Once(Generic[Value]):
    """A property that is computed once. `functools.cached_property` takes a lock for that on Python 3.11."""

    def __init__(self, compute: Callable[[Any], Value]) -> None:
        self._compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, _owner: type, name: str) -> None:
        self._name = name

    def __get__(self, standing: Any, _owner: type) -> Value:
        value = standing.__dict__[self._name] = self._compute(standing)
        return value


class Standing(msgspec.Struct, frozen=True, dict=True):
    """One resource as stored, or as a decision leaves it. Its fields are the SELECT list of store/standings.py.

    `updated_time` is the reference time of the status. `rules` is a digest of the rules that a decision computed the
    status with; it is written, but not read.
    `tenancy`, `envelope` and the fields with an underscore are JSON text as stored; a field with an underscore may also
    hold the value that a decision replaced it with. `envelope` and the reports are None if the decision does not need
    them. Children and references are looked up only while the resource is being deleted: only then do they matter.
    """

    id: UUID
    kind: str
    name: str
    owner_kind: str | None
    owner_id: UUID | None
    resource_version: int
    generation: int
    updated_time: datetime
    is_deleting: bool
    has_children: bool
    is_referenced: bool
    tenancy: bytes
    envelope: bytes | None
    _status: bytes | Status | None
    _summaries: bytes | tuple[Summary, ...] | None
    _reports: bytes | tuple[bytes, ...] | None
    rules: str = ""

    @_Once
    def status(self) -> Status | None:
        """The status, None until the first one is computed."""
        return _decode_status(self._status) if isinstance(self._status, bytes) else self._status

    @property
    def computed(self) -> Status:
        """The status that a decision computed."""
        assert isinstance(self._status, Status)
        return self._status

    @_Once
    def status_texts(self) -> StatusTexts:
        """The computed status as it is stored."""
        return rendering.status_texts(self.computed)

    @property
    def status_text(self) -> bytes:
        """The status as stored and served, without `adapters`."""
        return self._status if isinstance(self._status, bytes) else self.status_texts.status

    @_Once
    def summaries(self) -> tuple[Summary, ...]:
        """The summary of each adapter's report."""
        if isinstance(self._summaries, tuple):
            return self._summaries
        return _decode_summaries(b"[%b]" % self._summaries) if self._summaries else ()

    @_Once
    def summaries_text(self) -> bytes:
        """The items of `status.adapters`, sorted by adapter, with commas between them."""
        if isinstance(self._summaries, tuple):
            return b",".join(map(rendering.summary, sorted(self._summaries, key=lambda kept: kept.adapter)))
        return self._summaries or b""

    @_Once
    def reports(self) -> tuple[bytes, ...]:
        """The reports as served; only for a kind with mapping rules."""
        assert self._reports is not None
        return self._reports if isinstance(self._reports, tuple) else tuple(map(bytes, _decode_reports(self._reports)))

    @_Once
    def members(self) -> Mapping[str, msgspec.Raw]:
        """The members of the envelope, each as JSON text."""
        assert self.envelope is not None
        return rendering.members(self.envelope)

    @_Once
    def desired(self) -> Desired:
        """The desired state: the members that callers may change."""
        return rendering.desired(self.members)

    def awaited(self, kind: Kind) -> list[str]:
        """The adapters that the deletion still waits for (K1 to K3)."""
        return deletion.awaited(kind.required_adapters, generation=self.generation, reports=self.summaries)

    def is_gone(self, kind: Kind) -> bool:
        """Whether the resource is being deleted and its deletion is complete (G1 to G3)."""
        return self.is_deleting and deletion.is_gone(
            kind.required_adapters,
            generation=self.generation,
            reports=self.summaries,
            has_children=self.has_children,
            is_referenced=self.is_referenced,
        )

    def assessed(self, status: Status, rules: str) -> "Standing":
        """A copy with this status and the digest of its rules, but without the reports, which may be large."""
        return msgspec.structs.replace(self, _status=status, rules=rules, _reports=None)

    def reported(self, summary: Summary, report: bytes) -> "Standing":
        """A copy in which this report, as served, replaces the adapter's last one."""
        summaries = (*(kept for kept in self.summaries if kept.adapter != summary.adapter), summary)
        reports: tuple[bytes, ...] | None = None
        if self._reports is not None:
            others = (other for other in self.reports if rendering.adapter(other) != summary.adapter)
            reports = (*others, report)
        return msgspec.structs.replace(self, _summaries=summaries, _reports=reports)

    def served(self, resource_version: int, envelope: bytes, tenancy: bytes | None) -> bytes:
        """The resource as served; the statement that stored it gives the arguments. A tenancy of None is omitted."""
        if tenancy is not None:
            envelope = rendering.with_tenancy(envelope, tenancy)
        return rendering.resource(envelope, resource_version, self.status_text, self.summaries_text)


class Node(NamedTuple):
    """A resource in a locked tree."""

    id: UUID
    kind: str
    name: str
    owner_kind: str | None
    owner_id: UUID | None
    resource_version: int
    generation: int
    is_deleting: bool


class Change(msgspec.Struct, frozen=True):
    """A resource to store, with the values that only the write needs.

    `by` is the identity of the writer. `desired` is the new desired state, if it changes, and `difference` lists the
    changes. `envelope` has gaps for addresses, which the storing statement fills in. `href` is set for a new resource.
    """

    standing: Standing
    by: str = ""
    envelope: Envelope = Envelope((), ())
    desired: Desired = Desired(b"{}", {}, {})
    difference: Difference = Difference()
    href: str = ""

    def having(self, standing: Standing) -> "Change":
        """A copy with another standing."""
        return msgspec.structs.replace(self, standing=standing)


def fresh(scope: Scope, draft: Draft, id: UUID, *, by: str, now: datetime) -> Change:
    """A new resource, without a status."""
    kind, owner = scope.kind, scope.owner
    href = rendering.href(kind, id, owner)
    envelope = rendering.envelope(draft, kind=kind, id=id, href=href, owner=owner, created_time=now, created_by=by)
    standing = Standing(
        id=id,
        kind=kind.name,
        name=draft.name,
        owner_kind=None if owner is None else owner.kind.name,
        owner_id=scope.owner_id,
        resource_version=0,
        generation=1,
        updated_time=now,
        is_deleting=False,
        has_children=False,
        is_referenced=False,
        tenancy=rendering.tenancy(scope.tenancy),
        envelope=envelope.unaddressed,
        _status=None,
        _summaries=(),
        _reports=(),
    )
    return Change(standing, by, envelope, draft.desired, href=href)


def changed(found: Standing, kind: Kind, desired: Desired, *, by: str, now: datetime) -> Change | None:
    """The resource with a new desired state and its previous status; None if the desired state has the same value."""
    old = found.desired
    new = difference(old, desired)
    if not new.count:
        return None
    # Members with the same value keep their spelling. The order of references of one type is part of their value.
    desired = Desired(
        desired.spec if "spec" in new.members else old.spec,
        desired.labels if "labels" in new.members else old.labels,
        desired.references if "references" in new.members else old.references,
    )
    # The time must not go backwards when a clock is set back, or when the clocks of two hosts differ.
    time, generation = max(now, found.updated_time), found.generation + 1
    envelope = rendering.changed(
        found.members, kind=kind, generation=generation, time=time, by=by, new=desired, names=new.members
    )
    standing = msgspec.structs.replace(found, generation=generation, updated_time=time, envelope=envelope.unaddressed)
    return Change(standing, by, envelope, desired, new)


def marked(found: Standing, *, by: str, now: datetime, has_children: bool) -> Standing:
    """The resource, marked as being deleted from `now` on, with its previous status."""
    time, generation = max(now, found.updated_time), found.generation + 1
    return msgspec.structs.replace(
        found,
        generation=generation,
        updated_time=time,
        is_deleting=True,
        has_children=has_children,
        envelope=rendering.marked_deleted(found.members, generation=generation, time=time, by=by),
    )


def declared(found: Standing, kind: Kind) -> Standing:
    """The resource with the members that its kind now declares."""
    assert found.envelope is not None
    return msgspec.structs.replace(found, envelope=rendering.declared(found.envelope, kind))
