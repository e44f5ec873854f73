"""Rules and schemas on large values: an evaluation that takes too much is stopped, and affects no others."""

import asyncio
import json
import os
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest

from hyperfleet.errors import DeadlineExceeded, FieldError
from hyperfleet.model.kind import Kind
from hyperfleet.model.rules.mapping import Answer, ConditionRule, Failure, Mapped, Question
from hyperfleet.services import assessing, checking, confining
from hyperfleet.services.confining import Program
from hyperfleet.store.database import DEADLINE
from tests.schemas import schema_of

COSTLY: Final = "resource.spec.zones.all(z, statuses.exists(s, !toJson(s.data).contains(z)))"
"""For each zone it writes the data of each report anew."""

DOUBLING: Final = "['ab']" + ".map(x, x + x)" * 28 + ".size() > 0"
FIRST: Final = ConditionRule("First", "true", "true", "'r'", "'m'")
LAST: Final = replace(FIRST, type="Last")
DATA: Final = {"rows": [{"key": number, "value": "v" * 40} for number in range(4000)]}
"""250 KB."""


def question(when: str, zones: int, data: Any = DATA) -> Question:
    resource = {"spec": {"zones": [f"zone-{number}" for number in range(zones)]}, "resource_version": "1"}
    report = {"adapter": "dns", "observed_generation": 1, "conditions": [], "data": data}
    rules = (FIRST, replace(FIRST, type="Costly", when=when), LAST)
    return Question(rules, json.dumps(resource).encode(), (json.dumps(report).encode(),))


Made = TypeVar("Made")


def run(work: Callable[[], Awaitable[Made]]) -> Made:
    async def whole() -> Made:
        try:
            return await work()
        finally:
            confining.stop()

    return asyncio.run(whole())


def answers(asked: Question) -> list[Answer]:
    return run(lambda: assessing._answers(asked))


def thing(schema: dict[str, Any]) -> Kind:
    """A kind whose spec has a member `a` of this schema."""
    return Kind("Thing", "things", "thing", spec_schema=schema_of(schema))


def faults(kind: Kind, spec: Any) -> list[FieldError]:
    return run(lambda: checking.faults(kind, spec, size=len(json.dumps(spec))))


@pytest.mark.parametrize(
    ("when", "zones"), [(COSTLY, 1000), (COSTLY, 5000), (DOUBLING, 1)], ids=["1000", "5000", "doubling"]
)
def test_a_rule_that_takes_too_much_is_stopped_and_named(when: str, zones: int) -> None:
    before = _peak_of_this_process()
    first, costly, last = answers(question(when, zones))
    assert first == Mapped("First", "True", "r", "m")
    assert isinstance(costly, Failure)
    assert costly.type == "Costly"
    assert "takes more than" in costly.reason
    assert last == Failure("Last", "the preceding rule Costly exceeded the limit")
    assert _peak_of_this_process() < before + (32 << 10)


def _peak_of_this_process() -> int:
    """In KiB."""
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])


def test_a_large_row_has_its_mapped_conditions_like_any_other() -> None:
    assert answers(question("statuses.exists(s, s.data.rows.size() == 4000)", 1000)) == [
        Mapped("First", "True", "r", "m"),
        Mapped("Costly", "True", "r", "m"),
        Mapped("Last", "True", "r", "m"),
    ]
    assert answers(question("resource.spec.zones.size() == 3", 1000))[1] is None


def test_a_rule_that_fails_on_a_large_row_says_why() -> None:
    failed = answers(question("statuses.exists(s, s.data.missing == 1)", 10))[1]
    assert isinstance(failed, Failure)
    assert "missing" in failed.reason


def test_a_small_row_is_evaluated_without_another_process() -> None:
    async def work() -> bool:
        await assessing._answers(question("statuses.exists(s, has(s.data.zone))", 10, {"zone": 1}))
        return confining._of_this_loop()._process is None

    assert run(work)


def test_nobody_waits_while_a_rule_is_stopped() -> None:
    async def work() -> float:
        worst = 0.0

        async def tick() -> None:
            nonlocal worst
            while True:
                started = time.thread_time()
                await asyncio.sleep(0.001)
                worst = max(worst, time.thread_time() - started)

        ticking = asyncio.create_task(tick())
        await assessing._answers(question(COSTLY, 5000))
        ticking.cancel()
        return worst

    # Processor time of the event loop between two ticks, so that a busy machine does not count.
    assert run(work) < 0.1


def test_after_a_stopped_rule_the_next_rule_is_evaluated() -> None:
    async def work() -> list[Answer]:
        await assessing._answers(question(COSTLY, 1000))
        return await assessing._answers(question("true", 1000))

    assert run(work)[1] == Mapped("Costly", "True", "r", "m")


def test_a_child_that_was_killed_is_replaced() -> None:
    async def work() -> list[Answer]:
        await assessing._answers(question("true", 1000))
        process = confining._of_this_loop()._process
        assert process is not None
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        return await assessing._answers(question("true", 1000))

    assert run(work)[1] == Mapped("Costly", "True", "r", "m")


