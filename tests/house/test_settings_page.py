"""The page about settings names each of them in all its spellings."""

from pathlib import Path

from hyperfleet.settings import rows

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_page_has_every_setting_with_its_flag_and_variable() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for row in rows():
        assert f"`{row.path}`" in page
        assert not row.is_flat or (f"`{row.flag}`" in page and f"`{row.variable}`" in page)
