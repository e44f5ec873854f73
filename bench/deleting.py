"""`python -m bench.deleting`: times deletions: clusters with 40 node pools, the last `Finalized`, a very large tree.

Clusters and node pools require an adapter each, so a deletion goes through all its steps. `--write` puts the tables
into docs/performance.md.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final

import httpx2

from bench import report, service

KINDS: Final = """\
entities:
  - {kind: Cluster, required_adapters: [dns]}
  - {kind: NodePool, required_adapters: [machines]}
"""
POOLS: Final = 40
AT_ONCE: Final = 8
_ROOT: Final = "/api/hyperfleet/v1/clusters"
Client = httpx2.AsyncClient


async def _each(work: Iterable[Callable[[], Awaitable[float]]], most: int) -> list[float]:
    """Runs all the work, at most `most` parts at once; returns the seconds that each part took."""
    slots = asyncio.Semaphore(most)

    async def one(part: Callable[[], Awaitable[float]]) -> float:
        async with slots:
            return await part()

    return await asyncio.gather(*(one(part) for part in work))


async def _sent(client: Client, method: str, path: str, body: Any = None, *, expected: Sequence[int]) -> float:
    started = time.perf_counter()
    answer = await client.request(method, path, json=body)
    if answer.status_code not in expected:
        raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
    return time.perf_counter() - started


def _finalized(adapter: str) -> dict[str, Any]:
    return {
        "adapter": adapter,
        "observed_generation": 2,
        "conditions": [{"type": "Finalized", "status": "True"}, {"type": "Available", "status": "False"}],
    }


async def _tree(client: Client, name: str, pools: int) -> tuple[str, list[str]]:
    """Creates a cluster with this many node pools; returns its path and the paths of the node pools."""
    made = await client.post(_ROOT, json={"name": name, "spec": {"nodes": 3}})
    cluster = f"{_ROOT}/{made.raise_for_status().json()['id']}"
    paths: list[str] = []

    async def pool(number: int) -> float:
        answer = await client.post(f"{cluster}/nodepools", json={"name": f"pool-{number}", "spec": {"replicas": 3}})
        paths.append(f"{cluster}/nodepools/{answer.raise_for_status().json()['id']}")
        return 0.0

    await _each([lambda number=number: pool(number) for number in range(pools)], 32)  # type: ignore[misc]
    return cluster, paths


async def _measured(running: service.Service, trees: int, large: int) -> dict[str, object]:
    limits = httpx2.Limits(max_connections=64, max_keepalive_connections=64)
    async with Client(base_url=running.url, limits=limits, timeout=120) as client:
        made = [await _tree(client, f"cluster-{number}", POOLS) for number in range(trees)]
        await service.execute(running, "VACUUM ANALYZE")
        small: dict[str, list[float]] = {}
        small[f"DELETE of a cluster with {POOLS} node pools"] = await _each(
            [lambda path=path: _sent(client, "DELETE", path, expected=[202]) for path, _ in made],  # type: ignore[misc]
            AT_ONCE,
        )
        pools = [path for _, paths in made for path in paths]
        small["last Finalized of a node pool, removed below its cluster"] = await _each(
            [
                lambda path=path: _sent(client, "POST", f"{path}/statuses", _finalized("machines"), expected=[201])  # type: ignore[misc]
                for path in pools
            ],
            AT_ONCE,
        )
        small["last Finalized of a cluster, removed"] = await _each(
            [
                lambda path=path: _sent(client, "POST", f"{path}/statuses", _finalized("dns"), expected=[201])  # type: ignore[misc]
                for path, _ in made
            ],
            AT_ONCE,
        )
        whole: list[dict[str, object]] = []
        cluster, _ = await _tree(client, "large", large)
        # Autovacuum does this within a minute. Plans made while the tables were tiny read them completely for each row.
        await service.execute(running, "VACUUM ANALYZE")
        seconds = await _sent(client, "DELETE", cluster, expected=[202])
        whole.append({"name": f"DELETE of a cluster with {large:,} node pools", "seconds": seconds})
        forced = {"reason": "benchmark"}
        seconds = await _sent(client, "POST", f"{cluster}/force-delete", forced, expected=[204])
        whole.append({"name": "force-delete of it", "seconds": seconds})
    return {"at_once": AT_ONCE, "small": [_quantiles(name, taken) for name, taken in small.items()], "large": whole}


def _quantiles(name: str, seconds: list[float]) -> dict[str, object]:
    milliseconds = [each * 1000 for each in seconds]
    p99 = quantiles(milliseconds, n=100)[98]
    return {"name": name, "p50": median(milliseconds), "p99": p99, "requests": len(seconds)}


def main() -> None:
    """Runs the measurement; raises RuntimeError when a request failed."""
    options = argparse.ArgumentParser(prog="bench.deleting", description=__doc__)
    options.add_argument("--trees", type=int, default=50)
    options.add_argument("--large", type=int, default=10_000)
    options.add_argument("--write", action="store_true")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="hyperfleet-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "kinds.yaml").write_text(KINDS, encoding="utf-8")
        with service.running(folder, variables={"HYPERFLEET_CONFIG": str(folder / "kinds.yaml")}) as running:
            figures = asyncio.run(_measured(running, given.trees, given.large))
    report.finish("bench.deleting", figures, write=given.write)


if __name__ == "__main__":
    main()
