"""Foreign text on one line."""

from pathlib import Path

import pytest

from hyperfleet.model.excerpt import printable


@pytest.mark.parametrize(
    ("text", "longest", "shown"),
    [
        ("größer → 名", None, "größer → 名"),
        ("abc", 3, "abc"),
        ("abcd", 3, "abc…"),
        ("a\nb\tc\0", None, r"a\nb\tc\x00"),
        ("\x1b[31m\u202e\ud800", 6, r"\x1b[31m\u202e…"),
        ("", 0, ""),
    ],
)
def test_a_text_is_cut_and_its_control_characters_are_spelled_out(text: str, longest: int | None, shown: str) -> None:
    assert printable(text, longest) == shown
    assert printable(text, longest).isprintable()


def test_only_this_module_spells_out_control_characters() -> None:
    source = Path(__file__).parents[2] / "src"
    assert [path.name for path in source.rglob("*.py") if "isprintable() else" in path.read_text()] == ["excerpt.py"]
