"""SQL statements: named after their results, with named parameters that are numbered once, when the statement is made.

A constant has `:status` and its caller passes `status=…`, so a new column renumbers nothing. A statement composed for
one request binds its values while it is composed (filters.Parameters), and has numbers from the start.
"""

import re
from collections.abc import Mapping
from operator import itemgetter
from typing import Final

# Text that may contain a colon but is no parameter comes first: strings, quoted names, comments, casts. A colon after a
# word or a bracket belongs to an array slice.
_NAME: Final = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/|::|(?<![\w\])]):([a-z_][a-z0-9_]*)", re.DOTALL
)


class Statement:
    """A statement; `name` is its label in metrics and its field in logs.

    `text` is the SQL as written, `sql` the SQL as sent, and `names` are the parameters in the order of their numbers.
    `is_read`: the statement changes nothing, so it may be sent again after its connection broke. `is_numbered`: the
    text has numbers already, and is not searched for names.
    """

    __slots__ = ("_pick", "is_read", "name", "names", "sql", "text")

    def __init__(self, name: str, text: str, *, is_read: bool = False, is_numbered: bool = False) -> None:
        self.name = name
        self.text = text
        self.is_read = is_read
        self.sql, self.names = (text, ()) if is_numbered else numbered(text)
        self._pick = itemgetter(*self.names) if len(self.names) > 1 else None

    def values(self, given: Mapping[str, object]) -> tuple[object, ...]:
        """The values in the order of the parameters' numbers. Raises TypeError for missing and for unknown names."""
        if len(given) == len(self.names):
            try:
                picked: tuple[object, ...]
                picked = tuple(given[name] for name in self.names) if self._pick is None else self._pick(given)
            except KeyError:
                pass
            else:
                return picked
        missing, unknown = sorted(set(self.names) - set(given)), sorted(set(given) - set(self.names))
        raise TypeError(f"{self.name}: missing parameters {missing}, unknown parameters {unknown}")


def numbered(text: str, after: int = 0) -> tuple[str, tuple[str, ...]]:
    """The text with numbers after `after` instead of names, and the names in the order of their numbers."""
    numbers: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        name = found[1]
        return found[0] if name is None else f"${numbers.setdefault(name, after + len(numbers) + 1)}"

    return _NAME.sub(number, text), tuple(numbers)
