"""Every decision record has the same parts, so that a reader finds them at a glance."""

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "docs" / "decisions"
RECORDS = sorted(FOLDER.glob("0*.md"))
HEAD = re.compile(
    r"# .+\n\nDate: \d{4}-\d{2}-\d{2}\. Status: (accepted|superseded by \[\d{4}\]\(\d{4}-[a-z0-9-]+\.md\))\.\n\n"
    r"\*\*Context\.\*\* "
)
PARTS = ("**Context.**", "**Choice", "**Alternatives", "**Enforced by**")


@pytest.mark.parametrize("record", RECORDS, ids=lambda path: path.name)
def test_a_decision_has_a_date_a_status_and_its_parts_in_order(record: Path) -> None:
    text = record.read_text(encoding="utf-8")
    assert HEAD.match(text), "expected title, Date, Status and Context"
    places = [text.find(f"\n{part}") for part in PARTS]
    assert -1 not in places, dict(zip(PARTS, places, strict=True))
    assert places == sorted(places)


def test_no_two_decisions_share_a_number() -> None:
    numbers = [record.name[:4] for record in RECORDS]
    assert len(set(numbers)) == len(numbers)
