"""typespec/examples.tsp, written from a story that the real service took part in: `make examples`.

Ids, times, versions and page tokens differ from run to run, so each is exchanged for a fixed one of its kind, the same
wherever it stands; two runs give the same file.
"""

import asyncio
import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from hyperfleet.model import rendering
from hyperfleet.postgres import embedded
from hyperfleet.store import migrations
from hyperfleet.store.database import Database
from tests.contract import story
from tests.contract.story import Step

FILE: Final = Path(__file__).parents[2] / "typespec" / "examples.tsp"
HEAD: Final = """\
// Examples: what is sent and what the service answers, recorded from the service itself; `make examples` writes them.
import "@typespec/http";
import "./clusters.tsp";
import "./everything.tsp";
import "./nodepools.tsp";
import "./reports.tsp";
import "./service.tsp";

using TypeSpec.Http;

namespace HyperFleet;
"""
WIDTH: Final = 120
FIRST_VERSION: Final = 1842
NOON: Final = datetime(2026, 11, 1, 12, tzinfo=UTC)
BODIES: Final = {"Clusters": "cluster", "NodePoolsOfCluster": "nodepool", "Everything": "resource"}

_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{6}Z")
_TIME_NAME: Final = re.compile(r".*_(?:time|at)|timestamp")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SERVICE: Final = {"version": "1.1.0", "build_time": "2026-10-01T08:00:00.000000Z"}
_TOKEN: Final = "AAECAwQFBgcICQoL"


def fixed(steps: list[Step]) -> list[Step]:
    """The steps with everything exchanged that differs from run to run."""
    text = json.dumps([step.answer for step in steps], ensure_ascii=False)
    members = list(_members([step.answer for step in steps]))
    texts: dict[str, str] = {}
    for id in dict.fromkeys(_UUID.findall(text)):
        texts[id] = f"01a3c2f0-7b00-7000-8000-{len(texts) + 1:012d}"
    built = {value for name, value in members if name == "build_time"}
    for seconds, time in enumerate(sorted(set(_TIME.findall(text)) - built)):
        texts[time] = rendering.timestamp(NOON + timedelta(seconds=seconds))
    versions = sorted({int(value) for name, value in members if name == "resource_version"})
    numbers = {str(version): str(FIRST_VERSION + place) for place, version in enumerate(versions)}

    def exchanged(value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            value = value | _SERVICE if value.get("kind") == "API" else value
            return {key: exchanged(item, key) for key, item in value.items()}
        if isinstance(value, list):
            return [exchanged(item) for item in value]
        if not isinstance(value, str):
            return value
        if name == "resource_version":
            return numbers[value]
        if name == "next_page_token":
            return _TOKEN
        for pattern in (_UUID, _TIME):
            value = pattern.sub(lambda found: texts.get(found[0], found[0]), value)
        return value

    return [replace(step, path=exchanged(step.path), answer=exchanged(step.answer)) for step in steps]


def _members(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from value.items()
        for item in value.values():
            yield from _members(item)
    elif isinstance(value, list):
        for item in value:
            yield from _members(item)


def text(steps: list[Step]) -> str:
    """The file that the steps make."""
    return HEAD + "".join("\n" + _example(step) for step in fixed(steps))


def _example(step: Step) -> str:
    interface, answer = step.operation.partition(".")[0], step.answer
    parts: dict[str, Any] = {}
    if step.body is not None:
        parts["parameters"] = {**_ids(step), _body_name(step): step.body}
        if step.method == "PATCH":
            parts["parameters"]["contentType"] = step.sent_type
    answered: dict[str, Any] = {"answered_id": "0c3f5a9e1b7d4e62a8f0c1d2e3f4a5b6", "status": step.status}
    if step.status >= 400:
        answered |= {"contentType": "application/problem+json", "problem": answer}
    elif step.status not in (204, 304):
        answered["report" if interface.startswith("Reports") and step.method != "GET" else "body"] = answer
    if "ETag" in step.headers:
        answered["etag"] = f'"{_version(step)}"'
    if "Accept-Patch" in step.headers:
        answered["accept_patch"] = step.headers["Accept-Patch"]
    if "Location" in step.headers:
        answered["location"] = answer["href"]
    if "Retry-After" in step.headers:
        answered["retry_after"] = int(step.headers["Retry-After"])
    parts["returnType"] = answered
    told = {"title": step.title}
    if step.query:
        told["description"] = f"`?{step.query}`"
    arguments = ",\n".join("  " + _literal(part, 1) for part in (parts, told))
    return f"@@opExample({step.operation},\n{arguments}\n);\n"


def _version(step: Step) -> str:
    """The version that the tag of an answer names; of one without it, whatever is selected, the first of all."""
    return str(step.answer.get("resource_version", FIRST_VERSION)) if step.answer else str(FIRST_VERSION)


def _ids(step: Step) -> dict[str, str]:
    """The parameters that are in the path."""
    return {f"{word}_id": id for word, id in re.findall("/(cluster|nodepool|resource)s/([^/?]+)", step.path)}


def _body_name(step: Step) -> str:
    """What the body is called in typespec/."""
    if step.method == "PATCH":
        return "patch"
    if step.path.endswith("/force-delete"):
        return "forced"
    return BODIES.get(step.operation.partition(".")[0], "report")


def _literal(value: Any, depth: int, name: str = "") -> str:
    """A value in TypeSpec, on one line when it fits."""
    if isinstance(value, str):
        spelled = json.dumps(value, ensure_ascii=False).replace("${", "\\${")
        return f"utcDateTime.fromISO({spelled})" if _TIME_NAME.fullmatch(name) else spelled
    if not isinstance(value, dict | list):
        return json.dumps(value)
    if isinstance(value, dict):
        start, end = "#{", "}"
        items = [f"{_name(key)}: {_literal(item, depth + 1, key)}" for key, item in value.items()]
    else:
        start, end = "#[", "]"
        items = [_literal(item, depth + 1) for item in value]
    if not items:
        return start + end
    space = " " if end == "}" else ""
    line = f"{start}{space}{', '.join(items)}{space}{end}"
    if "\n" not in line and 2 * depth + len(name) + len(line) <= WIDTH - 4:
        return line
    indent = "  " * (depth + 1)
    return start + "\n" + "".join(f"{indent}{item},\n" for item in items) + "  " * depth + end


def _name(key: str) -> str:
    return key if _NAME.fullmatch(key) else f"`{key}`"


async def _played(server: embedded.Server) -> list[Step]:
    where = server.settings()
    await migrations.upgrade(where)
    db = Database(where)
    await db.open()
    try:
        return await story.play(db)
    finally:
        await db.close()


def main() -> None:
    """Writes the file, on a PostgreSQL that comes and goes with it."""
    with tempfile.TemporaryDirectory(prefix="hyperfleet-examples-") as folder:
        Path(folder).chmod(0o755)
        server = embedded.start(Path(folder) / "data")
        try:
            FILE.write_text(text(asyncio.run(_played(server))), encoding="utf-8")
        finally:
            embedded.stop(server)
            shutil.rmtree(server.data_dir)


if __name__ == "__main__":
    main()
