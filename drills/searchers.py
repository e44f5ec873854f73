"""Sixteen callers repeat the heaviest search there is; all other requests must stay fast.

The search compares a text in each of 21,000 clusters with 140 patterns and finds nothing. Meanwhile others read, report
and create at fixed paces. Rounds with and without searchers alternate; times are medians of the rounds.
"""

from collections import Counter, defaultdict
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final
from urllib.parse import quote

from drills import callers, fleets
from drills.callers import Pace, Request, Seen
from testbed.calls import CLUSTERS
from testbed.serving import Service

HEAD = ("searchers", "request", "a second", "sent", "not 2xx", "p50 ms", "p99 ms")
FLEET: Final = 21_000
SPEC: Final = {"blob": "a" * 1000}
SEARCHERS: Final = 16
TERMS: Final = 140
ROUNDS: Final = 5
SECONDS: Final = 10.0
SEARCH: Final = Request(
    "GET", f"{CLUSTERS}?search=" + quote(" or ".join(f"spec.blob ilike '%z{n:x}%'" for n in range(TERMS)))
)
LARGEST_GROWTH: Final = 2.0


def read(ids: list[str], number: int) -> Request:
    """A read of one of these clusters."""
    return Request("GET", f"{CLUSTERS}/{ids[number % len(ids)]}")


def report(ids: list[str], number: int) -> Request:
    """A report on one of these clusters, different from the previous one."""
    body = {
        "adapter": "dns-adapter",
        "observed_generation": 1,
        "conditions": [{"type": "Available", "status": "True", "message": str(number)}],
    }
    return Request("POST", f"{CLUSTERS}/{ids[number % len(ids)]}/statuses", body)


def create(prefix: str, number: int) -> Request:
    """A create of a cluster."""
    return Request("POST", CLUSTERS, {"name": f"{prefix}-{number}", "spec": {}})


def _paces(ids: list[str], prefix: str) -> dict[str, Pace]:
    return {
        "read of one": Pace(100, partial(read, ids)),
        "report": Pace(40, partial(report, ids)),
        "create": Pace(20, partial(create, prefix)),
    }


def drill(folder: Path) -> list[list[str]]:
    """A row for each kind of request, without and with searchers, and one for the searches."""
    service = Service(folder).start()
    alone: dict[str, list[Seen]] = defaultdict(list)
    pressed: dict[str, list[Seen]] = defaultdict(list)
    searches = Seen()
    try:
        service.ready()
        ids = fleets.filled(service, FLEET, SPEC)
        callers.paced(service.api, _paces(ids, "warm"), 3)
        for turn in range(ROUNDS):
            for name, seen in callers.paced(service.api, _paces(ids, f"alone-{turn}"), SECONDS).items():
                alone[name].append(seen)
            with callers.beside(service.api, SEARCH, SEARCHERS, SECONDS + 3) as searching:
                for name, seen in callers.paced(service.api, _paces(ids, f"pressed-{turn}"), SECONDS).items():
                    pressed[name].append(seen)
            searches.add(searching)
    finally:
        service.stop()
    paces = _paces([], "")
    rows = [
        row(str(count), name, f"{paces[name].rate:g}", rounds)
        for count, rounds_by_name in ((0, alone), (SEARCHERS, pressed))
        for name, rounds in rounds_by_name.items()
    ]
    rows.append(row(str(SEARCHERS), "the search", "–", [searches]))
    for name, rounds in pressed.items():
        assert {status for seen in rounds for status in seen.statuses} <= {200, 201}, f"{name}: {rounds}"
        growth = milliseconds(rounds, 0.99) / milliseconds(alone[name], 0.99)
        assert growth <= LARGEST_GROWTH, f"the p99 of each {name} grew {growth:.1f} times: {rows}"
    assert set(searches.statuses) <= {200, 503, 504}, searches.statuses
    return rows


def milliseconds(rounds: list[Seen], share: float) -> float:
    """The median over the rounds of the time within which this share of the answers arrived, in milliseconds."""
    return median(seen.milliseconds(share) for seen in rounds)


def row(first: str, name: str, rate: str, rounds: list[Seen]) -> list[str]:
    """A row of the table: the requests sent, the failures, and the answer times."""
    statuses = sum((seen.statuses for seen in rounds), Counter[int]())
    failed = sum(count for status, count in statuses.items() if status not in (200, 201))
    times = [f"{milliseconds(rounds, share):.1f}" for share in (0.5, 0.99)]
    return [first, name, rate, f"{statuses.total():,}", f"{failed:,}", *times]
