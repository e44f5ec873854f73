"""Statements: named for their result, with parameters by name, numbered once when the statement is made.

A constant says `:status`, and whoever runs it gives `status=…`, so a new column renumbers nothing. A statement composed
for one request binds its values as it grows (filters.Parameters), and has numbers from the start.
"""

import re
from collections.abc import Mapping
from operator import itemgetter
from typing import Final

# What may hold a colon without naming a parameter comes first: texts, quoted names, comments, casts. A colon behind a
# word or a bracket belongs to the slice of an array.
_NAME: Final = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/|::|(?<![\w\])]):([a-z_][a-z0-9_]*)", re.DOTALL
)


class Statement:
    """A statement; `name` is its label in metrics and its field in logs.

    `text` is as written, `sql` as sent, and `names` are the parameters in the order of their numbers. `is_read`: it
    changes nothing, so it may be sent again when the connection broke under it. `is_numbered`: the text has numbers
    already, and is not searched for names.
    """

    __slots__ = ("_pick", "is_read", "name", "names", "sql", "text")

    def __init__(self, name: str, text: str, *, is_read: bool = False, is_numbered: bool = False) -> None:
        self.name = name
        self.text = text
        self.is_read = is_read
        self.sql, self.names = (text, ()) if is_numbered else numbered(text)
        self._pick = itemgetter(*self.names) if len(self.names) > 1 else None

    def values(self, given: Mapping[str, object]) -> tuple[object, ...]:
        """The values in the order of their numbers. Raises TypeError for a missing name, and for an unknown one."""
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
    """The text with numbers for names, the first one following `after`, and the names in the order of their numbers."""
    numbers: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        name = found[1]
        return found[0] if name is None else f"${numbers.setdefault(name, after + len(numbers) + 1)}"

    return _NAME.sub(number, text), tuple(numbers)
