"""The ceiling of each figure: the same statements, prepared and sent by pgbench from as many connections.

pgbench cannot hold ids, so a table numbers them; that look-up is part of the ceiling and lowers it a little.
"""

import re
import subprocess
import tempfile
from collections.abc import Mapping
from typing import Final

from bench.scenarios import FRESH, Scenario, list_statement
from hyperfleet.postgres import embedded
from hyperfleet.postgres.embedded import Server
from hyperfleet.store import creations, reports, resources

CONNECTIONS: Final = 16
_TENANCY: Final = "'{}'"
_NO_RULES: Final = "'{}'"
_ID: Final = "(SELECT id FROM bench_ids WHERE n = :n)"
_FRESH_ID: Final = "(SELECT id FROM bench_fresh WHERE n = :n)"
NUMBERS: Final = """
DROP TABLE IF EXISTS bench_ids;
CREATE TABLE bench_ids AS SELECT (row_number() OVER ())::int AS n, id FROM resources WHERE name LIKE 'cluster-%';
ALTER TABLE bench_ids ADD PRIMARY KEY (n);
ANALYZE bench_ids;
DROP TABLE IF EXISTS bench_fresh;
CREATE TABLE bench_fresh AS SELECT (row_number() OVER ())::int AS n, id FROM resources WHERE name LIKE 'fresh-%';
ALTER TABLE bench_fresh ADD PRIMARY KEY (n);
ANALYZE bench_fresh;
"""


def run(
    server: Server, scenario: Scenario, samples: Mapping[str, str], *, clusters: int, seconds: float
) -> float | None:
    """Transactions a second of the scenario's statements; None where it has no ceiling."""
    script = _script(scenario, samples, clusters)
    if not script:
        return None
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        options = ["-n", "-M", "prepared", "-c", str(CONNECTIONS), "-j", "1", "-T", f"{seconds:.0f}", "-f", file.name]
        command = embedded.client_command(server, "pgbench", *options, embedded.DATABASE)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"tps = ([\d.]+)", done.stdout)
    if done.returncode or found is None:
        raise RuntimeError(f"the ceiling of {scenario.name}: pgbench failed:\n{done.stderr}")
    return float(found[1])


def _script(scenario: Scenario, samples: Mapping[str, str], clusters: int) -> str:
    number = f"\\set n random(1, {clusters})\n"
    if scenario.listing is not None:
        return list_statement(scenario.listing) + ";\n"
    if scenario.ceiling == "get":
        return number + _filled(resources.RESOURCE.text, _one(_ID)) + ";\n"
    read = _filled(reports.RESOURCE_WITH_REPORTS.text, (*_one(_ID), "'adapter-1'", _NO_RULES))
    if scenario.ceiling == "read":
        return number + read + ";\n"
    if scenario.ceiling == "create":
        return "\\set n random(1, 2000000000)\n" + _filled(creations.NEW_RESOURCE.text, _new(samples)) + ";\n"
    if scenario.ceiling == "report":
        return number + read + " \\gset\n" + _filled(reports.WRITTEN_REPORT.text, _written(samples)) + ";\n"
    if scenario.ceiling == "change":
        found = _filled(resources.RESOURCE_TO_CHANGE.text, (*_one(_FRESH_ID), _NO_RULES))
        written = _filled(resources.CHANGED_RESOURCE.text, _changed(samples))
        return f"\\set n random(1, {FRESH})\n{found} \\gset\n{written};\n"
    return ""


def _one(id: str) -> tuple[str, ...]:
    """The values of a resource by its id."""
    return id, "'{Cluster}'", "NULL", _TENANCY


def _filled(text: str, values: tuple[str, ...]) -> str:
    if f"${len(values) + 1}" in text or f"${len(values)}" not in text:
        raise ValueError(f"the statement has other parameters than these {len(values)}:\n{text}")
    for position in range(len(values), 0, -1):
        text = text.replace(f"${position}", values[position - 1])
    return " ".join(text.split())


def _quoted(text: str) -> str:
    # pgbench takes a colon before a letter or digit for a variable of its own.
    escaped = text.replace("\\", "\\\\").replace("'", "''").replace(":", "\\003A")
    return f"U&'{escaped}'"


def _new(samples: Mapping[str, str]) -> tuple[str, ...]:
    return (
        "gen_random_uuid()",
        "now()",
        "now()",
        "now()",
        "0",
        "'Cluster'",
        "'bench-' || random()::text || :n::text",
        "'/api/hyperfleet/v1/clusters/x'",
        "'system@hyperfleet.local'",
        "'NotReady'",
        "''",
        *(
            _quoted(samples[name])
            for name in ("labels", "condition_status", "conditions", "status", "spec", "envelope")
        ),
        _TENANCY,
    )


def _changed(samples: Mapping[str, str]) -> tuple[str, ...]:
    return (
        *(_FRESH_ID, ":resource_version", "2", "now()", "'system@hyperfleet.local'"),
        *(_quoted(samples["labels"]), _quoted(samples["spec"]), _quoted(samples["status"]), "'NotReady'"),
        *(_quoted(samples["condition_status"]), _quoted(samples["conditions"]), "1", "now()", "now()", "''"),
        _quoted(samples["envelope"]),
    )


def _written(samples: Mapping[str, str]) -> tuple[str, ...]:
    return (
        _ID,
        ":resource_version",
        _quoted(samples["status"]),
        "'Ready'",
        _quoted(samples["condition_status"]),
        _quoted(samples["conditions"]),
        "1",
        "now()",
        "now()",
        "''",
        "'adapter-1'",
        "1",
        "now()",
        "now()",
        _quoted(samples["summary"]),
        _quoted(samples["rendered"]),
    )
