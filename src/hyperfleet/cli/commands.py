"""The command line: parses arguments and settings, runs a command, and reports a failure in one sentence.

Heavy modules are imported only by the command that needs them, so that `--help` and a typo are answered at once. Exit
status: 0 for success; 1 for failure, with the reason on standard error. `migrate --check` and `db status` have one
more.
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from inspect import Signature, signature
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import App, CycloptsError, Parameter

from hyperfleet.cli import configuration, flags, settings_reference
from hyperfleet.errors import HyperFleetError
from hyperfleet.model.spelling import did_you_mean, nearest_name
from hyperfleet.settings import BadSettings, Loaded

PROGRAM: Final = "hyperfleet-api"
FAILED: Final = 1
BEHIND: Final = 2
NOT_RUNNING: Final = 3

_NEWER: Final = (
    "The database schema is newer than this version; run the version that created it, or a later "
    "one. Nothing was changed."
)

_commands: Final[set[Callable[..., int]]] = set()


def _load(given: Mapping[str, str], needed: tuple[str, ...]) -> Loaded:
    return configuration.load(given, os.environ, needed=needed)


def _loaded(
    given: Mapping[str, str], unknown: Mapping[str, str], own_flags: Sequence[str], needed: tuple[str, ...]
) -> Loaded:
    """The settings. An unknown flag may be a misspelling of a flag of the command itself, which is not a setting."""
    near = {flag: nearest_name(flag, own_flags) for flag in unknown}
    mistakes = [f"Flag {flag} is unknown{did_you_mean(own)}" for flag, own in near.items() if own]
    try:
        loaded = _load({**given, **{flag: text for flag, text in unknown.items() if not near[flag]}}, needed)
    except BadSettings as wrong:
        raise BadSettings([*mistakes, *wrong.mistakes]) from None
    if mistakes:
        raise BadSettings(mistakes)
    return loaded


def _with_settings(app: App, *needed: str, name: str = "") -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Registers a function as a command with the flags of the settings at `needed`, by default of all settings.

    The command is called `name`, by default the function's name. The function gets the loaded settings, then its own
    arguments. Mistakes in other settings do not stop the command.
    """
    paths = needed or configuration.EVERYTHING

    def register(work: Callable[..., int]) -> Callable[..., int]:
        own = list(signature(work, eval_str=True).parameters.values())[1:]
        own_flags = [f"--{each.name.replace('_', '-')}" for each in own if each.kind == each.KEYWORD_ONLY]

        def command(*words: str, unknown: Mapping[str, str], **given: Any) -> int:
            mine = {name: given.pop(name) for name in [each.name for each in own] if name in given}
            texts = {flags.flag_of(name): text for name, text in given.items() if text is not None}
            return work(_loaded(texts, unknown, own_flags, paths), *words, **mine)

        vars(command)["__signature__"] = Signature([*own, *flags.arguments(paths)])
        command.__doc__ = work.__doc__
        command.__name__ = name or work.__name__
        app.command(command)
        _commands.add(command)
        return work

    return register


app: Final = App(
    name=PROGRAM,
    help="HyperFleet API: the source of truth for fleets of Kubernetes clusters.",
    version=lambda: f"{PROGRAM} {version(PROGRAM)}",
    print_error=False,
    exit_on_error=False,
    default_parameter=Parameter(allow_repeating=True),
)
db: Final = App(
    name="db", help="Run the embedded PostgreSQL in the background; open a shell on, dump and restore any database."
)
app.command(db)
rules: Final = App(name="rules", help="Test access rules and mapping rules (CEL).")
app.command(rules)


@_with_settings(app)
def serve(loaded: Loaded) -> int:
    """Serve the API, health and metrics.

    Without a database configured (--database-host, --database-url) the embedded PostgreSQL is started, brought to this
    version's schema, and stopped at the end. A configured database must have that schema: `hyperfleet-api migrate`.
    SIGTERM or Ctrl-C stops it: readiness goes first, then requests in flight are answered. A second signal, at least a
    second later, stops it at once.
    """
    from hyperfleet.serving import supervisor

    return supervisor.run(loaded.settings)


