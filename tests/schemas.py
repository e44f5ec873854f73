"""Schemas of specs for tests: the providers' in tests/cases/schemas, and small ones written where they are used."""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hyperfleet.assembly import yaml_documents
from hyperfleet.model.schemas.spec_schema import SpecSchema

FOLDER: Final = Path(__file__).parent / "cases" / "schemas"
PROVIDERS: Final = ("aws", "bare-metal", "gcp")


@dataclass(frozen=True)
class Case:
    """A spec of a provider, what is wrong with it, and the sentence that names it."""

    provider: str
    kind: str
    name: str
    spec: dict[str, Any]
    faults: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Its name in a test run."""
        return f"{self.provider}: {self.name}"


def path_of(provider: str) -> Path:
    """The provider's document."""
    return FOLDER / provider / "openapi.yaml"


def cases(provider: str) -> list[Case]:
    """The provider's good specs, then the bad ones."""
    written = yaml_documents.read(FOLDER / provider / "specs.yaml")
    good = {each["name"]: Case(provider, each["kind"], each["name"], each["spec"]) for each in written["good"]}
    bad: list[Case] = []
    for each in written["bad"]:
        like = good[each["like"]]
        spec = copy.deepcopy(like.spec)
        for path, value in each.get("set", {}).items():
            holder, name = _holder(spec, path)
            holder[name] = value
        for path in each.get("remove", []):
            holder, name = _holder(spec, path)
            del holder[name]
        bad.append(Case(provider, like.kind, each["because"], spec, tuple(each["faults"])))
    return [*good.values(), *bad]


def _holder(spec: dict[str, Any], path: str) -> tuple[dict[str, Any], str]:
    *above, name = path.split(".")
    for step in above:
        spec = spec[step]
    return spec, name


def document(**schemas: Any) -> dict[str, Any]:
    """A document with these components."""
    return {"openapi": "3.0.3", "info": {"title": "t", "version": "1"}, "paths": {}, "components": {"schemas": schemas}}


def schema_of(part: Any, **others: Any) -> SpecSchema:
    """The schema of a spec whose member `a` is described by `part`; `others` are components that it may refer to."""
    return SpecSchema(document(Spec={"type": "object", "properties": {"a": part}}, **others), "Spec")


def faults(part: Any, value: Any, **others: Any) -> list[str]:
    """What is wrong with `value` as the member `a`, in sentences."""
    return [fault.message for fault in schema_of(part, **others).faults({"a": value})]
