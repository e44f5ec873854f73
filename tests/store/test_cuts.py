"""Members cut out of a stored text: spelled as stored, from objects only, all in one pass."""

import json
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from hyperfleet.model.caller import SYSTEM
from hyperfleet.model.resource import Desired, Draft
from hyperfleet.model.search.fields import FIELDS, Member
from hyperfleet.model.search.selection import Selection
from hyperfleet.services import reading, writing
from hyperfleet.store.clauses.filters import Parameters
from hyperfleet.store.clauses.projections import projection
from hyperfleet.store.database import Database, Statement
from hyperfleet.store.lists import pages
from hyperfleet.store.lists.pages import Listing
from testbed.fleet import CLUSTERS, NOON

Path = tuple[str, ...]

SPEC = (
    b'{"zones":[{"0":"a"},"b"],"0":{"-1":[1],"1":{"x":0}},"whole":' + b"9" * 1000 + b',"tiny":1e-7,"minus":-0.0,'
    b'"large":1e16,"nothing":null,"text":"\\u0001 \\" \\\\ / \xc3\xa9 \xf0\x9f\x9a\x80","empty":{},"list":[],"z":1,'
    b'"a":{"b":{"c":1.50,"a":2},"d":true},"quo\\"te":{"n\xc3\xa9":"x"}}'
)


async def stored(db: Database, spec: bytes) -> UUID:
    await db.fetch(Statement("NONE", "DELETE FROM resources"))
    draft = Draft("sample", Desired(spec, {"0": "zero", "a.b/c": "d"}, {}))
    created = await writing.create(db, CLUSTERS, draft, caller=SYSTEM, now=NOON)
    return UUID(json.loads(created.body)["id"])


def selection_of(*paths: Path) -> Selection:
    return Selection(tuple(Member(path, FIELDS.by_name[path[0]]) for path in paths))


async def selected(db: Database, id: UUID, *paths: Path) -> bytes:
    """The members at these paths in a read and in a list, which must be the same."""
    selection = selection_of(*paths)
    read = (await reading.resource(db, CLUSTERS, id, selection)).body
    listed = msgspec.json.decode(
        await pages.page(db, CLUSTERS, Listing(selection=selection)), type=dict[str, msgspec.Raw]
    )
    assert bytes(listed["items"]) == b"[" + read + b"]"
    return read


def expected(id: UUID, spec: bytes, *paths: Path) -> bytes:
    """The same result by parsing the text, member by member."""
    tree: dict[str, Any] = {"id": str(id)}
    for path in sorted(set(paths), key=paths.index):
        if any(path[:length] in paths for length in range(1, len(path))):
            continue
        text: bytes | None = b'{"spec":' + spec + b"}"
        for name in path:
            is_object = text is not None and text.startswith(b"{")
            members = msgspec.json.decode(text, type=dict[str, msgspec.Raw]) if text and is_object else {}
            text = bytes(members[name]) if name in members else None
        if text is not None:
            branch = tree
            for name in path[:-1]:
                branch = branch.setdefault(name, {})
            branch[path[-1]] = msgspec.Raw(text)
    return msgspec.json.encode(tree)


@pytest.mark.parametrize(
    "paths",
    [
        *([("spec", name)] for name in msgspec.json.decode(SPEC)),
        [("spec", "missing")],
        [("spec",)],
        [("spec", "zones", "0")],
        [("spec", "zones", "0"), ("spec", "zones", "1"), ("spec", "z")],
        [("spec", "0", "-1", "0"), ("spec", "0", "1", "x")],
        [("spec", "a", "b", "c"), ("spec", "a", "d")],
        [("spec", "z"), ("spec", "a", "b", "a"), ("spec", "a", "b", "c"), ("spec", "nothing"), ("spec", "whole")],
        [("spec", "z", "deeper"), ("spec", "text", "deeper"), ("spec", "nothing", "a"), ("spec", "nothing", "b")],
        [("spec", "missing", "a"), ("spec", "missing", "b")],
        [("spec", 'quo"te', "né"), ("spec", "minus")],
        [("spec", "a", "b"), ("spec", "a", "b", "c")],
    ],
)
async def test_members_are_spelled_as_they_are_stored(db: Database, paths: list[Path]) -> None:
    id = await stored(db, SPEC)
    assert await selected(db, id, *paths) == expected(id, SPEC, *paths)


async def test_members_of_several_parts_have_the_requested_order(db: Database) -> None:
    id = await stored(db, b'{"b":2,"a":1}')
    body = await selected(db, id, ("spec", "a"), ("name",), ("labels", "0"), ("spec", "b"), ("labels", "a.b/c"))
    rest = b'"spec":{"a":1,"b":2},"name":"sample","labels":{"0":"zero","a.b/c":"d"}}'
    assert body == b'{"id":"%b",%b' % (str(id).encode(), rest)


names = st.sampled_from(["a", "b", "0", "1", "-1", "é", '"', " 2"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=20,
)
ways = st.lists(names, min_size=1, max_size=4).map(lambda way: ("spec", *way))


@hypothesis_settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(names, values, max_size=5), st.lists(ways, min_size=1, max_size=8))
async def test_members_are_cut_out_of_any_stored_text(db: Database, spec: dict[str, Any], paths: list[Path]) -> None:
    text = json.dumps(spec, separators=(",", ":")).replace("\\u0000", "x").encode()
    assert await selected(db, id := await stored(db, text), *paths) == expected(id, text, *paths)


def test_the_stored_text_is_read_once_however_many_members_are_selected() -> None:
    paths = tuple(("spec", f"member-{number}", "deeper") for number in range(200))
    for selection in (
        selection_of(*paths[:2]),
        selection_of(*paths),
        selection_of(*paths, ("labels", "a"), ("references",)),
    ):
        assert projection(selection, Parameters()).columns.count("json_each(CASE WHEN json_typeof(envelope)") <= 1
        assert projection(selection, Parameters()).columns.count("envelope") <= 2
