"""The settings as a table: one row for each leaf of a tree of classes, with every name of the setting."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Final, get_type_hints

from hyperfleet.settings.aliases import ALIASES
from hyperfleet.settings.forms import ENTRIES, Form, Secret

PREFIX: Final = "HYPERFLEET_"
FILE_SUFFIX: Final = "_file"
"""The suffix of a path or, in capitals, of a variable that names a file with the value."""


@dataclass(frozen=True)
class Row:
    """A leaf of the tree: its path, and the names derived from it.

    `entry` is the class of the entries of a list. For a member of such an entry, `is_required` says whether it must be
    set, and `absent` describes the effect of leaving it out.
    """

    path: str
    default: Any
    help: str
    form: Form
    entry: type | None = None
    is_required: bool = False
    absent: str = ""

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return variable_of(self.path)

    @property
    def flag(self) -> str:
        """Its flag."""
        return flag_of(self.path)

    @property
    def aliases(self) -> tuple[str, ...]:
        """Its aliases."""
        return ALIASES.get(self.path, ())

    @property
    def paths(self) -> tuple[str, ...]:
        """Its path in a file, and the aliases that are paths."""
        return (self.path, *(name for name in self.aliases if not is_flag(name) and not name.isupper()))

    @property
    def variables(self) -> tuple[str, ...]:
        """Its variable, and the aliases that are variables; none for lists of entries."""
        return (self.variable, *filter(str.isupper, self.aliases)) if self.is_flat else ()

    @property
    def flags(self) -> tuple[str, ...]:
        """Its flag, and the aliases that are flags; none for lists of entries."""
        return (self.flag, *filter(is_flag, self.aliases)) if self.is_flat else ()

    @property
    def is_secret(self) -> bool:
        """Whether its value is never shown."""
        return isinstance(self.default, Secret)

    @property
    def is_flat(self) -> bool:
        """Whether one text can express its value, so that a variable, a flag or a file of its own can set it."""
        return self.form is not ENTRIES


def is_flag(name: str) -> bool:
    """Whether a name is a flag."""
    return name.startswith("-")


def variable_of(path: str) -> str:
    """The environment variable of the setting, or group of settings, at a path."""
    return PREFIX + path.upper().replace(".", "_")


def flag_of(path: str) -> str:
    """The flag of the setting, or group of settings, at a path."""
    return "--" + path.replace(".", "-").replace("_", "-")


def rows(of: type, prefix: str = "") -> Iterator[Row]:
    """Every setting, in the order of the tree, or every member of a class of entries."""
    types = get_type_hints(of)
    for item in fields(of):
        path = prefix + item.name
        if is_dataclass(types[item.name]):
            yield from rows(types[item.name], path + ".")
        else:
            yield Row(path, item.default, **item.metadata)


def titles(of: type) -> dict[str, str]:
    """The title of each group in a tree, by its name: the class's `title`, otherwise the capitalized name."""
    types = get_type_hints(of)
    groups = {item.name: types[item.name] for item in fields(of) if is_dataclass(types[item.name])}
    return {name: getattr(group, "title", name.capitalize()) for name, group in groups.items()}


def value(of: Any, path: str) -> Any:
    """The value at a path of a tree."""
    for name in path.split("."):
        of = getattr(of, name)
    return of


def built(values: Mapping[str, Any], of: type, prefix: str = "") -> Any:
    """The tree with these values by path, and the defaults elsewhere."""
    types = get_type_hints(of)
    members: dict[str, Any] = {}
    for item in fields(of):
        path = prefix + item.name
        if is_dataclass(types[item.name]):
            members[item.name] = built(values, types[item.name], path + ".")
        elif path in values:
            members[item.name] = values[path]
    return of(**members)
