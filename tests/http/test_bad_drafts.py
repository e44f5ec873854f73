"""Bodies of creates that are refused: each row is a body, the code of its response and the fields that it names.

Every row goes through the application; no response may be a 5xx.
"""

import json
from typing import Any, Final

import httpx2
import pytest

LONG_DIGITS: Final = b"1" * 1001


def draft(**changes: Any) -> bytes:
    """A valid body with some members changed."""
    return json.dumps({"name": "good-name", "spec": {}} | changes).encode()


def nested(depth: int) -> bytes:
    """A body whose innermost value is that deep; the body itself is level 1."""
    return b'{"name":"good-name","spec":' + b'{"a":' * (depth - 1) + b"1" + b"}" * (depth - 1) + b"}"


def spec(text: bytes) -> bytes:
    """A body with this text as its spec."""
    return b'{"name":"good-name","spec":{"a":' + text + b"}}"


NOT_ONE_DOCUMENT: Final = [
    *(b"", b" ", b"\n\t", b"{", b"}", b"[", b"nul", b"True", b"NaN", b"Infinity", b"'a'", b"{'a':1}", b"{a:1}"),
    *(b"{} {}", b"{}{}", b"{}x", b"[] []", b"1 2", b"null null", b"{},", b'{"name":"a"}\n{"name":"b"}', b"{}\x00"),
    *(b'{"a":1,}', b'{"a":[1,]}', b'{"a" 1}', b'{"a":}', b'{"a":1 "b":2}', b'{"a":01}', b'{"a":1.}', b'{"a":.5}'),
    *(b'{"a":+1}', b'{"a":1e}', b'{"a":-}', b'{"a":0x10}', b'{"a":NaN}', b'{"a":-Infinity}', b'{"a":undefined}'),
    *(b'{"a":"\x00"}', b'{"a":"\x1f"}', b'{"a":"\n"}', b'{"a":"\\x41"}', b'{"a":"\\u12"}', b'{"a":"\\', b'{"a":"x'),
    *(b'{"a":"\\ud800"}', b'{"a":"\\udc00"}', b'{"a":"\\ud800\\u0041"}', b'{"\\ud83d":1}', b'{"a":"\\ud800\\ud800"}'),
    *(
        b'{"a":"\xff"}',
        b'{"a":"\xed\xa0\x80"}',
        b'{"a":"\xc0\xaf"}',
        b'{"\xfe":1}',
        b"\xef\xbb\xbf{}",
        b"\xff\xfe{\x00}\x00",
    ),
    *(b"// c\n{}", b"/* c */{}", b"<xml/>", b"a=b&c=d", b"--boundary", b"\x1f\x8b\x08\x00", b"[" * 50, b'{"a":' * 50),
]

NO_STRINGS: Final[list[Any]] = [None, 1, 1.5, True, [], {}, ["abc"], {"a": "b"}]
NO_OBJECTS: Final[list[Any]] = [None, 1, "x", "", True, False, 0, [], [{}], [["a", "b"]]]

