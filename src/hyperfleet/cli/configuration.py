"""Settings from flags, environment and file: applies the precedence, and reports every mistake at once.

Unknown names stop the start: a misspelt setting that is silently ignored is found only in an outage. Each mistake
suggests the nearest known name. All values arrive as text, also from YAML, so that `port: 8000`,
`HYPERFLEET_SERVER_PORT=8000` and `--server-port 8000` follow the same rule, and YAML's typing (`on`, `1:30`, `010`)
never applies.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from hyperfleet.assembly import files, yaml_documents
from hyperfleet.cli import entries, names
from hyperfleet.cli.complaints import Complaints
from hyperfleet.cli.names import CONFIG_FLAG, CONFIG_VARIABLE, Name
from hyperfleet.serving import certificates
from hyperfleet.settings import PREFIX, BadSettings, Jwt, Loaded, Settings, built, listeners, value
from hyperfleet.settings.aliases import WINNERS
from hyperfleet.telemetry import tracing

DEFAULT_FILES: Final = (Path("/etc/hyperfleet/config.yaml"), Path("configs/config.yaml"))
EVERYTHING: Final = ("",)
LARGEST_VALUE: Final = 1 << 20
"""The largest size, in bytes, of a file that holds the value of one setting."""

# Kubernetes sets these in every pod beside a Service whose name begins with `hyperfleet-`; they are not configuration.
_SERVICE_LINK: Final = re.compile(
    r"_SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)$|_PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$"
)
_SERVICE_ADDRESS: Final = re.compile(r"(tcp|udp|sctp)://")


@dataclass(frozen=True)
class _Found:
    """The value that one source gives for one setting."""

    name: Name
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

    `flags` maps flags (`--server-port`, `--config`) to their texts. When neither a flag nor a variable names a file,
    the first existing one of `files` is read. `needed` lists the paths that the caller uses: a bad value elsewhere is
    not a mistake and keeps the default.
    """
    mistakes = Complaints(needed)
    found: dict[str, _Found] = {}
    for source in (
        _from_file(flags.get(CONFIG_FLAG) or environ.get(CONFIG_VARIABLE) or "", files, mistakes),
        _from_environment(environ, mistakes),
        _from_flags(flags, mistakes),
    ):
        found |= _settled(source, mistakes)
    values: dict[str, Any] = {}
    for path, item in found.items():
        try:
            values[path] = _value(item)
        except ValueError as wrong:
            mistakes.add(path, f"{path} ({item.source}): {wrong}{_shown(item)}.")
    effective: Settings = built(values)
    _contradictions(effective, found, mistakes)
    if effective.logging.otel.enabled:
        for name, sentence in tracing.contradictions(environ):
            mistakes.add(name, sentence)
    if mistakes.texts:
        raise BadSettings(mistakes.texts)
    sources = {path: found[path].source if path in values else "default" for path in names.ROWS}
    for item in found.values():
        if isinstance(item.content, entries.Entries):
            sources |= item.content.sources
    return Loaded(effective, sources)


def _value(item: _Found) -> Any:
    if isinstance(item.content, entries.Entries):
        return item.content.values
    return entries.read(item.name.row.form, item.content)


def _shown(item: _Found) -> str:
    """The wrong value, to end a sentence with; empty if it may be a secret, such as a file named by mistake."""
    if item.name.row.is_secret or item.name.is_file or isinstance(item.content, entries.Entries):
        return ""
    return entries.shown(item.content)


def _settled(source: Iterator[_Found], mistakes: Complaints) -> dict[str, _Found]:
    """One value for each setting of a source, by path; two names with different values are a mistake."""
    settled: dict[str, _Found] = {}
    for item in source:
        path = item.name.row.path
        other = settled.setdefault(path, item)
        if other.content == item.content:
            settled[path] = other if item.name.is_alias or item.name.is_file else item
        elif item.name.text in WINNERS:
            settled[path] = item
        elif other.name.text not in WINNERS:
            mistakes.add(path, f"{path}: {other.source} and {item.source} set different values; remove one of them.")
    return settled


