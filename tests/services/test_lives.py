"""Lives of resources in a tree of three levels, made up by hypothesis, against a small model of what must come of them.

Each step is done on a real database and foretold by the model; some steps are two at once, on connections of their own,
after which the model takes the side of whichever came first. After every step the stored rows are held against the
model, and against what the pure functions make of the stored reports.
"""

import asyncio
import json
import os
from collections.abc import Awaitable, Collection
from dataclasses import dataclass, field, replace
from typing import Any, Final
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from hyperfleet import settings as configuration
from hyperfleet.errors import AlreadyExists, HyperFleetError, InvalidInput, NotFound, WrongState
from hyperfleet.model import rendering
from hyperfleet.model.catalog import Catalog
from hyperfleet.model.kind import AnyAdapter, Kind, ReferenceRule
from hyperfleet.model.resource import Owner, Scope
from hyperfleet.model.status.aggregation import aggregate
from hyperfleet.model.status.condition import Status
from hyperfleet.model.status.report import Summary
from hyperfleet.store.database import Database, Statement
from testbed import fleet
from testbed.fleet import report
from tests.conftest import EMPTY

ROOT: Final = Kind("Root", "roots", "root", required_adapters=("x",))
BRANCH: Final = Kind("Branch", "branches", "branch", "Root", "cascade", required_adapters=("x", "y"))
LEAF: Final = Kind("Leaf", "leaves", "leaf", "Branch", "cascade")
BUD: Final = Kind("Bud", "buds", "bud", "Branch", "cascade", required_adapters=AnyAdapter.ANY)
GUARD: Final = Kind("Guard", "guards", "guard", "Root", "restrict")
HOLDER: Final = Kind("Holder", "holders", "holder", references=(ReferenceRule("held", "Root"),))
WORLD: Final = Catalog([ROOT, BRANCH, LEAF, BUD, GUARD, HOLDER])
NAMES: Final = st.sampled_from(["a", "b"])
PICKS: Final = st.integers(0, 1000)
ADAPTERS: Final = st.sampled_from(["x", "y"])

ROWS: Final = Statement(
    "ROWS",
    "SELECT id, kind, name, owner_id, generation, resource_version, updated_time, deleted_time IS NOT NULL AS deleting,"
    " status, envelope, (SELECT coalesce(json_agg(summary ORDER BY adapter), '[]') FROM adapter_statuses"
    " WHERE resource_id = resources.id) AS summaries FROM resources",
)
COUNTS: Final = Statement(
    "COUNTS", "SELECT kind, sum(resources)::int FROM resource_counts WHERE tenancy = '*' GROUP BY kind"
)
_status: Final = msgspec.json.Decoder(Status)
_summaries: Final = msgspec.json.Decoder(tuple[Summary, ...])


@dataclass
class Thing:
    """A resource as the model has it; `finalized` is the generation that each adapter has said Finalized at.

    `reporting` are the adapters that have a report on it.
    """

    kind: Kind
    name: str
    owner: str | None
    generation: int = 1
    deleting: bool = False
    text: int = 0
    held: str | None = None
    finalized: dict[str, int] = field(default_factory=dict)
    reporting: set[str] = field(default_factory=set)

    def copy(self) -> "Thing":
        """The same, to go its own way."""
        return replace(self, finalized=dict(self.finalized), reporting=set(self.reporting))

    def asked(self) -> Collection[str]:
        """The adapters that its deletion asks to let go."""
        return self.reporting if self.kind is BUD else self.kind.named_adapters


