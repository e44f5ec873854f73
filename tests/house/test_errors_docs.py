"""docs/errors.md has every code of the table, as the code has it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from hyperfleet.errors import CODES, Code

PAGE: Final = Path(__file__).parents[2] / "docs" / "errors.md"
BEGIN: Final = "<!-- codes: made from errors.CODES -->\n"
END: Final = "<!-- end of codes -->\n"


def rendered(codes: Iterable[Code] = CODES.values()) -> str:
    """The table of codes in Markdown."""
    head = "| code | status | title | what to do |\n|---|---|---|---|\n"
    return head + "".join(map(_row, codes))


def _row(code: Code) -> str:
    statuses = ", ".join(map(str, code.statuses))
    return f"| `{code.full_name}` | {statuses} | {code.title} | {code.advice} |\n"


def written(page: str) -> str:
    """The page with the table as it is now."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + rendered() + END + after


def test_the_page_of_errors_has_every_code_as_the_table_has_it() -> None:
    page = PAGE.read_text()
    assert page.count(BEGIN) == page.count(END) == 1
    assert page == written(page)


def test_every_code_says_in_one_line_what_to_do() -> None:
    for code in CODES.values():
        assert code.advice.endswith(".")
        assert "|" not in code.title + code.advice
        assert "\n" not in code.title + code.advice


def test_every_status_of_a_code_is_an_error() -> None:
    assert all(400 <= status <= 599 for code in CODES.values() for status in code.statuses)
