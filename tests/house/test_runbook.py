"""docs/runbook.md has an entry for each alert and each error code, and none for anything else."""

import re
from pathlib import Path

import pytest
import yaml

from hyperfleet.errors import CODES

ROOT = Path(__file__).parents[2]
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
ENTRIES = dict(re.findall(r"^### (\S+)\n(.*?)(?=^#|\Z)", RUNBOOK, re.MULTILINE | re.DOTALL))
GROUPS = yaml.safe_load((ROOT / "charts" / "files" / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
ALERTS = [rule["alert"] for group in GROUPS for rule in group["rules"]]


def test_there_is_an_entry_for_each_alert_and_each_code_in_their_order() -> None:
    assert list(ENTRIES) == [*ALERTS, *(code.full_name for code in CODES.values())]


@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry_says_what_it_means_where_to_look_and_what_to_do(name: str) -> None:
    assert re.findall(r"^- \*\*(\w+)\*\*: ", ENTRIES[name], re.MULTILINE) == ["Means", "Look", "Do"]
