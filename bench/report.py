"""The figures of the last runs, in docs/performance/figures.json, and the tables and plots of docs/performance.md.

`python -m bench.report` regenerates the tables and the plots from the figures without measuring.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from bench import plots

DOCUMENT: Final = Path("docs/performance.md")
FIGURES: Final = Path("docs/performance/figures.json")
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
_VALIDATION_HEAD: Final = ("faults in it", "bytes", "decode µs", "check µs")
Figures = Mapping[str, Any]


def table(rows: list[list[str]], head: tuple[str, ...]) -> list[str]:
    """The rows as a Markdown table."""
    return [_line(head), _line(["---"] + ["---:"] * (len(head) - 1)), *map(_line, rows)]


def _line(cells: list[str] | tuple[str, ...]) -> str:
    return "| " + " | ".join(cells) + " |"


def write(lines: list[str], name: str, document: Path = DOCUMENT) -> None:
    """Replaces the text between the markers with this name."""
    document.write_text(_replaced(document.read_text(encoding="utf-8"), lines, name), encoding="utf-8")


def _replaced(text: str, lines: list[str], name: str) -> str:
    begin, end = f"<!-- begin: {name} -->", f"<!-- end: {name} -->"
    head, _, rest = text.partition(begin)
    _, _, tail = rest.partition(end)
    return "\n".join([head + begin, "", *lines, "", end + tail])


def stored() -> dict[str, Figures]:
    """The figures of the last runs, by the name of the benchmark."""
    found: dict[str, Figures] = msgspec.json.decode(FIGURES.read_bytes())
    return found


def _rounded(value: Any) -> Any:
    """The figures with three decimals, which is more than a run can resolve."""
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, Mapping):
        return {key: _rounded(each) for key, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, list) else value


def page(text: str, figures: Mapping[str, Figures]) -> str:
    """The document with its tables regenerated from these figures."""
    for name, lines in TABLES.items():
        text = _replaced(text, lines(figures[name]), name)
    return text


def _bench(figures: Figures) -> list[str]:
    return [
        *table([_scenario(each) for each in figures["scenarios"]], _HEAD),
        "",
        f"A worker's memory: {figures['worker_memory']:.0f} MB. {figures['clusters']:,} clusters, {figures['rounds']}"
        f" rounds of {figures['seconds']:.0f} s, {figures['connections']} connections.",
    ]


def _scenario(each: Figures) -> list[str]:
    rate, ceiling, hot = each["rate"], each["ceiling"], each["hot"]
    return [
        each["name"],
        f"{rate:,.0f}",
        f"{each['p50']:.1f}",
        f"{each['p99']:.1f}",
        f"{each['statements']:.2f}",
        f"{each['service_cpu']:.0f}",
        f"{each['database_cpu']:.0f}",
        "–" if hot is None else f"{hot:.0%}",
        "–" if ceiling is None else f"{ceiling:,.0f}",
        "–" if ceiling is None else f"{rate / ceiling:.0%}",
    ]


def _large(figures: Figures) -> list[str]:
    rows = [[each["name"], *(f"{value:,.1f}" for value in each["values"])] for each in figures["lists"]]
    return table(rows, ("", *(f"{rows:,}" for rows in figures["rows"])))


def _deleting(figures: Figures) -> list[str]:
    small = [
        [each["name"], f"{each['p50']:.1f}", f"{each['p99']:.1f}", f"{each['requests']:,}"] for each in figures["small"]
    ]
    large = [[each["name"], f"{each['seconds']:.2f}"] for each in figures["large"]]
    return [
        *table(small, ("", "p50 ms", "p99 ms", "requests")),
        "",
        *table(large, ("", "seconds")),
        "",
        f"{figures['at_once']} requests at once, the large tree alone.",
    ]


def _validation(figures: Figures) -> list[str]:
    rows = [
        [each["faults"], f"{each['bytes']:,}", f"{each['decode']:,.1f}", f"{each['check']:,.1f}"]
        for each in figures["specs"]
    ]
    return table(rows, _VALIDATION_HEAD)


def _callers(figures: Figures) -> list[str]:
    rows = [
        [each["name"], f"{each['without']:,.0f}", f"{each['with']:,.0f}", f"{each['kept']:.0%}"]
        for each in figures["scenarios"]
    ]
    return table(rows, ("", "without, requests/s", "with", "of it"))


TABLES: Final[Mapping[str, Callable[[Figures], list[str]]]] = {
    "bench": _bench,
    "bench.large": _large,
    "bench.deleting": _deleting,
    "bench.validation": _validation,
    "bench.callers": _callers,
}


def finish(name: str, figures: Figures, *, write: bool) -> None:
    """Prints the table of a run. With `write`, stores its figures and regenerates the tables and plots."""
    figures = _rounded(figures)
    print("\n".join(TABLES[name](figures)))
    if write:
        everything = stored() | {name: figures}
        text = msgspec.json.format(msgspec.json.encode(everything, order="sorted"), indent=1)
        FIGURES.write_bytes(text + b"\n")
        main()


def main() -> None:
    """Writes the tables and the plots from the stored figures."""
    figures = stored()
    DOCUMENT.write_text(page(DOCUMENT.read_text(encoding="utf-8"), figures), encoding="utf-8")
    for file, text in plots.drawn(figures).items():
        (FIGURES.parent / file).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
