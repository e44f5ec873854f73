"""The house keeps its order: layers hold, rooms stay small, names are unique, and the code map is true."""

import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PACKAGE: Final = ROOT / "src" / "hyperfleet"
PAGE: Final = ROOT / "docs" / "developing.md"
MOST_MODULES: Final = 13
MOST_LINES: Final = 400

# Names that are no plurals: there is one database, and `backlog` has none. The table of fields is named for its rows.
STORE_SINGULARS: Final = {"database", "backlog"}
MODEL_PLURALS: Final = {"fields"}


def modules(floor: str = "") -> list[Path]:
    """Every module below a floor, or of the product, but for packages themselves and migrations."""
    found = (path for path in (PACKAGE / floor).rglob("*.py") if "migrations" not in path.parts)
    return [path for path in found if path.stem != "__init__"]


def rooms() -> list[str]:
    """Every folder that has modules, as the code map names it."""
    folders = {path.parent for path in PACKAGE.rglob("__init__.py")} - {PACKAGE}
    return sorted(str(folder.relative_to(PACKAGE)) for folder in folders)


def layers() -> dict[str, list[str]]:
    """The layers of each package, highest first, as import-linter reads them."""
    configured = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    contracts = [contract for contract in configured if contract["type"] == "layers"]
    assert all(contract["exhaustive"] for contract in contracts)
    return {container: contract["layers"] for contract in contracts for container in contract["containers"]}


def names(layers: list[str]) -> list[str]:
    """The modules in these layers."""
    return [name for layer in layers for name in re.split(r" [|:] ", layer)]


def test_every_import_goes_down() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_floor_with_rooms_has_layers() -> None:
    with_rooms = {room.split("/")[0] for room in rooms() if "/" in room}
    assert {f"hyperfleet.{floor}" for floor in with_rooms} <= layers().keys()


def test_no_room_has_more_than_thirteen_modules_and_no_module_more_than_400_lines() -> None:
    counted = {room: len(list((PACKAGE / room).glob("*.py"))) for room in rooms()}
    assert {room: count for room, count in counted.items() if count > MOST_MODULES} == {}
    lengths = {path.name: len(path.read_text().splitlines()) for path in modules()}
    assert {name: length for name, length in lengths.items() if length > MOST_LINES} == {}


def test_no_two_modules_share_a_name() -> None:
    counted = Counter(path.stem for path in modules())
    assert [name for name, count in counted.items() if count > 1] == []


def test_a_modules_name_says_its_floor() -> None:
    stores = {path.stem for path in modules("store")} - STORE_SINGULARS
    assert [name for name in stores if not name.endswith("s")] == []
    assert [path.stem for path in modules("services") if not path.stem.endswith("ing")] == []
    models = {path.stem for path in modules("model")} - MODEL_PLURALS
    assert [name for name in models if name.endswith("s")] == []


def test_the_code_map_has_every_room_below_its_floor() -> None:
    page = PAGE.read_text()
    floors = layers()["hyperfleet"]
    assert " > ".join(floors) in page
    mapped = re.findall(r"^\| `([a-z/]+)` \|", page, re.MULTILINE)
    assert sorted(mapped) == sorted([*rooms(), "errors"])
    assert list(dict.fromkeys(room.split("/")[0] for room in mapped)) == names(floors)


def test_every_module_that_a_page_a_docstring_or_a_comment_names_exists() -> None:
    floors = "|".join(names(layers()["hyperfleet"]))
    named = re.compile(rf"(?<![\w/.-])(?:src/hyperfleet/)?((?:{floors})(?:/\w+)*(?:/\w+\.py|/))(?![\w*])")
    texts = [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", *PACKAGE.rglob("*.py")]
    missing = {
        f"{text.relative_to(ROOT)}: {found[1]}"
        for text in texts
        for found in named.finditer(text.read_text())
        if not (PACKAGE / found[1]).exists()
    }
    assert missing == set()


def test_the_ten_commonest_changes_start_at_files_that_exist() -> None:
    table = PAGE.read_text().split("| change | start at |\n|---|---|\n")[1].split("\n\n")[0]
    assert len(table.splitlines()) == 10
    places = re.findall(r"`([\w./-]*/[\w./-]*|errors\.py)`", table)
    assert len(places) >= 10
    assert [place for place in places if not (PACKAGE / place).exists() and not (ROOT / place).exists()] == []


def test_the_glossary_is_sorted_and_names_a_term_once() -> None:
    glossary = PAGE.read_text().split("\n## Glossary\n")[1].split("\n## ")[0]
    terms = re.findall(r"^\| ([a-z][a-z ]+) \| .+ \|$", glossary, re.MULTILINE)
    terms.remove("term")
    assert len(terms) >= 40
    assert terms == sorted(set(terms))


def test_the_page_for_developers_names_the_folders_of_tests_as_they_are() -> None:
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and any(path.rglob("*.*"))}
    named = set(re.findall(r"`tests/(\w+)`", PAGE.read_text()))
    assert named == {name for name in folders if not name.startswith("__")}
