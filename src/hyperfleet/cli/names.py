"""Every flag, variable and file path that sets a setting, and suggestions for unknown names.

All are derived from the table in settings/: the name of each setting and its aliases. Variables and paths also exist
with the suffix `_FILE` or `_file`, which names a file that contains the value.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from hyperfleet.model.spelling import did_you_mean, nearest_name
from hyperfleet.settings import PREFIX, Row, rows
from hyperfleet.settings.aliases import RETIRED
from hyperfleet.settings.table import FILE_SUFFIX, flag_of, variable_of

CONFIG_FLAG: Final = "--config"
CONFIG_VARIABLE: Final = PREFIX + "CONFIG"

_LIST: Final = ": the setting is a list of entries and can be set only in the configuration file."


@dataclass(frozen=True)
class Name:
    """A name of a setting; with `is_file`, its value is the path of a file that contains the setting's value."""

    text: str
    row: Row
    is_file: bool = False

    @property
    def is_alias(self) -> bool:
        """Whether the name is an alias of the setting."""
        own = (self.row.path, self.row.flag, self.row.variable)
        return self.text not in own and self.text[: -len(FILE_SUFFIX)] not in own


ROWS: Final = {row.path: row for row in rows()}


def _words(text: str) -> list[str]:
    return re.split(r"[-._]", text.lower())


def _core(name: str) -> str:
    return name.removeprefix(PREFIX).removeprefix("--")


def _listed() -> tuple[dict[str, Name], dict[str, Name], dict[str, Name]]:
    flags = {text: Name(text, row) for row in ROWS.values() for text in row.flags}
    variables: dict[str, Name] = {}
    paths: dict[str, Name] = {}
    for row in ROWS.values():
        variables |= {text: Name(text, row) for text in row.variables}
        paths |= {text: Name(text, row) for text in row.paths}
    # Names of settings come first: `cert_file` is a setting itself, not the file form of `cert`.
    for name in [*variables.values()]:
        text = name.text + FILE_SUFFIX.upper()
        variables.setdefault(text, Name(text, name.row, is_file=True))
    for name in [*paths.values()]:
        if name.row.is_flat:
            text = name.text + FILE_SUFFIX
            paths.setdefault(text, Name(text, name.row, is_file=True))
    return flags, variables, paths


FLAGS, VARIABLES, PATHS = _listed()


def _groups(paths: Iterable[str]) -> frozenset[str]:
    return frozenset(path[: dot.start()] for path in paths for dot in re.finditer(r"\.", path))


def _path_of(name: Name) -> str:
    """The path that a flag or variable spells; in an alias, the first word is the group."""
    if name.is_alias:
        group, *own = _words(_core(name.text))
        return f"{group}.{'_'.join(own)}"
    return name.row.path + (FILE_SUFFIX if name.is_file else "")


GROUPS: Final = _groups(PATHS)
"""The paths of groups in a configuration file."""

_KNOWN_FLAGS: Final = {flag: _path_of(name) for flag, name in FLAGS.items()} | {CONFIG_FLAG: "config"}
_KNOWN_VARIABLES: Final = {text: _path_of(name) for text, name in VARIABLES.items()}
_KNOWN_PATHS: Final = (*ROWS, *sorted(_groups(ROWS)))


def unknown_flag(flag: str) -> str:
    """The end of the sentence about an unknown flag."""
    value = FLAGS.get(flag.removesuffix("-file"))
    if value is not None and flag.endswith("-file"):
        return f" is unknown; name the file in the variable {variable_of(_path_of(value))}{FILE_SUFFIX.upper()}."
    return _end(flag, _KNOWN_FLAGS, flag_of, _misspelt(flag, _KNOWN_FLAGS))


def unknown_variable(variable: str) -> str:
    """The end of the sentence about an unknown variable."""
    names_file = variable.endswith(FILE_SUFFIX.upper())
    known = {text: path for text, path in _KNOWN_VARIABLES.items() if names_file or not VARIABLES[text].is_file}
    known[CONFIG_VARIABLE] = "config"
    return _end(variable, known, variable_of, _misspelt(variable, known))


def unknown_path(path: str) -> str:
    """The end of the sentence about an unknown path in a file."""
    return _end(path, _KNOWN_PATHS, str, nearest_name(path, _KNOWN_PATHS, most=len(_KNOWN_PATHS)))


def _end(name: str, known: Collection[str], spelled: Callable[[str], str], guess: str | None) -> str:
    """The end of the sentence; `spelled` writes a path as such a name, `guess` is the known name most like it."""
    retired = next((each for each in RETIRED if _is_below(name, spelled(each.path)) or name in each.aliases), None)
    if retired is not None:
        return f" is not supported: {retired.instead}"
    if any(not row.is_flat and name == spelled(path) for path, row in ROWS.items()):
        return f" is unknown{_LIST}"
    # For a name without its group, such as `--port`, a known name that ends with it beats any that merely looks
    # similar.
    ending = re.compile(rf"[-._]{re.escape(_core(name))}$", re.IGNORECASE)
    whole_words = next((each for each in known if ending.search(_core(each))), None)
    return f" is unknown{did_you_mean(whole_words or guess)}"


def _is_below(name: str, group: str) -> bool:
    return name == group or re.match(rf"{re.escape(group)}[-._]", name) is not None


def _misspelt(name: str, known: Mapping[str, str]) -> str | None:
    """The known flag or variable that a misspelt one resembles; `known` maps each name to its path.

    A flag or variable does not show where its group ends, so the name is split at each depth that groups have.
    """
    words = _words(_core(name))
    by_depth: defaultdict[int, dict[str, str]] = defaultdict(dict)
    for each, path in known.items():
        *groups, own = path.split(".")
        before = [word for group in groups for word in _words(group)]
        by_depth[len(before)][f"{''.join(before)}.{own}"] = each
    found: dict[str, str] = {}
    for depth, candidates in sorted(by_depth.items()):
        given = f"{''.join(words[:depth])}.{'_'.join(words[depth:])}"
        near = nearest_name(given, candidates, most=len(candidates))
        if near is not None:
            found["".join(_words(_core(candidates[near])))] = candidates[near]
    nearest = nearest_name("".join(words), found)
    return None if nearest is None else found[nearest]
