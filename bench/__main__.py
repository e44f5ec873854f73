"""`python -m bench`: runs every scenario in interleaved rounds and prints a table of medians.

`--clusters`, `--rounds`, `--seconds` size the run; `--write` puts the table into docs/performance.md.
"""

import argparse
import asyncio
import random
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from bench import ceilings, load, report, service
from bench.scenarios import SCENARIOS, Scenario


@dataclass(slots=True)
class Figures:
    """What the rounds of one scenario gave, a value a round."""

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

    def row(self) -> list[str]:
        """The medians, as cells."""
        ceiling = median(self.ceiling) if self.ceiling else None
        rate = median(self.rate)
        return [
            self.scenario.name,
            f"{rate:,.0f}",
            f"{median(self.p50):.1f}",
            f"{median(self.p99):.1f}",
            f"{median(self.statements):.2f}",
            f"{median(self.service_cpu):.0f}",
            f"{median(self.database_cpu):.0f}",
            f"{median(self.hot):.0%}" if self.hot else "–",
            f"{ceiling:,.0f}" if ceiling else "–",
            f"{rate / ceiling:.0%}" if ceiling else "–",
        ]


def main() -> None:
    """Runs the benchmark; raises SystemExit when an answer was no success."""
    options = argparse.ArgumentParser(prog="bench", description=__doc__)
    options.add_argument("--clusters", type=int, default=10_000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=float, default=4)
    options.add_argument("--only", default="", help="scenarios whose name contains this")
    options.add_argument("--write", action="store_true")
    given = options.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("bench: wrk is missing; on Debian and Ubuntu: apt install wrk")
    with tempfile.TemporaryDirectory(prefix="hyperfleet-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with service.running(folder) as running:
            lines = _measure(running, given)
    print("\n".join(lines))
    if given.write:
        report.write(lines, "bench")


def _measure(running: service.Service, given: argparse.Namespace) -> list[str]:
    ids, fresh = asyncio.run(service.fill(given.clusters))
    (running.folder / "ids").write_text("\n".join(ids))
    (running.folder / "fresh").write_text("\n".join(fresh))
    service.dump(running.folder / "spec", service.spec(random.Random(2)))
    asyncio.run(service.execute(running, ceilings.NUMBERS))
    asyncio.run(service.execute(running, "VACUUM ANALYZE"))
    samples = asyncio.run(service.samples(running))
    started = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000000Z")
    all_figures = [Figures(scenario) for scenario in SCENARIOS if given.only in scenario.name]
    for round in range(given.rounds):
        for figures in all_figures:
            # Connections of the ceiling before are counted once they are gone, not while they go.
            time.sleep(0.5)
            before = service.usage(running)
            updated = asyncio.run(service.updates(running))
            seen = load.run(
                service.API,
                figures.scenario.lua,
                folder=running.folder,
                round=round,
                started=started,
                seconds=given.seconds,
            )
            after = service.usage(running)
            figures.rate.append(seen.rate)
            figures.p50.append(seen.p50)
            figures.p99.append(seen.p99)
            figures.failures += seen.failures
            figures.statements.append((after.statements - before.statements) / seen.answers)
            figures.service_cpu.append((after.service - before.service) / seen.answers * 1e6)
            figures.database_cpu.append((after.database - before.database) / seen.answers * 1e6)
            now = asyncio.run(service.updates(running))
            rows, hot = now[0] - updated[0], now[1] - updated[1]
            if rows > seen.answers / 2:
                figures.hot.append(hot / rows)
            ceiling = ceilings.run(
                running.server, figures.scenario, samples, clusters=given.clusters, seconds=given.seconds
            )
            if ceiling is not None:
                figures.ceiling.append(ceiling)
            print(
                f"round {round + 1}: {figures.scenario.name}: {seen.rate:,.0f}/s, {seen.failures} failures", flush=True
            )
    failed = [figures.scenario.name for figures in all_figures if figures.failures]
    if failed:
        raise SystemExit(f"bench: answers that were no success in: {', '.join(failed)}")
    return [
        *report.table([figures.row() for figures in all_figures]),
        "",
        f"A worker's memory: {service.worker_memory(running):.0f} MB. {given.clusters:,} clusters, {given.rounds}"
        f" rounds of {given.seconds:.0f} s, {load.CONNECTIONS} connections.",
    ]


if __name__ == "__main__":
    main()
