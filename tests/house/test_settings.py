"""Settings from flags, environment, files and defaults: who wins, what is refused, one table behind it all."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from hyperfleet.cli.configuration import load
from hyperfleet.settings import (
    BOOLEAN,
    DATABASE_URL,
    DURATION,
    PORT,
    SECRET,
    SIZE,
    TEXT,
    TEXTS,
    BadSettings,
    Loaded,
    Row,
    rows,
    value,
)
from hyperfleet.settings.authorization import NETWORKS
from tests.cli.test_tls import certificate

ROWS = tuple(rows())
SCALARS = tuple(row for row in ROWS if row.is_flat)
SAMPLES = {
    TEXTS: "x-one,two",
    NETWORKS: "10.0.0.0/8,192.0.2.0/24",
    TEXT: "sample",
    BOOLEAN: "true",
    DURATION: "7s",
    SIZE: "3KiB",
    PORT: "4321",
    SECRET: "s3cret",
}


def sample(row: Row) -> str:
    """A text that is right for the setting, and not its default."""
    if row.form is BOOLEAN:
        return "false" if row.default else "true"
    if row.form is DATABASE_URL:
        return "postgresql://user:s3cret@db:5432/fleet"
    if row.path in ("database.ssl.root_cert_file", "server.openapi_schema_path"):
        return __file__
    if row.form in SAMPLES:
        return SAMPLES[row.form]
    choices = row.form.description.split(" or ")
    return choices[-1] if len(choices) > 1 else "3"


def read(row: Row, text: str) -> Any:
    """The value of a text."""
    return tuple(map(row.form.read, text.split(","))) if row.form.is_list else row.form.read(text)


def file_with(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def nested(path: str, content: Any) -> dict[str, Any]:
    head, _, rest = path.partition(".")
    return {head: nested(rest, content) if rest else content}


def from_file(folder: Path, text: str, **environ: str) -> Loaded:
    return load({}, environ, files=[file_with(folder, text)])


def mistakes(
    flags: dict[str, str] | None = None, environ: dict[str, str] | None = None, file: Path | None = None
) -> tuple[str, ...]:
    with pytest.raises(BadSettings) as caught:
        load(flags or {}, environ or {}, files=[file] if file else [])
    return caught.value.mistakes


def test_without_anything_every_setting_has_its_default() -> None:
    loaded = load({}, {}, files=[])
    assert {row.path: value(loaded.settings, row.path) for row in ROWS} == {row.path: row.default for row in ROWS}
    assert set(loaded.sources.values()) == {"default"}


def beside(path: str, folder: Path) -> dict[str, Any]:
    """What else must be set in the group of a setting, for that to be right."""
    if path == "server.tenant.enabled":
        return {"dimensions": [{"key": "org", "header": "X-Org", "required": True}]}
    if path == "server.trusted_gateway.enabled":
        return {"identity_header": "X-Identity"}
    if path.endswith(".tls.enabled"):
        cert, key = certificate(folder)
        return {"cert_file": str(cert), "key_file": str(key)}
    return {}


@pytest.mark.parametrize("row", SCALARS, ids=lambda row: row.path)
def test_a_setting_is_the_same_from_file_variable_and_flag(row: Row, tmp_path: Path) -> None:
    text = sample(row)
    (tmp_path / "beside").mkdir()
    group, _, name = row.path.rpartition(".")
    more = beside(row.path, tmp_path)
    files = [file_with(tmp_path / "beside", yaml.safe_dump(nested(group, more)))] if more else []
    content = text.split(",") if row.form.is_list else text
    file = file_with(tmp_path, yaml.safe_dump(nested(group, {**more, name: content})))
    expected = read(row, text)
    assert expected != row.default
    by_file = load({}, {}, files=[file])
    by_variable = load({}, {row.variable: text}, files=files)
    by_flag = load({row.flag: text}, {}, files=files)
    assert [value(loaded.settings, row.path) for loaded in (by_file, by_variable, by_flag)] == [expected] * 3
    assert type(value(by_flag.settings, row.path)) is type(row.default)
    assert by_file.sources[row.path].startswith(str(file))
    assert by_variable.sources[row.path] == f"variable {row.variable}"
    assert by_flag.sources[row.path] == f"flag {row.flag}"


@pytest.mark.parametrize("row", SCALARS, ids=lambda row: row.path)
def test_a_value_written_out_is_read_back_as_itself(row: Row) -> None:
    if not row.is_secret:
        held = read(row, sample(row))
        assert read(row, row.form.write(held).replace(", ", ",")) == held


def test_an_alias_that_wins_does_so_over_the_other_variable() -> None:
    for alias, own in (("true", "false"), ("false", "true")):
        loaded = load({}, {"HYPERFLEET_TRACING_ENABLED": alias, "HYPERFLEET_LOGGING_OTEL_ENABLED": own}, files=[])
        assert loaded.settings.logging.otel.enabled is (alias == "true")
        assert loaded.sources["logging.otel.enabled"] == "variable HYPERFLEET_TRACING_ENABLED"


def test_a_tracing_that_asks_for_what_is_not_there_is_refused_only_where_it_is_on() -> None:
    environ = {"OTEL_TRACES_EXPORTER": "zipkin"}
    assert load({}, environ, files=[]).settings.logging.otel.enabled is False
    [said] = mistakes(environ={**environ, "HYPERFLEET_TRACING_ENABLED": "true"})
    assert said == "OTEL_TRACES_EXPORTER is 'zipkin'; set it to otlp or console or none."


def test_a_flag_beats_a_variable_beats_the_file(tmp_path: Path) -> None:
    file = file_with(tmp_path, "server: {port: 1}")
    flag, variable = {"--server-port": "3"}, {"HYPERFLEET_SERVER_PORT": "2"}
    assert load(flag, variable, files=[file]).settings.server.port == 3
    assert load({}, variable, files=[file]).settings.server.port == 2
    assert load({}, {}, files=[file]).settings.server.port == 1


def test_an_empty_value_is_unset_wherever_it_stands(tmp_path: Path) -> None:
    file = file_with(
        tmp_path, "server: {port: 1, host: ''}\nhealth:\nmetrics: {port: null, host: ~}\nlogging: {level: }"
    )
    loaded = load({"--server-port": ""}, {"HYPERFLEET_SERVER_PORT": "", "HYPERFLEET_CONFIG": ""}, files=[file])
    assert loaded.settings.server.port == 1
    assert loaded.settings.server.host == "localhost"
    assert (loaded.settings.metrics.port, loaded.settings.metrics.host) == (8080, "localhost")
    assert loaded.settings.logging.level == "info"


def test_the_file_named_by_the_flag_beats_the_one_named_by_the_variable_beats_the_usual_places(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("flag.yaml", "variable.yaml", "first.yaml", "second.yaml")]
    for number, path in enumerate(paths, start=1):
        path.write_text(f"server: {{port: {number}}}")
    usual = [tmp_path / "absent.yaml", *paths[2:]]
    flag, variable = {"--config": str(paths[0])}, {"HYPERFLEET_CONFIG": str(paths[1])}
    assert load(flag, variable, files=usual).settings.server.port == 1
    assert load({}, variable, files=usual).settings.server.port == 2
    assert load({}, {}, files=usual).settings.server.port == 3


def test_a_named_file_that_is_missing_stops_the_start(tmp_path: Path) -> None:
    (mistake,) = mistakes({"--config": str(tmp_path / "absent.yaml")})
    assert "absent.yaml" in mistake
    assert "cannot be read" in mistake


@pytest.mark.parametrize("text", ["", "# nothing", "---\n", "null"])
def test_an_empty_file_sets_nothing(text: str, tmp_path: Path) -> None:
    assert set(from_file(tmp_path, text).sources.values()) == {"default"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("server: [", "cannot be read: line "),
        ("server:\n  port: 1\n bad", "cannot be read: line 3: did not find expected key"),
        ("- server", "must contain a mapping"),
        ("just words", "must contain a mapping"),
        ("server: 5", "server ("),
        ("a: 1\n---\nb: 2", "cannot be read: line 2: the file has a second document"),
        ("server: {port: [1]}", "must be a single value"),
        ("server: {port: {a: 1}}", "must be a single value"),
        ("logging: {masking: {headers: authorization}}", "must be a list"),
        ("logging: {masking: {headers: [{a: 1}]}}", "logging.masking.headers"),
        ("server: {port: 1}\nserver: {host: x}", "appears twice"),
        ("server:\n  port: 1\n  port: 2", "appears twice"),
        ("? [a]\n: 1", "cannot be read: line 1: mapping keys must be strings"),
        ("- " * 1000, "cannot be read: line 1: nesting is deeper than 200 levels"),
        ("a: \0", "cannot be read: it contains characters that YAML does not allow"),
    ],
)
def test_a_file_that_is_no_tree_of_settings_is_refused(text: str, words: str, tmp_path: Path) -> None:
    assert any(words in mistake for mistake in mistakes(file=file_with(tmp_path, text)))


def test_a_list_comes_from_the_file_and_replaces_the_default(tmp_path: Path) -> None:
    loaded = from_file(tmp_path, "logging: {masking: {headers: [x-token, 'x,y']}}")
    assert loaded.settings.logging.masking.headers == ("x-token", "x,y")


def test_a_list_of_texts_is_written_with_commas_in_variables_and_flags() -> None:
    masked = {"HYPERFLEET_LOGGING_MASKING_HEADERS": "Authorization, Cookie,,x-token"}
    assert load({}, masked, files=[]).settings.logging.masking.headers == ("Authorization", "Cookie", "x-token")
    loaded = load({"--logging-masking-fields": "password"}, {}, files=[])
    assert loaded.settings.logging.masking.fields == ("password",)


def test_a_list_of_entries_is_neither_a_variable_nor_a_flag() -> None:
    lists = [row for row in ROWS if not row.is_flat]
    assert {row.path for row in lists} >= {"server.jwt.configs", "server.authorization.rules", "entities"}
    end = "is unknown: the setting is a list of entries and can be set only in the configuration file."
    for row in lists:
        assert mistakes(environ={row.variable: "x"}) == (f"Variable {row.variable} {end}",)
        assert mistakes({row.flag: "x"}) == (f"Flag {row.flag} {end}",)


def test_yaml_has_no_ideas_of_its_own_about_values(tmp_path: Path) -> None:
    loaded = from_file(
        tmp_path, "database: {name: on, username: 010, debug: on}\nserver: {hostname: 1:30, port: '9000'}"
    )
    assert (loaded.settings.database.name, loaded.settings.database.username) == ("on", "010")
    assert (loaded.settings.server.hostname, loaded.settings.server.port) == ("1:30", 9000)
    assert loaded.settings.database.debug is True


@pytest.mark.parametrize(
    ("flag", "variable", "key", "nearest"),
    [
        ("--server-prot", "HYPERFLEET_SERVER_PROT", "server: {prot: 1}", "port"),
        ("--databse-host", "HYPERFLEET_DATABSE_HOST", "databse: {host: x}", "database"),
        (
            "--database-pool-max-conections",
            "HYPERFLEET_DATABASE_POOL_MAX_CONECTIONS",
            "database: {pool: {max_conections: 1}}",
            "max_connections",
        ),
    ],
)
def test_an_unknown_name_stops_the_start_and_the_nearest_known_one_is_named(
    flag: str, variable: str, key: str, nearest: str, tmp_path: Path
) -> None:
    by_flag, by_variable = mistakes({flag: "1"})[0], mistakes(environ={variable: "1"})[0]
    by_file = mistakes(file=file_with(tmp_path, key))[0]
    assert nearest.replace("_", "-") in by_flag.split("did you mean")[1]
    assert nearest.upper() in by_variable.split("did you mean")[1]
    assert nearest in by_file.split("did you mean")[1]
    assert "line 1" in by_file


def test_an_unknown_variable_stops_the_start_even_when_it_is_empty() -> None:
    assert "HYPERFLEET_SERVER_PROT" in mistakes(environ={"HYPERFLEET_SERVER_PROT": ""})[0]


def test_a_name_like_no_other_is_refused_without_a_guess() -> None:
    (mistake,) = mistakes(environ={"HYPERFLEET_QQ": "1"})
    assert mistake == "Variable HYPERFLEET_QQ is unknown."


@pytest.mark.parametrize(
    "name", ["--database-driver", "HYPERFLEET_DATABASE_DRIVER", "database: {driver: postgres}", "--database-x"]
)
def test_a_name_that_shares_only_its_group_with_others_is_refused_without_a_guess(name: str, tmp_path: Path) -> None:
    if name.startswith("--"):
        (mistake,) = mistakes({name: "1"})
    elif name.startswith("HYPERFLEET"):
        (mistake,) = mistakes(environ={name: "1"})
    else:
        (mistake,) = mistakes(file=file_with(tmp_path, name))
    assert mistake.endswith("is unknown.")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("--server-openapi-schema", "--server-openapi-schema-path"),
        ("--server-timeout-write", "--server-timeouts-write"),
        ("--confg", "--config"),
        ("HYPERFLEET_DATABASE_PASWORD_FILE", "HYPERFLEET_DATABASE_PASSWORD_FILE"),
        ("HYPERFLEET_DATABASE_POOL_MAX_CONECTIONS", "HYPERFLEET_DATABASE_POOL_MAX_CONNECTIONS"),
    ],
)
def test_a_misspelt_group_or_name_leads_to_the_setting_that_was_meant(name: str, meant: str) -> None:
    (mistake,) = mistakes({name: "1"}) if name.startswith("--") else mistakes(environ={name: "1"})
    assert mistake.endswith(f"; did you mean {meant}?")


def test_variables_of_other_programs_are_left_alone() -> None:
    assert load({}, {"PATH": "/bin", "SERVER_PORT": "1", "HYPERFLEETX": "1"}, files=[]).settings.server.port == 8000


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("HYPERFLEET_API_SERVICE_HOST", "10.0.0.1"),
        ("HYPERFLEET_API_SERVICE_PORT", "8000"),
        ("HYPERFLEET_API_SERVICE_PORT_HTTP", "8000"),
        ("HYPERFLEET_API_PORT", "tcp://10.0.0.1:8000"),
        ("HYPERFLEET_API_PORT_8000_TCP", "tcp://10.0.0.1:8000"),
        ("HYPERFLEET_API_PORT_8000_TCP_PROTO", "tcp"),
        ("HYPERFLEET_API_PORT_8000_TCP_PORT", "8000"),
        ("HYPERFLEET_API_PORT_8000_TCP_ADDR", "10.0.0.1"),
        ("HYPERFLEET_METRICS_PORT", "tcp://10.0.0.1:8080"),
    ],
)
def test_variables_that_kubernetes_sets_for_a_service_of_that_name_are_no_mistake(name: str, text: str) -> None:
    assert set(load({}, {name: text}, files=[]).sources.values()) == {"default"}


def test_a_variable_that_only_resembles_such_a_one_is_refused() -> None:
    assert mistakes(environ={"HYPERFLEET_API_PORT": "8000"})
    assert mistakes(environ={"HYPERFLEET_METRICS_PORT": "http://10.0.0.1:8080"})


def test_all_mistakes_of_all_sources_are_reported_at_once(tmp_path: Path) -> None:
    file = file_with(
        tmp_path, "server: {prot: 1, workers: many}\nlogging: {level: loud}\nhealth: {shutdown_timeout: 5}"
    )
    found = mistakes({"--server-prt": "1", "--metrics-port": "0"}, {"HYPERFLEET_NOPE": "1"}, file)
    assert len(found) == 7
    for words in ("server.prot", "server.workers", "logging.level", "health.shutdown_timeout", "--server-prt",
                  "metrics.port", "HYPERFLEET_NOPE"):  # fmt: skip
        assert any(words in mistake for mistake in found), words


def test_a_mistake_names_the_setting_where_it_came_from_what_it_must_be_and_what_it_is(tmp_path: Path) -> None:
    file = file_with(tmp_path, "server:\n  host: x\n  port: 99999")
    assert mistakes(file=file) == (
        f"server.port ({file} line 3): must be a whole number from 1 to 65535, not '99999'.",
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("1ms", 0.001),
        ("30s", 30),
        ("1.5s", 1.5),
        ("5m", 300),
        ("1h", 3600),
        ("1m30s", 90),
        ("168h", 604800),
    ],
)
def test_a_duration_has_a_unit(text: str, seconds: float) -> None:
    assert load({"--server-timeouts-write": text}, {}, files=[]).settings.server.timeouts.write == seconds


@pytest.mark.parametrize(
    "text", ["30", "0s", "-1s", "1 s", "1d", "s", "1e3s", "168h1ms", "1s\n", "٣s", "1.s", "inf", "1S"]
)
def test_anything_else_is_no_duration(text: str) -> None:
    assert "server.timeouts.write" in mistakes({"--server-timeouts-write": text})[0]


@pytest.mark.parametrize(
    ("text", "size"), [("1", 1), ("65536", 65536), ("512KiB", 524288), ("1MiB", 1048576), ("1GiB", 1 << 30)]
)
def test_a_size_is_bytes_or_has_a_binary_unit(text: str, size: int) -> None:
    assert load({"--server-max-body-size": text}, {}, files=[]).settings.server.max_body_size == size


@pytest.mark.parametrize(
    "text", ["0", "0MiB", "1MB", "1M", "1.5MiB", "-1", "1 MiB", "2GiB", "1073741825", "MiB", "1mib"]
)
def test_anything_else_is_no_size(text: str) -> None:
    assert "server.max_body_size" in mistakes({"--server-max-body-size": text})[0]


@pytest.mark.parametrize(("text", "port"), [("1", 1), ("65535", 65535)])
def test_a_port_is_a_whole_number_in_range(text: str, port: int) -> None:
    assert load({"--server-port": text}, {}, files=[]).settings.server.port == port


@pytest.mark.parametrize("text", ["0", "65536", "-1", "80.0", "0x50", "8_000", " 80", "eighty", "9" * 30, "٨٠"])
def test_anything_else_is_no_port(text: str) -> None:
    assert "server.port" in mistakes({"--server-port": text})[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("true", True), ("TRUE", True), ("1", True), ("yes", True), ("false", False), ("0", False), ("No", False)],
)
def test_a_switch_is_true_or_false(text: str, expected: bool) -> None:
    assert load({"--database-debug": text}, {}, files=[]).settings.database.debug is expected


@pytest.mark.parametrize("text", ["maybe", "2", "truee", " "])
def test_anything_else_is_no_switch(text: str) -> None:
    assert "database.debug" in mistakes({"--database-debug": text})[0]


def test_a_choice_names_the_choices() -> None:
    (mistake,) = mistakes({"--database-ssl-mode": "prefer"})
    assert "must be one of disable, require, verify-ca, verify-full" in mistake


@pytest.mark.parametrize("text", ["a\nb", "a\x00b", "a\x1b[31m"])
def test_a_text_with_control_characters_is_refused(text: str) -> None:
    assert "server.hostname" in mistakes({"--server-hostname": text})[0]


def test_authentication_has_a_second_variable() -> None:
    alias, own = "HYPERFLEET_AUTH_ENABLE_JWT", "HYPERFLEET_SERVER_JWT_ENABLED"
    loaded = load({}, {alias: "false"}, files=[])
    assert loaded.settings.server.jwt.enabled is False
    assert loaded.sources["server.jwt.enabled"] == f"variable {alias}"
    assert load({}, {alias: "false", own: "false"}, files=[]).settings.server.jwt.enabled is False


def test_two_variables_that_disagree_about_one_setting_stop_the_start() -> None:
    (mistake,) = mistakes(environ={"HYPERFLEET_AUTH_ENABLE_JWT": "false", "HYPERFLEET_SERVER_JWT_ENABLED": "true"})
    assert "HYPERFLEET_AUTH_ENABLE_JWT" in mistake
    assert "HYPERFLEET_SERVER_JWT_ENABLED" in mistake


def test_a_url_stands_alone() -> None:
    url = "postgresql://db/fleet"
    assert load({"--database-url": url}, {}, files=[]).settings.database.is_configured
    (mistake,) = mistakes({"--database-url": url, "--database-host": "db", "--database-port": "5433"})
    assert "database.host, database.port must not be" in mistake


def test_a_database_is_configured_by_a_host_or_a_url_and_else_the_embedded_one_serves() -> None:
    assert not load({"--database-name": "fleet"}, {}, files=[]).settings.database.is_configured
    assert load({"--database-host": "a,b"}, {}, files=[]).settings.database.is_configured


def test_two_listeners_on_one_address_are_refused() -> None:
    assert "server and metrics both listen on localhost port 8080" in mistakes({"--server-port": "8080"})[0]
    other = load({"--server-port": "8080", "--metrics-host": "127.0.0.2"}, {}, files=[])
    assert other.settings.server.port == other.settings.metrics.port


def test_a_certificate_file_that_is_missing_stops_the_start(tmp_path: Path) -> None:
    assert "does not exist" in mistakes({"--database-ssl-root-cert-file": str(tmp_path / "ca.pem")})[0]


NEEDED = ("database",)


@pytest.mark.parametrize(
    "environ",
    [
        {"HYPERFLEET_SERVER_PORT": "abc"},
        {"HYPERFLEET_SERVER_PROT": "1"},
        {"HYPERFLEET_LOGGING_LEVEL": "loud"},
        {"HYPERFLEET_SERVER_PORT": "8080"},
    ],
)
def test_a_mistake_in_unrelated_settings_stops_nobody_who_does_not_need_them(environ: dict[str, str]) -> None:
    assert mistakes(environ=environ)
    loaded = load({}, environ | {"HYPERFLEET_DATABASE_HOST": "db"}, files=[], needed=NEEDED)
    assert loaded.settings.database.host == "db"
    assert loaded.settings.logging.level == "info"


@pytest.mark.parametrize(
    "environ",
    [{"HYPERFLEET_DATABASE_PORT": "abc"}, {"HYPERFLEET_DATABASE_HSOT": "db"}, {"HYPERFLEET_DATABSE_HOST": "db"}],
)
def test_a_mistake_in_what_is_needed_or_may_be_meant_for_it_still_stops(environ: dict[str, str]) -> None:
    with pytest.raises(BadSettings):
        load({}, environ, files=[], needed=NEEDED)


def test_names_follow_from_the_path_and_no_two_settings_share_one() -> None:
    names = [name for row in SCALARS for name in (row.flag, row.variable)]
    assert len(names) == len(set(names))
    (row,) = (row for row in ROWS if row.path == "database.pool.max_connections")
    assert row.flag == "--database-pool-max-connections"
    assert row.variable == "HYPERFLEET_DATABASE_POOL_MAX_CONNECTIONS"


def test_every_setting_says_what_it_does_in_a_sentence() -> None:
    assert [row.path for row in ROWS if not (row.help[0].isupper() and row.help.endswith("."))] == []


def test_every_default_is_a_value_that_the_setting_takes() -> None:
    for row in SCALARS:
        text = row.form.write(row.default)
        assert not text or read(row, text.replace(", ", ",")) == row.default, row.path
