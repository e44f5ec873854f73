"""What docs/reliability.md says was broken is what `make drill` and `make soak` break."""

import ast
import re
from pathlib import Path

from drills.__main__ import DOCUMENT, DRILLS
from hyperfleet.errors import CODES, DeadlineExceeded

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / DOCUMENT).read_text()


def test_every_drill_has_its_table_on_the_page_and_every_table_its_drill() -> None:
    begun = re.findall(r"<!-- begin: drills\.(\w+) -->", PAGE)
    assert begun == re.findall(r"<!-- end: drills\.(\w+) -->", PAGE)
    assert sorted(begun) == sorted((*DRILLS, "soak"))


def test_a_drill_says_what_it_does_and_asserts_what_it_claims() -> None:
    for name in DRILLS:
        tree = ast.parse((ROOT / "drills" / f"{name}.py").read_text())
        assert ast.get_docstring(tree), name
        assert any(isinstance(node, ast.Assert) for node in ast.walk(tree)), name


def test_nothing_says_of_a_late_answer_that_nothing_was_stored() -> None:
    texts = [DeadlineExceeded.__doc__, CODES["SVC-002"].advice, (ROOT / "typespec" / "answers.tsp").read_text()]
    for text in texts:
        assert text is not None
        assert "nothing was stored: SVC-002" not in text
    assert "may have been stored" in CODES["SVC-002"].advice
    assert "may have been stored" in str(DeadlineExceeded.__doc__)
