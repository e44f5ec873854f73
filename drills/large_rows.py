"""Lists resources of a megabyte in pages of a thousand: each must appear exactly once, in bounded worker memory."""

import contextlib
import http.client
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

from drills.crowds import Probes
from drills.readers import PATIENCE_SECONDS, Memory, Walk, by_number, by_token, fill, page
from testbed.calls import CLUSTERS
from testbed.serving import Service

HEAD = ("walk", "rows", "pages", "largest page MB", "seconds", "largest worker MB", "reads beside it", "p99 ms")
ROWS: Final = 400
ROW_BYTES: Final = 1_000_000
TOGETHER: Final = 6
MOST_MB: Final = 400.0
MOST_SECONDS: Final = 1.0
WALKS: Final[tuple[tuple[str, Callable[[int, str], Walk], str, int], ...]] = (
    ("by token", by_token, "pageSize=1000&count=none", 1),
    ("by number, as told", by_number, "pageSize={largest}", 1),
    (f"{TOGETHER} by token at once", by_token, "pageSize=1000", TOGETHER),
    ("names only, by token", by_token, "pageSize=1000&fields=name", 1),
)


def drill(folder: Path) -> list[list[str]]:
    """A row for each walk; raises AssertionError for a missed or repeated resource, slow reads, or too much memory."""
    service = Service(folder, HYPERFLEET_SERVER_WORKERS="2").start()
    rows = []
    wrong = []
    try:
        service.ready()
        ids = fill(service.api, ROWS, ROW_BYTES)
        small = fill(service.api, 1, 100, name="small")
        largest = _largest(service.api)
        for name, walk, query, together in WALKS:
            memory = Memory(service)
            probes = Probes(service.api, f"{CLUSTERS}/{small[0]}")
            with ThreadPoolExecutor(together) as pool:
                walks = list(pool.map(partial(walk, service.api), [query.format(largest=largest)] * together))
            probes.end()
            most = memory.end()
            p99 = sorted(probes.seconds)[len(probes.seconds) * 99 // 100]
            rows.append(_row(name, walks, most, probes, p99))
            seen = all(len(each.names) == len(set(each.names)) == len(ids) + len(small) for each in walks)
            if not seen or most > MOST_MB or probes.failed or p99 > MOST_SECONDS:
                wrong.append(name)
    finally:
        service.stop()
    assert not wrong, (wrong, rows)
    return rows


def _largest(port: int) -> int:
    """The largest `pageSize`, from the error for a too large page by number."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)) as connection:
        status, body = page(connection, "pageSize=1000&page=1")
    problem = json.loads(body)
    assert status == 400, problem
    return int(problem["errors"][0]["constraint"].rpartition(" ")[2])


def _row(name: str, walks: list[Walk], most: float, probes: Probes, p99: float) -> list[str]:
    return [
        name,
        f"{sum(len(each.names) for each in walks):,}",
        f"{sum(each.pages for each in walks):,}",
        f"{max(each.largest for each in walks) / 1e6:.1f}",
        f"{max(each.seconds for each in walks):.1f}",
        f"{most:.0f}",
        f"{len(probes.seconds):,}",
        f"{p99 * 1000:.0f}",
    ]
