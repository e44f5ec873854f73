"""The nearest of the known names."""

from hyperfleet.model.spelling import MOST_KNOWN, nearest_name


def test_the_nearest_name_is_near() -> None:
    assert nearest_name("creation_time", ["created_time", "name"]) == "created_time"
    assert nearest_name("x", ["created_time", "name"]) is None
    assert nearest_name("y" * 10_000, ["created_time", "name"]) is None


def test_case_and_underscores_are_set_aside() -> None:
    assert nearest_name("observedGeneration", ["observed_generation", "adapter"]) == "observed_generation"


def test_of_very_many_known_names_the_first_hundred_are_looked_at() -> None:
    known = [f"{number:04}" for number in range(MOST_KNOWN - 1)] + ["adapter", "metadata"]
    assert nearest_name("adaptor", known) == "adapter"
    assert nearest_name("metadatum", known) is None
