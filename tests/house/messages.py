"""tests/cases/messages.md: every sentence that callers and operators can get, so that they can be read in one go.

The sentences are collected from the source itself: every text of two words or more, and every text passed to an error,
with its placeholders. Docstrings, SQL, and the texts of other generated pages (settings, metrics) are left out.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

SOURCE: Final = Path(__file__).parents[2] / "src" / "hyperfleet"

HEAD: Final = """\
# Messages

Every error message, piece of advice and log line of the service, module by module, in the order of the source.
`{…}` is a placeholder; a line that starts with `log:` is a log event. `make docs` writes this page.
"""

_LISTED_ELSEWHERE: Final = {"telemetry/metrics.py", "cli/settings_reference.py"}
_HELP: Final = {"setting", "entries", "member", "required", "Instrument"}
_WORDS: Final = re.compile(r"(?<![\w.`$/{])[A-Za-z]+[,.:;)]?(?=\s|$)")
_SQL: Final = re.compile(
    r"\b(SELECT|FROM|WHERE|INSERT INTO|ON CONFLICT|DROP|BEGIN|BETWEEN|JOIN|CASE|WHEN|END|COLLATE|NULLS?|UNION|VALUES)\b"
    r"|\b(ANY|LATERAL|TRUE|ROLE)\b|\bAS \w|\b(owner_id, |of_kind)|::|@>|<=|^\{wanted\}"
)
_LONGEST_PLACEHOLDER: Final = 30


class _Texts(ast.NodeVisitor):
    """Collects the texts of one module."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._is_raised = False
        self._prefix = ""

    def visit_Expr(self, node: ast.Expr) -> None:
        """Passes over docstrings."""
        if not (isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)):
            self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> None:
        """What is raised is listed however short it is."""
        before, self._is_raised = self._is_raised, True
        self.generic_visit(node)
        self._is_raised = before

    def visit_Call(self, node: ast.Call) -> None:
        """Marks log events; passes over help texts, which docs/settings.md lists."""
        called = ast.unparse(node.func)
        if called.lstrip("_") in _HELP:
            return
        before = self._prefix
        if re.search(r"(^|[._])log(ger)?\.(debug|info|warning|error|exception)$", called) and node.args:
            self._prefix = "log: "
            self.visit(node.args[0])
            self._prefix = before
            rest: list[ast.expr] = node.args[1:]
        else:
            rest = list(node.args)
        for child in (node.func, *rest, *(word.value for word in node.keywords)):
            self.visit(child)

    def visit_Constant(self, node: ast.Constant) -> None:
        """A plain text."""
        if isinstance(node.value, str):
            self._add(node.value)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """A text with placeholders; texts within these are listed after it."""
        self._add("".join(map(_part, node.values)))
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                self.visit(part.value)

    def _add(self, text: str) -> None:
        words = len(_WORDS.findall(text))
        if (words > 1 and not _SQL.search(text)) or (self._is_raised and words):
            self.found.append(self._prefix + " ".join(text.split()))


def _part(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    assert isinstance(node, ast.FormattedValue)
    expression = ast.unparse(node.value)
    is_short = len(expression) <= _LONGEST_PLACEHOLDER and '"' not in expression and "'" not in expression
    return "{" + (expression if is_short else "…") + "}"


def texts(source: str) -> list[str]:
    """The texts of one module's source, each once."""
    visitor = _Texts()
    visitor.visit(ast.parse(source))
    return list(dict.fromkeys(visitor.found))


def _modules() -> Iterator[tuple[str, list[str]]]:
    for path in sorted(SOURCE.rglob("*.py")):
        name = path.relative_to(SOURCE).as_posix()
        if name in _LISTED_ELSEWHERE or "versions" in path.parts:
            continue
        found = texts(path.read_text(encoding="utf-8"))
        if found:
            yield name, found


def page() -> str:
    """The page."""
    sections = (f"## {name}\n\n" + "".join(f"- {text}\n" for text in found) for name, found in _modules())
    return "\n".join([HEAD, *sections])
