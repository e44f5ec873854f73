"""CEL: what compiles, what it returns, and that no expression hangs or crashes the service."""

import json
from typing import Any

import pytest

from hyperfleet.model.rules.expression import LONGEST, BadExpression, Environment, EvaluationFailed, plain

ENVIRONMENT = Environment(maps=("resource",), lists=("statuses",))
SPEC = {"nodes": 3, "list": [1, {"a": "x"}], "ratio": 1.5, "none": None, "on": True, "text": "word"}
VALUES = {"resource": {"spec": SPEC}, "statuses": [{"adapter": "dns", "conditions": []}]}


def truth(text: str, values: dict[str, Any] | None = None) -> bool:
    return ENVIRONMENT.compile(text, "bool").truth(ENVIRONMENT.facts(values or VALUES))


def text(text: str, values: dict[str, Any] | None = None) -> str:
    return ENVIRONMENT.compile(text, "text").text(ENVIRONMENT.facts(values or VALUES))


@pytest.mark.parametrize(
    "given",
    [
        "resource.spec.nodes == 3",
        "resource.spec.nodes > 2.5",
        "statuses.exists(s, s.adapter == 'dns')",
        "has(resource.spec.on) && !has(resource.spec.off)",
        "resource.spec.?off.orValue(true)",
        "dig(resource, 'spec.list.1.a') == 'x'",
        "dig(resource, 'spec.list.2') == null",
        "dig(resource, 'spec.list.-1') == null",
        "dig(resource, 'spec.nodes.a') == null",
        "dig(resource.spec.none, 'a') == null",
        "dig(resource.spec.text, '0') == null",
        "dig(resource.spec.list, '0') == 1",
        "dig(null, 'a') == null",
        "dig(3, 'a') == null && dig(3u, 'a') == null && dig(1.5, 'a') == null && dig(true, 'a') == null",
        "dig(b'a', 'a') == null && dig(duration('1s'), 'a') == null",
        'toJson(resource.spec.list) == \'[1,{"a":"x"}]\'',
        "toJson(null) == 'null' && toJson(true) == 'true' && toJson(1.5) == '1.5' && toJson('a') == '\"a\"'",
        "toJson(3u) == '3' && toJson(b'a') == '\"YQ==\"' && toJson(duration('90s')) == '\"PT90S\"'",
        "toJson(timestamp('2026-01-02T03:04:05Z')) == '\"2026-01-02T03:04:05Z\"'",
    ],
)
def test_an_expression_sees_values_and_functions(given: str) -> None:
    assert truth(given) is True


@pytest.mark.parametrize(
    ("given", "result", "words"),
    [
        ("1 +", "bool", "at line 1, column 4: Syntax error"),
        ("true &&\n foo", "bool", "at line 2, column 2: undeclared reference to 'foo'"),
        ("1 + 'a'", "bool", "at line 1, column 3"),
        ("'a'", "bool", "must evaluate to true or false, but evaluates to a string"),
        ("true", "text", "must evaluate to a string, but evaluates to true or false"),
        ("[1]", "truth", "but evaluates to list"),
        ("resource.spec.?off", "bool", "but evaluates to optional_type"),
        ("", "bool", "Syntax error"),
        ("'" + "a" * LONGEST + "' == ''", "bool", f"longer than {LONGEST} characters"),
        ("(" * 200 + "true" + ")" * 200, "bool", "recursion limit"),
        ("[" * 500 + "]" * 500 + " == []", "bool", "recursion limit"),
        ("1" + "+1" * 1000 + " == 1", "bool", "recursion depth"),
    ],
)
def test_a_compile_error_has_its_position(given: str, result: Any, words: str) -> None:
    with pytest.raises(BadExpression) as refused:
        ENVIRONMENT.compile(given, result)
    assert words in str(refused.value)


def test_the_longest_expression_compiles() -> None:
    rest = " == 'a'"
    assert truth("'" + "a" * (LONGEST - 2 - len(rest)) + "'" + rest) is False


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("resource.nope == 1", 'Key not found in map : "nope"'),
        ("1 / 0 == 1", "divide by zero"),
        ("resource.spec.text + resource.spec.nodes == 'a'", "No matching overloads"),
        ("resource.spec.nodes", "evaluated to int instead of true or false"),
        ("resource.spec.text", "evaluated to the string 'word' instead of true or false"),
    ],
)
def test_an_evaluation_error_says_why(given: str, words: str) -> None:
    with pytest.raises(EvaluationFailed) as failed:
        truth(given)
    assert words in str(failed.value)


def test_a_status_is_true_or_false_as_a_text_or_not() -> None:
    facts = ENVIRONMENT.facts(VALUES)
    for given, wanted in {"true": True, "'True'": True, "'False'": False, "1 > 2": False}.items():
        assert ENVIRONMENT.compile(given, "truth").truth(facts) is wanted
    for given in ("'Unknown'", "'true'", "resource.spec.nodes"):
        with pytest.raises(EvaluationFailed):
            ENVIRONMENT.compile(given, "truth").truth(facts)


def test_an_endless_evaluation_exhausts_its_budget() -> None:
    many = {"resource": {"l": list(range(500))}, "statuses": []}
    with pytest.raises(EvaluationFailed, match="budget"):
        truth("resource.l.all(a, resource.l.all(b, resource.l.all(c, true)))", many)


def test_whole_numbers_beyond_64_bits_become_doubles() -> None:
    given = {
        "least": -(2**63),
        "most": 2**63 - 1,
        "over": 2**63,
        "under": -(2**63) - 1,
        "huge": 10**999,
        "list": [2**70],
    }
    known = plain(given)
    assert known["least"] == -(2**63)
    assert [type(known[name]) for name in ("least", "most", "over", "under", "huge")] == [int, int, float, float, float]
    assert truth(
        "resource.over > 9.2e18 && resource.huge > 1e308 && resource.list[0] > 1e21",
        {"resource": known, "statuses": []},
    )


def test_values_nested_as_deep_as_a_body_are_accepted() -> None:
    deep: dict[str, Any] = {}
    for _ in range(100):
        deep = {"a": deep}
    assert json.loads(text("toJson(resource)", {"resource": deep, "statuses": []})) == deep