@_with_settings(app, "database", "entities")
def migrate(
    loaded: Loaded,
    *,
    check: Annotated[
        bool,
        Parameter(
            help="Change nothing; exit 0 when the schema is current, 2 when it is not.", negative="", show_default=False
        ),
    ] = False,
) -> int:
    """Bring the database to this version's schema, and exit.

    Needs the database's settings only. Where the configuration names kinds (entities), it also brings the statuses of
    stored resources to their rules, as the service does at start. Safe to run many at once: one works, the others
    wait. Without a database configured it works on the embedded PostgreSQL.
    """
    from hyperfleet.assembly import databases, kinds
    from hyperfleet.model.catalog import Catalog
    from hyperfleet.telemetry import logging

    configured = loaded.settings
    logging.configure(configured.logging, version=version(PROGRAM), hostname=configured.server.hostname)
    if check:
        state = databases.schema_now(configured.database)
        if state == "newer":
            return _fail(_NEWER)
        print("Nothing to do." if state == "current" else "The schema is out of date: run hyperfleet-api migrate.")
        return 0 if state == "current" else BEHIND
    # Without entries, the job may simply lack the kinds' configuration; the built-in kinds must not be assumed.
    catalog = Catalog(kinds.declared(configured.entities)) if configured.entities else None
    done = databases.migrate(configured.database, catalog)
    if done.before == "newer":
        return _fail(_NEWER)
    logging.get("migrate").info(
        "the schema is up to date",
        revision=done.revision,
        changed=done.before != "current",
        recomputed=done.recomputed,
    )
    return 0


@_with_settings(app)
def config(loaded: Loaded) -> int:
    """Print the effective configuration as a file, with each value's source beside it and secrets masked.

    Exit 1, with every mistake, when the configuration is wrong, the provider's OpenAPI document and the keys of
    issuers in files included. The warnings that the service logs at its start are printed on standard error.
    """
    from hyperfleet.assembly import access_rules, application, issuers, warnings

    configured = loaded.settings
    document = application.document(configured.server)
    catalog = application.catalog(configured, document)
    access_rules.permissions(configured.server, catalog)
    issuers.trusted(configured.server.jwt)
    for warning in warnings.collected(configured, catalog, document):
        print(f"{PROGRAM}: warning: {warning}", file=sys.stderr)
    for line in settings_reference.effective(loaded):
        print(line)
    return 0


@_with_settings(app, "server", "entities")
def openapi(
    loaded: Loaded,
    *,
    yaml: Annotated[bool, Parameter(help="Print it in YAML.", negative="", show_default=False)] = False,
) -> int:
    """Print the OpenAPI document that is served, in JSON."""
    from hyperfleet.assembly import application
    from hyperfleet.http.description import publications

    described = application.described(loaded.settings)
    sys.stdout.buffer.write(publications.yaml_text(described) if yaml else publications.json_text(described) + b"\n")
    return 0


@_with_settings(rules, "server", "entities", name="test")
def try_rules(
    loaded: Loaded,
    *,
    resource: Annotated[str | None, Parameter(help="A file with a resource, as returned by GET.")] = None,
    reports: Annotated[
        str | None, Parameter(help="A file with reports on the resource, as adapters send them.")
    ] = None,
    caller: Annotated[str | None, Parameter(help="A file with a caller: identity, groups, claims …")] = None,
    verb: Annotated[str, Parameter(help="The verb to check.")] = "read",
    kind: Annotated[str, Parameter(help="The kind of resource to check.")] = "Cluster",
) -> int:
    """Try the configured rules on a resource and its reports, or on a caller, from files.

    Prints the conditions, or whether the caller may. Exit 1 when a rule cannot be evaluated, or the caller may not.
    """
    from hyperfleet.assembly import access_rules, application
    from hyperfleet.cli import rule_trials

    if resource is None and caller is None:
        return _fail(
            "name a file: --resource (with --reports) to test mapping rules, or --caller to test access rules."
        )
    served = application.catalog(loaded.settings, application.document(loaded.settings.server))
    trials = []
    if resource is not None:
        trials.append(rule_trials.conditions(served, Path(resource), Path(reports) if reports else None))
    if caller is not None:
        if kind not in served.by_name:
            return _fail(f"--kind must be one of {', '.join(served.by_name)}, not {kind!r}.")
        permissions = access_rules.permissions(loaded.settings.server, served)
        trials.append(rule_trials.access(permissions, Path(caller), verb, served.by_name[kind]))
    for trial in trials:
        for line in trial.lines:
            print(line)
    return 0 if all(trial.succeeded for trial in trials) else FAILED