def _contradictions(effective: Settings, found: Mapping[str, _Found], mistakes: Complaints) -> None:
    """Adds the mistakes in combinations of settings that are valid on their own."""
    database = effective.database
    beside = [f"database.{name}" for name in ("host", "port", "name", "username", "password")]
    given = [path for path in beside if path in found]
    if database.url and given:
        mistakes.add(
            "database.url", f"database.url is set, so {', '.join(given)} must not be: the URL covers everything."
        )
    if database.ssl.root_cert_file and not Path(database.ssl.root_cert_file).is_file():
        mistakes.add(
            "database.ssl.root_cert_file",
            f"database.ssl.root_cert_file: file {database.ssl.root_cert_file} does not exist.",
        )
    schema = effective.server.openapi_schema_path
    if schema and not Path(schema).is_file():
        mistakes.add("server.openapi_schema_path", f"server.openapi_schema_path: file {schema} does not exist.")
    for path, sentence in certificates.contradictions(effective):
        mistakes.add(path, sentence)
    jwt = effective.server.jwt
    if jwt.enabled and (jwt != Jwt()) and mistakes.concerns("server.jwt"):
        from hyperfleet.assembly import issuers

        for path, sentence in issuers.contradictions(jwt):
            mistakes.add(path, sentence)
    server = effective.server
    if (server.tenant.enabled or server.trusted_gateway.enabled) and mistakes.concerns("server"):
        from hyperfleet.assembly import access_rules

        for path, sentence in access_rules.contradictions(server):
            mistakes.add(path, sentence)
    if mistakes.concerns("entities"):
        _check_kinds(effective, found, mistakes)
    taken: dict[tuple[str, int], str] = {}
    for group in listeners():
        address = (value(effective, group + ".host"), value(effective, group + ".port"))
        other = taken.setdefault(address, group)
        if other != group:
            mistakes.add(
                group + ".port",
                f"{other} and {group} both listen on {address[0]} port {address[1]}; change one of them.",
            )


def _check_kinds(effective: Settings, found: Mapping[str, _Found], mistakes: Complaints) -> None:
    """Adds the mistakes in the kinds as a whole; checks nothing if any kind has no name."""
    if not effective.entities or any(entity.kind is None for entity in effective.entities):
        return
    # Imported only when there is something to check: the model takes longer to import than the rest of a command.
    from hyperfleet.assembly import kinds
    from hyperfleet.model.catalog import BadCatalog

    try:
        kinds.declared(effective.entities)
    except BadCatalog as wrong:
        for mistake in wrong.mistakes:
            mistakes.add("entities", f"entities ({found['entities'].source}): {mistake}")


def _from_file(named: str, files: Sequence[Path], mistakes: Complaints) -> Iterator[_Found]:
    path = Path(named) if named else next((file for file in files if file.exists()), None)
    if path is None:
        return
    try:
        root = yaml_documents.nodes(path)
    except yaml_documents.BadFile as wrong:
        mistakes.texts.append(f"The configuration file {path} cannot be read: {wrong}.")
        return
    if root is None or entries.is_unset(root):
        return
    if not isinstance(root, yaml.MappingNode):
        mistakes.texts.append(f"The configuration file {path} must contain a mapping of settings.")
        return
    yield from _walk(root, "", str(path), mistakes)


def _reason(failure: OSError | ValueError) -> str:
    if isinstance(failure, OSError):
        return files.reason(failure)
    return "the file is not UTF-8" if isinstance(failure, UnicodeDecodeError) else "the path contains NUL"


