"""A resource is read for decisions by one SELECT list and written by one SET list; the code has no other."""

import importlib
import pkgutil
import re
from pathlib import Path

import hyperfleet.services
import hyperfleet.store
from hyperfleet.store.standings import COLUMNS
from hyperfleet.store.statements import Statement

STORE = Path(hyperfleet.store.__file__).parent
SOURCES = {path: path.read_text() for path in STORE.rglob("*.py") if "migrations" not in path.parts}


def statements() -> dict[str, Statement]:
    """Every constant of the store that is a statement."""
    modules = [
        importlib.import_module(module.name)
        for module in pkgutil.walk_packages(hyperfleet.store.__path__, "hyperfleet.store.")
        if ".migrations" not in module.name
    ]
    return {name: value for module in modules for name, value in vars(module).items() if isinstance(value, Statement)}


def following(words: str) -> list[tuple[Path, str]]:
    """What follows these words, wherever the store has them."""
    return [
        (path.relative_to(STORE), found[1])
        for path, text in SOURCES.items()
        for found in re.finditer(re.escape(words) + r"\b(.*)", text)
    ]


def test_every_update_of_a_resource_assigns_columns_of_the_set_list() -> None:
    found = following("UPDATE resources")
    assert len(found) >= 5
    assert [place for place in found if not place[1].startswith(" SET {assignments(*")] == []


def test_every_insert_of_a_resource_names_columns_of_the_set_list() -> None:
    assert following("INSERT INTO resources") == [
        (Path("resources.py"), ' (owner_id, owner_kind, tenancy, envelope, {names(*_CREATED)})"'),
    ]


def test_every_statement_that_reads_a_status_to_compute_with_has_the_whole_select_list() -> None:
    reading = {name for name, statement in statements().items() if COLUMNS in statement.text}
    assert reading == {"STANDING", "STANDINGS", "RESOURCE_WITH_REPORTS", "OUTDATED", "CHILDLESS_BEING_DELETED"}
    made = [path.name for path, text in SOURCES.items() if "Standing(*" in text]
    assert sorted(made) == ["recomputations.py", "reports.py", "standings.py", "trees.py"]


def test_every_statement_is_a_constant_that_has_its_name() -> None:
    # The statement of a tenant is the same use case, and has its label.
    labels = {name: statement.name for name, statement in statements().items() if not name.startswith("_")}
    others = {"RESOURCE_OF_TENANT": "RESOURCE", "UNDER_WAY": "RECOMPUTATION_UNDER_WAY"}
    assert labels == {name: others.get(name, name) for name in labels}


def test_services_decode_no_json_and_render_nothing() -> None:
    # The child of a service speaks JSON with it: what it is asked, and what it answers.
    confined = {"assessing.py", "checking.py", "confining.py"}
    services = Path(hyperfleet.services.__file__).parent
    texts = {path.name: path.read_text() for path in services.glob("*.py") if path.name not in confined}
    assert len(texts) >= 7
    assert [name for name, text in texts.items() if re.search(r"\b(msgspec|rendering|json)\b", text)] == []
