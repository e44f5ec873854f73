"""`python -m drills`: runs the named drills, or all of them, and prints a table for each."""

import argparse
import importlib
import shutil
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType
from typing import Final

from bench import report

DRILLS: Final = (
    *("rolling", "failover", "bouncing", "overload", "searchers", "strangers", "crowds"),
    *("hostile", "poison"),
    *("slow_readers", "large_rows"),
)
DOCUMENT: Final = Path("docs/reliability.md")


def main() -> None:
    """Runs the drills one after another; exits with 1 when one fails."""
    options = argparse.ArgumentParser(prog="drills", description=__doc__)
    options.add_argument("names", nargs="*", metavar="NAME", help=", ".join(DRILLS))
    options.add_argument("--write", action="store_true", help="put the tables into docs/reliability.md")
    given = options.parse_args()
    unknown = [name for name in given.names if name not in DRILLS]
    if unknown:
        options.error(f"there is no drill {', '.join(unknown)}; there are {', '.join(DRILLS)}")
    failed = [
        name for name in given.names or DRILLS if not _run(importlib.import_module(f"drills.{name}"), name, given)
    ]
    if failed:
        sys.exit(f"drills that failed: {', '.join(failed)}")


def _run(module: ModuleType, name: str, given: argparse.Namespace) -> bool:
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix=f"hyperfleet-drill-{name}-"))
    folder.chmod(0o755)
    try:
        rows = module.drill(folder)
    except AssertionError as failure:
        print(f"{name}: FAILED: {failure}\nIts logs stay in {folder}.", flush=True)
        return False
    shutil.rmtree(folder, ignore_errors=True)
    lines = report.table(rows, module.HEAD)
    print(f"{name}, {time.monotonic() - began:.0f} s:", *lines, sep="\n", flush=True)
    if given.write:
        report.write(lines, f"drills.{name}", DOCUMENT)
    return True


if __name__ == "__main__":
    main()
