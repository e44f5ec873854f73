"""Words that read as translated stay out of the source's prose and the documentation."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
STILTED = re.compile(
    r"\bstands?\b(?! alone)|\btells? (of|that)\b|\bthose that\b|\bin force\b|\bthe very\b|\bis none of\b"
    r"|\b(is|are|was) told\b|\bat all events\b|\bas it stands\b|\bnobody any more\b",
    re.IGNORECASE,
)
PROSE = (".py", ".md", ".tsp")


def test_no_sentence_reads_as_translated() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "src", "docs", "typespec", "README.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    found = [
        f"{name}:{number}: {line.strip()}"
        for name in listed.stdout.split()
        if name.endswith(PROSE) and "/migrations/versions/" not in name
        for number, line in enumerate((ROOT / name).read_text(encoding="utf-8").split("\n"), 1)
        if STILTED.search(line)
    ]
    assert not found, "rewrite what a native reader would stumble over:\n" + "\n".join(found)
