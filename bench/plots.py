"""The plots of docs/performance.md: bars in SVG, the same bytes for the same figures.

A plot has its own background, so it is readable on any page, and follows the reader's light or dark mode. The output
does not depend on the machine, the time or a library's version.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10
from typing import Any, Final

WIDTH: Final = 860
LABELS: Final = 270
RIGHT: Final = 90
LEGEND: Final = "34"
TOP: Final = 62
BAR: Final = 14
GAP: Final = 10
LIGHT: Final = {"back": "#ffffff", "text": "#1f2328", "grid": "#d1d9e0", "first": "#0969da", "second": "#9a6700"}
DARK: Final = {"back": "#0d1117", "text": "#f0f6fc", "grid": "#3d444d", "first": "#4493f8", "second": "#d29922"}
SERIES: Final = ("first", "second")


@dataclass(frozen=True, slots=True)
class Plot:
    """Horizontal bars: each row has a label and a value for each series, stacked or one below the other."""

    title: str
    unit: str
    series: tuple[str, ...]
    rows: Sequence[tuple[str, Sequence[float]]]
    stacked: bool = False

    def svg(self) -> str:
        """The content of the SVG file."""
        thickness = BAR * (1 if self.stacked else len(self.series))
        bottom = TOP + len(self.rows) * (thickness + GAP)
        most = max(sum(values) if self.stacked else max(values) for _, values in self.rows)
        step = _step(most)
        scale = (WIDTH - LABELS - RIGHT) / (ceil(most / step) * step)
        parts = [_text(20, 24, self.title, "title"), *self._legend()]
        for tick in range(ceil(most / step) + 1):
            x = LABELS + tick * step * scale
            parts.append(f'<path class="grid" d="M{x:.1f} {TOP - 6}V{bottom}"/>')
            parts.append(_text(x, bottom + 16, f"{tick * step:,g}", "middle"))
        parts.append(_text((LABELS + WIDTH - RIGHT) / 2, bottom + 36, self.unit, "middle"))
        for number, (label, values) in enumerate(self.rows):
            y = TOP + number * (thickness + GAP)
            parts.append(_text(LABELS - 8, y + thickness / 2 + 4, label, "end"))
            parts += self._bars(values, y, scale)
        return _document(self.title, bottom + 48, parts)

    def _legend(self) -> list[str]:
        if len(self.series) == 1:
            return []
        parts = []
        for number, name in enumerate(self.series):
            x = LABELS + number * 170
            parts.append(f'<rect class="{SERIES[number]}" x="{x}" y="{LEGEND}" width="12" height="12"/>')
            parts.append(_text(x + 18, 45, name))
        return parts

    def _bars(self, values: Sequence[float], y: float, scale: float) -> list[str]:
        parts = []
        x = float(LABELS)
        for number, value in enumerate(values):
            width = value * scale
            top = y if self.stacked else y + number * BAR
            bar = f'x="{x:.1f}" y="{top:.1f}" width="{width:.1f}" height="{BAR - 2}"'
            parts.append(f'<rect class="{SERIES[number]}" {bar}/>')
            if self.stacked:
                x += width
            else:
                parts.append(_text(x + width + 5, top + BAR - 4, _shown(value)))
        if self.stacked:
            parts.append(_text(x + 5, y + BAR - 4, " + ".join(map(_shown, values))))
        return parts


def _step(most: float) -> float:
    """The distance between grid lines: 1, 2 or 5 times a power of ten, so that there are four to nine lines."""
    power = float(10 ** floor(log10(most)))
    return next(part * power for part in (0.1, 0.2, 0.5, 1.0, 2.0) if most / (part * power) <= 9)


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text{named} x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _colors(palette: Mapping[str, str]) -> str:
    fills = "".join(f".{name}{{fill:{palette[name]}}}" for name in ("back", *SERIES))
    return f"text{{fill:{palette['text']}}}.grid{{stroke:{palette['grid']}}}{fills}"


def _document(title: str, height: float, parts: list[str]) -> str:
    style = (
        "text{font:13px system-ui,sans-serif}.title{font-weight:600;font-size:15px}"
        f".middle{{text-anchor:middle}}.end{{text-anchor:end}}{_colors(LIGHT)}"
        f"@media(prefers-color-scheme:dark){{{_colors(DARK)}}}"
    )
    size = f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>{style}</style>",
            f'<rect class="back" width="{WIDTH}" height="{height}" rx="6"/>',
            *parts,
            "</svg>\n",
        ]
    )


def drawn(figures: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The content of each plot, by file name."""
    scenarios = figures["bench"]["scenarios"]
    cpu = ("service", "database")

    def of(*keys: str) -> list[tuple[str, list[float]]]:
        return [(each["name"], [each[key] for key in keys]) for each in scenarios]

    pages = [(name, values) for name, values in of("service_cpu", "database_cpu") if name.endswith("), page 1")]
    # The last row of a large fleet is a rate, not a time.
    large = [(each["name"], each["values"]) for each in figures["bench.large"]["lists"][:-1]]
    sizes = tuple(f"{rows:,} clusters" for rows in figures["bench.large"]["rows"])
    made = {
        "requests.svg": Plot("Requests by scenario", "requests/s", ("requests/s",), of("rate")),
        "latency.svg": Plot("Latency at full load by scenario", "ms", ("p50", "p99"), of("p50", "p99")),
        "cpu.svg": Plot("CPU time by scenario", "µs a request", cpu, of("service_cpu", "database_cpu"), stacked=True),
        "pages.svg": Plot("CPU time of a list by page size", "µs a request", cpu, pages, stacked=True),
        "large.svg": Plot("Lists in a large fleet, one caller", "ms", sizes, large),
    }
    return {file: plot.svg() for file, plot in made.items()}
