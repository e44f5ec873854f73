"""From flags, environment and file to Settings: who wins, and every mistake at once.

Unknown names stop the start, because a misspelt setting that is ignored is found at night. Each comes with the nearest
known one.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, get_type_hints

import yaml

from hyperfleet.settings import PREFIX, BadSettings, Loaded, Row, Secret, Settings, rows

DEFAULT_FILES: Final = (Path("/etc/hyperfleet/config.yaml"), Path("configs/config.yaml"))
CONFIG_VARIABLE: Final = PREFIX + "CONFIG"
_SUFFIX: Final = "_FILE"
_BOOLEANS: Final = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}


def load(flags: Mapping[str, str], environ: Mapping[str, str], *, config: str | None = None) -> Loaded:
    """The effective settings.

    `flags` maps flags (`--server-port`) to their texts; `config` is the file that the caller named. Raises BadSettings.
    """
    mistakes: list[str] = []
    table = {row.path: row for row in rows()}
    found: dict[str, tuple[str, Any]] = {}
    for path, value, source in _from_file(config or environ.get(CONFIG_VARIABLE) or None, table, mistakes):
        found[path] = (source, value)
    for row, text, source in _from_environment(environ, table, mistakes):
        found[row.path] = (source, text)
    by_flag = {row.flag: row for row in table.values() if row.is_scalar}
    for flag, text in flags.items():
        if flag not in by_flag:
            mistakes.append(f"Flag {flag} is unknown{_nearest(flag, by_flag)}.")
        elif text != "":
            found[by_flag[flag].path] = (f"flag {flag}", text)
    values: dict[str, Any] = {}
    for path, (source, value) in found.items():
        try:
            values[path] = _parsed(table[path], value)
        except ValueError as wrong:
            shown = "" if table[path].is_secret else f", not {value!r}"
            mistakes.append(f"{path} ({source}): {wrong}{shown}.")
    if mistakes:
        raise BadSettings(mistakes)
    sources = {path: found[path][0] if path in found else "default" for path in table}
    return Loaded(_built(Settings, "", values), sources)


def _from_file(
    named: str | None, table: Mapping[str, Row], mistakes: list[str]
) -> list[tuple[str, Any, str]]:
    path = Path(named) if named else next((file for file in DEFAULT_FILES if file.is_file()), None)
    if path is None:
        return []
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as failure:
        mistakes.append(f"The configuration file {path} cannot be read: {failure}.")
        return []
    except yaml.YAMLError as failure:
        mistakes.append(f"The configuration file {path} is not YAML: {' '.join(str(failure).split())}.")
        return []
    if tree is None:
        return []
    if not isinstance(tree, dict):
        mistakes.append(f"The configuration file {path} must hold a mapping of settings.")
        return []
    found: list[tuple[str, Any, str]] = []
    _walk(tree, "", f"file {path}", table, found, mistakes)
    return found


def _walk(
    tree: Mapping[Any, Any],
    prefix: str,
    source: str,
    table: Mapping[str, Row],
    found: list[tuple[str, Any, str]],
    mistakes: list[str],
) -> None:
    groups = {path[: position] for path in table for position in range(len(path)) if path[position] == "."}
    for key, value in tree.items():
        path = f"{prefix}{key}"
        if path in groups:
            if isinstance(value, dict):
                _walk(value, path + ".", source, table, found, mistakes)
            elif value is not None:
                mistakes.append(f"{path} ({source}): must be a mapping of settings.")
        elif path not in table:
            mistakes.append(f"{path} ({source}): is unknown{_nearest(path, [*table, *groups])}.")
        elif value is not None and value != "":
            found.append((path, value, source))


def _from_environment(
    environ: Mapping[str, str], table: Mapping[str, Row], mistakes: list[str]
) -> list[tuple[Row, str, str]]:
    names: dict[str, Row] = {}
    for row in table.values():
        if row.is_scalar:
            names |= {name: row for name in (row.alias, row.variable) if name}
    files = {row.variable + _SUFFIX: row for row in table.values() if row.is_secret}
    found: list[tuple[Row, str, str]] = []
    for name, text in environ.items():
        if name in files and text:
            try:
                found.append((files[name], Path(text).read_text(encoding="utf-8").strip("\r\n"), f"file of {name}"))
            except (OSError, UnicodeDecodeError) as failure:
                mistakes.append(f"{name}: the file {text} cannot be read: {failure}.")
        elif name in names and text:
            found.append((names[name], text, f"variable {name}"))
        elif name.startswith(PREFIX) and name not in names and name not in files and name != CONFIG_VARIABLE:
            mistakes.append(f"Variable {name} is unknown{_nearest(name, [*names, *files, CONFIG_VARIABLE])}.")
    # The name that follows from the path is the last word, whatever the order of the environment.
    return sorted(found, key=lambda item: item[2] == f"variable {item[0].variable}")


def _nearest(name: str, known: Any) -> str:
    close = get_close_matches(name, list(known), n=1, cutoff=0.4)
    return f"; did you mean {close[0]}" if close else ""


def _parsed(row: Row, value: Any) -> Any:
    """The value of a setting from its text, or from what YAML made of it; raises ValueError with what it must be."""
    if not row.is_scalar:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ValueError("must be a list of texts")
        return tuple(value)
    if isinstance(value, dict | list):
        raise ValueError("must be a single value")
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if row.parse is not None:
        return row.parse(text)
    if row.type is bool:
        if text.lower() not in _BOOLEANS:
            raise ValueError("must be true or false")
        return _BOOLEANS[text.lower()]
    return Secret(text) if row.is_secret else text


def _built(of: Any, prefix: str, values: Mapping[str, Any]) -> Any:
    types = get_type_hints(of)
    members: dict[str, Any] = {}
    for item in dataclasses.fields(of):
        path = prefix + item.name
        if is_dataclass(types[item.name]):
            members[item.name] = _built(types[item.name], path + ".", values)
        elif path in values:
            members[item.name] = values[path]
    return of(**members)
