"""Runs wrk: writes its script for a scenario, runs it, and parses its output."""

import re
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

CONNECTIONS: Final = 64
NOTHING: Final = MappingProxyType[str, str]({})

_SCRIPT: Final = """
json = {{["Content-Type"] = "application/json"}}
ids, same, fresh = {{}}, {{}}, {{}}
for line in io.lines("{folder}/ids") do ids[#ids + 1] = line end
for line in io.lines("{folder}/fresh") do fresh[#fresh + 1] = line end
for i = 1, 100 do same[i] = ids[#ids - i] end
local file = io.open("{folder}/spec"); spec = file:read("*a"); file:close()
further = {{{headers}}}
local format = wrk.format
function wrk.format(method, path, headers, body)
  headers = headers or {{}}
  for name, value in pairs(further) do headers[name] = value end
  return format(method, path, headers, body)
end
seed, round, n = os.time(), {round}, 0
math.randomseed(seed)
started = "{started}"
function now()
  return os.date("!%Y-%m-%dT%H:%M:%S") .. string.format(".%06dZ", n % 1000000)
end
function request()
{request}
end
"""


@dataclass(frozen=True, slots=True)
class Load:
    """The result of wrk: requests a second, latencies in milliseconds, and the number of responses and of failures."""

    rate: float
    p50: float
    p99: float
    answers: int
    failures: int


def run(
    address: str,
    request: str,
    *,
    folder: Path,
    round: int,
    started: str,
    seconds: float,
    headers: Mapping[str, str] = NOTHING,
) -> Load:
    """Sends `request` over 64 connections for this many seconds, each time with these additional headers."""
    further = ", ".join(f'["{name}"] = "{value}"' for name, value in headers.items())
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(_SCRIPT.format(folder=folder, round=round, started=started, request=request, headers=further))
        script.flush()
        command = [
            "wrk",
            "-t1",
            f"-c{CONNECTIONS}",
            f"-d{seconds:.0f}s",
            "--timeout",
            "30s",
            "--latency",
            "-s",
            script.name,
            address,
        ]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    answers = re.search(r"(\d+) requests in", said)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    if answers is None or rate is None:
        raise RuntimeError(f"wrk said nothing that can be read:\n{said}")
    failures = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", said)
    return Load(
        float(rate[1]),
        _milliseconds(said, "50%"),
        _milliseconds(said, "99%"),
        int(answers[1]),
        (int(failures[1]) if failures else 0) + (sum(map(int, errors.groups())) if errors else 0),
    )


def _milliseconds(said: str, percentile: str) -> float:
    found = re.search(rf"^\s*{percentile}\s+([\d.]+)(us|ms|s)\s*$", said, re.MULTILINE)
    if found is None:
        raise RuntimeError(f"wrk gave no {percentile}:\n{said}")
    return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found[2]]