class Model:
    """What must come of each step: the name of the error, or None."""

    def __init__(self) -> None:
        self.things: dict[str, Thing] = {}

    def below(self, id: str) -> list[str]:
        """The resource and everything it owns."""
        found = [id]
        for each in found:
            found += [child for child, thing in self.things.items() if thing.owner == each]
        return found

    def create(self, kind: Kind, name: str, owner: str | None, held: str | None) -> type[HyperFleetError] | None:
        if owner is not None and (owner not in self.things or self.things[owner].kind.name != kind.parent):
            return NotFound
        if owner is not None and self.things[owner].deleting:
            return WrongState
        if held is not None and (held not in self.things or self.things[held].kind is not ROOT):
            return InvalidInput
        if held is not None and self.things[held].deleting:
            return WrongState
        siblings = (t for t in self.things.values() if t.kind is kind and t.owner == owner and not t.deleting)
        return AlreadyExists if any(thing.name == name for thing in siblings) else None

    def change(self, id: str, text: int) -> type[HyperFleetError] | None:
        thing = self.things.get(id)
        if thing is None or thing.deleting:
            return NotFound if thing is None else WrongState
        if thing.text != text:
            thing.text, thing.generation = text, thing.generation + 1
        return None

    def delete(self, id: str) -> type[HyperFleetError] | None:
        thing = self.things.get(id)
        if thing is None:
            return NotFound
        if thing.deleting:
            return None
        tree = self.below(id)
        if any(self.things[each].kind is GUARD and not self.things[each].deleting for each in tree if each != id):
            return WrongState
        if self.holders(tree):
            return WrongState
        for each in tree:
            if not self.things[each].deleting:
                self.things[each].deleting = True
                self.things[each].generation += 1
        self.settle()
        return None

    def force(self, id: str) -> type[HyperFleetError] | None:
        thing = self.things.get(id)
        if thing is None:
            return NotFound
        tree = self.below(id)
        if not thing.deleting or self.holders(tree):
            return WrongState
        for each in tree:
            del self.things[each]
        self.settle()
        return None

    def report(self, id: str, adapter: str, generation: int, *, finalized: bool) -> type[HyperFleetError] | None:
        thing = self.things.get(id)
        if thing is None:
            return NotFound
        thing.reporting.add(adapter)
        if generation == thing.generation:
            thing.finalized.pop(adapter, None)
            if finalized:
                thing.finalized[adapter] = generation
        self.settle()
        return None

    def holders(self, tree: list[str]) -> list[str]:
        return [id for id, thing in self.things.items() if thing.held in tree and id not in tree]

    def settle(self) -> None:
        """What waits for nothing any more goes, from the leaves up."""
        while True:
            gone = [id for id, thing in self.things.items() if thing.deleting and self.waits_for_nothing(id, thing)]
            if not gone:
                return
            for id in gone:
                del self.things[id]

    def waits_for_nothing(self, id: str, thing: Thing) -> bool:
        if any(other.owner == id or other.held == id for other in self.things.values()):
            return False
        return all(thing.finalized.get(adapter) == thing.generation for adapter in thing.asked())