def _walk(tree: yaml.MappingNode, prefix: str, file: str, mistakes: Complaints) -> Iterator[_Found]:
    seen: set[str] = set()
    for key, node in tree.value:
        source = entries.source(key, file)
        path = prefix + key.value
        if path in seen:
            mistakes.add(path, f"{path} ({source}): appears twice in the same mapping.")
        seen.add(path)
        if path in names.GROUPS:
            if isinstance(node, yaml.MappingNode):
                yield from _walk(node, path + ".", file, mistakes)
            elif not entries.is_unset(node):
                mistakes.add(path, f"{path} ({source}): must be a mapping of settings.")
        elif path not in names.PATHS:
            _add_unknown(path, f"{source}: setting {path}{names.unknown_path(path)}", mistakes)
        elif not entries.is_unset(node):
            yield from _from_node(names.PATHS[path], node, file, source, mistakes)


def _from_node(name: Name, node: yaml.Node, file: str, source: str, mistakes: Complaints) -> Iterator[_Found]:
    row = name.row
    if row.entry is not None:
        yield _Found(name, entries.entries(node, row.entry, row.path, file, mistakes), source)
    elif name.is_file:
        content = entries.content(node)
        if isinstance(content, str):
            yield from _from_value_file(name, content, source, mistakes)
        else:
            mistakes.add(row.path, f"{name.text} ({source}): must be the path of a file.")
    else:
        yield _Found(name, entries.content(node), source)


def _add_unknown(path: str, sentence: str, mistakes: Complaints) -> None:
    """Adds an unknown name, unless it is in a known group that the command does not need."""
    group = path.split(".", 1)[0]
    if group not in names.GROUPS | names.ROWS.keys() or mistakes.needs_group(group):
        mistakes.texts.append(sentence)


def _from_environment(environ: Mapping[str, str], mistakes: Complaints) -> Iterator[_Found]:
    # Sorted by name, so that the messages do not depend on the order of the environment.
    for text, content in sorted(environ.items()):
        name = names.VARIABLES.get(text)
        if name is None:
            if text.startswith(PREFIX) and text != CONFIG_VARIABLE and not _is_service_link(text, content):
                path = text.removeprefix(PREFIX).lower().replace("_", ".", 1)
                _add_unknown(path, f"Variable {text}{names.unknown_variable(text)}", mistakes)
        elif content and not _is_service_link(text, content):
            if name.is_file:
                yield from _from_value_file(name, content, f"variable {text}", mistakes)
            else:
                yield _Found(name, _content(name, content), f"variable {text}")


def _is_service_link(name: str, text: str) -> bool:
    return bool(_SERVICE_LINK.search(name) or (name.endswith("_PORT") and _SERVICE_ADDRESS.match(text)))


def _from_value_file(name: Name, path: str, source: str, mistakes: Complaints) -> Iterator[_Found]:
    """The value in a file, without its last line break; an empty file leaves the setting unset."""
    try:
        content = re.sub(r"\r?\n\Z", "", files.content(path, LARGEST_VALUE).decode())
    except (OSError, ValueError) as failure:
        reason = _reason(failure)
        mistakes.add(name.row.path, f"{name.text}: the file {path} cannot be read: {reason}.")
        return
    if content:
        yield _Found(name, _content(name, content), f"{source}, file {path}")


def _content(name: Name, text: str) -> entries.Content:
    """The content of a text; for a list setting, its comma-separated items."""
    if not name.row.form.is_list:
        return text
    return tuple(item.strip() for item in text.split(",") if item.strip())


def _from_flags(flags: Mapping[str, str], mistakes: Complaints) -> Iterator[_Found]:
    for flag, text in flags.items():
        if flag in names.FLAGS:
            if text:
                yield _Found(names.FLAGS[flag], _content(names.FLAGS[flag], text), f"flag {flag}")
        elif flag.startswith("-") and flag != CONFIG_FLAG:
            # A flag is typed for this one command, so it always concerns the command.
            mistakes.texts.append(f"Flag {flag}{names.unknown_flag(flag)}")
        elif flag != CONFIG_FLAG:
            mistakes.texts.append(f"Unexpected argument {flag}; pass settings as flags, such as --config=FILE.")
