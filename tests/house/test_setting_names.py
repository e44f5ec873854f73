"""The names of settings beside their own: files that hold a value, aliases, and names that nothing corresponds to."""

import os
import time
from collections import Counter
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from hyperfleet.assembly import files
from hyperfleet.cli import names
from hyperfleet.cli.configuration import LARGEST_VALUE, load
from hyperfleet.settings import BOOLEAN, Row, Secret, value
from hyperfleet.settings.aliases import ALIASES, RETIRED
from hyperfleet.settings.table import flag_of, variable_of
from tests.house.test_settings import SCALARS, beside, file_with, mistakes, nested, read, sample

HOST_FILE = "HYPERFLEET_DATABASE_HOST_FILE"
PASSWORD_FILE = "HYPERFLEET_DATABASE_PASSWORD_FILE"
OTHERS = [(row, alias) for row in SCALARS for alias in row.aliases]


def value_file(folder: Path, content: str | bytes) -> Path:
    path = folder / "value"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def files_beside(row: Row, folder: Path) -> list[Path]:
    (folder / "beside").mkdir(exist_ok=True)
    more = beside(row.path, folder)
    return [file_with(folder / "beside", yaml.safe_dump(nested(row.path.rpartition(".")[0], more)))] if more else []


@pytest.mark.parametrize("row", SCALARS, ids=lambda row: row.path)
def test_every_setting_can_come_from_a_file_that_a_variable_names(row: Row, tmp_path: Path) -> None:
    path = value_file(tmp_path, sample(row) + "\n")
    loaded = load({}, {row.variable + "_FILE": str(path)}, files=files_beside(row, tmp_path))
    held = value(loaded.settings, row.path)
    assert held == read(row, sample(row))
    assert isinstance(held, Secret) is row.is_secret
    assert loaded.sources[row.path] == f"variable {row.variable}_FILE, file {path}"


@pytest.mark.parametrize("row", SCALARS, ids=lambda row: row.path)
def test_every_setting_can_come_from_a_file_that_the_configuration_file_names(row: Row, tmp_path: Path) -> None:
    path = value_file(tmp_path, sample(row) + "\n")
    group, _, name = row.path.rpartition(".")
    tree: dict[str, Any] = {**beside(row.path, tmp_path), name + "_file": str(path)}
    file = file_with(tmp_path, yaml.safe_dump(nested(group, tree)))
    loaded = load({}, {}, files=[file])
    assert value(loaded.settings, row.path) == read(row, sample(row))
    assert loaded.sources[row.path].startswith(f"{file} line ")
    assert loaded.sources[row.path].endswith(f", file {path}")


def test_an_alias_can_name_a_file_too(tmp_path: Path) -> None:
    path = value_file(tmp_path, "false\n")
    loaded = load({}, {"HYPERFLEET_AUTH_ENABLE_JWT_FILE": str(path)}, files=[])
    assert loaded.settings.server.jwt.enabled is False


@pytest.mark.parametrize(
    ("content", "password"),
    [
        ("hush", "hush"),
        ("hush\n", "hush"),
        ("hush\r\n", "hush"),
        (" two words \n", " two words "),
        ("", ""),
        ("\n", ""),
    ],
)
def test_only_the_last_line_break_of_such_a_file_is_cut(content: str, password: str, tmp_path: Path) -> None:
    loaded = load({}, {PASSWORD_FILE: str(value_file(tmp_path, content))}, files=[])
    assert loaded.settings.database.password == password
    assert (loaded.sources["database.password"] == "default") is (password == "")


def test_a_second_line_break_is_part_of_the_value_and_refused(tmp_path: Path) -> None:
    path = value_file(tmp_path, "hush\n\n")
    (mistake,) = mistakes(environ={PASSWORD_FILE: str(path)})
    assert mistake == (
        f"database.password (variable {PASSWORD_FILE}, file {path}): must be one line without control characters."
    )


def test_a_variable_that_ends_so_by_itself_is_the_setting_and_not_a_file(tmp_path: Path) -> None:
    given = {"HYPERFLEET_SERVER_TLS_KEY_FILE": "/tls/tls.key", "HYPERFLEET_SERVER_TLS_CERT_FILE": "/tls/tls.crt"}
    assert load({}, given, files=[]).settings.server.tls.key_file == "/tls/tls.key"
    path = value_file(tmp_path, "/tls/tls.key\n")
    loaded = load({}, {"HYPERFLEET_SERVER_TLS_KEY_FILE_FILE": str(path)}, files=[])
    assert loaded.settings.server.tls.key_file == "/tls/tls.key"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read: No such file or directory."),
        (b"hush\xff", "cannot be read: the file is not UTF-8."),
        (b"h" * (LARGEST_VALUE + 1), "cannot be read: the file is larger than 1MiB."),
    ],
)
def test_a_file_that_cannot_be_read_is_one_sentence_without_its_content(
    content: bytes | None, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "value" if content is None else value_file(tmp_path, content)
    assert mistakes(environ={HOST_FILE: str(path)}) == (f"{HOST_FILE}: the file {path} {reason}",)


def test_a_directory_is_not_read(tmp_path: Path) -> None:
    assert mistakes(environ={HOST_FILE: str(tmp_path)}) == (
        f"{HOST_FILE}: the file {tmp_path} cannot be read: Is a directory.",
    )


def test_a_pipe_that_nobody_writes_to_does_not_stop_the_start_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "WAIT_SECONDS", 0.2)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert mistakes(environ={HOST_FILE: str(pipe)}) == (
        f"{HOST_FILE}: the file {pipe} cannot be read: nothing was written to the pipe within 0.2 s.",
    )