def test_the_child_ends_with_its_loop() -> None:
    async def work() -> int:
        await assessing._answers(question("true", 1000))
        process = confining._of_this_loop()._process
        assert process is not None
        return process.pid

    pid = run(work)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_waiting_for_a_turn_ends_at_the_requests_deadline() -> None:
    async def work() -> None:
        first = asyncio.create_task(assessing._answers(question(COSTLY, 5000)))
        await asyncio.sleep(0)
        DEADLINE.set(asyncio.get_running_loop().time() + 0.05)
        with pytest.raises(DeadlineExceeded, match="this body takes long to validate"):
            await assessing._answers(question("true", 1000))
        await first

    run(work)


def test_an_abandoned_request_leaves_a_child_that_serves_the_next() -> None:
    async def work() -> list[Answer]:
        first = asyncio.create_task(assessing._answers(question(COSTLY, 5000)))
        await asyncio.sleep(0.2)
        first.cancel()
        await asyncio.wait([first])
        return await assessing._answers(question("true", 1000))

    assert run(work)[0] == Mapped("First", "True", "r", "m")


def test_a_request_abandoned_while_a_child_starts_leaves_no_child_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []
    launch = subprocess.Popen

    def slow(*words: Any, **options: Any) -> "subprocess.Popen[bytes]":
        if not started:
            time.sleep(0.5)
        started.append(launch(*words, **options))
        return started[-1]

    async def work() -> tuple[list[Answer], int]:
        monkeypatch.setattr(subprocess, "Popen", slow)
        first = asyncio.create_task(assessing._answers(question(COSTLY, 1000)))
        await asyncio.sleep(0.2)
        first.cancel()
        await asyncio.wait([first])
        answered = await assessing._answers(question("true", 1000))
        await asyncio.sleep(0.7)
        assert len(started) == 2
        return answered, sum(child.poll() is None for child in started)

    answered, alive = run(work)
    assert answered[0] == Mapped("First", "True", "r", "m")
    assert alive == 1
    assert all(child.poll() is not None for child in started)


def test_a_request_over_many_costly_rows_stops_after_a_few() -> None:
    async def work() -> list[str]:
        reasons = []
        for request in (1, 2):
            DEADLINE.set(asyncio.get_running_loop().time() + 60 * request)
            for _ in range(assessing.MOST_OVERRUNS + 2 if request == 1 else 1):
                failed = (await assessing._within_the_request(question(COSTLY, 5000)))[1]
                assert isinstance(failed, Failure)
                reasons.append(failed.reason)
            # Rows that are known to be quick are still evaluated.
            assert (await assessing._within_the_request(question("true", 1, {})))[0] == Mapped(
                "First", "True", "r", "m"
            )
        return reasons

    reasons = run(work)
    assert ["takes more than" in reason for reason in reasons] == [True, True, True, False, False, True]
    assert reasons[3] == "rules on other resources of this request exceeded the limit"


def test_a_task_gets_no_more_memory_than_its_limit() -> None:
    rules = (replace(FIRST, when=DOUBLING),)
    program = Program("conditions", rules, rules)
    value = json.dumps([{"a": 1}, []]).encode()

    async def work() -> str:
        with pytest.raises(confining.Overrun) as overrun:
            await confining.run(program, value, seconds=30)
        return overrun.value.limit

    assert run(work) == "memory"


def test_a_check_of_a_spec_that_takes_too_long_is_stopped() -> None:
    kind = thing({"type": "string", "pattern": r"\p{L}{1,180}\d"})
    [fault] = faults(kind, {"a": "é" * 500_000})
    assert (fault.code, fault.field) == ("VAL-000", "spec")
    taken = "takes more than 1 s of CPU time to validate against the schema of things"
    assert fault.message == f"`spec` {taken}; shorten its strings and lists"


def test_choices_that_are_objects_are_limited_as_well() -> None:
    choices = [{"v": number, "k": [1, 2, 3]} for number in range(3000)]
    kind = thing({"type": "array", "items": {"enum": choices}})
    [fault] = faults(kind, {"a": [choices[-1]] * 20_000})
    assert "CPU time" in fault.message


def test_a_large_spec_has_the_same_errors_as_a_small_one() -> None:
    kind = thing({"type": "array", "items": {"type": "string", "maxLength": 3}})
    assert faults(kind, {"a": ["abc"] * 200_000}) == []
    small, large = faults(kind, {"a": [1, "abcd"]}), faults(kind, {"a": [1, "abcd", *["abc"] * 200_000]})
    assert small == large
    assert [fault.field for fault in small] == ["spec.a[0]", "spec.a[1]"]


def test_a_small_spec_is_checked_without_another_process() -> None:
    async def work() -> bool:
        await checking.faults(thing({"type": "string"}), {"a": "b"}, size=9)
        return confining._of_this_loop()._process is None

    assert run(work)