@_with_settings(db, "database.embedded")
def start(
    loaded: Loaded,
    *,
    port: Annotated[int | None, Parameter(help="Also listen on this TCP port of localhost, such as 5432.")] = None,
) -> int:
    """Start it in the background; it runs until `db stop`. Succeeds when it already runs.

    Service and `migrate` find it by its data directory: with no database configured they use it as it runs.
    """
    from hyperfleet.assembly import databases

    if port is not None and not 0 < port < 65536:
        return _fail("--port must be a whole number from 1 to 65535.")
    print(databases.start(loaded.settings.database, port))
    return 0


@_with_settings(db, "database.embedded")
def stop(loaded: Loaded) -> int:
    """Stop it. The data stay; connections are closed."""
    from hyperfleet.assembly import databases

    print(databases.stop(loaded.settings.database))
    return 0


@_with_settings(db, "database.embedded")
def status(loaded: Loaded) -> int:
    """Say whether and where it runs; exit 3 when it does not."""
    from hyperfleet.assembly import databases

    report = databases.status(loaded.settings.database)
    print(report or f"The embedded PostgreSQL is not running on {databases.data_dir(loaded.settings.database)}.")
    return 0 if report else NOT_RUNNING


@_with_settings(db, "database")
def shell(
    loaded: Loaded,
    *psql: Annotated[str, Parameter(help="Arguments for psql, such as -c '\\\\dt'.", allow_leading_hyphen=True)],
) -> int:
    """Open psql on the configured database, or on the embedded one, which is started for that long if need be.

    Words after `--` go to psql as they are. The exit status is psql's.
    """
    from hyperfleet.cli import database_clients

    return database_clients.shell(loaded.settings.database, psql)


@_with_settings(db, "database")
def dump(loaded: Loaded, file: Annotated[Path, Parameter(help="The file to write.")], /) -> int:
    """Write the database into a file, as it is at one moment, while it is served or not.

    The file has PostgreSQL's custom format: `db restore` reads it, and so does pg_restore.
    """
    from hyperfleet.cli import database_clients

    return database_clients.dump(loaded.settings.database, file)


@_with_settings(db, "database")
def restore(
    loaded: Loaded,
    file: Annotated[Path, Parameter(help="A file written by `db dump` or pg_dump --format=custom.")],
    /,
    *,
    replace: Annotated[
        bool,
        Parameter(help="Delete the contents of the database first.", negative="", show_default=False),
    ] = False,
) -> int:
    """Put a dump into an empty database: all of it, or nothing when it fails.

    No service may run on the database meanwhile.
    """
    from hyperfleet.cli import database_clients

    return database_clients.restore(loaded.settings.database, file, replace=replace)


def _fail(*sentences: str) -> int:
    for sentence in sentences:
        print(f"{PROGRAM}: {sentence}", file=sys.stderr)
    return FAILED


def explained(mistakes: Sequence[str]) -> Iterator[str]:
    """The lines that describe what is wrong with a configuration."""
    if len(mistakes) == 1:
        yield mistakes[0]
        return
    yield f"the configuration has {len(mistakes)} mistakes:"
    yield from (f"  {mistake}" for mistake in mistakes)


def run(tokens: Sequence[str]) -> int:
    """Runs one command line, without the program's name; returns the exit status."""
    if tokens and tokens[0].startswith("--") and tokens[0] not in ("--help", "--version"):
        flag = tokens[0].partition("=")[0]
        return _fail(f"Put flags after the command: {PROGRAM} COMMAND {flag}. See {PROGRAM} --help.")
    try:
        command, bound, left_over, _ = app.parse_known_args(flags.spelled_out(tokens))
        unknown = flags.unknown(left_over)
        if command in _commands:
            status: int = command(*bound.args, **bound.kwargs, unknown=unknown)
            return status
        if unknown:
            return _fail(f"{next(iter(unknown))} is not a command; {PROGRAM} --help lists them.")
        command(*bound.args, **bound.kwargs)
    except CycloptsError as wrong:
        wrong.verbose = False
        return _fail(f"{wrong} See {PROGRAM} --help.")
    except BadSettings as wrong:
        return _fail(*explained(wrong.mistakes))
    except HyperFleetError as failure:
        return _fail(failure.detail)
    except KeyboardInterrupt:
        return 130
    return 0


def main() -> None:
    """The program's entry point."""
    try:
        status = run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader, such as `head`, closed the pipe. Without this the interpreter complains when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = FAILED
    sys.exit(status)
