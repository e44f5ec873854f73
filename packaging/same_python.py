"""Runs first in ./hyperfleet-api: refuses a Python that its compiled parts were not made for, in words."""

import sys
from pathlib import Path

site_packages = Path(__file__).parents[1]
made_for = {path.suffixes[0].split("-")[1] for path in site_packages.rglob("*.cpython-*.so")}
here = f"{sys.version_info[0]}{sys.version_info[1]}"
if made_for and here not in made_for:
    needed = made_for.pop()
    sys.exit(
        f"hyperfleet-api: this file was made for Python {needed[0]}.{needed[1:]}, not for {sys.version_info[0]}."
        f"{sys.version_info[1]}. Run it with python{needed[0]}.{needed[1:]}, or build it again with `make binary`."
    )
