"""The pages in docs/ that list what is in tables of the code; `make docs` writes them all."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from dev import dashboard
from hyperfleet.cli.settings_reference import settings_page
from hyperfleet.serving.probing.backlog_gauges import READINGS
from hyperfleet.telemetry import metrics
from hyperfleet.telemetry.metrics import Instrument
from tests.house import (
    alerts_table,
    callers_tables,
    kinds_table,
    limits_table,
    messages,
    moving_tables,
    search_tables,
    test_errors_docs,
)

DOCS: Final = Path(__file__).parents[2] / "docs"
INSTRUMENTS: Final = (*metrics.INSTRUMENTS, *(reading.instrument for reading in READINGS))
"""Every metric: of the processes, and of the whole fleet."""


def metrics_page(instruments: Sequence[Instrument] = INSTRUMENTS) -> str:
    """docs/metrics.md."""
    rows = [
        f"| `{row.name}` | {row.type} | {', '.join(f'`{label}`' for label in row.labels) or '–'} | {row.help} |"
        for row in instruments
    ]
    head = [
        "# Metrics",
        "",
        "Served at `:8080/metrics`, summed over the workers. Every metric also has the labels `component` and",
        "`version`. In `path`, each id is replaced by `-`, and an unknown path by a single `-`. After the first",
        "hundred adapters, `adapter` is `other`.",
        "",
        "| metric | type | labels | what it measures |",
        "|---|---|---|---|",
    ]
    return "\n".join([*head, *rows, ""])


def _written_anew(name: str, written: Callable[[str], str]) -> Callable[[], str]:
    return lambda: written((DOCS / name).read_text(encoding="utf-8"))


PAGES: Final[dict[str, Callable[[], str]]] = {
    "../tests/cases/messages.md": messages.page,
    "../charts/files/dashboard.json": dashboard.page,
    "callers.md": _written_anew("callers.md", callers_tables.written),
    "errors.md": _written_anew("errors.md", test_errors_docs.written),
    "kinds.md": _written_anew("kinds.md", kinds_table.written),
    "limits.md": limits_table.page,
    "metrics.md": metrics_page,
    "moving.md": _written_anew("moving.md", moving_tables.written),
    "monitoring.md": _written_anew("monitoring.md", alerts_table.written),
    "search.md": _written_anew("search.md", search_tables.written),
    "settings.md": settings_page,
}


def main() -> None:
    """Writes every page."""
    for name, made in PAGES.items():
        text = made()
        (DOCS / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
