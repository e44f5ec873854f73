"""Every expression of alerts and dashboard, evaluated by Prometheus on what a running service tells.

The service has seen everything; then every expression, its threshold taken away, has a value. One without would never
alert and never show anything.
"""

import re
from collections.abc import Iterator
from typing import Final

import pytest

from testbed.waiting import eventually
from tests.chart.expressions import expressions
from tests.chart.watching import PROMETHEUS, values, watched

pytestmark = pytest.mark.skipif(PROMETHEUS is None, reason="needs the program prometheus")
THRESHOLD: Final = re.compile(r"\s(?:==|>|<)\s[\d.]+")
NOBODY_IS_DOWN: Final = "HyperFleetDown"
"""The only expression that has no value while everything is well."""


@pytest.fixture(scope="module")
def prometheus() -> Iterator[str]:
    """Prometheus, which has watched a service for a while; its address."""
    with watched(8) as address:
        yield address


@pytest.mark.parametrize("name", expressions())
def test_every_expression_has_a_value_on_a_service_that_has_seen_everything(prometheus: str, name: str) -> None:
    expression = expressions()[name]
    if name == NOBODY_IS_DOWN:
        assert values(prometheus, expression) == []
        assert len(values(prometheus, expression.replace("hyperfleet-api", "another-job"))) == 1
        return
    without = THRESHOLD.sub("", expression)
    eventually(lambda: bool(values(prometheus, without)), f"{without} has a value", 20)
    # The threshold keeps some of these series, or none of them, and is itself no mistake.
    assert len(values(prometheus, expression)) <= len(values(prometheus, without))
