"""The nearest known name."""

from pathlib import Path

import pytest

from hyperfleet.model.spelling import MOST_KNOWN, did_you_mean, nearest_name


def test_the_nearest_name_is_near() -> None:
    assert nearest_name("creation_time", ["created_time", "name"]) == "created_time"
    assert nearest_name("x", ["created_time", "name"]) is None
    assert nearest_name("y" * 10_000, ["created_time", "name"]) is None
    assert nearest_name("name", []) is None


def test_case_underscores_and_hyphens_are_ignored() -> None:
    assert nearest_name("observedGeneration", ["observed_generation", "adapter"]) == "observed_generation"
    assert nearest_name("dns_adaptr", ["dns-adapter", "hypershift"]) == "dns-adapter"


def test_only_the_first_hundred_known_names_are_compared() -> None:
    known = [f"{number:04}" for number in range(MOST_KNOWN - 1)] + ["adapter", "metadata"]
    assert nearest_name("adaptor", known) == "adapter"
    assert nearest_name("metadatum", known) is None
    assert nearest_name("metadatum", known, most=len(known)) == "metadata"


@pytest.mark.parametrize(
    ("name", "known", "nearest"),
    [
        ("database.dialect", ["database.name", "database.host", "database.debug"], None),
        ("database.nme", ["database.host", "database.name"], "database.name"),
        ("databse.name", ["database.name", "metrics.host"], "database.name"),
        ("status.fase", ["status.phase", "status.last_updated_time"], "status.phase"),
        ("spec", ["spec.nodes"], None),
        ("phase", ["id", "name", "status.phase"], "status.phase"),
        ("phse", ["id", "name", "status.phase"], "status.phase"),
        ("last_updated_time", ["updated_time", "status.last_updated_time"], "status.last_updated_time"),
        ("conditions.Ready", ["status.phase", "status.conditions.<Type>"], "status.conditions.<Type>"),
        ("nme", ["database.name", "name"], "name"),
        ("ssl.mod", ["server.host", "database.ssl.mode"], "database.ssl.mode"),
    ],
)
def test_the_last_parts_of_dotted_paths_must_be_near(name: str, known: list[str], nearest: str | None) -> None:
    assert nearest_name(name, known) == nearest


def test_nothing_is_suggested_if_nothing_is_near() -> None:
    assert did_you_mean(None) == "."
    assert did_you_mean("name") == "; did you mean name?"
    assert did_you_mean("name", quote="`") == "; did you mean `name`?"


def test_this_module_makes_every_suggestion() -> None:
    source = Path(__file__).parents[2] / "src"
    assert [path.name for path in source.rglob("*.py") if "difflib" in path.read_text()] == ["spelling.py"]
