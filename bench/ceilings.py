"""The ceiling of each rate: the same statements, prepared and sent by pgbench over as many connections.

pgbench cannot hold ids, so it looks them up in a numbered table; the look-up lowers the ceiling a little.
"""

import re
import subprocess
import tempfile
from collections.abc import Mapping
from typing import Final

from bench.scenarios import FRESH, Scenario, list_statement
from bench.service import Service
from hyperfleet.store import reports, resources, standings
from hyperfleet.store.statements import Statement
from testbed.programs import client_command

CONNECTIONS: Final = 16
_TENANCY: Final = "'{}'"
_NO_RULES: Final = "'{}'"
_BY: Final = "'system@hyperfleet.local'"
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
    running: Service, scenario: Scenario, samples: Mapping[str, str], *, clusters: int, seconds: float
) -> float | None:
    """The transactions a second of the scenario's statements; None if the scenario has no ceiling."""
    script = _script(scenario, samples, clusters)
    if not script:
        return None
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        options = ["-n", "-M", "prepared", "-c", str(CONNECTIONS), "-j", "1", "-T", f"{seconds:.0f}", "-f", file.name]
        command = client_command(running.server, "pgbench", *options, running.database)
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
        return number + _filled(resources.RESOURCE, _one(_ID)) + ";\n"
    read = _filled(reports.RESOURCE_WITH_REPORTS, {**_one(_ID), **_READ, "adapter": "'adapter-1'"})
    if scenario.ceiling == "read":
        return number + read + ";\n"
    if scenario.ceiling == "create":
        return "\\set n random(1, 2000000000)\n" + _filled(resources.NEW_RESOURCE, _new(samples)) + ";\n"
    if scenario.ceiling == "report":
        return number + read + " \\gset\n" + _filled(reports.WRITTEN_REPORT, _written(samples)) + ";\n"
    if scenario.ceiling == "change":
        found = _filled(standings.STANDING, {**_one(_FRESH_ID), **_READ, "with_envelope": "true"})
        written = _filled(resources.CHANGED_RESOURCE, _changed(samples))
        return f"\\set n random(1, {FRESH})\n{found} \\gset\n{written};\n"
    return ""


_READ: Final = {"with_rules": _NO_RULES, "with_envelope": "false"}


def _one(id: str) -> dict[str, str]:
    """The parameters that select a resource by its id."""
    return {"id": id, "kinds": "'{Cluster}'", "owner_id": "NULL", "tenancy": _TENANCY}


def _filled(statement: Statement, values: Mapping[str, str]) -> str:
    if set(statement.names) != set(values):
        raise ValueError(f"{statement.name} has the parameters {statement.names}, not {tuple(values)}")
    text = statement.sql
    for position in range(len(statement.names), 0, -1):
        text = text.replace(f"${position}", values[statement.names[position - 1]])
    return " ".join(text.split())


def _quoted(text: str) -> str:
    # pgbench reads a colon before a letter or digit as the start of a variable.
    escaped = text.replace("\\", "\\\\").replace("'", "''").replace(":", "\\003A")
    return f"U&'{escaped}'"


def _assessed(samples: Mapping[str, str], phase: str) -> dict[str, str]:
    """The parameters for a status."""
    return {
        **{name: _quoted(samples[name]) for name in ("status", "condition_status", "conditions")},
        "phase": phase,
        "observed_generation": "1",
        "last_updated_time": "now()",
        "last_transition_time": "now()",
        "rules": "''",
    }


def _desired(samples: Mapping[str, str]) -> dict[str, str]:
    """The parameters for a desired state."""
    return {
        **{name: _quoted(samples[name]) for name in ("labels", "spec", "envelope")},
        "updated_time": "now()",
        "updated_by": _BY,
    }


def _new(samples: Mapping[str, str]) -> dict[str, str]:
    return {
        **_assessed(samples, "'NotReady'"),
        **_desired(samples),
        "id": "gen_random_uuid()",
        "kind": "'Cluster'",
        "name": "'bench-' || random()::text || :n::text",
        "href": "'/api/hyperfleet/v1/clusters/x'",
        "created_time": "now()",
        "created_by": _BY,
        "generation": "1",
        "tenancy": _TENANCY,
    }


def _changed(samples: Mapping[str, str]) -> dict[str, str]:
    unchanged = {"id": _FRESH_ID, "resource_version": ":resource_version"}
    return {**_assessed(samples, "'NotReady'"), **_desired(samples), **unchanged, "generation": "2"}


def _written(samples: Mapping[str, str]) -> dict[str, str]:
    return {
        **_assessed(samples, "'Ready'"),
        "id": _ID,
        "resource_version": ":resource_version",
        "adapter": "'adapter-1'",
        "reported_generation": "1",
        "reported_time": "now()",
        "created_time": "now()",
        "summary": _quoted(samples["summary"]),
        "rendered": _quoted(samples["rendered"]),
    }
