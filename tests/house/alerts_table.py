"""The table of docs/monitoring.md, made from the chart's alerts; `make docs` writes it anew."""

import re
from pathlib import Path
from typing import Final

import yaml

ALERTS: Final = Path(__file__).parents[2] / "charts" / "files" / "alerts.yaml"
_MARKED: Final = re.compile(r"(<!-- table: alerts -->\n).*?(<!-- end of table -->)", re.DOTALL)
_LABEL: Final = re.compile(r"\{\{ \$(?:labels\.)?(\w+) \}\}")


def written(page: str) -> str:
    """The page with its table made anew."""
    lines = ["| alert | severity | what it says | what to do |", "|---|---|---|---|"]
    for group in yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]:
        for rule in group["rules"]:
            notes = {name: _LABEL.sub(r"‹\1›", text) for name, text in rule["annotations"].items()}
            cells = (f"`{rule['alert']}`", rule["labels"]["severity"], notes["summary"], notes["description"])
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    table = "".join(f"{line}\n" for line in lines)
    return _MARKED.sub(lambda found: found[1] + table + found[2], page)
