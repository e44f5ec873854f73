"""The commands that need no database: help, config, typos, and what stops a start."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from hyperfleet.cli import flags
from hyperfleet.cli.configuration import load
from hyperfleet.settings import rows, value
from testbed.programs import called, run

COMMANDS = ("serve", "migrate", "config", "db start", "db stop", "db status", "db shell", "db dump", "db restore")


def test_help_lists_the_commands() -> None:
    done = called("--help")
    assert done.returncode == 0
    assert [name for name in COMMANDS if name.split()[0] not in done.stdout] == []


def test_without_arguments_the_program_shows_its_help() -> None:
    assert run().stdout == called("--help").stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    done = called(*command.split(), "--help")
    assert done.returncode == 0
    assert "--database-embedded-data-dir" in done.stdout
    assert done.stderr == ""


def test_the_help_of_serve_has_every_setting_with_its_variable_and_default() -> None:
    text = "".join(run("serve", "--help", variables={"COLUMNS": "400"}).stdout.split())
    for row in rows():
        assert not row.is_flat or (row.flag in text and row.variable in text), row.path
    assert "[default:8000]" in text


def test_the_help_of_migrate_has_only_the_database_settings() -> None:
    text = called("migrate", "--help").stdout
    assert "--database-host" in text
    assert "--server-port" not in text


def test_version_prints_the_version_of_the_package() -> None:
    assert run("--version").stdout == "hyperfleet-api 1.1.0\n"


def test_an_unknown_command_names_the_nearest() -> None:
    done = run("srve")
    assert done.returncode == 1
    assert "serve" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "nearest"),
    [
        (("migrate", "--chek"), "--check"),
        (("openapi", "--yml"), "--yaml"),
        (("db", "start", "--prot=5432"), "--port"),
        (("db", "restore", "file", "--replce"), "--replace"),
        (("rules", "test", "--resorce", "file"), "--resource"),
        (("migrate", "--database-hots=x"), "--database-host"),
    ],
)
def test_an_unknown_flag_names_the_nearest_of_the_commands_flags_and_of_the_settings(
    words: tuple[str, ...], nearest: str
) -> None:
    done = called(*words)
    assert done.returncode == 1
    assert f"is unknown; did you mean {nearest}?" in done.stderr


def test_an_unknown_flag_is_one_mistake_among_others() -> None:
    done = called("migrate", "--chek", variables={"HYPERFLEET_DATABASE_PORT": "x"})
    assert done.returncode == 1
    assert "2 mistakes" in done.stderr
    assert "Flag --chek is unknown; did you mean --check?" in done.stderr


def test_a_flag_near_to_no_other_names_none() -> None:
    assert "Flag --verbose is unknown.\n" in called("migrate", "--verbose").stderr


def test_a_flag_before_the_command_is_refused_with_the_right_order() -> None:
    done = called("--database-password=hunter2", "serve")
    assert done.returncode == 1
    assert done.stderr == (
        "hyperfleet-api: Put flags after the command: hyperfleet-api COMMAND --database-password."
        " See hyperfleet-api --help.\n"
    )


def test_a_flag_for_the_file_of_a_value_is_refused_with_the_variable_that_names_it() -> None:
    said = called("config", "--database-password-file=/nowhere").stderr
    assert said == (
        "hyperfleet-api: Flag --database-password-file is unknown;"
        " name the file in the variable HYPERFLEET_DATABASE_PASSWORD_FILE.\n"
    )


def test_a_configuration_file_as_an_argument_is_refused_with_its_flag() -> None:
    said = called("config", "hyperfleet.yaml").stderr
    assert "Unexpected argument hyperfleet.yaml; pass settings as flags, such as --config=FILE." in said


@pytest.mark.parametrize(("words", "nearest"), [(("migrat",), "migrate"), (("db", "strat"), "start")])
def test_an_unknown_command_below_another_names_the_nearest_too(words: tuple[str, ...], nearest: str) -> None:
    assert f'Did you mean "{nearest}"?' in called(*words).stderr


def test_the_commands_import_nothing_heavy_before_they_run() -> None:
    code = "import sys, hyperfleet.cli.commands; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"alembic", "sqlalchemy", "asyncpg", "asyncio", "granian", "starlette", "prometheus_client", "structlog"}
    assert heavy & set(done.stdout.split()) == set()


def test_config_prints_the_effective_values_and_their_sources(tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "config.yaml").write_text("server:\n  port: 8001\n")
    done = called("config", "--health-port", "8003", folder=tmp_path, variables={"HYPERFLEET_METRICS_PORT": "8002"})
    assert done.returncode == 0
    lines = {line.split(":")[0].strip() + line.split("#")[1]: line for line in done.stdout.splitlines() if "#" in line}
    assert "port: 8001" in lines["port configs/config.yaml line 2"]
    assert "port: 8002" in lines["port variable HYPERFLEET_METRICS_PORT"]
    assert "port: 8003" in lines["port flag --health-port"]


def test_the_output_of_config_is_an_equivalent_configuration_file(tmp_path: Path) -> None:
    given = ("--server-hostname", "a: 'b' # c", "--server-host", "off", "--database-pool-conn-max-lifetime", "90s")
    printed = called("config", *given).stdout
    (tmp_path / "config.yaml").write_text(printed)
    again = load({}, {}, files=[tmp_path / "config.yaml"]).settings
    direct = load(dict(zip(given[::2], given[1::2], strict=True)), {}, files=[]).settings
    assert again == direct
    assert isinstance(yaml.safe_load(printed), dict)


def test_config_masks_secrets(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hush")
    done = called(
        "config", "--database-host=db", variables={"HYPERFLEET_DATABASE_PASSWORD_FILE": str(tmp_path / "secret")}
    )
    assert "hush" not in done.stdout + done.stderr
    assert 'password: "***"' in done.stdout
    assert "variable HYPERFLEET_DATABASE_PASSWORD_FILE" in done.stdout


def test_config_lists_every_mistake_and_fails(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("server: {prot: 1, workers: many}")
    done = called(
        "config",
        "--config",
        str(tmp_path / "config.yaml"),
        "--metrics-prt=1",
        "stray",
        variables={"HYPERFLEET_HEALTH_PORT": "99999"},
    )
    assert done.returncode == 1
    assert done.stdout == ""
    for words in ("5 mistakes", "server.prot", "server.workers", "--metrics-prt", "stray", "health.port"):
        assert words in done.stderr


def test_a_switch_accepts_but_does_not_need_a_value() -> None:
    for words in (["--database-debug"], ["--database-debug=true"], ["--database-debug", "true"]):
        assert "debug: true # flag --database-debug" in " ".join(called("config", *words).stdout.split())
    for words in (["--server-jwt-enabled=false"], ["--server-jwt-enabled", "false", "--database-debug"]):
        assert "enabled: false # flag" in " ".join(called("config", *words).stdout.split())


def test_the_last_value_of_a_repeated_flag_wins() -> None:
    for words, port in (
        (["--server-port", "1", "--server-port", "2"], "2"),
        (["--server-port=2", "--server-port=1"], "1"),
        (["--server-port", "x", "--server-port", "3"], "3"),
    ):
        assert f"port: {port} # flag --server-port" in " ".join(called("config", *words).stdout.split())
    twice = called("config", "--database-debug", "--database-debug=false").stdout
    assert "debug: false # flag --database-debug" in " ".join(twice.split())
    assert called("config", "--server-port=1", "--server-port=x").returncode == 1


def test_the_last_value_of_a_repeated_command_option_wins(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"identity": "a"}')
    done = called("rules", "test", "--caller=/nowhere", f"--caller={tmp_path / 'a.json'}", "--verb=x", "--verb", "read")
    assert (done.returncode, done.stderr) == (0, "")
    assert (
        called("migrate", "--check", "--check", "--config=/nowhere", "--config=/elsewhere").stderr.count("/elsewhere")
        == 1
    )


@pytest.mark.parametrize("words", [["-l", "debug"], ["-l=debug"], ["-ldebug"], ["--log-level", "debug"]])
def test_an_alias_is_a_flag_and_config_names_it_as_the_source(words: list[str]) -> None:
    done = called("config", *words)
    assert done.returncode == 0, done.stderr
    flag = "--log-level" if words[0].startswith("--") else "-l"
    assert f"level: debug # flag {flag}" in " ".join(done.stdout.split())


def test_help_shows_an_alias_only_beside_its_setting() -> None:
    text = run("serve", "--help", variables={"COLUMNS": "400"}).stdout
    assert "[also: --db-host]" in " ".join(text.split())
    assert [line for line in text.splitlines() if line.lstrip("│ ").startswith("--db-host")] == []


def test_a_flag_without_its_value_is_reported_in_one_line() -> None:
    done = called("config", "--server-port")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "--server-port" in done.stderr


def test_serve_reports_invalid_settings_before_anything_else() -> None:
    done = called("serve", "--server-port=x", variables={"HYPERFLEET_NOPE": "1"})
    assert done.returncode == 1
    assert "2 mistakes" in done.stderr


def test_a_reader_that_leaves_early_causes_no_stack_trace(tmp_path: Path) -> None:
    code = f"{sys.executable} -m hyperfleet config --server-jwt-enabled false | head -n 1"
    done = subprocess.run(["sh", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_arguments_that_the_parser_leaves_become_flags_and_their_values() -> None:
    assert flags.unknown(["--a=1", "--b", "2", "c", "--d"]) == {"--a": "1", "--b": "2", "c": "", "--d": ""}


def test_the_value_of_a_path_is_the_attribute_of_that_path() -> None:
    settings = load({"--database-pool-max-connections": "5"}, {}, files=[]).settings
    assert value(settings, "database.pool.max_connections") == settings.database.pool.max_connections == 5
