"""`python -m bench`: runs every scenario in interleaved rounds and prints a table of medians.

`--clusters`, `--rounds`, `--seconds` size the run; `--write` puts the table into docs/performance.md. `--against PATH`
compares this checkout with another one: the rounds alternate between the two.
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
    """Runs the benchmark; raises SystemExit when an answer was not a success."""
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
    if given.against and given.write:
        raise SystemExit("bench: --write stores the figures of this checkout alone; leave out --against")
    scenarios = [scenario for scenario in SCENARIOS if given.only in scenario.name]
    started = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000000Z")
    with tempfile.TemporaryDirectory(prefix="hyperfleet-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        if given.against:
            lines = _compared(folder, scenarios, started, given)
        else:
            with service.running(folder) as running:
                lines = _measured(running, scenarios, started, given)
    print("\n".join(lines))
    if given.write:
        report.write(lines, "bench")


def _compared(folder: Path, scenarios: list[Scenario], started: str, given: argparse.Namespace) -> list[str]:
    with against.both(folder, given.against) as services:
        for running in services.values():
            service.prepare(running, given.clusters)
        rows = against.measure(services, scenarios, rounds=given.rounds, seconds=given.seconds, started=started)
    return against.lines(rows, given.against, clusters=given.clusters, rounds=given.rounds, seconds=given.seconds)


def _measured(
    running: service.Service, scenarios: list[Scenario], started: str, given: argparse.Namespace
) -> list[str]:
    service.prepare(running, given.clusters)
    asyncio.run(service.execute(running, ceilings.NUMBERS))
    samples = asyncio.run(service.samples(running))
    measured = [Figures(scenario) for scenario in scenarios]
    for round in range(given.rounds):
        for figures in measured:
            figures.measure(running, round=round, started=started, seconds=given.seconds)
            ceiling = ceilings.run(
                running.server, figures.scenario, samples, clusters=given.clusters, seconds=given.seconds
            )
            if ceiling is not None:
                figures.ceiling.append(ceiling)
            print(f"round {round + 1}: {figures.scenario.name}: {figures.rate[-1]:,.0f}/s", flush=True)
    require_successes(measured)
    return [
        *report.table([_row(figures) for figures in measured]),
        "",
        f"A worker's memory: {service.worker_memory(running):.0f} MB. {given.clusters:,} clusters, {given.rounds}"
        f" rounds of {given.seconds:.0f} s, {load.CONNECTIONS} connections.",
    ]


def _row(figures: Figures) -> list[str]:
    """The medians, as cells."""
    ceiling = median(figures.ceiling) if figures.ceiling else None
    rate = median(figures.rate)
    return [
        figures.scenario.name,
        f"{rate:,.0f}",
        f"{median(figures.p50):.1f}",
        f"{median(figures.p99):.1f}",
        f"{median(figures.statements):.2f}",
        f"{median(figures.service_cpu):.0f}",
        f"{median(figures.database_cpu):.0f}",
        f"{median(figures.hot):.0%}" if figures.hot else "–",
        f"{ceiling:,.0f}" if ceiling else "–",
        f"{rate / ceiling:.0%}" if ceiling else "–",
    ]


if __name__ == "__main__":
    main()
