"""The floors of the house hold: import-linter's contracts run with the tests."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_import_goes_down_or_is_named() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_page_for_developers_names_the_floors_and_the_folders_of_tests_as_they_are() -> None:
    page = (ROOT / "docs" / "developing.md").read_text()
    configured = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [floors] = [contract["layers"] for contract in configured if contract["name"] == "Floors"]
    assert " > ".join(floors) in page
    names = " | ".join(floors).split(" | ")
    assert re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)[: len(names)] == names
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and any(path.rglob("*.*"))}
    assert set(re.findall(r"`tests/(\w+)`", page)) == {name for name in folders if not name.startswith("__")}