def test_a_pipe_is_read_until_its_writer_ends(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def write() -> None:
        with pipe.open("w") as file:
            for part in ("db.", "example", ".com\n"):
                time.sleep(0.05)
                file.write(part)
                file.flush()

    writer = Thread(target=write)
    writer.start()
    assert load({}, {HOST_FILE: str(pipe)}, files=[]).settings.database.host == "db.example.com"
    writer.join()


def test_a_file_of_the_largest_size_is_read(tmp_path: Path) -> None:
    loaded = load({}, {PASSWORD_FILE: str(value_file(tmp_path, "h" * LARGEST_VALUE))}, files=[])
    assert len(loaded.settings.database.password) == LARGEST_VALUE


def test_a_wrong_value_in_a_file_is_not_shown_because_it_may_be_another_secret(tmp_path: Path) -> None:
    path = value_file(tmp_path, "hush")
    (mistake,) = mistakes(environ={"HYPERFLEET_DATABASE_PORT_FILE": str(path)})
    assert mistake == (
        f"database.port (variable HYPERFLEET_DATABASE_PORT_FILE, file {path}): must be a whole number from 1 to 65535."
    )


def test_a_variable_and_its_file_must_agree(tmp_path: Path) -> None:
    path = value_file(tmp_path, "hush\n")
    (mistake,) = mistakes(environ={PASSWORD_FILE: str(path), "HYPERFLEET_DATABASE_PASSWORD": "hash"})
    assert mistake == (
        f"database.password: variable HYPERFLEET_DATABASE_PASSWORD and variable {PASSWORD_FILE}, file {path} set"
        " different values; remove one of them."
    )
    both = {PASSWORD_FILE: str(path), "HYPERFLEET_DATABASE_PASSWORD": "hush"}
    loaded = load({}, both, files=[])
    assert loaded.settings.database.password == "hush"
    assert loaded.sources["database.password"] == "variable HYPERFLEET_DATABASE_PASSWORD"


def test_a_file_of_a_variable_beats_the_configuration_file_and_a_flag_beats_both(tmp_path: Path) -> None:
    file = file_with(tmp_path, "database: {host: in-the-file}")
    given = {HOST_FILE: str(value_file(tmp_path, "in-the-variable\n"))}
    assert load({}, given, files=[file]).settings.database.host == "in-the-variable"
    assert load({"--database-host": "in-the-flag"}, given, files=[file]).settings.database.host == "in-the-flag"


def test_a_file_name_in_the_configuration_file_must_be_a_text(tmp_path: Path) -> None:
    file = file_with(tmp_path, "database: {host_file: [a]}")
    assert mistakes(file=file) == (f"database.host_file ({file} line 1): must be the path of a file.",)


@pytest.mark.parametrize(("row", "alias"), OTHERS, ids=lambda part: part if isinstance(part, str) else "")
def test_an_alias_sets_its_setting_and_is_named_as_the_source(row: Row, alias: str, tmp_path: Path) -> None:
    files = files_beside(row, tmp_path)
    if alias.startswith("-"):
        loaded = load({alias: sample(row)}, {}, files=files)
        source = f"flag {alias}"
    elif alias.isupper():
        loaded = load({}, {alias: sample(row)}, files=files)
        source = f"variable {alias}"
    else:
        loaded = load({}, {}, files=[file_with(tmp_path, yaml.safe_dump(nested(alias, sample(row))))])
        source = f"{tmp_path / 'config.yaml'} line {alias.count('.') + 1}"
    assert value(loaded.settings, row.path) == read(row, sample(row))
    assert loaded.sources[row.path] == source


def test_an_alias_never_wins_over_the_name() -> None:
    for row, alias in OTHERS:
        if alias in ("HYPERFLEET_TRACING_ENABLED", "server.authz.enabled", "tracing.enabled"):
            continue
        other = {True: "false", False: "true"}[sample(row) == "true"] if row.form is BOOLEAN else sample(row) + "1"
        own, environ = ({row.flag: other}, {}) if alias.startswith("-") else ({}, {row.variable: other})
        given = {**own, alias: sample(row)} if own else {}
        found = mistakes(given, {**environ, alias: sample(row)} if environ else {})
        assert any(alias in mistake and "set different values; remove one" in mistake for mistake in found), alias


def test_an_alias_beside_the_same_value_leaves_the_name_as_the_source() -> None:
    for given in ({"--db-host": "db", "--database-host": "db"}, {"--database-host": "db", "--db-host": "db"}):
        loaded = load(given, {}, files=[])
        assert (loaded.settings.database.host, loaded.sources["database.host"]) == ("db", "flag --database-host")


def test_a_path_and_its_alias_in_one_file_must_agree(tmp_path: Path) -> None:
    both = "logging: {otel: {enabled: false}}\ntracing: {enabled: true}"
    (mistake,) = mistakes(file=file_with(tmp_path, both))
    assert mistake.startswith("logging.otel.enabled: ")
    assert mistake.endswith("set different values; remove one of them.")


def test_a_variable_beats_an_alias_in_the_file(tmp_path: Path) -> None:
    file = file_with(tmp_path, "server: {authz: {enabled: false}}")
    assert load({}, {}, files=[file]).settings.server.authorization.enabled is False
    own = {"HYPERFLEET_SERVER_AUTHORIZATION_ENABLED": "true"}
    assert load({}, own, files=[file]).settings.server.authorization.enabled is True


def test_no_two_settings_share_a_name() -> None:
    used = Counter(name for row in names.ROWS.values() for name in (*row.flags, *row.variables, *row.paths))
    assert [name for name, count in used.items() if count > 1] == []
    assert set(ALIASES) <= set(names.ROWS)
    reserved = {names.CONFIG_FLAG, names.CONFIG_VARIABLE, "--help", "-h", "--version"}
    assert reserved & {*used, *names.VARIABLES} == set()
    own = {*(row.path for row in names.ROWS.values()), *names.GROUPS}
    files = {path for path, name in names.PATHS.items() if name.is_file}
    assert files & own == set()
    assert {name for name, each in names.VARIABLES.items() if each.is_file} & set(used) == set()


def test_no_name_that_is_not_supported_is_that_of_a_setting() -> None:
    known = [*names.FLAGS, *names.VARIABLES, *names.PATHS, *names.GROUPS]
    for each in RETIRED:
        for spelled in (each.path, flag_of(each.path), variable_of(each.path), *each.aliases):
            assert [name for name in known if name == spelled or name.startswith((spelled + ".", spelled + "_"))] == []
        assert each.instead.endswith(".")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("--db-dialect", "the database is always PostgreSQL; remove this setting."),
        ("--server-jwk-cert-url", "use jwk_cert_url or jwk_cert_file of an entry in server.jwt.configs."),
        ("--server-acl-file", "use server.authorization.rules."),
        ("--ocm-base-url", "the service does not call OCM; remove this setting."),
        ("HYPERFLEET_OCM_CLIENT_ID_FILE", "the service does not call OCM; remove this setting."),
        ("HYPERFLEET_ADAPTERS_REQUIRED_CLUSTER", "use required_adapters of an entry in entities."),
        ("HYPERFLEET_METRICS_LABEL_METRICS_INCLUSION_DURATION", "metrics have no labels for single resources"),
        ("database.dialect", "the database is always PostgreSQL; remove this setting."),
        ("metrics.deletion_stuck_threshold", "use metrics.reconciliation_stuck_threshold."),
        ("adapters.required.cluster", "use required_adapters of an entry in entities."),
        ("server.jwt.issuer_url", "use issuer_url of an entry in server.jwt.configs."),
    ],
)
def test_a_name_that_nothing_corresponds_to_is_refused_with_what_to_do(name: str, says: str, tmp_path: Path) -> None:
    if name.startswith("--"):
        (mistake,) = mistakes({name: "x"})
    elif name.isupper():
        (mistake,) = mistakes(environ={name: "x"})
    else:
        (mistake,) = mistakes(file=file_with(tmp_path, yaml.safe_dump(nested(name, "x"))))
    assert f" is not supported: {says}" in mistake


@pytest.mark.parametrize(("word", "level"), [("warn", "warning"), ("warning", "warning"), ("debug", "debug")])
def test_warn_is_the_level_warning(word: str, level: str) -> None:
    assert load({"--logging-level": word}, {}, files=[]).settings.logging.level == level


@pytest.mark.parametrize("word", ["warnin", "WARN", "fatal"])
def test_another_word_is_no_level(word: str) -> None:
    assert "must be one of debug, info, warning, error" in mistakes({"--logging-level": word})[0]
