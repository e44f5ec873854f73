"""One version everywhere, and one license."""

import json
import re
import tomllib
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CHART: dict[str, Any] = yaml.safe_load((ROOT / "charts" / "Chart.yaml").read_text())

CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def locked() -> str:
    packages = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    return next(str(each["version"]) for each in packages if each["name"] == PROJECT["name"])


@pytest.mark.parametrize(
    ("where", "version"),
    [
        ("the installed package", metadata("hyperfleet-api")["Version"]),
        ("uv.lock", locked()),
        ("the newest entry of the changelog", re.findall(r"^## \[([0-9.]+)\] - \d{4}-\d\d-\d\d$", CHANGELOG, re.M)[0]),
        ("the chart", CHART["version"]),
        ("the chart's application", CHART["appVersion"]),
        (
            "the served document",
            json.loads((ROOT / "src/hyperfleet/http/description/openapi.json").read_text())["info"]["version"],
        ),
        ("the document", yaml.safe_load((ROOT / "openapi" / "openapi.yaml").read_text())["info"]["version"]),
    ],
)
def test_every_version_is_that_of_the_project(where: str, version: str) -> None:
    assert version == PROJECT["version"], where


def test_the_license_is_apache_2_in_full_and_goes_with_the_package_and_the_image() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License\n                           Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert (PROJECT["license"], PROJECT["license-files"]) == ("Apache-2.0", ["LICENSE"])
    assert metadata("hyperfleet-api")["License-Expression"] == "Apache-2.0"
    assert "!LICENSE" in (ROOT / ".containerignore").read_text().splitlines()
    assert "LICENSE" in next(
        line for line in (ROOT / "Containerfile").read_text().splitlines() if line.startswith("COPY pyproject.toml")
    )
