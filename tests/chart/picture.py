"""A picture of the dashboard with what Prometheus has of a running service, for people to look at.

    python -m tests.chart.picture dashboard.png

It has the places, units, legends, colours and thresholds of the JSON; Grafana draws them better.
"""

import html
import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from playwright.sync_api import sync_playwright

from tests.chart.expressions import everything
from tests.chart.manifests import CHART
from tests.chart.watching import values, watched

COLUMN, ROW, GAP = 66, 38, 8
PALETTE: Final = (
    "#73bf69",
    "#f2cc0c",
    "#8ab8ff",
    "#ff780a",
    "#f2495c",
    "#5794f2",
    "#b877d9",
    "#705da0",
    "#37872d",
    "#c15c17",
)
COLORS: Final = {"green": "#73bf69", "orange": "#ff9830", "red": "#f2495c", "blue": "#5794f2"}
STYLE: Final = """
body { margin: 0; background: #111217; color: #ccccdc; font: 12px sans-serif; position: relative }
.panel { position: absolute; background: #181b1f; border: 1px solid #2c3235; border-radius: 2px; overflow: hidden }
.row { position: absolute; font-size: 16px; padding-top: 8px } h3 { font-size: 13px; font-weight: 500; margin: 6px 8px }
.stat { font-size: 34px; text-align: center } .legend { padding: 0 8px; line-height: 15px; font-size: 11px }
i { display: inline-block; width: 12px; height: 3px; margin-right: 5px; vertical-align: middle } b { float: right }
table { border-collapse: collapse; margin: 8px }
td, th { border-bottom: 1px solid #2c3235; padding: 4px 8px; text-align: left }
text { fill: #8e8e9e; font-size: 10px } .nothing { text-align: center; color: #f2495c; padding-top: 30px }
"""


class Series(NamedTuple):
    """A line: its name in the legend, its colour, and its points over time."""

    name: str
    color: str
    points: list[tuple[float, float]]


def written(value: float, unit: str) -> str:
    """The value as Grafana writes it, about."""
    if unit == "s":
        return f"{value * 1000:.3g} ms" if value < 1 else f"{value:.3g} s" if value < 120 else f"{value / 60:.3g} min"
    if unit == "percentunit":
        return f"{value:.2%}"
    if unit == "bytes":
        return f"{value:.3g} B" if value < 1024 else f"{value / 1024:.3g} KiB"
    return f"{value:.3g}" + {"reqps": " req/s", "ops": " ops/s"}.get(unit, "")


def series(panel: dict[str, Any], prometheus: str, start: float, end: float) -> Iterator[Series]:
    overrides = panel["fieldConfig"]["overrides"]
    count = 0
    for target in panel["targets"]:
        for found in values(prometheus, everything(target["expr"], "10s"), start=start, end=end, step=1):
            name = target["legendFormat"]
            for label, value in found["metric"].items():
                name = name.replace("{{" + label + "}}", value)
            color = PALETTE[count % len(PALETTE)]
            for override in overrides:
                if re.fullmatch(override["matcher"]["options"].strip("^$"), name):
                    color = COLORS[override["properties"][0]["value"]["fixedColor"]]
            count += 1
            points = [(float(at), float(value)) for at, value in found["values"] if value != "NaN"]
            if points:
                yield Series(name, color, points)


def stat(panel: dict[str, Any], lines: list[Series]) -> str:
    defaults = panel["fieldConfig"]["defaults"]
    value = lines[0].points[-1][1]
    steps = defaults["thresholds"]["steps"]
    color = [COLORS[step["color"]] for step in steps if step["value"] is None or value >= step["value"]][-1]
    return f'<div class="stat" style="color:{color}">{written(value, defaults["unit"])}</div>'


