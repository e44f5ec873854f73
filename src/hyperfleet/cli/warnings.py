"""What an operator should know of a configuration that is valid: logged by `serve`, printed by `config`.

Every warning that follows from the configuration alone is collected here, so that both commands give the same.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from hyperfleet.cli import assembly
from hyperfleet.model import openapi
from hyperfleet.model.catalog import Catalog
from hyperfleet.model.json_schema import DEEPEST
from hyperfleet.model.spelling import nearest_name
from hyperfleet.settings import Settings

_OWN_DOCUMENT: Final = "the project's own"


@dataclass(frozen=True)
class Warning:
    """A warning: a constant sentence, and what it is about."""

    message: str
    fields: Mapping[str, Any]

    def __str__(self) -> str:
        about = " ".join(f"{name}={value}" for name, value in self.fields.items())
        return f"{self.message}: {about}" if about else self.message


def collected(configured: Settings, catalog: Catalog, document: assembly.Document) -> Iterator[Warning]:
    """Every warning about a configuration that is valid; `document` describes the specs of its kinds."""
    yield from _schemas(configured, catalog, document)


def _schemas(configured: Settings, catalog: Catalog, document: assembly.Document) -> Iterator[Warning]:
    """Kinds whose specs are not validated, or may be less deep than others."""
    path = configured.server.openapi_schema_path or _OWN_DOCUMENT
    for kind in catalog.kinds:
        name = kind.spec_schema_name
        if kind.spec_schema is None:
            about: dict[str, Any] = {"kind": kind.name, "missing": name, "document": path}
            nearest = nearest_name(name, openapi.component_names(document))
            yield Warning("specs of a kind are not validated", about | ({"nearest": nearest} if nearest else {}))
        elif kind.spec_schema.deepest < DEEPEST:
            deepest = kind.spec_schema.deepest
            about = {"kind": kind.name, "schema": name, "deepest": deepest, "document": path}
            yield Warning("specs of a kind must be shallow", about)
