"""docs/limits.md is made of limits.md beside this file: `{module.NAME}` there is the figure that the code has.

`{http.unsent.PIECE:bytes}` writes it as a size, `:seconds` as a time; `{=server.port}` is a setting's default.
"""

import importlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from hyperfleet.settings import rows

SOURCE: Final = Path(__file__).with_name("limits.md")

_FIGURE: Final = re.compile(r"\{([a-z_.]+)\.([A-Z][A-Z_]*)(?::([a-z]+))?\}")
_DEFAULT: Final = re.compile(r"\{=([a-z_.]+)\}")


def _bytes(size: float) -> str:
    whole = int(size)
    return f"{whole >> 20:,} MiB" if whole % (1 << 20) == 0 else f"{whole >> 10:,} KiB"


_FORMS: Final[Mapping[str, Callable[[float], str]]] = {
    "": lambda value: f"{value:,}",
    "bytes": _bytes,
    "seconds": lambda value: f"{value:g} s",
    "part": lambda value: f"1/{1 / value:g}",
}


def page() -> str:
    """The page, with every figure."""
    defaults = {row.path: row.form.write(row.default) for row in rows()}
    text = _DEFAULT.sub(lambda found: defaults[found[1]], SOURCE.read_text(encoding="utf-8"))
    return _FIGURE.sub(_figure, text)


def _figure(found: re.Match[str]) -> str:
    value = getattr(importlib.import_module(f"hyperfleet.{found[1]}"), found[2])
    return _FORMS[found[3] or ""](value)
