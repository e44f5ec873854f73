"""`python -m bench.callers`: what tokens, access rules and tenancy cost: a service without them against one with them.

Both have the same fleet. In the second service it belongs to one tenant, beside another with a tenth as many clusters,
and every request has a token and a tenant. `--write` puts the table into docs/performance.md.
"""

import argparse
import asyncio
import contextlib
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Final

import yaml

from bench import load, report, service
from bench.scenarios import SCENARIOS
from dev import issuer

NAMES: Final = (
    "GET",
    "LIST(20), page 1",
    "LIST(100), page 1",
    "LIST(20), label, 2 % match",
    "LIST(20), condition, 2 % match",
    "create",
    "change of a spec",
    "repeated report, newer time",
)
ORG: Final = "X-Org"


def _configured(folder: Path) -> tuple[str, dict[str, str]]:
    """The path of a configuration with all three, and the headers of a caller of the large tenant."""
    issuer.write(folder / "issuer")
    tree = yaml.safe_load((folder / "issuer" / issuer.CONFIGURATION).read_text(encoding="utf-8"))
    dimensions = [{"key": "org", "header": ORG, "required": True}]
    tree["server"]["tenant"] = {"enabled": True, "dimensions": dimensions}
    file = folder / "callers.yaml"
    file.write_text(yaml.safe_dump(tree), encoding="utf-8")
    token = (folder / "issuer" / issuer.TOKEN).read_text(encoding="utf-8")
    return str(file), {"Authorization": f"Bearer {token}", ORG: "large"}


def _measured(folder: Path, given: argparse.Namespace) -> dict[str, object]:
    file, headers = _configured(folder)
    with contextlib.ExitStack() as stack:
        services = []
        for number, variables in enumerate(({}, {"HYPERFLEET_CONFIG": file, "HYPERFLEET_SERVER_JWT_ENABLED": ""})):
            place = folder / f"service-{number}"
            place.mkdir(mode=0o755)
            services.append(stack.enter_context(service.running(place, variables=variables)))
        callers: list[Mapping[str, str]] = [{}, headers]
        asyncio.run(service.fill(given.clusters // 10, services[1].url, {**headers, ORG: "small"}))
        for running, sent in zip(services, callers, strict=True):
            service.prepare(running, given.clusters, sent)
        started = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000000Z")
        rates: dict[str, list[list[float]]] = {name: [[], []] for name in NAMES if given.only in name}
        for round in range(given.rounds):
            for scenario in (each for each in SCENARIOS if each.name in rates):
                # The order alternates, so that neither side always runs on what the other has warmed up.
                for which in (0, 1) if round % 2 else (1, 0):
                    running = services[which]
                    seen = load.run(
                        running.url,
                        scenario.lua,
                        folder=running.folder,
                        round=round,
                        started=started,
                        seconds=given.seconds,
                        headers=callers[which],
                    )
                    if seen.failures:
                        raise RuntimeError(f"{scenario.name}: {seen.failures} answers were no success")
                    rates[scenario.name][which].append(seen.rate)
    return {"scenarios": [_medians(name, *both) for name, both in rates.items()]}


def _medians(name: str, without: list[float], having: list[float]) -> dict[str, object]:
    """The medians, and the median ratio of the turns: turns are short, so both run under the same conditions."""
    kept = median(one / other for one, other in zip(having, without, strict=True))
    return {"name": name, "without": median(without), "with": median(having), "kept": kept}


def main() -> None:
    """Runs the measurement; raises RuntimeError when a request failed."""
    options = argparse.ArgumentParser(prog="bench.callers", description=__doc__)
    options.add_argument("--clusters", type=int, default=5_000)
    options.add_argument("--rounds", type=int, default=12)
    options.add_argument("--seconds", type=float, default=1.5)
    options.add_argument("--only", default="", help="scenarios whose name contains this")
    options.add_argument("--write", action="store_true")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="hyperfleet-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        figures = _measured(folder, given)
    report.finish("bench.callers", figures, write=given.write)


if __name__ == "__main__":
    main()
