"""A client in another language, made from the served document alone, compiles and lives one life of a cluster."""

import json
import shutil
import subprocess
import urllib.request
from pathlib import Path
from typing import Final

import pytest

from testbed.serving import Service, folder
from typespec import generate

CLIENT: Final = Path(__file__).parent / "client"


def run(*words: str | Path, place: Path) -> str:
    done = subprocess.run(words, cwd=place, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_client_in_typescript_compiles_and_makes_a_round_trip(tmp_path: Path) -> None:
    try:
        engine = generate.node()
        packages = generate.packages(engine, CLIENT)
    except generate.NoNode as missing:
        pytest.skip(f"no client is made: {missing}")
    for source in ("client.ts", "tsconfig.json", "package.json"):
        shutil.copy(CLIENT / source, tmp_path)
    (tmp_path / "node_modules").symlink_to(packages)
    with folder() as place:
        service = Service(place, HYPERFLEET_SERVER_WORKERS="1").start()
        try:
            service.ready()
            origin = f"http://127.0.0.1:{service.api}"
            urllib.request.urlretrieve(f"{origin}/openapi", tmp_path / "openapi.json")
            types = packages / "openapi-typescript" / "bin" / "cli.js"
            run(engine.program, types, "openapi.json", "--output", "api.d.ts", place=tmp_path)
            run(engine.program, packages / "typescript" / "bin" / "tsc", place=tmp_path)
            told = json.loads(run(engine.program, "built/client.js", origin, place=tmp_path))
        finally:
            service.stop()
    assert told == {"phases": ["from-typescript Ready"], "generation": 2, "fields": ["name"], "deleted": True}
