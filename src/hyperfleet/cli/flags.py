"""The settings as flags of a command, for the parser and its help; generated from the table in settings/.

The value of a flag stays text. The loader reads it by the same rule as the value of a variable, so a wrong flag is
reported with all other mistakes instead of stopping the parser at the first.
"""

from collections.abc import Iterator, Sequence
from inspect import Parameter as Argument
from typing import Annotated, Final

from cyclopts import Group, Parameter

from hyperfleet.cli import names
from hyperfleet.cli.configuration import DEFAULT_FILES
from hyperfleet.cli.names import CONFIG_FLAG, CONFIG_VARIABLE
from hyperfleet.settings import BOOLEAN, BOOLEANS, Row, titles

_GROUPS: Final = {name: Group(title, sort_key=index) for index, (name, title) in enumerate(titles().items())}
_BARE: Final = {flag for flag, name in names.FLAGS.items() if name.row.form is BOOLEAN}
_BY_ARGUMENT: Final = {flag.lstrip("-").replace("-", "_"): flag for flag in (CONFIG_FLAG, *names.FLAGS)}


def arguments(needed: tuple[str, ...]) -> Iterator[Argument]:
    """The parser's keyword arguments for the settings at and below these paths, `--config` first."""
    files = ", then ".join(str(file) for file in DEFAULT_FILES)
    config = f"The configuration file. Unset: {files}, if it exists. [variable: {CONFIG_VARIABLE}]"
    yield _argument(CONFIG_FLAG, config, Group("Settings", sort_key=-1))
    for flag, name in names.FLAGS.items():
        path = name.row.path
        if any(not group or path == group or path.startswith(group + ".") for group in needed):
            yield _argument(flag, _help(name.row), _GROUPS[path.split(".", 1)[0]], show=not name.is_alias)


def _argument(flag: str, help: str, group: Group, *, show: bool = True) -> Argument:
    parameter = Parameter(name=flag, help=help, group=group, show=show, show_default=False)
    return Argument(
        flag.lstrip("-").replace("-", "_"),
        Argument.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[str | None, parameter],
    )


def _help(row: Row) -> str:
    default = row.form.write(row.default)
    parts = [row.form.description, f"variable: {row.variable}"]
    parts += [f"also: {', '.join(row.aliases)}"] if row.aliases else []
    parts += [f"default: {default}"] if default else []
    return " ".join([row.help, *(f"[{part}]" for part in parts)])


def flag_of(name: str) -> str:
    """The flag for the Python name of an argument."""
    return _BY_ARGUMENT[name]


def spelled_out(tokens: Sequence[str]) -> list[str]:
    """The tokens with a value added to each boolean flag without one: `--database-debug` alone means true."""
    done: list[str] = []
    for position, token in enumerate(tokens):
        following = tokens[position + 1] if position + 1 < len(tokens) else ""
        done.append(f"{token}=true" if token in _BARE and following.lower() not in BOOLEANS else token)
    return done


def unknown(tokens: Sequence[str]) -> dict[str, str]:
    """The flags and values that the parser left over, for the loader to report with suggestions."""
    flags: dict[str, str] = {}
    flag = ""
    for token in tokens:
        if token.startswith("-"):
            flag, _, value = token.partition("=")
            flags[flag] = value
        elif flag and not flags[flag]:
            flags[flag] = token
        else:
            flags[token] = ""
    return flags
