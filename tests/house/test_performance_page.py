"""docs/performance.md shows the stored figures: every table and plot follows from them, and from nothing else."""

import copy
import re
import shutil
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any, Final

import pytest

from bench import plots, report

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / report.DOCUMENT).read_text(encoding="utf-8")
FOLDER: Final = ROOT / report.FIGURES.parent
SVG: Final = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.chdir(ROOT)
    return dict(report.stored())


def bars(svg: str, series: str) -> list[float]:
    """The lengths of the bars of a series, without its square in the legend."""
    rectangles = ElementTree.fromstring(svg).iter(f"{SVG}rect")
    return [
        float(each.attrib["width"])
        for each in rectangles
        if each.get("class") == series and each.get("y") != plots.LEGEND
    ]


def test_the_tables_are_those_of_the_stored_figures(figures: dict[str, Any]) -> None:
    assert set(re.findall(r"<!-- begin: (\S+) -->", PAGE)) == set(report.TABLES) == set(figures)
    assert report.page(PAGE, figures) == PAGE, "run: .venv/bin/python -m bench.report"


def test_the_plots_are_those_of_the_stored_figures(figures: dict[str, Any]) -> None:
    drawn = plots.drawn(figures)
    assert {file.name: file.read_text(encoding="utf-8") for file in FOLDER.glob("*.svg")} == drawn
    assert set(re.findall(r"!\[[^\]]+\]\(performance/(\S+)\)", PAGE)) == set(drawn)


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.svg")), ids=lambda file: file.name)
def test_a_plot_is_an_image_alone_and_names_its_unit(file: Path) -> None:
    root = ElementTree.parse(file).getroot()
    assert root.tag == f"{SVG}svg"
    assert {each.tag.removeprefix(SVG) for each in root.iter()} == {"svg", "title", "style", "rect", "path", "text"}
    assert not re.search(r"href|url\(|@import|\bon\w+=|20\d\d-", file.read_text(encoding="utf-8"))
    texts = {each.text for each in root.iter(f"{SVG}text")}
    assert texts & {"requests/s", "ms", "µs a request"}
    for each in root.iter(f"{SVG}rect"):
        assert float(each.get("x", 0)) + float(each.attrib["width"]) <= plots.WIDTH


def test_bars_are_as_long_as_their_figures(figures: dict[str, Any]) -> None:
    rates = [each["rate"] for each in figures["bench"]["scenarios"]]
    lengths = bars(plots.drawn(figures)["requests.svg"], "first")
    assert [length / max(lengths) for length in lengths] == pytest.approx(
        [rate / max(rates) for rate in rates], abs=1e-3
    )


def test_another_figure_changes_its_table_and_its_plots_alone(figures: dict[str, Any]) -> None:
    changed = copy.deepcopy(figures)
    changed["bench"]["scenarios"][0]["rate"] += 100
    before, after = plots.drawn(figures), plots.drawn(changed)
    assert [name for name in before if before[name] != after[name]] == ["requests.svg"]
    assert [name for name, lines in report.TABLES.items() if lines(changed[name]) != lines(figures[name])] == ["bench"]


@pytest.mark.parametrize(("most", "step"), [(0.9, 0.1), (1.2, 0.2), (7.0, 1.0), (35.2, 5.0), (388, 50), (5575, 1000)])
def test_the_grid_has_round_numbers(most: float, step: float) -> None:
    assert plots._step(most) == pytest.approx(step)


def luminance(color: str) -> float:
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("palette", [plots.LIGHT, plots.DARK], ids=["light", "dark"])
def test_text_and_bars_are_readable_on_their_background(palette: dict[str, str]) -> None:
    def contrast(name: str) -> float:
        dark, light = sorted((luminance(palette[name]), luminance(palette["back"])))
        return (light + 0.05) / (dark + 0.05)

    assert contrast("text") >= 7
    assert min(contrast(name) for name in plots.SERIES) >= 4.5


def test_a_run_that_writes_replaces_its_own_figures_alone(
    figures: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(FOLDER, tmp_path / "docs" / "performance")
    shutil.copy(ROOT / report.DOCUMENT, tmp_path / "docs")
    monkeypatch.chdir(tmp_path)
    measured = copy.deepcopy(figures["bench"])
    measured["scenarios"][0]["rate"] = 12345.67891
    report.finish("bench", measured, write=False)
    assert report.stored() == figures
    report.finish("bench", measured, write=True)
    measured["scenarios"][0]["rate"] = 12345.679
    assert report.stored() == figures | {"bench": measured}
    assert "| GET | 12,346 |" in report.DOCUMENT.read_text(encoding="utf-8")
    assert ">12,346<" in (tmp_path / "docs" / "performance" / "requests.svg").read_text(encoding="utf-8")