def graph(panel: dict[str, Any], lines: list[Series], width: int, height: int, start: float, end: float) -> str:
    defaults = panel["fieldConfig"]["defaults"]
    is_stacked = defaults["custom"]["stacking"]["mode"] == "normal"
    below: dict[float, float] = {}
    drawn = []
    for line in lines:
        points = line.points
        if is_stacked:
            points = [(at, value + below.get(at, 0.0)) for at, value in points]
            below |= dict(points)
        drawn.append(Series(line.name, line.color, points))
    most = max(value for line in drawn for _, value in line.points) or 1.0
    tall = height - 44 - 15 * min(len(lines), 7)

    def place(at: float, value: float) -> str:
        return f"{60 + (at - start) / (end - start) * (width - 70):.1f},{tall - value / most * (tall - 8):.1f}"

    parts = [f'<svg width="{width}" height="{tall + 4}">']
    for share in (0, 0.5, 1):
        y = tall - share * (tall - 8)
        parts.append(f'<line x1="60" x2="{width - 10}" y1="{y}" y2="{y}" stroke="#2c3235"/>')
        parts.append(f'<text x="54" y="{y + 3}" text-anchor="end">{written(most * share, defaults["unit"])}</text>')
    for line in reversed(drawn):
        path = " ".join(place(at, value) for at, value in line.points)
        if is_stacked:
            corners = f"{place(line.points[0][0], 0)} {path} {place(line.points[-1][0], 0)}"
            parts.append(f'<polygon points="{corners}" fill="{line.color}" fill-opacity="0.5"/>')
        parts.append(f'<polyline points="{path}" fill="none" stroke="{line.color}" stroke-width="1.3"/>')
    for step in defaults["thresholds"]["steps"]:
        if defaults["custom"]["thresholdsStyle"]["mode"] != "off" and step["value"] and step["value"] <= most:
            y = tall - step["value"] / most * (tall - 8)
            color = COLORS[step["color"]]
            parts.append(f'<line x1="60" x2="{width}" y1="{y}" y2="{y}" stroke="{color}" stroke-dasharray="6 4"/>')
    parts.append("</svg>")
    for line in lines[:7]:
        last = written(line.points[-1][1], defaults["unit"])
        name = html.escape(line.name)
        parts.append(f'<div class="legend"><i style="background:{line.color}"></i>{name}<b>{last}</b></div>')
    return "".join(parts)


def table(panel: dict[str, Any], prometheus: str) -> str:
    rows = [found["metric"] for found in values(prometheus, everything(panel["targets"][0]["expr"]))]
    head = sorted(rows[0])
    cells = ["".join(f"<td>{html.escape(row[name])}</td>" for name in head) for row in rows]
    return f"<table><tr>{''.join(f'<th>{name}</th>' for name in head)}</tr><tr>{'</tr><tr>'.join(cells)}</tr></table>"


def content(panel: dict[str, Any], prometheus: str, start: float, end: float, width: int, height: int) -> str:
    if panel["type"] == "table":
        return table(panel, prometheus)
    lines = list(series(panel, prometheus, start, end))
    if not lines:
        return '<div class="nothing">No data</div>'
    return stat(panel, lines) if panel["type"] == "stat" else graph(panel, lines, width, height, start, end)


def page(prometheus: str, start: float, end: float) -> str:
    """The dashboard over that time, as HTML."""
    parts = [f"<style>{STYLE}</style>"]
    for panel in json.loads((CHART / "files" / "dashboard.json").read_text())["panels"]:
        place = panel["gridPos"]
        width, height = place["w"] * COLUMN - GAP, place["h"] * ROW - GAP
        at = f"left:{place['x'] * COLUMN + GAP}px;top:{place['y'] * ROW + GAP}px;width:{width}px;height:{height}px"
        title = html.escape(panel["title"])
        if panel["type"] == "row":
            parts.append(f'<div class="row" style="{at}">▾ {title}</div>')
        else:
            inner = content(panel, prometheus, start, end, width, height)
            parts.append(f'<div class="panel" style="{at}"><h3>{title}</h3>{inner}</div>')
    return "".join(parts)


def draw(text: str, target: Path) -> None:
    """The page as a picture."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium")
        shown = browser.new_page(viewport={"width": 24 * COLUMN + 2 * GAP, "height": 2420})
        shown.set_content(text)
        shown.screenshot(path=target)
        browser.close()


def main() -> None:
    """Watches a service for a minute and draws what the dashboard shows of it."""
    start = time.time() + 18
    with watched(70, rounds=150) as prometheus:
        draw(page(prometheus, start, time.time()), Path(sys.argv[1]))


if __name__ == "__main__":
    main()
