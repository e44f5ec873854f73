"""`python -m bench.validation`: measures validating a spec of 1 KB, beside decoding it.

Runs in one process, without HTTP or a database; the figures are medians of interleaved rounds. `--write` puts the table
into docs/performance.md.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final

import msgspec

from bench import report
from hyperfleet.assembly import yaml_documents
from hyperfleet.model.schemas.spec_schema import SpecSchema

PROVIDERS: Final = Path("tests/cases/schemas")
ROUNDS: Final = 40


def specs() -> dict[str, tuple[SpecSchema, dict[str, Any]]]:
    """The schema and spec of each row of the table, by the row's name."""
    gcp = yaml_documents.read(PROVIDERS / "gcp" / "openapi.yaml")
    cluster, pool = SpecSchema(gcp, "ClusterSpec"), SpecSchema(gcp, "NodePoolSpec")
    good = next(each["spec"] for each in _good("gcp") if each["name"] == "full cluster")
    days = [{"from": f"2026-{month:02}-20", "to": f"2026-{month:02}-27"} for month in range(1, 7)]
    good = good | {"maintenance": good["maintenance"] | {"exclusions": days}}
    bad = good | {"networking": good["networking"] | {"mtu": 9001}}
    worse = bad | {"maintenance": {"exclusions": [{"from": "x"} for _ in range(8)]}, "release": {}, "labels": {"a": 1}}
    disks = {"disks": [{"type": "floppy", "sizeGb": 1}] * 25_000}
    return {
        "none": (cluster, good),
        "1": (cluster, bad),
        f"{len(cluster.faults(worse))}": (cluster, worse),
        "50,000": (pool, {"machineType": "n2-standard-8", "capacity": {"nodes": 3}} | disks),
    }


def _good(provider: str) -> list[dict[str, Any]]:
    written: list[dict[str, Any]] = yaml_documents.read(PROVIDERS / provider / "specs.yaml")["good"]
    return written


def microseconds(work: Callable[[], object], least: float = 0.005) -> float:
    """How long one call takes, in microseconds, measured over at least `least` seconds."""
    calls = 0
    begin = time.perf_counter()
    while (elapsed := time.perf_counter() - begin) < least:
        work()
        calls += 1
    return elapsed / calls * 1e6


def figures() -> dict[str, object]:
    """The microseconds that decoding and validating each spec took."""
    measured = specs()
    texts = {name: msgspec.json.encode(spec) for name, (_, spec) in measured.items()}
    decoding: dict[str, list[float]] = {name: [] for name in measured}
    checking: dict[str, list[float]] = {name: [] for name in measured}
    for _ in range(ROUNDS):
        for name, (schema, spec) in measured.items():
            decoding[name].append(microseconds(partial(msgspec.json.decode, texts[name])))
            checking[name].append(microseconds(partial(schema.faults, spec)))
    rows = [
        {"faults": name, "bytes": len(texts[name]), "decode": median(decoding[name]), "check": median(checking[name])}
        for name in measured
    ]
    return {"specs": rows}


def main() -> None:
    """Prints the table."""
    options = argparse.ArgumentParser(prog="bench.validation", description=__doc__)
    options.add_argument("--write", action="store_true")
    write = options.parse_args().write
    report.finish("bench.validation", figures(), write=write)


if __name__ == "__main__":
    main()
