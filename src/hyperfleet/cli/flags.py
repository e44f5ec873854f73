"""The settings as flags of a command: what the parser and its help know, from the table in settings/.

Every flag's value stays a text. The loader reads it by the same rule as a variable's, and so a wrong flag is reported
together with all the other mistakes instead of ending the command line at the first.
"""

from collections.abc import Iterator, Sequence
from inspect import Parameter as Argument
from typing import Annotated, Final

from cyclopts import Group, Parameter

from hyperfleet.cli.configuration import CONFIG_FLAG, CONFIG_VARIABLE, DEFAULT_FILES
from hyperfleet.settings import BOOLEAN, BOOLEANS, Row, rows

_TITLES: Final = {
    "server": "The API",
    "database": "The database",
    "logging": "Logs",
    "metrics": "Metrics",
    "health": "Health",
}
_GROUPS: Final = {name: Group(title, sort_key=index) for index, (name, title) in enumerate(_TITLES.items())}
_BARE: Final = {row.flag for row in rows() if row.form is BOOLEAN}


def arguments(needed: tuple[str, ...]) -> Iterator[Argument]:
    """The parser's keyword arguments for the settings at and below these paths, `--config` first."""
    files = ", then ".join(str(file) for file in DEFAULT_FILES)
    config = f"A file of settings. Unset: {files}, where it exists. [variable: {CONFIG_VARIABLE}]"
    yield _argument(CONFIG_FLAG, config, Group("Settings", sort_key=-1))
    for row in rows():
        if row.is_scalar and any(not path or row.path == path or row.path.startswith(path + ".") for path in needed):
            yield _argument(row.flag, _help(row), _GROUPS[row.path.split(".", 1)[0]])


def _argument(flag: str, help: str, group: Group) -> Argument:
    parameter = Parameter(name=flag, help=help, group=group, show_default=False)
    return Argument(name_of(flag), Argument.KEYWORD_ONLY, default=None, annotation=Annotated[str | None, parameter])


def _help(row: Row) -> str:
    variables = ", ".join(name for name in (row.variable, row.alias) if name)
    default = row.form.write(row.default)
    return f"{row.help} [{row.form.description}] [variable: {variables}]" + (
        f" [default: {default}]" if default else ""
    )


def name_of(flag: str) -> str:
    """The Python name of a flag's argument."""
    return flag.removeprefix("--").replace("-", "_")


def flag_of(name: str) -> str:
    """The flag of an argument's Python name."""
    return "--" + name.replace("_", "-")


def spelled_out(tokens: Sequence[str]) -> list[str]:
    """The tokens with a value for each flag that is a switch: `--database-debug` alone means true."""
    done: list[str] = []
    for position, token in enumerate(tokens):
        following = tokens[position + 1] if position + 1 < len(tokens) else ""
        done.append(f"{token}=true" if token in _BARE and following.lower() not in BOOLEANS else token)
    return done


def unknown(tokens: Sequence[str]) -> dict[str, str]:
    """What the parser left over, as flags and their values, for the loader to say what each may have meant."""
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