ROWS: Final[list[tuple[bytes, str, tuple[str, ...]]]] = [
    *((body, "VAL-006", ()) for body in NOT_ONE_DOCUMENT),
    *((body, "VAL-003", ("body",)) for body in (b"[]", b"null", b"true", b"1", b'"x"', b'[{"name":"a"}]')),
    (b"{}", "VAL-000", ("name", "spec")),
    (b'{"spec":{}}', "VAL-001", ("name",)),
    (b'{"name":"good-name"}', "VAL-001", ("spec",)),
    *((draft(name=wrong), "VAL-003", ("name",)) for wrong in NO_STRINGS),
    *((draft(name=wrong), "VAL-004", ("name",)) for wrong in ("", "a", "ab", "a" * 54, "A" * 60, "a" * 100000)),
    *((draft(name=wrong), "VAL-003", ("name",)) for wrong in ("abc\n", "\nabc", "Abc", "abc-", "-abc", "a_b", "a.b")),
    *((draft(name=wrong), "VAL-003", ("name",)) for wrong in ("a b", "äbc", "a/b", "abc ", "%s%n{}", "'; --", "a٣c")),
    *((draft(spec=wrong), "VAL-003", ("spec",)) for wrong in NO_OBJECTS),
    *((draft(kind=wrong), "VAL-002", ("kind",)) for wrong in ("", "cluster", "NodePool", "Cluster ", "CLUSTER")),
    *((draft(kind=wrong), "VAL-003", ("kind",)) for wrong in NO_STRINGS[1:]),
    *((draft(labels=wrong), "VAL-003", ("labels",)) for wrong in NO_OBJECTS[1:]),
    *((draft(labels={"a": wrong}), "VAL-003", ("labels.a",)) for wrong in NO_STRINGS),
    *(
        (draft(labels={"a": wrong}), "VAL-003", ("labels.a",))
        for wrong in ("-x", "x-", "a b", "ä", "x\n", "<script>", "a/b")
    ),
    (draft(labels={"a": "x" * 64}), "VAL-004", ("labels.a",)),
    *(
        (draft(labels={wrong: "x"}), "VAL-003", (f"labels.{wrong}",))
        for wrong in ("../etc", "<script>", "a b", "-a", "a-")
    ),
    *(
        (draft(labels={wrong: "x"}), "VAL-003", (f"labels.{wrong}",))
        for wrong in ("a/b/c", "/a", "a/", "A/b", "a..b/c", "ä")
    ),
    (draft(labels={"a\n": "x"}), "VAL-003", ("labels.a\\n",)),
    (draft(labels={"x" * 64: "x"}), "VAL-003", ("labels." + "x" * 64,)),
    (draft(labels={"": "x"}), "VAL-004", ("labels.",)),
    (draft(labels={"x." * 130 + "x/y": "x"}), "VAL-004", ("labels." + "x." * 40 + "…",)),
    (draft(labels={f"k{number}": "x" for number in range(65)}), "VAL-004", ("labels",)),
    (draft(labels={"a": 1, "b ": "x", "c": "x" * 64}), "VAL-000", ("labels.a", "labels.c", "labels.b ")),
    *((draft(references=wrong), "VAL-003", ("references",)) for wrong in NO_OBJECTS[1:]),
    (draft(references={"uses": []}), "VAL-002", ("references.uses",)),
    *(
        (draft(**{wrong: 1}), "VAL-002", (wrong,))
        for wrong in ("nmae", "Name", "tenant", "metadata", "x" * 80, "$ref", "")
    ),
    (draft(a=1, b=2), "VAL-000", ("a", "b")),
    (draft(name=1, spec=[], labels=3, kind="x", other=1), "VAL-000", ("other", "kind", "name", "spec", "labels")),
    (b'{"name":"ok-name","name":7,"spec":{}}', "VAL-003", ("name",)),
    (spec(b'"\\u0000"'), "VAL-003", ("spec.a",)),
    (spec(b'[{"b":"x\\u0000y"}]'), "VAL-003", ("spec.a[0].b",)),
    (spec(b'{"b\\u0000":1}'), "VAL-003", ("spec.a.b\\x00",)),
    (b'{"na\\u0000me":"x"}', "VAL-003", ("na\\x00me",)),
    (b'{"name":"a\\u0000b","spec":{}}', "VAL-003", ("name",)),
    (spec(LONG_DIGITS), "VAL-004", ("spec.a",)),
    (spec(b"-" + LONG_DIGITS), "VAL-004", ("spec.a",)),
    *((spec(wrong), "VAL-004", ("body",)) for wrong in (b"1e309", b"-1e400", LONG_DIGITS + b".5", b"1" * 5000)),
    (nested(101), "VAL-004", (("spec" + ".a" * 99)[:200],)),
    (b'{"name":"good-name","spec":{"a":' + b"[" * 99 + b"]" * 99 + b"}}", "VAL-004", (("spec.a" + "[0]" * 98)[:200],)),
    *((b"[" * depth + b"]" * depth, "VAL-004", ("body",)) for depth in (2000, 100000)),
]


def named(body: bytes) -> str:
    """A row's name in the test report."""
    return ascii(body[:40].decode("latin-1")) + (f"+{len(body)}" if len(body) > 40 else "")


@pytest.mark.parametrize(("body", "code", "fields"), ROWS, ids=[named(row[0]) for row in ROWS])
async def test_a_bad_body_is_400_and_names_what_is_wrong(
    unconnected: httpx2.AsyncClient, body: bytes, code: str, fields: tuple[str, ...]
) -> None:
    answer = await unconnected.post("/clusters", content=body)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (400, f"HYPERFLEET-{code}"), problem
    assert tuple(wrong["field"] for wrong in problem.get("errors", ())) == fields


@pytest.mark.parametrize(
    "body",
    [
        draft(kind="Cluster"),
        draft(kind=None, labels=None, references=None),
        draft(references={}),
        draft(name="abc"),
        draft(name="a" * 53),
        draft(name="0-9"),
        draft(labels={"a": "", "x" * 63: "y" * 63, "example.com/a.B_c": "v1.2_3-x", "x." * 95 + "x/" + "y" * 63: "z"}),
        draft(labels={f"k{number}": "x" for number in range(64)}),
        draft(id=7, href=[], status="x", generation=None, created_time=0, deleted_by={}, owner_references=1),
        spec(b'"\\\\u0000"'),
        spec(b'"\\ud83d\\ude00 \xf0\x9f\x98\x80"'),
        spec(b"1" * 1000),
        spec(b"-" + b"1" * 1000),
        spec(b'"' + LONG_DIGITS + b'"'),
        spec(b"1.7976931348623157e308"),
        spec(b"1e-400"),
        spec(b"[" + b"{}," * 200 + b"1]"),
        nested(100),
        b' \n{"name":"good-name","spec":{}}\n ',
    ],
    ids=named,
)
async def test_a_good_body_is_created(client: httpx2.AsyncClient, body: bytes) -> None:
    created = await client.post("/clusters", content=body)
    assert created.status_code == 201, created.json()
    read = await client.get(f"/clusters/{created.json()['id']}")
    assert read.content == created.content


async def test_a_spec_is_returned_exactly_in_its_order_with_the_last_of_equal_members(
    client: httpx2.AsyncClient,
) -> None:
    sent = b'{"z":9007199254740993,"a":1.0,"m":{"b":true,"a":1},"a":2.5,"n":null,"e":"","big":%s}' % (b"7" * 1000)
    created = await client.post("/clusters", content=b'{"name":"good-name","spec":' + sent + b"}")
    expected = b'"spec":{"z":9007199254740993,"a":2.5,"m":{"b":true,"a":1},"n":null,"e":"","big":%s}' % (b"7" * 1000)
    assert expected in created.content
