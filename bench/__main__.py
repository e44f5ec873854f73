"""`python -m bench`: runs every scenario in interleaved rounds and prints a table of medians.

`--clusters`, `--rounds`, `--seconds` size the run; `--write` stores the figures and writes docs/performance.md.
`--against PATH` compares this checkout with another one: the rounds alternate between the two.
"""

import argparse
import asyncio
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from bench import against, ceilings, load, report, service
from bench.rounds import Figures, require_successes
from bench.scenarios import SCENARIOS, Scenario


def main() -> None:
    """Runs the benchmark; raises SystemExit when a request failed."""
    options = argparse.ArgumentParser(prog="bench", description=__doc__)
    options.add_argument("--clusters", type=int, default=10_000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=float, default=4)
    options.add_argument("--only", default="", help="scenarios whose name contains this")
    options.add_argument("--write", action="store_true")
    options.add_argument("--against", type=Path, help="another checkout, with its .venv, to compare this one with")
    given = options.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("bench: wrk is missing; on Debian and Ubuntu: apt install wrk")
    if given.write and (given.against or given.only):
        raise SystemExit("bench: --write stores the figures of every scenario here; leave out --against and --only")
    scenarios = [scenario for scenario in SCENARIOS if given.only in scenario.name]
    started = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000000Z")
    with tempfile.TemporaryDirectory(prefix="hyperfleet-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        if given.against:
            print("\n".join(_compared(folder, scenarios, started, given)))
            return
        with service.running(folder) as running:
            service.prepare(running, given.clusters)
            figures = measured(
                running, scenarios, clusters=given.clusters, rounds=given.rounds, seconds=given.seconds, started=started
            )
    report.finish("bench", figures, write=given.write)


def _compared(folder: Path, scenarios: list[Scenario], started: str, given: argparse.Namespace) -> list[str]:
    with against.both(folder, given.against) as services:
        for running in services.values():
            service.prepare(running, given.clusters)
        rows = against.measure(services, scenarios, rounds=given.rounds, seconds=given.seconds, started=started)
    return against.lines(rows, given.against, clusters=given.clusters, rounds=given.rounds, seconds=given.seconds)


def measured(
    running: service.Service, scenarios: list[Scenario], *, clusters: int, rounds: int, seconds: float, started: str
) -> dict[str, object]:
    """The figures of a service with this many clusters, as stored; raises SystemExit when a request failed."""
    asyncio.run(service.execute(running, ceilings.NUMBERS))
    samples = asyncio.run(service.samples(running))
    every = [Figures(scenario) for scenario in scenarios]
    for round in range(rounds):
        for figures in every:
            figures.measure(running, round=round, started=started, seconds=seconds)
            ceiling = ceilings.run(running, figures.scenario, samples, clusters=clusters, seconds=seconds)
            if ceiling is not None:
                figures.ceiling.append(ceiling)
            print(f"round {round + 1}: {figures.scenario.name}: {figures.rate[-1]:,.0f}/s", flush=True)
    require_successes(every)
    return {
        "scenarios": [_medians(figures) for figures in every],
        "worker_memory": service.worker_memory(running),
        "clusters": clusters,
        "rounds": rounds,
        "seconds": seconds,
        "connections": load.CONNECTIONS,
    }


def _medians(figures: Figures) -> dict[str, object]:
    """The stored figures of a scenario; `hot` and `ceiling` are None where the scenario has none."""
    return {
        "name": figures.scenario.name,
        "rate": median(figures.rate),
        "p50": median(figures.p50),
        "p99": median(figures.p99),
        "statements": median(figures.statements),
        "service_cpu": median(figures.service_cpu),
        "database_cpu": median(figures.database_cpu),
        "hot": median(figures.hot) if figures.hot else None,
        "ceiling": median(figures.ceiling) if figures.ceiling else None,
    }


if __name__ == "__main__":
    main()
