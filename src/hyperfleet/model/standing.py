"""A resource as it is: what every decision is computed from, and what becomes of it by each.

What is stored is JSON text. It is decoded when a decision first looks at it, and rendered when it is first stored or
served, so that whoever decides and whoever answers share one decoding and one rendering.
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
    """A property that is computed once. That of the standard library takes a lock for it on Python 3.11."""

    def __init__(self, compute: Callable[[Any], Value]) -> None:
        self._compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, _owner: type, name: str) -> None:
        self._name = name

    def __get__(self, standing: Any, _owner: type) -> Value:
        value = standing.__dict__[self._name] = self._compute(standing)
        return value


class Standing(msgspec.Struct, frozen=True, dict=True):
    """One resource as it is stored, or as a decision leaves it. Its fields are the SELECT list of store/standings.py.

    `updated_time` is the reference time of its status. `rules`, which is written and not read, is a digest of what a
    decision computed its status with.
    `tenancy`, `envelope` and what begins with an underscore are JSON text as stored; the latter may be a value that a
    decision put in its place. `envelope` and the reports are None where the reader's decision does not look at them;
    children and references to it are looked for only while it is being deleted, because only then do they count.
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
        """Its status, None before the first one was computed."""
        return _decode_status(self._status) if isinstance(self._status, bytes) else self._status

    @property
    def computed(self) -> Status:
        """The status that a decision gave it."""
        assert isinstance(self._status, Status)
        return self._status

    @_Once
    def status_texts(self) -> StatusTexts:
        """The same as it is stored."""
        return rendering.status_texts(self.computed)

    @property
    def status_text(self) -> bytes:
        """Its status as it is stored and served, without `adapters`."""
        return self._status if isinstance(self._status, bytes) else self.status_texts.status

    @_Once
    def summaries(self) -> tuple[Summary, ...]:
        """The summary of each adapter's report."""
        if isinstance(self._summaries, tuple):
            return self._summaries
        return _decode_summaries(b"[%b]" % self._summaries) if self._summaries else ()

    @_Once
    def summaries_text(self) -> bytes:
        """The items of `status.adapters`, by adapter, with commas between."""
        if isinstance(self._summaries, tuple):
            return b",".join(map(rendering.summary, sorted(self._summaries, key=lambda kept: kept.adapter)))
        return self._summaries or b""

    @_Once
    def reports(self) -> tuple[bytes, ...]:
        """The reports as they are served, where the kind has rules of its own."""
        assert self._reports is not None
        return self._reports if isinstance(self._reports, tuple) else tuple(map(bytes, _decode_reports(self._reports)))

    @_Once
    def members(self) -> Mapping[str, msgspec.Raw]:
        """The members of the envelope, each as its text."""
        assert self.envelope is not None
        return rendering.members(self.envelope)

    @_Once
    def desired(self) -> Desired:
        """What callers may change of it."""
        return rendering.desired(self.members)

    def awaited(self, kind: Kind) -> list[str]:
        """The adapters that its deletion still waits for (K1 to K3)."""
        return deletion.awaited(kind.required_adapters, generation=self.generation, reports=self.summaries)

    def is_gone(self, kind: Kind) -> bool:
        """Whether it is being deleted and has nothing left to wait for (G1 to G3)."""
        return self.is_deleting and deletion.is_gone(
            kind.required_adapters,
            generation=self.generation,
            reports=self.summaries,
            has_children=self.has_children,
            is_referenced=self.is_referenced,
        )

    def assessed(self, status: Status, rules: str) -> "Standing":
        """The same with this status, computed with these rules; without its reports, which may be large."""
        return msgspec.structs.replace(self, _status=status, rules=rules, _reports=None)

    def reported(self, summary: Summary, report: bytes) -> "Standing":
        """The same with a report, as it is served, in place of the adapter's last one."""
        summaries = (*(kept for kept in self.summaries if kept.adapter != summary.adapter), summary)
        reports: tuple[bytes, ...] | None = None
        if self._reports is not None:
            others = (other for other in self.reports if rendering.adapter(other) != summary.adapter)
            reports = (*others, report)
        return msgspec.structs.replace(self, _summaries=summaries, _reports=reports)

    def served(self, resource_version: int, envelope: bytes, tenancy: bytes | None) -> bytes:
        """It as served, with what only the statement knows that stored it; without its tenancy where that is None."""
        if tenancy is not None:
            envelope = rendering.with_tenancy(envelope, tenancy)
        return rendering.resource(envelope, resource_version, self.status_text, self.summaries_text)


class Node(NamedTuple):
    """A resource of a locked tree."""

    id: UUID
    kind: str
    name: str
    owner_kind: str | None
    owner_id: UUID | None
    resource_version: int
    generation: int
    is_deleting: bool


class Change(msgspec.Struct, frozen=True):
    """A resource as it is to be stored, and what only the write knows.

    `by` is who writes. `desired` is what callers may change, where it is new, and `difference` what is new of it.
    `envelope` has places for addresses that only the statement that stores it knows. `href` is a new resource's.
    """

    standing: Standing
    by: str = ""
    envelope: Envelope = Envelope((), ())
    desired: Desired = Desired(b"{}", {}, {})
    difference: Difference = Difference()
    href: str = ""

    def having(self, standing: Standing) -> "Change":
        """The same with another standing."""
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
    """The resource with another desired state, its status as before; None when that has the same value."""
    old = found.desired
    new = difference(old, desired)
    if not new.count:
        return None
    # What has the same value keeps its spelling. The order of references of one type is part of their value.
    desired = Desired(
        desired.spec if "spec" in new.members else old.spec,
        desired.labels if "labels" in new.members else old.labels,
        desired.references if "references" in new.members else old.references,
    )
    # A clock that was put back must not make the time go back, nor may two hosts' clocks that differ.
    time, generation = max(now, found.updated_time), found.generation + 1
    envelope = rendering.changed(
        found.members, kind=kind, generation=generation, time=time, by=by, new=desired, names=new.members
    )
    standing = msgspec.structs.replace(found, generation=generation, updated_time=time, envelope=envelope.unaddressed)
    return Change(standing, by, envelope, desired, new)


def marked(found: Standing, *, by: str, now: datetime, has_children: bool) -> Standing:
    """The resource as it is when it is being deleted from now on, its status as before."""
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
    """The resource with the members that its kind declares by now."""
    assert found.envelope is not None
    return msgspec.structs.replace(found, envelope=rendering.declared(found.envelope, kind))
