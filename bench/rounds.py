"""One scenario in one round: the load, and the resources that the service and the database used."""

import asyncio
import time
from dataclasses import dataclass, field

from bench import load, service
from bench.scenarios import Scenario

SETTLING_SECONDS = 0.5
"""Waits until the connections of the previous load have closed, so that their end is not counted."""


@dataclass(slots=True)
class Figures:
    """The figures of one scenario, a value for each round."""

    scenario: Scenario
    rate: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    statements: list[float] = field(default_factory=list)
    service_cpu: list[float] = field(default_factory=list)
    database_cpu: list[float] = field(default_factory=list)
    ceiling: list[float] = field(default_factory=list)
    hot: list[float] = field(default_factory=list)
    failures: int = 0

    def measure(self, running: service.Service, *, round: int, started: str, seconds: float) -> None:
        """Adds the values of a round; `hot` only where the scenario updates resources."""
        time.sleep(SETTLING_SECONDS)
        before = service.usage(running)
        rows_before, hot_before = asyncio.run(service.updates(running))
        seen = load.run(
            running.url, self.scenario.lua, folder=running.folder, round=round, started=started, seconds=seconds
        )
        after = service.usage(running)
        self.rate.append(seen.rate)
        self.p50.append(seen.p50)
        self.p99.append(seen.p99)
        self.failures += seen.failures
        self.statements.append((after.statements - before.statements) / seen.answers)
        self.service_cpu.append((after.service - before.service) / seen.answers * 1e6)
        self.database_cpu.append((after.database - before.database) / seen.answers * 1e6)
        rows, hot = asyncio.run(service.updates(running))
        if rows - rows_before > seen.answers / 2:
            self.hot.append((hot - hot_before) / (rows - rows_before))


def require_successes(measured: list[Figures]) -> None:
    """Raises SystemExit with the scenarios that had failed requests."""
    failed = [figures.scenario.name for figures in measured if figures.failures]
    if failed:
        raise SystemExit(f"bench: some requests failed in: {', '.join(failed)}")
