"""The Makefile: what it offers, and that it says plainly what a machine lacks."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from testbed import serving

ROOT = Path(__file__).parents[2]
TARGETS = {
    "help", "run", "run-no-auth", "test", "test-integration", "fuzz", "lint", "generate", "examples", "bench", "drill",
    "soak", "docs",
    "binary", "clean", "image", "image-push", "image-dev", "db/setup", "db/login", "db/teardown",
}  # fmt: skip

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make(*words: str, folder: Path = ROOT, path: str = "/usr/bin:/bin") -> subprocess.CompletedProcess[str]:
    program = shutil.which("make") or "make"
    return subprocess.run(
        [program, *words], cwd=folder, env={"PATH": path}, capture_output=True, text=True, timeout=60, check=False
    )


def machine(folder: Path, python: str) -> str:
    """A search path on which `python3` is this shell script, and no other Python is found."""
    programs = folder / "bin"
    programs.mkdir()
    for name in ("sh", "rm", "touch", "mkdir"):
        (programs / name).symlink_to(shutil.which(name) or name)
    (programs / "python3").write_text(f"#!/bin/sh\n{python}\n")
    (programs / "python3").chmod(0o755)
    shutil.copy(ROOT / "Makefile", folder)
    return str(programs)


def uv_version() -> str:
    found = re.search(r"^UV_VERSION := (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert found
    return found[1]


def test_make_alone_lists_the_targets() -> None:
    assert make().stdout == make("help").stdout


def test_help_lists_every_target_and_what_it_does() -> None:
    lines = [line.split(maxsplit=2) for line in make("help").stdout.splitlines()]
    assert {target for _, target, _ in lines} == TARGETS
    (phony,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(phony.split()) == TARGETS


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_every_target_has_commands(target: str) -> None:
    done = make("--dry-run", target)
    assert done.returncode == 0, done.stderr


def test_the_database_can_be_a_container_instead() -> None:
    for target, word in (("db/setup", "run"), ("db/login", "exec"), ("db/teardown", "rm")):
        assert f"podman {word}" in make("--dry-run", target, "DB=podman").stdout


def test_the_database_in_a_container_takes_a_password_that_no_command_line_has(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    programs, environment = tmp_path / "bin", tmp_path / ".venv" / "bin"
    programs.mkdir()
    environment.mkdir(parents=True)
    (environment / "python").symlink_to(shutil.which("python3") or "python3")
    (tmp_path / ".venv" / ".run").touch()
    (programs / "podman").write_text('#!/bin/sh\necho "$@" >words\nprintenv POSTGRES_PASSWORD >password\n')
    (programs / "podman").chmod(0o755)
    done = make("--old-file=.venv/.run", "db/setup", "DB=podman", folder=tmp_path, path=f"{programs}:/usr/bin:/bin")
    assert done.returncode == 0, done.stderr
    kept = tmp_path / ".run" / "db-password"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "password").read_text() == kept.read_text()
    assert len(kept.read_text().strip()) >= 32
    words = (tmp_path / "words").read_text()
    assert "--env POSTGRES_PASSWORD postgres:18" in words
    assert "trust" not in words
    assert kept.read_text().strip() not in words + done.stdout


def test_without_a_python_in_range_make_says_which_are(tmp_path: Path) -> None:
    done = make(f".tools/uv-{uv_version()}", folder=tmp_path, path=machine(tmp_path, "exit 1"))
    assert done.returncode != 0
    assert "Python 3.11 to 3.14 is needed; none found." in done.stderr
    assert not (tmp_path / ".tools").exists()


def test_with_a_python_that_can_install_nothing_make_says_what_to_install(tmp_path: Path) -> None:
    bare = 'case "$*" in "-c "*) exit 0;; "-m venv --without-pip .tools") mkdir .tools;; *) exit 1;; esac'
    done = make(f".tools/uv-{uv_version()}", folder=tmp_path, path=machine(tmp_path, bare))
    assert done.returncode != 0
    assert "apt install python3-venv" in done.stderr
    assert not (tmp_path / ".tools").exists()


def test_a_python_can_be_named(tmp_path: Path) -> None:
    path = machine(tmp_path, "exit 1")
    named = tmp_path / "my-python"
    named.write_text('#!/bin/sh\ncase "$1" in -c) exit 0;; *) echo "$@" >>asked; exit 1;; esac\n')
    named.chmod(0o755)
    make(f".tools/uv-{uv_version()}", f"PYTHON={named}", folder=tmp_path, path=path)
    assert (tmp_path / "asked").read_text().startswith("-m venv .tools")


@pytest.mark.parametrize("named", ["/nope", "/bin/false"])
def test_a_python_that_is_named_and_does_not_do_is_not_replaced_by_another(tmp_path: Path, named: str) -> None:
    done = make(f".tools/uv-{uv_version()}", f"PYTHON={named}", folder=tmp_path, path=machine(tmp_path, "exit 0"))
    assert done.returncode != 0
    assert f"PYTHON={named} is not a Python 3.11 to 3.14 that runs." in done.stderr
    assert not (tmp_path / ".tools").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become an account that may not write here")
@pytest.mark.parametrize("target", [".tools/uv-{}", ".venv/.run"])
def test_a_folder_that_cannot_be_written_to_is_named(target: str) -> None:
    with serving.folder() as folder:
        shutil.copy(ROOT / "Makefile", folder)
        (folder / "pyproject.toml").touch()
        (folder / "uv.lock").touch()
        if target == ".venv/.run":
            (folder / ".tools").mkdir()
            (folder / ".tools" / f"uv-{uv_version()}").touch()
        done = subprocess.run(
            ["make", target.format(uv_version())],
            cwd=folder,
            user="nobody",
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode != 0
        assert f"{folder} cannot be written to" in done.stderr
        assert "ensurepip" not in done.stderr


@pytest.mark.parametrize(
    ("words", "instead"),
    [
        (("image",), "make image CONTAINER_TOOL=docker"),
        (("image-push",), "make image CONTAINER_TOOL=docker"),
        (("db/setup", "DB=podman", "--old-file=.venv/.run"), "leave out DB=podman"),
    ],
)
def test_a_container_tool_that_is_missing_is_named_with_what_to_install(
    tmp_path: Path, words: tuple[str, ...], instead: str
) -> None:
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / ".run").touch()
    done = make(*words, folder=tmp_path, path=machine(tmp_path, "exit 0"))
    assert done.returncode != 0
    assert "podman is not installed. On Debian and Ubuntu: apt install podman. Or" in done.stderr
    assert instead in done.stderr


def test_a_missing_program_is_named_with_the_package_that_brings_it(tmp_path: Path) -> None:
    for name in ("sh", "dirname"):
        (tmp_path / name).symlink_to(shutil.which(name) or name)
    done = subprocess.run([ROOT / ".ci" / "missing"], env={"PATH": str(tmp_path)}, capture_output=True, text=True)
    assert done.returncode == 0
    assert "Left out: tests that run jq. On Debian and Ubuntu: apt install jq" in done.stdout


def test_nothing_is_said_when_nothing_is_missing(tmp_path: Path) -> None:
    words = (line.split() for line in (ROOT / ".ci" / "programs").read_text().splitlines())
    for name in ["sh", "dirname", *(program for program, *_ in words if not program.startswith("#"))]:
        (tmp_path / name).symlink_to("/bin/sh")
    (tmp_path / "dirname").unlink()
    (tmp_path / "dirname").symlink_to(shutil.which("dirname") or "dirname")
    done = subprocess.run([ROOT / ".ci" / "missing"], env={"PATH": str(tmp_path)}, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
