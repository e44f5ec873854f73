"""Every row of the page of limits says what, how much, which setting, why, and what happens beyond it."""

import re

from hyperfleet.settings import rows
from tests.house.limits_table import page

ROWS = [line.strip("|").split("|") for line in page().splitlines() if line.startswith("| ")]


def test_every_row_is_complete() -> None:
    assert len(ROWS) > 60
    assert [row for row in ROWS if len(row) != 5 or not all(cell.strip() for cell in row)] == []


def test_every_figure_is_filled_in() -> None:
    assert re.findall(r"\{[^}]*\}", page()) == []


def test_every_setting_that_a_row_names_is_one() -> None:
    named = {name for row in ROWS for name in re.findall(r"`((?:server|database|health|metrics)\.[a-z_.]+)`", row[2])}
    assert len(named) >= 8
    assert named <= {row.path for row in rows()}
