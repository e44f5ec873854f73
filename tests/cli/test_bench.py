"""The benchmark's own statements: each ceiling is that of the statements as they are, on a fleet as it is filled."""

import asyncio

from bench import ceilings, service
from bench.scenarios import SCENARIOS
from tests.cli.serving import folder

CLUSTERS = 60
BEYOND_THE_BENCHMARKS_OWN_PORTS = 1500
"""Below those that the system gives to whoever asks for any."""


def test_every_ceiling_can_be_measured() -> None:
    with folder() as place, service.running(place, BEYOND_THE_BENCHMARKS_OWN_PORTS) as running:
        asyncio.run(service.fill(CLUSTERS, running.url))
        asyncio.run(service.execute(running, ceilings.NUMBERS))
        samples = asyncio.run(service.samples(running))
        for scenario in (each for each in SCENARIOS if each.listing or each.ceiling):
            rate = ceilings.run(running.server, scenario, samples, clusters=CLUSTERS, seconds=1)
            assert rate is not None, scenario.name
            assert rate > 0, scenario.name