class Lives(RuleBasedStateMachine):
    """The steps. A number picks among what is there, and now and then what is gone, so that it is asked for as well."""

    connection: configuration.Database

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.model = Model()
        self.seconds = 0
        self.made: list[str] = []
        self.versions: dict[str, tuple[int, int]] = {}

    @initialize()
    def begins_empty(self) -> None:
        self.db = Database(replace(self.connection, pool=configuration.Pool(max_connections=4)))
        self.run(self.db.open())
        self.run(self.db.fetch(EMPTY))

    def teardown(self) -> None:
        if hasattr(self, "db"):
            self.run(self.db.close())
        self.runner.close()

    def run(self, work: Awaitable[Any]) -> Any:
        async def awaited() -> Any:
            return await work

        return self.runner.run(awaited())

    def tick(self) -> int:
        self.seconds += 1
        return self.seconds

    def scope(self, id: str) -> Scope:
        return Scope(self.model.things[id].kind) if id in self.model.things else Scope(ROOT)

    def outcome(self, work: Awaitable[Any]) -> tuple[type[HyperFleetError] | None, Any]:
        try:
            return None, self.run(work)
        except HyperFleetError as refused:
            return type(refused), refused

    def creates(self, kind: Kind, name: str, owner: str | None = None, held: str | None = None) -> None:
        expected = self.model.create(kind, name, owner, held)
        parent = WORLD.parent_of(kind)
        scope = Scope(kind, Owner(parent, UUID(owner)) if parent is not None and owner is not None else None)
        references = {"held": (UUID(held),)} if held is not None else {}
        made = fleet.create(self.db, name, scope, at=self.tick(), spec={"text": 0}, references=references)
        refused, found = self.outcome(made)
        assert refused is expected, found
        if refused is None:
            self.model.things[found["id"]] = Thing(kind, name, owner, held=held)
            self.made.append(found["id"])

    def picked(self, number: int, *kinds: Kind) -> str | None:
        """One of what is there, of these kinds if any are given; None when there is none."""
        there = [id for id, thing in self.model.things.items() if not kinds or thing.kind in kinds]
        if self.made and number % 12 == 0:
            return self.made[number % len(self.made)]
        return there[number % len(there)] if there else None

    @rule(name=NAMES)
    def a_root_comes(self, name: str) -> None:
        self.creates(ROOT, name)

    @rule(pick=PICKS, name=NAMES, kind=st.sampled_from([BRANCH, BRANCH, LEAF, BUD, BUD, GUARD]))
    def a_child_comes(self, pick: int, name: str, kind: Kind) -> None:
        parent = WORLD.parent_of(kind)
        assert parent is not None
        owner = self.picked(pick, parent)
        if owner is not None:
            self.creates(kind, name, owner)

    @rule(pick=PICKS, name=NAMES)
    def a_holder_comes(self, pick: int, name: str) -> None:
        held = self.picked(pick, ROOT)
        if held is not None:
            self.creates(HOLDER, name, held=held)

    @rule(pick=PICKS, text=st.integers(0, 2))
    def is_changed(self, pick: int, text: int) -> None:
        id = self.picked(pick)
        if id is None:
            return
        scope = self.scope(id)
        expected = self.model.change(id, text)
        changed = fleet.change(self.db, id, scope, spec={"text": text}, at=self.tick())
        refused, found = self.outcome(changed)
        assert refused is expected, found

    @rule(pick=PICKS)
    def goes(self, pick: int) -> None:
        id = self.picked(pick)
        if id is not None:
            self.is_deleted(id)

    def is_deleted(self, id: str) -> None:
        scope = self.scope(id)
        expected = self.model.delete(id)
        refused, found = self.outcome(fleet.delete(self.db, id, scope, at=self.tick(), catalog=WORLD))
        assert refused is expected, found

    @rule(pick=PICKS)
    def is_removed_by_force(self, pick: int) -> None:
        id = self.picked(pick)
        if id is None:
            return
        scope = self.scope(id)
        expected = self.model.force(id)
        refused, found = self.outcome(fleet.force_delete(self.db, id, scope, catalog=WORLD))
        assert refused is expected, found

    @rule(pick=PICKS, adapter=ADAPTERS, finalized=st.booleans(), late=st.booleans())
    def is_reported_on(self, pick: int, adapter: str, finalized: bool, late: bool) -> None:
        id = self.picked(pick)
        if id is not None:
            self.reports(id, adapter, finalized=finalized, late=late)

    def reports(self, id: str, adapter: str, *, finalized: bool, late: bool) -> None:
        scope = self.scope(id)
        thing = self.model.things.get(id)
        generation = thing.generation - (1 if late and thing.generation > 1 else 0) if thing else 1
        expected = self.model.report(id, adapter, generation, finalized=finalized)
        said = {"Finalized": "True"} if finalized else {"Available": "True"}
        at = self.tick()
        sent = report(adapter, at=at, generation=generation, **said)  # type: ignore[arg-type]
        refused, found = self.outcome(fleet.send(self.db, id, sent, scope, now=at, catalog=WORLD))
        assert refused is expected, found

    @rule(pick=PICKS, deletes=st.booleans())
    def its_adapters_finish(self, pick: int, deletes: bool) -> None:
        id = self.picked(pick, ROOT, BRANCH, BUD)
        if id is not None and deletes:
            self.is_deleted(id)
        thing = self.model.things.get(id or "")
        for adapter in sorted(thing.asked()) if thing is not None else ():
            self.reports(str(id), adapter, finalized=True, late=False)

    @rule(one_pick=PICKS, other_pick=PICKS, text=st.integers(0, 2))
    def is_deleted_while_another_is_changed(self, one_pick: int, other_pick: int, text: int) -> None:
        one, other = self.picked(one_pick), self.picked(other_pick)
        if one is None or other is None:
            return
        of_one, of_other = self.scope(one), self.scope(other)
        at = self.tick()

        async def both() -> list[Any]:
            return list(
                await asyncio.gather(
                    fleet.delete(self.db, one, of_one, at=at, catalog=WORLD),
                    fleet.change(self.db, other, of_other, spec={"text": text}, at=at),
                    return_exceptions=True,
                )
            )

        deleted, changed = (type(found) if isinstance(found, Exception) else None for found in self.run(both()))
        before = Model()
        before.things = {
            id: replace(thing, finalized=dict(thing.finalized), reporting=set(thing.reporting))
            for id, thing in self.model.things.items()
        }
        # Whichever came first, the outcomes are those of one order.
        first = self.model.delete(one), self.model.change(other, text)
        if first == (deleted, changed) and self.agrees():
            return
        self.model = before
        turned = self.model.change(other, text), self.model.delete(one)
        assert turned == (changed, deleted)

    def rows(self) -> dict[str, Any]:
        return {str(row["id"]): row for row in self.run(self.db.fetch(ROWS))}

    def agrees(self) -> bool:
        found = {
            id: (row["kind"], row["name"], row["owner_id"] and str(row["owner_id"]), row["generation"], row["deleting"])
            for id, row in self.rows().items()
        }
        wanted = {
            id: (thing.kind.name, thing.name, thing.owner, thing.generation, thing.deleting)
            for id, thing in self.model.things.items()
        }
        return found == wanted

    @invariant()
    def what_is_stored_is_what_the_model_has(self) -> None:
        if hasattr(self, "db"):
            assert self.agrees()

    @invariant()
    def every_status_is_what_the_pure_functions_make_of_the_stored_reports(self) -> None:
        if not hasattr(self, "db"):
            return
        rows = self.rows()
        owners = {str(row["owner_id"]) for row in rows.values()}
        for id, row in rows.items():
            kind = WORLD.by_name[row["kind"]]
            status = _status.decode(row["status"])
            computed = aggregate(
                generation=row["generation"],
                reference_time=row["updated_time"],
                deleted=row["deleting"],
                previous=status,
                required=kind.required_adapters,
                reports=_summaries.decode(row["summaries"]),
                has_children=id in owners,
            )
            assert computed == status
            envelope = json.loads(row["envelope"])
            assert (envelope["generation"], envelope["name"]) == (row["generation"], row["name"])
            assert ("deleted_time" in envelope) is row["deleting"]
            assert envelope["updated_time"] == rendering.timestamp(row["updated_time"])

    @invariant()
    def counts_are_exact_and_versions_never_go_back(self) -> None:
        if not hasattr(self, "db"):
            return
        rows = self.rows()
        counted = {row[0]: row[1] for row in self.run(self.db.fetch(COUNTS)) if row[1]}
        kinds = [row["kind"] for row in rows.values()]
        assert counted == {kind: kinds.count(kind) for kind in set(kinds)}
        for id, row in rows.items():
            generation, version = self.versions.get(id, (0, 0))
            assert row["generation"] >= generation
            assert row["resource_version"] >= version
            self.versions[id] = (row["generation"], row["resource_version"])


@pytest.fixture(autouse=True)
def connection(database_settings: configuration.Database) -> None:
    Lives.connection = database_settings


TestLives = Lives.TestCase
TestLives.settings = settings(
    max_examples=int(os.environ.get("LIVES", "80")),
    stateful_step_count=50,
    deadline=None,
    database=None,
    derandomize="LIVES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)
