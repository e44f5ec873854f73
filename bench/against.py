"""Compares two checkouts in one run: rounds alternate between them, and each scenario gets a ratio.

Both use one PostgreSQL, each with its own database and the same fleet. A ratio is the median of the rounds' ratios: the
two turns of a round follow each other, so a slow moment of the machine affects both.
"""

import asyncio
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Final

from bench import report, service
from bench.rounds import Figures, require_successes
from bench.scenarios import Scenario
from hyperfleet.postgres import embedded
from testbed.sessions import execute

THIS: Final = "this"
OTHER: Final = "other"
HEAD: Final = (
    "",
    "requests/s",
    "ratio",
    "its rounds",
    "p50 ms",
    "p99 ms",
    "service CPU µs",
    "ratio",
    "database CPU µs",
    "ratio",
    "statements",
)


def interpreter(checkout: Path) -> str:
    """The Python of another checkout; raises SystemExit when the service is not installed there."""
    python = checkout.resolve() / ".venv" / "bin" / "python"
    if not python.exists():
        raise SystemExit(f"bench: the service is not installed in {checkout}; run: make -C {checkout} .venv/.run")
    return str(python)


@contextlib.contextmanager
def both(folder: Path, checkout: Path) -> Iterator[dict[str, service.Service]]:
    """Starts the services of this checkout and of the other one on one PostgreSQL; yields them by name."""
    pythons = {THIS: sys.executable, OTHER: interpreter(checkout)}
    server = embedded.start(folder / "data")
    try:
        with contextlib.ExitStack() as stack:
            services = {}
            for name, python in pythons.items():
                asyncio.run(execute(server.settings(), f'CREATE DATABASE "{name}"'))
                place = folder / name
                place.mkdir(mode=0o755)
                running = service.running(place, python=python, server=server, database=name)
                services[name] = stack.enter_context(running)
            yield services
    finally:
        embedded.stop(server)


def measure(
    services: dict[str, service.Service], scenarios: list[Scenario], *, rounds: int, seconds: float, started: str
) -> list[list[str]]:
    """The rows of the table; raises SystemExit when a request failed."""
    measured = {name: [Figures(scenario) for scenario in scenarios] for name in services}
    for round in range(rounds):
        for number, scenario in enumerate(scenarios):
            # The order alternates, so that neither side always runs on what the other has warmed up.
            turns = list(services)[:: 1 if round % 2 else -1]
            for name in turns:
                measured[name][number].measure(services[name], round=round, started=started, seconds=seconds)
            rates = ", ".join(f"{name} {measured[name][number].rate[-1]:,.0f}/s" for name in services)
            print(f"round {round + 1}: {scenario.name}: {rates}", flush=True)
    for figures in measured.values():
        require_successes(figures)
    return [row(other, this) for other, this in zip(measured[OTHER], measured[THIS], strict=True)]


def row(other: Figures, this: Figures) -> list[str]:
    """The cells of a scenario: medians as `other → this`, ratios as `this ÷ other`."""
    rates = _ratios(other.rate, this.rate)
    return [
        this.scenario.name,
        _medians(other.rate, this.rate, ",.0f"),
        f"{median(rates):.2f}",
        f"{min(rates):.2f}–{max(rates):.2f}",
        _medians(other.p50, this.p50, ".1f"),
        _medians(other.p99, this.p99, ".1f"),
        _medians(other.service_cpu, this.service_cpu, ".0f"),
        f"{median(_ratios(other.service_cpu, this.service_cpu)):.2f}",
        _medians(other.database_cpu, this.database_cpu, ".0f"),
        f"{median(_ratios(other.database_cpu, this.database_cpu)):.2f}",
        _medians(other.statements, this.statements, ".2f"),
    ]


def _medians(other: list[float], this: list[float], format: str) -> str:
    return f"{median(other):{format}} → {median(this):{format}}"


def _ratios(other: list[float], this: list[float]) -> list[float]:
    return [mine / theirs for mine, theirs in zip(this, other, strict=True)]


def lines(rows: list[list[str]], checkout: Path, *, clusters: int, rounds: int, seconds: float) -> list[str]:
    """The table, with a line that says what was compared."""
    return [
        *report.table(rows, HEAD),
        "",
        f"{checkout} → this checkout; ratios are this ÷ the other. {clusters:,} clusters each, {rounds} rounds of"
        f" {seconds:.0f} s a turn.",
    ]
