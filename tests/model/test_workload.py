"""The text of an expression and the size of its input give an upper bound for its cost."""

import time
from typing import Any

import msgspec
import pytest

from hyperfleet.model.rules.expression import Environment, EvaluationFailed, largest, plain
from hyperfleet.model.rules.mapping import LIGHT_STEPS
from hyperfleet.model.rules.permission import MOST_STEPS
from hyperfleet.model.rules.workload import MOST_ITERATIONS, workload

ENVIRONMENT = Environment(maps=("resource",), lists=("statuses",))


def nested(start: str, grown: str, times: int, end: str) -> str:
    """An expression that names a value, builds a larger one from it, names that, and so on."""
    steps = "".join(f"optional.of({grown % (f'v{at}', f'v{at}')}).optMap(v{at + 1}, " for at in range(times))
    return f"{start}.optMap(v0, {steps}{end % f'v{times}'}{')' * (times + 1)}.hasValue()"


def test_a_rule_without_loops_costs_its_text() -> None:
    found = workload("resource.status.phase == 'Ready'")
    assert found.steps(10_000, 100) == found.steps(0, 0) < 1000


def test_strings_and_comments_do_not_count() -> None:
    for text in (
        "resource.a == 'x.map(y, y + y)'",
        'resource.a == "x.map(y, y + y)"',
        "resource.a == '''it's x.map(y, y + y)'''",
        r"resource.a == r'\' // .map(y, y + y)",
        r"resource.a == 'it\'s x.map(y, y + y)'",
        "resource.a == 'x' // it's a comment with .map(y, y + y)",
    ):
        found = workload(text)
        assert (found.loops, found.copying, found.looking) == (0, 0, 0), text


def test_code_between_strings_counts() -> None:
    for text in (
        "resource.a == 'x' && resource.l.map(y, y + y) == 'z'",
        r"resource.a == r'\' && resource.l.map(y, y + y) == 'z'",
        "resource.a == b'''x''' && resource.l.map(y, y + y) == 'z'",
        "// it's a comment\nresource.l.map(y, y + y) == 'z' // it's another",
    ):
        found = workload(text)
        assert (found.loops, found.collecting, found.copying) == (1, 1, 1), text


def test_loops_multiply_up_to_the_librarys_budget() -> None:
    one, two = workload("resource.l.all(a, true)"), workload("resource.l.all(a, resource.l.all(b, true))")
    assert one.steps(0, 1000) == 1000 * one.tokens * 15
    assert two.steps(0, 100) == two.steps(0, 1000) == MOST_ITERATIONS * two.tokens * 15


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("resource.l.all(x, x >= 0)", {"l": list(range(9_000))}),
        ("resource.l.map(x, x).size() > 0", {"l": list(range(400))}),
        ("resource.l.filter(x, x > 3).size() > 0", {"l": list(range(400))}),
        ("resource.l.all(x, resource.l.exists(y, x == y))", {"l": list(range(60))}),
        ("resource.l.all(x, !toJson(resource.d).contains(x))", {"l": ["zz"] * 10, "d": [{"a": "b" * 100}] * 100}),
        ("resource.l.all(x, x in resource.l)", {"l": list(range(150))}),
        ("resource.l.all(x, dig(resource, 'd.0.a') == 'b')", {"l": ["zz"] * 20, "d": [{"a": "b"}] * 500}),
        ("resource.l.map(x, x + x).map(x, x + x).map(x, x + x).size() > 0", {"l": ["ab" * 50] * 40}),
        ("resource.l.exists(x, x.matches('^[a-z]+b$'))", {"l": ["aaa"] * 5}),
        (nested("optional.of(resource.l)", "%s + %s", 8, "%s.size() > 3"), {"l": [1, 2]}),
        (nested("optional.of(resource)", "[%s, %s]", 8, "toJson(%s).contains('z')"), {"l": "a"}),
        (nested("optional.of(resource)", "{'a': %s, 'b': %s}", 8, "toJson(%s).contains('z')"), {"l": "a"}),
        ("resource.?l.optMap(x, [x, 'b', 'c', 1]).orValue(['d']) == [resource.l]", {"l": "a"}),
    ],
)
def test_light_expressions_finish_at_once(text: str, value: Any) -> None:
    expression = ENVIRONMENT.compile(text, "bool")
    given = {"resource": plain(value), "statuses": []}
    steps = expression.workload.steps(len(msgspec.json.encode(given)), largest(given))
    facts = ENVIRONMENT.facts(given)
    started = time.thread_time()
    expression.truth(facts)
    taken = time.thread_time() - started
    assert taken < steps * 50e-9 + 0.002
    assert taken < 0.2 or steps > LIGHT_STEPS


@pytest.mark.parametrize(
    ("text", "size", "widest"),
    [
        ("['ab'].map(x, x + x)" + ".map(x, x + x)" * 20 + ".size() > 0", 10, 0),
        (nested("optional.of([1, 2])", "%s + %s", 20, "%s.size() > 3"), 10, 2),
        (nested("optional.of(resource)", "[%s, %s]", 20, "toJson(%s).contains('z')"), 10, 0),
        (nested("optional.of(resource)", "{'a': %s, 'b': %s}", 20, "toJson(%s).contains('z')"), 10, 0),
        ("resource.l.map(x, x + 1).size() > 0", 20_000, 5_000),
        ("resource.l.all(x, statuses.exists(s, toJson(s.data).contains(x)))", 60_000, 1_000),
        ("resource.l.all(x, resource.s.matches('(a{1,100}){1,10}b'))", 10_000, 100),
        ("resource.s.matches(resource.p)", 100, 2),
        ("'x'.matches('a' + resource.p)", 100, 2),
    ],
)
def test_expensive_expressions_are_not_light(text: str, size: int, widest: int) -> None:
    ENVIRONMENT.compile(text, "bool")
    assert workload(text).steps(size, widest) > LIGHT_STEPS


def test_maps_that_repeat_their_lists_cost_what_they_write() -> None:
    text = "[resource.l]" + ".map(x, x.map(y, x))" * 4 + ".exists(x, toJson(x).contains('z'))"
    given = {"resource": {"l": list(range(20))}, "statuses": []}
    facts = ENVIRONMENT.facts(given)
    started = time.thread_time()
    ENVIRONMENT.compile(text, "bool").truth(facts)
    taken = time.thread_time() - started
    # Nine loops end within a hundred iterations, and write 20^5 numbers.
    assert taken > 0.05
    assert workload(text).steps(80, 20) > MOST_STEPS


def test_usual_rules_on_usual_rows_are_light() -> None:
    available = "s.conditions.exists(c, c.type == 'Available' && c.status == 'True')"
    for text in (
        "statuses.exists(s, has(s.data.zone))",
        f"statuses.all(s, {available})",
        f"statuses.exists(s, s.adapter == 'dns-adapter' && {available})",
        "resource.status.conditions.exists(c, c.type == 'Reconciled' && c.status == 'True')",
        "'The zone of ' + resource.name + ' is ' + string(dig(resource, 'spec.zone.name'))",
        "caller.identity.matches('^.*@example[.]com$')",
    ):
        assert 4 * workload(text).steps(20_000, 30) < LIGHT_STEPS, text


def test_the_librarys_own_budget_ends_endless_iterations() -> None:
    facts = ENVIRONMENT.facts({"resource": {"l": list(range(10_001))}, "statuses": []})
    with pytest.raises(EvaluationFailed, match="budget"):
        ENVIRONMENT.compile("resource.l.all(x, true)", "bool").truth(facts)
