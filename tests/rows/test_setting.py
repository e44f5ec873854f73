"""A class in the tree is all that a group of settings needs: two more are read, shown, masked and documented."""

import sys
from collections.abc import Mapping
from pathlib import Path
from subprocess import CompletedProcess
from typing import Final

import pytest

from hyperfleet.model.rules.secret import MASK
from testbed.programs import NOTHING
from testbed.programs import run as run_program

PROGRAM: Final = (sys.executable, str(Path(__file__).parent / "another_group.py"))
COMMANDS: Final = (
    *(("serve",), ("migrate",), ("config",), ("openapi",), ("rules", "test")),
    *(("db", command) for command in ("start", "stop", "status", "shell", "dump", "restore")),
)


def run(*words: str, variables: Mapping[str, str] = NOTHING) -> CompletedProcess[str]:
    return run_program(*words, variables=variables, program=PROGRAM)


def effective(*words: str, variables: Mapping[str, str] = NOTHING) -> dict[str, tuple[str, str]]:
    """What `config` prints of the group: each value, and where it comes from."""
    done = run("config", *words, variables=variables)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.partition("\narchive:\n")[2].partition("\nrelay:\n")[0].splitlines()
    pairs = (line.strip().partition(": ") for line in lines)
    return {name: (value.partition("#")[0].strip(), value.partition("# ")[2]) for name, _, value in pairs}


def test_a_setting_of_the_group_has_its_default() -> None:
    assert effective() == {
        "folder": ("/srv/archive", "default"),
        "delay": ("2s", "default"),
        "password": ('""', "default"),
    }


def test_a_setting_of_the_group_comes_from_flag_variable_and_file_in_this_order(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("archive:\n  folder: /file\n  delay: 3s\n")
    variables = {"HYPERFLEET_CONFIG": str(file)}
    assert effective(variables=variables)["folder"] == ("/file", f"{file} line 2")
    variables["HYPERFLEET_ARCHIVE_FOLDER"] = "/variable"
    assert effective(variables=variables)["folder"] == ("/variable", "variable HYPERFLEET_ARCHIVE_FOLDER")
    found = effective("--archive-folder", "/flag", variables=variables)
    assert found["folder"] == ("/flag", "flag --archive-folder")
    assert found["delay"] == ("3s", f"{file} line 3")


def test_a_secret_of_the_group_is_masked_wherever_it_comes_from(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("hush\n")
    for words, variables in (
        (("--archive-password=hush",), {}),
        ((), {"HYPERFLEET_ARCHIVE_PASSWORD": "hush"}),
        ((), {"HYPERFLEET_ARCHIVE_PASSWORD_FILE": str(file)}),
    ):
        assert effective(*words, variables=variables)["password"][0] == f'"{MASK}"'
        assert "hush" not in run("config", *words, variables=variables).stdout.replace("=hush", "")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--archive-delay", "soon"), "archive.delay (flag --archive-delay): must be a duration"),
        (("--archive-foldr", "x"), "Flag --archive-foldr is unknown; did you mean --archive-folder?"),
        (("--relay-port", "8000"), "server and relay both listen on localhost port 8000; change one of them."),
        (("--relay-tls-enabled",), "relay.tls.cert_file: must be set when relay.tls.enabled is true."),
    ],
)
def test_a_mistake_in_the_group_is_told(words: tuple[str, ...], sentence: str) -> None:
    done = run("config", *words)
    assert done.returncode == 1
    assert sentence in done.stderr


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_its_help_and_the_ones_that_take_all_settings_show_the_group(
    command: tuple[str, ...],
) -> None:
    done = run(*command, "--help")
    assert done.returncode == 0, done.stderr
    takes_all = command in (("serve",), ("config",))
    for text in ("The archive", "--archive-folder", "HYPERFLEET_ARCHIVE_FOLDER", "Relay", "--relay-port"):
        assert (text in done.stdout) is takes_all


def test_the_page_of_settings_has_the_group() -> None:
    page = run("page").stdout
    assert "## `archive`\n\n| setting |" in page
    assert (
        "| `archive.folder`<br>`HYPERFLEET_ARCHIVE_FOLDER`<br>`--archive-folder` | `/srv/archive` | text"
        " | Where the archive keeps its files. |"
    ) in page
