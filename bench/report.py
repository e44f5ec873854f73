"""The table of a run, and its place in docs/performance.md."""

from pathlib import Path
from typing import Final

DOCUMENT: Final = Path("docs/performance.md")
_HEAD: Final = (
    "",
    "requests/s",
    "p50 ms",
    "p99 ms",
    "statements",
    "service CPU µs",
    "database CPU µs",
    "HOT updates",
    "ceiling/s",
    "of it",
)


def table(rows: list[list[str]], head: tuple[str, ...] = _HEAD) -> list[str]:
    """The rows as a Markdown table."""
    return [_line(head), _line(["---"] + ["---:"] * (len(head) - 1)), *map(_line, rows)]


def _line(cells: list[str] | tuple[str, ...]) -> str:
    return "| " + " | ".join(cells) + " |"


def write(lines: list[str], name: str, document: Path = DOCUMENT) -> None:
    """Replaces what stands between the markers of that name."""
    begin, end = f"<!-- begin: {name} -->", f"<!-- end: {name} -->"
    head, _, rest = document.read_text(encoding="utf-8").partition(begin)
    _, _, tail = rest.partition(end)
    document.write_text("\n".join([head + begin, "", *lines, "", end + tail]), encoding="utf-8")
