"""`python -m bench.large`: measures lists in a large fleet, beside the same lists in a fleet of ten thousand clusters.

The rows are copies of one that the service created, with different labels, conditions and times. The statements are the
service's own; they are timed at the store, one after another.
"""

import argparse
import asyncio
import random
import tempfile
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, Final

import msgspec

from bench import report, service
from hyperfleet.model.search.parser import parse
from hyperfleet.model.status.report import Report
from hyperfleet.postgres import embedded
from hyperfleet.store import migrations
from hyperfleet.store.clauses.filters import Filter
from hyperfleet.store.database import Database, Statement
from hyperfleet.store.lists import pages
from hyperfleet.store.lists.pages import Listing
from testbed.fleet import CLUSTERS, create, send
from testbed.fleet import report as reported

SMALL: Final = 10_000
LABEL: Final = "labels.shard = 's7'"
CONDITION: Final = "status.conditions.Reconciled = 'False'"
BOTH: Final = f"{LABEL} and {CONDITION}"

# The label and the condition match 2 % each and share 1 % of the fleet, so that a search for both has matches.
_COPIES: Final = """
    INSERT INTO resources (id, created_time, updated_time, last_updated_time, last_transition_time, generation,
        observed_generation, kind, name, href, created_by, updated_by, phase, rules, labels, condition_status,
        conditions, status, spec, envelope)
    SELECT made.id, made.time, made.time, made.time, made.time, 1, 1, kind, 'copy-' || n, href, created_by, updated_by,
        phase, rules, labels || jsonb_build_object('shard', 's' || n % 50),
        condition_status || jsonb_build_object('Reconciled', CASE WHEN (n / 2) % 50 = 3 THEN 'False' ELSE 'True' END),
        conditions, status, spec, replace(envelope::text, resources.id::text, made.id::text)::json
    FROM resources
    CROSS JOIN generate_series($1::int, $2::int) AS n
    CROSS JOIN LATERAL (
        SELECT uuidv7(make_interval(secs => n)) AS id, now() + make_interval(secs => n) AS time
    ) AS made
    WHERE name = 'sample'
"""


async def _grow(db: Database, first: int, last: int) -> None:
    """Adds copies up to a number, in steps that stay within a statement's deadline."""
    for start in range(first, last, 20_000):
        await db.fetch(Statement("COPIES", _COPIES), start, min(start + 20_000, last) - 1)
    await db.fetch(Statement("LIMIT", "SET statement_timeout = 0"))
    await db.fetch(Statement("VACUUM", "VACUUM ANALYZE resources"))


def _report(number: int) -> Report:
    return reported(f"adapter-{number}", at=number, Available="True", Applied="True", Health="True")


class _Page(msgspec.Struct):
    """The members of a page that are read; its items are skipped."""

    size: int
    next_page_token: str | None = None


async def _page(db: Database, **parts: Any) -> _Page:
    if "search" in parts:
        text = parts.pop("search")
        parts["filters"] = (Filter("search", parse(text), text),)
    return msgspec.json.decode(await pages.page(db, CLUSTERS, Listing(**parts)), type=_Page)


async def _milliseconds(work: Callable[[], Awaitable[object]]) -> float:
    times = []
    for _ in range(15):
        started = perf_counter()
        await work()
        times.append(perf_counter() - started)
    return median(times) * 1000


async def _measured(db: Database, rows: int) -> list[float]:
    middle = await _page(db, size=1000, page=rows // 2000, count=False)
    lists: list[dict[str, Any]] = [
        {"size": 100},
        {"size": 100, "page": None, "page_token": middle.next_page_token},
        *(
            {"size": 100, "search": text, "count": counted}
            for text in (LABEL, CONDITION, BOTH)
            for counted in (False, True)
        ),
    ]
    figures = [await _milliseconds(partial(_page, db, **listed)) for listed in lists]
    started = perf_counter()
    step = await _page(db, size=1000, count=False)
    seen = step.size
    while step.next_page_token is not None:
        step = await _page(db, size=1000, page=None, page_token=step.next_page_token)
        seen += step.size
    assert seen >= rows
    return [*figures, seen / (perf_counter() - started)]


_NAMES: Final = (
    "LIST(100), page 1, exact total",
    "LIST(100) by page token, in the middle",
    "label, 2 % match, no total",
    "label, 2 % match, exact total",
    "condition, 2 % match, no total",
    "condition, 2 % match, exact total",
    "label and condition, no total",
    "label and condition, exact total",
    "walk over everything, resources/s",
)


async def _run(server: embedded.Server, rows: int) -> dict[str, object]:
    db = Database(server.settings())
    await db.open()
    chance = random.Random(1)
    sample = await create(db, "sample", spec=service.spec(chance), labels={"env": "production", "team": "platform"})
    for number in range(service.ADAPTERS):
        await send(db, sample["id"], _report(number))
    await _grow(db, 1, SMALL)
    small = await _measured(db, SMALL)
    await _grow(db, SMALL, rows)
    large = await _measured(db, rows)
    await db.close()
    lists = [{"name": name, "values": values} for name, *values in zip(_NAMES, small, large, strict=True)]
    return {"rows": [SMALL, rows], "lists": lists}


def main() -> None:
    """Prints the table, in milliseconds; `--write` puts it into docs/performance.md."""
    options = argparse.ArgumentParser(prog="bench.large", description=__doc__)
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--write", action="store_true")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="hyperfleet-bench-") as name:
        Path(name).chmod(0o755)
        server = embedded.start(Path(name) / "data")
        try:
            asyncio.run(migrations.upgrade(server.settings()))
            figures = asyncio.run(_run(server, given.rows))
        finally:
            embedded.stop(server)
    report.finish("bench.large", figures, write=given.write)


if __name__ == "__main__":
    main()
