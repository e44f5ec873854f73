"""From flags, environment and file to Settings: who wins, and every mistake at once.

Unknown names stop the start, because a misspelt setting that is ignored is found at night; each comes with the nearest
known one. All values arrive as texts, also from YAML, so that `port: 8000`, `HYPERFLEET_SERVER_PORT=8000` and
`--server-port 8000` are read by the same rule and YAML's own ideas (`on`, `1:30`, `010`) never apply.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from hyperfleet.cli import certificates, entries
from hyperfleet.cli.mistakes import Mistakes, nearest
from hyperfleet.settings import PREFIX, BadSettings, Jwt, Loaded, Row, Settings, built, rows, value
from hyperfleet.telemetry import tracing

CONFIG_FLAG: Final = "--config"
CONFIG_VARIABLE: Final = PREFIX + "CONFIG"
DEFAULT_FILES: Final = (Path("/etc/hyperfleet/config.yaml"), Path("configs/config.yaml"))
EVERYTHING: Final = ("",)

_FILE: Final = "_FILE"
_ROWS: Final = {row.path: row for row in rows()}
_GROUPS: Final = {path[: dot.start()] for path in _ROWS for dot in re.finditer(r"\.", path)}
_BY_FLAG: Final = {row.flag: row for row in _ROWS.values() if row.is_scalar}
_BY_VARIABLE: Final = {
    name: row for row in _ROWS.values() if row.is_scalar for name in (row.alias, row.variable) if name
}
_LIST_VARIABLES: Final = {row.variable for row in _ROWS.values() if row.form.is_list}
_LIST_FLAGS: Final = {row.flag for row in _ROWS.values() if row.form.is_list}
_PATHS: Final = {path: path for path in (*_ROWS, *sorted(_GROUPS))}
_FLAGS: Final = {flag: row.path for flag, row in _BY_FLAG.items()} | {CONFIG_FLAG: "config"}
_LIST: Final = ": it is a list, and lists stand in the configuration file only."
_BY_FILE_VARIABLE: Final = {row.variable + _FILE: row for row in _ROWS.values() if row.is_secret}
# Kubernetes puts these into every pod beside a Service whose name begins with `hyperfleet-`; nobody configured them.
_SERVICE_LINK: Final = re.compile(
    r"_SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)$|_PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$"
)
_SERVICE_ADDRESS: Final = re.compile(r"(tcp|udp|sctp)://")


@dataclass(frozen=True)
class _Found:
    """What one source says about one setting."""

    row: Row
    content: entries.Content | entries.Entries
    source: str


def load(
    flags: Mapping[str, str],
    environ: Mapping[str, str],
    *,
    files: Sequence[Path] = DEFAULT_FILES,
    needed: tuple[str, ...] = EVERYTHING,
) -> Loaded:
    """The effective settings; raises BadSettings with every mistake.

    `flags` maps flags (`--server-port`, `--config`) to their texts. Of `files` the first that exists is read when
    neither flag nor variable names one. `needed` lists the paths that matter to the caller: a bad value elsewhere is no
    mistake and leaves the default in force.
    """
    mistakes = Mistakes(needed)
    found: dict[str, _Found] = {}
    for source in (
        _from_file(flags.get(CONFIG_FLAG) or environ.get(CONFIG_VARIABLE) or "", files, mistakes),
        _from_environment(environ, mistakes),
        _from_flags(flags, mistakes),
    ):
        found |= {item.row.path: item for item in source}
    values: dict[str, Any] = {}
    for path, item in found.items():
        try:
            values[path] = _value(item)
        except ValueError as wrong:
            shown = "" if item.row.is_secret else f", not {item.content!r}"
            mistakes.add(path, f"{path} ({item.source}): {wrong}{shown}.")
    effective: Settings = built(values)
    _contradictions(effective, found, mistakes)
    if effective.logging.otel.enabled:
        for name, sentence in tracing.contradictions(environ):
            mistakes.add(name, sentence)
    if mistakes.texts:
        raise BadSettings(mistakes.texts)
    sources = {path: found[path].source if path in values else "default" for path in _ROWS}
    for item in found.values():
        if isinstance(item.content, entries.Entries):
            sources |= item.content.sources
    return Loaded(effective, sources)


def _value(item: _Found) -> Any:
    if isinstance(item.content, entries.Entries):
        return item.content.values
    return entries.read(item.row.form, item.content)


def _contradictions(effective: Settings, found: Mapping[str, _Found], mistakes: Mistakes) -> None:
    """What is wrong with settings that are each right."""
    database = effective.database
    beside = [f"database.{name}" for name in ("host", "port", "name", "username", "password")]
    given = [path for path in beside if path in found]
    if database.url and given:
        mistakes.add("database.url", f"database.url is set, so {', '.join(given)} must not be: the URL says it all.")
    if database.ssl.root_cert_file and not Path(database.ssl.root_cert_file).is_file():
        mistakes.add(
            "database.ssl.root_cert_file",
            f"database.ssl.root_cert_file: there is no file {database.ssl.root_cert_file}.",
        )
    schema = effective.server.openapi_schema_path
    if schema and not Path(schema).is_file():
        mistakes.add("server.openapi_schema_path", f"server.openapi_schema_path: there is no file {schema}.")
    for path, sentence in certificates.contradictions(effective):
        mistakes.add(path, sentence)
    jwt = effective.server.jwt
    if jwt.enabled and (jwt != Jwt()) and mistakes.concerns("server.jwt"):
        from hyperfleet.cli import issuers

        for path, sentence in issuers.contradictions(jwt):
            mistakes.add(path, sentence)
    server = effective.server
    if (server.tenant.enabled or server.trusted_gateway.enabled) and mistakes.concerns("server"):
        from hyperfleet.cli import access_rules

        for path, sentence in access_rules.contradictions(server):
            mistakes.add(path, sentence)
    if mistakes.concerns("entities"):
        _check_kinds(effective, found, mistakes)
    taken: dict[tuple[str, int], str] = {}
    for group in ("server", "metrics", "health"):
        address = (value(effective, group + ".host"), value(effective, group + ".port"))
        other = taken.setdefault(address, group)
        if other != group:
            mistakes.add(group + ".port", f"{other} and {group} both listen on {address[0]} port {address[1]}.")


def _check_kinds(effective: Settings, found: Mapping[str, _Found], mistakes: Mistakes) -> None:
    """What is wrong with the kinds as a whole; nothing is told of a set of which one has no name."""
    if not effective.entities or any(entity.kind is None for entity in effective.entities):
        return
    # Not before there is something to check: the model takes longer to import than the rest of a command.
    from hyperfleet.cli import kinds
    from hyperfleet.model.catalog import BadCatalog

    try:
        kinds.declared(effective.entities)
    except BadCatalog as wrong:
        for mistake in wrong.mistakes:
            mistakes.add("entities", f"entities ({found['entities'].source}): {mistake}")


def _from_file(named: str, files: Sequence[Path], mistakes: Mistakes) -> list[_Found]:
    path = Path(named) if named else next((file for file in files if file.exists()), None)
    if path is None:
        return []
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError) as failure:
        mistakes.texts.append(f"The configuration file {path} cannot be read: {failure}.")
        return []
    except yaml.YAMLError as failure:
        mistakes.texts.append(f"The configuration file {path} is not YAML: {' '.join(str(failure).split())}.")
        return []
    if root is None or entries.is_unset(root):
        return []
    if not isinstance(root, yaml.MappingNode):
        mistakes.texts.append(f"The configuration file {path} must hold a mapping of settings.")
        return []
    found: list[_Found] = []
    _walk(root, "", str(path), found, mistakes)
    return found


def _walk(tree: yaml.MappingNode, prefix: str, file: str, found: list[_Found], mistakes: Mistakes) -> None:
    seen: set[str] = set()
    for key, node in tree.value:
        source = entries.source(key, file)
        path = prefix + (key.value if isinstance(key, yaml.ScalarNode) else "?")
        if path in seen:
            mistakes.add(path, f"{path} ({source}): stands twice in the same mapping.")
        seen.add(path)
        if path in _GROUPS:
            if isinstance(node, yaml.MappingNode):
                _walk(node, path + ".", file, found, mistakes)
            elif not entries.is_unset(node):
                mistakes.add(path, f"{path} ({source}): must be a mapping of settings.")
        elif path not in _ROWS:
            _add_unknown(
                path,
                f"{source}: setting {path}",
                nearest(path, _PATHS),
                mistakes,
            )
        elif not entries.is_unset(node):
            row = _ROWS[path]
            if row.entry is not None:
                found.append(_Found(row, entries.entries(node, row.entry, path, file, mistakes), source))
            else:
                found.append(_Found(row, entries.content(node), source))


def _add_unknown(path: str, what: str, end: str, mistakes: Mistakes) -> None:
    """A name that is not known; unrelated only when it lies in a known group that the command does not need."""
    group = path.split(".", 1)[0]
    if group not in _GROUPS | _ROWS.keys() or mistakes.needs_group(group):
        mistakes.texts.append(f"{what} is unknown{end}")


def _from_environment(environ: Mapping[str, str], mistakes: Mistakes) -> list[_Found]:
    found: dict[str, _Found] = {}
    # In the order of the names, so that what is said does not depend on the order of the environment.
    for name, text in sorted(environ.items()):
        if name in _BY_VARIABLE or (name.startswith(PREFIX) and name != CONFIG_VARIABLE):
            if _is_service_link(name, text):
                continue
        else:
            continue
        row = _BY_VARIABLE.get(name) or _BY_FILE_VARIABLE.get(name)
        if row is None:
            path = name.removeprefix(PREFIX).lower().replace("_", ".", 1)
            variables = _BY_VARIABLE | _BY_FILE_VARIABLE
            known = {each: row.path for each, row in variables.items()} | {CONFIG_VARIABLE: "config"}
            end = _LIST if name in _LIST_VARIABLES else nearest(name, known)
            _add_unknown(path, f"Variable {name}", end, mistakes)
        elif text:
            content = _secret_from(Path(text), name, row, mistakes) if name in _BY_FILE_VARIABLE else text
            if row.path in found and row.alias_wins:
                if name != row.alias:
                    continue
            elif row.path in found and found[row.path].content != content:
                other = found[row.path].source.removeprefix("variable ")
                mistakes.add(row.path, f"Variables {other} and {name} set {row.path} to different values; unset one.")
            if content:
                found[row.path] = _Found(row, content, f"variable {name}")
    return list(found.values())


def _is_service_link(name: str, text: str) -> bool:
    return bool(_SERVICE_LINK.search(name) or (name.endswith("_PORT") and _SERVICE_ADDRESS.match(text)))


def _secret_from(path: Path, name: str, row: Row, mistakes: Mistakes) -> str:
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as failure:
        mistakes.add(row.path, f"{name}: the file {path} cannot be read: {failure}.")
        return ""


def _from_flags(flags: Mapping[str, str], mistakes: Mistakes) -> list[_Found]:
    found: list[_Found] = []
    for flag, text in flags.items():
        if flag in _BY_FLAG:
            if text:
                found.append(_Found(_BY_FLAG[flag], text, f"flag {flag}"))
        elif flag != CONFIG_FLAG:
            # Somebody typed it for this very command, so it is never unrelated.
            if flag in _LIST_FLAGS:
                end = _LIST
            else:
                end = nearest(flag, _FLAGS) if flag.startswith("-") else "."
            mistakes.texts.append(f"{'Flag' if flag.startswith('-') else 'Argument'} {flag} is unknown{end}")
    return found
